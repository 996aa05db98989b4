//! A program that runs as a process of its own and is gone when its handle is.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::time::Instant;

use crate::wait;

/// A running program. Its output goes to files; a panicking test prints them. Dropping it kills the process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: PathBuf,
    exited: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`, with its output in a file of `folder`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Self {
        let output = folder.join(format!("{name}-{}.log", next_number()));
        let file = File::create(&output).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self {
            name: name.to_owned(),
            child,
            output,
            exited: None,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// True until it ends.
    pub fn is_running(&mut self) -> bool {
        if self.exited.is_none() {
            self.exited = self.child.try_wait().unwrap();
        }
        self.exited.is_none()
    }

    /// Sends a signal; nothing happens if it has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            let id = i32::try_from(self.child.id()).unwrap();
            kill(Pid::from_raw(id), signal).unwrap();
        }
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        if self.is_running() {
            self.child.kill().unwrap();
            self.exited = Some(self.child.wait().unwrap());
        }
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let what = format!("{} to end", self.name);
        wait::until(&what, async || {
            self.is_running();
            self.exited
        })
        .await
    }

    /// The same for a program that takes its time.
    ///
    /// # Panics
    /// If it is still running after `longest`.
    pub async fn ended_within(&mut self, longest: Duration) -> ExitStatus {
        let deadline = Instant::now() + longest;
        while self.is_running() {
            assert!(
                Instant::now() < deadline,
                "{} has not ended:\n{}",
                self.name,
                self.output()
            );
            tokio::time::sleep(STEP).await;
        }
        self.exited.expect("it has ended")
    }

    /// All that it has written so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Reads a ports file once it is complete: names of listeners and their addresses.
    ///
    /// # Panics
    /// If the process ends before.
    pub async fn ports(&mut self, file: &Path) -> Ports {
        match self.ports_unless_killed(file).await {
            Some(ports) => ports,
            None => panic!("{} ended with {:?}", self.name, self.exited),
        }
    }

    /// The same, but `None` if it is killed before.
    ///
    /// # Panics
    /// If it ends by itself before.
    pub async fn ports_unless_killed(&mut self, file: &Path) -> Option<Ports> {
        let what = format!("the ports of {}", self.name);
        wait::until(&what, async || {
            if !self.is_running() {
                let killed = self
                    .exited
                    .is_some_and(|status| status.signal() == Some(Signal::SIGKILL as i32));
                assert!(killed, "{} ended with {:?}:\n{}", self.name, self.exited, self.output());
                return Some(None);
            }
            let text = fs::read_to_string(file).ok()?;
            serde_json::from_str(&text).ok().map(|ports| Some(Ports(ports)))
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exited.is_none() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
        if std::thread::panicking() {
            println!("---- {} ({}) wrote:\n{}", self.name, self.child.id(), self.output());
        }
    }
}

/// Addresses by the names of their listeners.
#[derive(Clone, Debug)]
pub struct Ports(Value);

impl Ports {
    /// The address of the listener `name`, as `127.0.0.1:PORT`.
    ///
    /// # Panics
    /// If there is none.
    pub fn address(&self, name: &str) -> String {
        match self.0[name].as_str() {
            Some(address) => address.to_owned(),
            None => panic!("no listener {name} in {}", self.0),
        }
    }
}

/// How often a program that takes its time is looked at.
const STEP: Duration = Duration::from_millis(100);

/// A number that no other file of this test process has.
pub fn next_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

//! A server that speaks MongoDB's protocol: yours (`MONGODB_URI`), or one of the test's own.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Process, next_number};
use crate::{binaries, wait};

/// A server and the name of a database in it that nobody else uses.
#[derive(Debug)]
pub struct Mongo {
    uri: String,
    database: String,
    own: Option<Own>,
}

/// A server that the test started.
#[derive(Debug)]
struct Own {
    process: Process,
    program: PathBuf,
    folder: TempDir,
    port: u16,
}

impl Mongo {
    /// The server of `MONGODB_URI`, or one of its own; `None` where `MONGO_TESTS=off` says so.
    ///
    /// # Panics
    /// If there is no server program: a test that cannot run must not look like one that passed.
    pub async fn available() -> Option<Self> {
        if env::var("MONGO_TESTS").as_deref() == Ok("off") {
            return None;
        }
        let database = format!("igw_{}_{}", std::process::id(), next_number());
        if let Ok(uri) = env::var("MONGODB_URI") {
            return Some(Self {
                uri,
                database,
                own: None,
            });
        }
        let own = Own::start().await;
        Some(Self {
            uri: format!("mongodb://127.0.0.1:{}", own.port),
            database,
            own: Some(own),
        })
    }

    /// Its address.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Name of the database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Where a server of its own keeps everything.
    pub fn folder(&self) -> Option<PathBuf> {
        self.own.as_ref().map(|own| own.folder.path().join("data"))
    }

    /// True if the server belongs to the test, which may then kill it.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// `kill -9`.
    ///
    /// # Panics
    /// If the server is not the test's own.
    pub fn kill(&mut self) {
        self.own.as_mut().expect("only an own server is killed").process.kill();
    }

    /// Starts a killed server again, on its port and its data.
    ///
    /// # Panics
    /// If the server is not the test's own.
    pub async fn restart(&mut self) {
        let own = self.own.as_mut().expect("only an own server is restarted");
        own.process = launch(&own.program, &own.folder, own.port);
        listening(&mut own.process).await;
    }
}

impl Own {
    async fn start() -> Self {
        let program = program();
        let folder = TempDir::with_prefix("mongo-").unwrap();
        let mut process = launch(&program, &folder, 0);
        let port = listening(&mut process).await;
        Self {
            process,
            program,
            folder,
            port,
        }
    }
}

fn launch(program: &PathBuf, folder: &TempDir, port: u16) -> Process {
    let mut command = Command::new(program);
    command
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--sync-on-commit"])
        .arg("--storage-path")
        .arg(folder.path().join("data"))
        .current_dir(folder.path());
    Process::start("mongo", command, folder.path())
}

/// Waits until the server says where it listens, and gives its port.
async fn listening(process: &mut Process) -> u16 {
    wait::until("the MongoDB server to listen", async || {
        assert!(process.is_running(), "the MongoDB server ended");
        let output = process.output();
        let rest = output.split("listening on 127.0.0.1:").nth(1)?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        // A line that is only half written shows a shorter number.
        (digits.len() < rest.len()).then(|| digits.parse().ok()).flatten()
    })
    .await
}

fn program() -> PathBuf {
    if let Some(program) = env::var_os("MONGO_TEST_BIN") {
        return program.into();
    }
    let installed = binaries::repository().join(".tools/mongo-venv/bin/secantusd-py");
    assert!(
        installed.is_file(),
        "there is no MongoDB server for the tests: run `make mongo`, or set MONGODB_URI to a replica set, MONGO_TEST_BIN \
         to a server program, or MONGO_TESTS=off to leave these tests out"
    );
    installed
}

//! What a process costs, as the kernel counts it.

use std::fs;
use std::time::{Duration, Instant};

use crate::error::Error;

/// CPU time of a process with all its threads.
#[derive(Clone, Copy, Debug)]
pub struct CpuTime {
    /// In its own code.
    pub user: Duration,
    /// In the kernel, on its behalf.
    pub kernel: Duration,
}

impl CpuTime {
    /// What the process has used so far, threads that ended included.
    ///
    /// # Errors
    /// If the process is gone.
    pub fn of(process: u32) -> Result<Self, Error> {
        let path = format!("/proc/{process}/stat");
        let text = read(&path)?;
        // The name of the program, in parentheses, may hold spaces.
        let (_, after_name) = text.rsplit_once(')').ok_or_else(|| unknown_form(&path))?;
        let mut numbers = after_name
            .split_whitespace()
            .skip(11)
            .map_while(|text| text.parse().ok());
        match (numbers.next(), numbers.next()) {
            (Some(user), Some(kernel)) => Ok(Self {
                user: ticks(user),
                kernel: ticks(kernel),
            }),
            _ => Err(unknown_form(&path)),
        }
    }

    /// What was used since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            kernel: self.kernel.saturating_sub(earlier.kernel),
        }
    }

    /// User and kernel time together.
    pub fn total(self) -> Duration {
        self.user + self.kernel
    }
}

/// How long the core `number` has been busy with anything since the machine started.
///
/// # Errors
/// If there is no such core.
pub fn busy_time(core: usize) -> Result<Duration, Error> {
    let path = "/proc/stat";
    let name = format!("cpu{core}");
    let text = read(path)?;
    let line = text
        .lines()
        .map(|line| line.split_whitespace())
        .find_map(|mut words| (words.next() == Some(name.as_str())).then_some(words))
        .ok_or_else(|| unknown_form(path))?;
    // user, nice, system, idle, iowait, irq, softirq
    let numbers: Vec<u64> = line.take(7).map_while(|text| text.parse().ok()).collect();
    match numbers[..] {
        [user, nice, system, _, _, irq, softirq] => Ok(ticks(user + nice + system + irq + softirq)),
        _ => Err(unknown_form(path)),
    }
}

/// Resident memory of a process in MiB, once it no longer changes (or after some seconds).
///
/// # Errors
/// If the process is gone.
pub fn settled_resident_mib(process: u32) -> Result<f64, Error> {
    let deadline = Instant::now() + Duration::from_secs(6);
    let mut last = resident_kib(process)?;
    let mut unchanged_since = Instant::now();
    while unchanged_since.elapsed() < Duration::from_millis(500) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
        let now = resident_kib(process)?;
        if now != last {
            last = now;
            unchanged_since = Instant::now();
        }
    }
    Ok(f64::from(last) / 1024.0)
}

fn resident_kib(process: u32) -> Result<u32, Error> {
    let path = format!("/proc/{process}/status");
    let text = read(&path)?;
    text.lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse().ok())
        .ok_or_else(|| unknown_form(&path))
}

fn read(path: &str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::system(format!("read {path}")))
}

fn unknown_form(path: &str) -> Error {
    Error::UnknownForm { path: path.to_owned() }
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * TICK_MS)
}

/// Linux counts in hundredths of a second towards user space, whatever its own clock does.
const TICK_MS: u64 = 10;

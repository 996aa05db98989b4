//! Ends a program at a chosen system call, and takes back what it had not synced, as a power cut does.
//!
//! The product has no switch for this: a shim (`tests/shim/crash.c`) is preloaded into the process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::binaries;

/// The compiled shim.
#[derive(Debug)]
pub struct Shim {
    folder: TempDir,
}

/// Which calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `fsync` and `fdatasync` of a file in the folder.
    Sync,
    /// Writes to a file in the folder.
    Write,
    /// Writes to a socket.
    Send,
}

/// When a process dies.
#[derive(Clone, Copy, Debug)]
pub struct Crash {
    /// Of these calls,
    pub call: Call,
    /// at this one, from 1,
    pub at: u64,
    /// after it was made rather than before,
    pub after: bool,
    /// with the loss of what was not synced.
    pub power: bool,
}

impl Shim {
    /// Compiles it with the machine's C compiler, which the build of the product needs as well.
    ///
    /// # Panics
    /// If that fails.
    pub fn build() -> Self {
        let folder = TempDir::with_prefix("shim-").unwrap();
        let shim = Self { folder };
        let source = binaries::repository().join("tests/shim/crash.c");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let output = Command::new(compiler)
            .args(["-O1", "-Wall", "-Wextra", "-shared", "-fPIC", "-o"])
            .arg(shim.library())
            .arg(source)
            .args(["-ldl", "-lpthread"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        shim
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("crash.so")
    }

    /// The variables that preload it, watch the files below `folder`, and let the process die as `crash` says.
    pub fn environment(&self, folder: &Path, crash: Crash) -> Vec<(String, String)> {
        let call = match crash.call {
            Call::Sync => "sync",
            Call::Write => "write",
            Call::Send => "send",
        };
        self.variables(
            folder,
            [
                ("CRASH_CALL", call.to_owned()),
                ("CRASH_AT", crash.at.to_string()),
                ("CRASH_WHEN", if crash.after { "after" } else { "before" }.to_owned()),
                ("CRASH_POWER", u8::from(crash.power).to_string()),
            ],
        )
    }

    /// The variables that preload it and only count, for [`syncs`] to read in `counters`.
    pub fn counting(&self, folder: &Path, counters: &Path) -> Vec<(String, String)> {
        self.variables(folder, [("CRASH_COUNTERS", counters.display().to_string())])
    }

    fn variables<const N: usize>(&self, folder: &Path, own: [(&str, String); N]) -> Vec<(String, String)> {
        let common = [
            ("LD_PRELOAD", self.library().display().to_string()),
            ("CRASH_FOLDER", folder.display().to_string()),
        ];
        common
            .into_iter()
            .chain(own)
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// How many syncs there were so far, by the counters of a process that counts.
///
/// # Panics
/// If the process does not count.
pub fn syncs(counters: &Path) -> u64 {
    let bytes = fs::read(counters).unwrap();
    let first = bytes.first_chunk().expect("the shim makes the whole file");
    u64::from_ne_bytes(*first)
}

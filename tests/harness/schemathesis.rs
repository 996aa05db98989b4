//! Schemathesis: makes requests of an OpenAPI document, and holds the answers against it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::Process;
use crate::{ControlPlane, binaries};

/// One run of it.
#[derive(Debug)]
pub struct Run {
    program: PathBuf,
    folder: TempDir,
    arguments: Vec<String>,
    settings: String,
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// All that it said.
    pub output: String,
    /// True if it found nothing.
    pub is_clean: bool,
    /// Its report, as JSON.
    pub report: Value,
}

impl Run {
    /// A run with the checks and phases of `arguments`; `None` where `API_TESTS=off` says that there is to be none.
    ///
    /// # Panics
    /// If the program is missing: a test that cannot run must not look like one that passed.
    pub fn available(arguments: &[&str]) -> Option<Self> {
        if env::var("API_TESTS").as_deref() == Ok("off") {
            return None;
        }
        Some(Self {
            program: program(),
            folder: TempDir::with_prefix("schemathesis-").unwrap(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            settings: String::new(),
        })
    }

    /// With these settings of its own, as TOML.
    #[must_use]
    pub fn settings(self, settings: String) -> Self {
        Self { settings, ..self }
    }

    /// Sends requests with the key of all organizations, until it has done what it was told to.
    ///
    /// # Panics
    /// If it cannot be started, or leaves no report.
    pub async fn against(self, control_plane: &ControlPlane) -> Report {
        let place = |name: &str| self.folder.path().join(name);
        fs::write(place("schemathesis.toml"), &self.settings).unwrap();
        let report = place("report.json");
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.folder.path())
            .arg("--config-file")
            .arg(place("schemathesis.toml"))
            .args(["run", &format!("{}/api/v1/openapi.json", control_plane.url())])
            .args(["--header", &format!("X-API-Key: {}", control_plane.operator_key())])
            .args([
                "--no-color",
                "--warnings",
                "off",
                "--no-shrink",
                "--continue-on-failure",
            ])
            // One worker: threads that parse Python at a time fail in CPython 3.11 (its issue 106905).
            .args(["--workers", "1", "--generation-database", "none", "--report", "json"])
            .arg("--report-json-path")
            .arg(&report)
            .args(&self.arguments);
        if let Ok(seed) = env::var("API_TESTS_SEED") {
            command.args(["--seed", &seed]);
        } else {
            // The same requests each time: what fails here fails again.
            command.args(["--seed", "1"]);
        }
        let mut process = Process::start("schemathesis", command, self.folder.path());
        let status = process.ended_within(LONGEST).await;
        Report {
            output: process.output(),
            is_clean: status.success(),
            report: read(&report, &process),
        }
    }
}

fn read(report: &Path, process: &Process) -> Value {
    let text = fs::read(report).unwrap_or_else(|error| panic!("no report: {error}\n{}", process.output()));
    serde_json::from_slice(&text).unwrap()
}

fn program() -> PathBuf {
    if let Some(program) = env::var_os("SCHEMATHESIS_BIN") {
        return program.into();
    }
    let installed = binaries::repository().join(".tools/schemathesis-venv/bin/schemathesis");
    assert!(
        installed.is_file(),
        "there is no Schemathesis for the tests: run `make schemathesis`, or set SCHEMATHESIS_BIN to the program, or \
         API_TESTS=off to leave these tests out"
    );
    installed
}

/// A run sends tens of thousands of requests.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(900);

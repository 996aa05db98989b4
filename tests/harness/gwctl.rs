//! The command line tool, run as a person runs it.

use std::process::Command;

use serde_json::Value;

use crate::{ControlPlane, binaries};

/// What a run of `gwctl` came to.
#[derive(Clone, Debug)]
pub struct Run {
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    /// Standard output as JSON.
    ///
    /// # Panics
    /// If it is not.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Runs `gwctl` with these arguments, and without any control plane.
pub async fn offline(arguments: &[&str]) -> Run {
    run(Command::new(binaries::find("gwctl")), arguments).await
}

/// Runs `gwctl` with these arguments against `control_plane`.
pub async fn against(control_plane: &ControlPlane, arguments: &[&str]) -> Run {
    let mut command = Command::new(binaries::find("gwctl"));
    command
        .env("GWCTL_SERVER", control_plane.url())
        .env("GWCTL_KEY", control_plane.operator_key());
    run(command, arguments).await
}

async fn run(mut command: Command, arguments: &[&str]) -> Run {
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

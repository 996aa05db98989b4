//! wrk, the generator of load.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use benches::client::Question;
use benches::error::Error;
use benches::tools::Tools;
use serde::Deserialize;

use crate::GENERATOR_CORE;

/// What a run of the generator brought.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Outcome {
    /// Requests that were answered.
    pub(crate) requests: u64,
    /// How long they took together.
    pub(crate) microseconds: u64,
    /// Connections that failed, and answers that are no success.
    pub(crate) bad: u64,
    /// Half of the answers took no longer.
    pub(crate) p50_us: u64,
    /// 99 % of the answers took no longer.
    pub(crate) p99_us: u64,
}

impl Outcome {
    /// Requests for each second.
    #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds are far below 2^52")]
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / (self.microseconds.max(1) as f64 / 1e6)
    }
}

/// Asks `question` over [`CONNECTIONS`] connections, again and again, for `duration`.
///
/// # Errors
/// If wrk fails, nothing was answered, or one answer was bad.
pub(crate) fn run(
    tools: &Tools,
    who: &str,
    address: SocketAddr,
    question: &Question,
    duration: Duration,
) -> Result<Outcome, Error> {
    let mut command = tools.command(tools.wrk()?, Some(GENERATOR_CORE));
    command
        .args(["-t", "1", "-c", &CONNECTIONS.to_string()])
        .args(["-d", &format!("{}s", duration.as_secs().max(1))])
        .arg("-s")
        .arg(script())
        .args(["-H", &format!("Host: {}", question.host)]);
    for (name, value) in &question.headers {
        command.args(["-H", &format!("{name}: {value}")]);
    }
    let output = command
        .arg(format!("http://{address}{}", question.path))
        .output()
        .map_err(Error::system("start wrk"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let outcome: Outcome = text
        .lines()
        .last()
        .and_then(|line| serde_json::from_str(line).ok())
        .ok_or_else(|| Error::Program {
            program: "wrk".to_owned(),
            output: format!("{text}{}", String::from_utf8_lossy(&output.stderr)),
        })?;
    if outcome.bad > 0 || outcome.requests == 0 {
        return Err(Error::WrongAnswer {
            who: who.to_owned(),
            what: format!("{} of {} answers were no success", outcome.bad, outcome.requests),
        });
    }
    Ok(outcome)
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/proxy/report.lua")
}

/// Keep-alive connections of the generator.
pub(crate) const CONNECTIONS: u32 = 64;

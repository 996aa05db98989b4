//! `gwctl rollout`: a change that goes to some of the gateways first.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use filters::model::{Problem, Snapshot};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answers::Applied;
use super::change::{self, Change, First};
use super::client::Client;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::table::{Table, printable};
use super::{Files, Prune, apply, identifier};

/// Between two looks at a rollout while waiting.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Subcommand)]
pub(super) enum Rollout {
    /// Checks documents and publishes them to some of the gateways first
    Begin(Begin),
    /// Shows a rollout and how its gateways are doing; the newest one if none is named
    Status(Which),
    /// Shows all rollouts, newest first
    List,
    /// Lets the version go to all gateways now
    Promote(Which),
    /// Takes the version back now
    Abort(Which),
}

#[derive(Debug, Args)]
pub(super) struct Begin {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    prune: Prune,
    /// To so many percent of the connected gateways first
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=99), required_unless_present = "gateway")]
    percent: Option<u32>,
    /// To this gateway first; can be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "percent")]
    gateway: Vec<String>,
    /// For how long the gateways are watched
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    watch: u32,
    /// By how many percentage points more of the requests may fail than before and elsewhere
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    tolerance: f64,
    /// So many requests must have failed before their share counts
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    min_failures: u64,
    /// Waits for `promote` when the time is over, instead of going on
    #[arg(long)]
    hold: bool,
    /// Has the control plane check everything and change nothing
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Why; stays with the version
    #[arg(short, long, default_value = "", hide_default_value = true)]
    message: String,
    /// Waits until the rollout is over, at most so long
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=90_000))]
    wait: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// Its identifier; the newest rollout if left out
    #[arg(value_parser = identifier)]
    id: Option<String>,
}

/// What was begun.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Began {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rollout: Option<Shown>,
    #[serde(flatten)]
    applied: Applied,
}

#[derive(Debug, Deserialize, Serialize)]
struct Shown {
    id: String,
    author: String,
    message: String,
    state: String,
    version: u64,
    base: u64,
    gateways: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    standings: Vec<Standing>,
    /// What is shown to programs only.
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    gateway_id: String,
    connected: bool,
    applied_version: Option<u64>,
    refused: Option<Vec<Problem>>,
    counts: Option<Counts>,
    counts_before: Option<Counts>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Counts {
    version: u64,
    total: Total,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    integrations: Vec<Value>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Total {
    requests: u64,
    failed: u64,
}

#[derive(Debug, Deserialize, Serialize)]
struct All {
    rollouts: Vec<Shown>,
}

impl Rollout {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        match self {
            Self::Begin(begin) => begin.run(client, output),
            Self::Status(which) => {
                let shown: Shown = client.get(&["rollouts", &which.id(client)?], &[])?;
                output.show(&shown, write)?;
                Ok(shown.outcome())
            }
            Self::List => {
                let all: All = client.get(&["rollouts"], &[])?;
                output.show(&all, write_all)?;
                Ok(Outcome::Done)
            }
            Self::Promote(which) => which.order("promote", client, output),
            Self::Abort(which) => which.order("abort", client, output),
        }
    }
}

impl Begin {
    fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let documents = self.files.load()?;
        documents.refuse_security()?;
        documents.check()?;
        self.prune.check(&documents.snapshot)?;
        let live = if self.prune.prune {
            change::live(client, &documents, &self.prune)?
        } else {
            Snapshot::default()
        };
        let change = Change::new(&documents, &self.prune, &live);
        let first = First {
            percent: self.percent,
            gateways: &self.gateway,
            rules: json!({
                "watchSeconds": self.watch,
                "tolerancePercent": self.tolerance,
                "minFailures": self.min_failures,
                "promote": !self.hold,
            }),
        };
        let began: Began = change.roll_out(client, self.dry_run, &self.message, first)?;
        output.show(&began, |began, out| {
            apply::write(&began.applied, out)?;
            began.rollout.as_ref().map_or(Ok(()), |rollout| write(rollout, out))
        })?;
        match (&began.rollout, self.wait) {
            (Some(rollout), Some(seconds)) => {
                output.data.flush()?;
                wait(client, &rollout.id, Duration::from_secs(seconds), output)
            }
            _ => Ok(Outcome::Done),
        }
    }
}

/// Waits until the rollout is over.
fn wait(client: &Client, id: &str, most: Duration, output: &mut Output<'_>) -> Result<Outcome, Failure> {
    let deadline = Instant::now() + most;
    loop {
        let shown: Shown = client.get(&["rollouts", id], &[])?;
        let left = deadline.saturating_duration_since(Instant::now());
        if shown.state != WATCHING {
            let reason = shown.reason.as_deref().unwrap_or_default();
            output.say(format_args!("rollout {id}: {}: {}", shown.state, printable(reason)))?;
            return Ok(shown.outcome());
        }
        if left.is_zero() {
            output.say(format_args!("rollout {id} is still watched after {} s", most.as_secs()))?;
            return Ok(Outcome::Different);
        }
        thread::sleep(PAUSE.min(left));
    }
}

impl Which {
    fn id(&self, client: &Client) -> Result<String, Failure> {
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        let all: All = client.get(&["rollouts"], &[])?;
        let newest = all.rollouts.into_iter().next();
        newest
            .map(|rollout| rollout.id)
            .ok_or_else(|| Failure::Usage("there was no rollout yet".to_owned()))
    }

    fn order(&self, what: &str, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let id = self.id(client)?;
        let shown: Shown = client.order(Method::POST, &["rollouts", &id, what], &[], None::<&Value>)?;
        output.show(&shown, write)?;
        Ok(Outcome::Done)
    }
}

impl Shown {
    fn outcome(&self) -> Outcome {
        if self.state == ROLLED_BACK {
            Outcome::Different
        } else {
            Outcome::Done
        }
    }
}

fn write(shown: &Shown, out: &mut dyn Write) -> io::Result<()> {
    let Shown {
        id,
        state,
        version,
        base,
        gateways,
        ..
    } = shown;
    writeln!(out, "rollout {id}: {state}")?;
    let at = printable(&gateways.join(", "));
    writeln!(out, "version {version} at {at}; all others at version {base} meanwhile")?;
    if let Some(reason) = &shown.reason {
        writeln!(out, "{}", printable(reason))?;
    }
    if shown.standings.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&[
        "GATEWAY",
        "CONNECTED",
        "APPLIED",
        "REQUESTS",
        "FAILED",
        "BEFORE",
        "REFUSED",
    ]);
    for standing in &shown.standings {
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let total = standing.counts.as_ref().map(|counts| &counts.total);
        let before = standing.counts_before.as_ref().map(|counts| &counts.total);
        let problem = standing.refused.as_ref().and_then(|problems| problems.first());
        table.row([
            standing.gateway_id.clone(),
            if standing.connected { "yes" } else { "no" }.to_owned(),
            number(standing.applied_version),
            number(total.map(|total| total.requests)),
            number(total.map(|total| total.failed)),
            before
                .map(|before| format!("{} of {}", before.failed, before.requests))
                .unwrap_or_default(),
            problem.map(ToString::to_string).unwrap_or_default(),
        ]);
    }
    table.write(out)
}

fn write_all(all: &All, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&["ROLLOUT", "STATE", "VERSION", "GATEWAYS", "BY", "REASON"]);
    for shown in &all.rollouts {
        table.row([
            shown.id.clone(),
            shown.state.clone(),
            shown.version.to_string(),
            shown.gateways.len().to_string(),
            shown.author.clone(),
            shown.reason.clone().unwrap_or_default(),
        ]);
    }
    table.write(out)
}

const WATCHING: &str = "watching";
const ROLLED_BACK: &str = "rolledBack";

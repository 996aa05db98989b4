//! `gwctl apply`.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use filters::model::push::{Object, ObjectId};
use serde::Serialize;

use super::answers::{self, Applied, Gateway, Gateways};
use super::client::Client;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::table::counted;
use super::{Files, Prune, diff};

/// Between two looks at the gateways while waiting.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, Args)]
pub(super) struct Apply {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    prune: Prune,
    /// Has the control plane check everything and change nothing
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Why; stays with the version
    #[arg(short, long)]
    message: Option<String>,
    /// Waits until every connected gateway runs the version, and at least one does
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    wait: Option<u64>,
}

/// A change to many objects, all or nothing.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    put: Vec<Object>,
    delete: Vec<ObjectId>,
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl Apply {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let documents = self.files.load()?;
        documents.refuse_security()?;
        documents.check()?;
        let wanted = &documents.snapshot;
        let delete = if self.prune.prune {
            let live = answers::export(client, self.prune.org)?;
            diff::to_prune(wanted, &live, &self.prune)
        } else {
            Vec::new()
        };
        let request = Request {
            put: wanted
                .objects()
                .into_iter()
                .filter(|object| !matches!(object, Object::Security(_)))
                .collect(),
            delete,
            dry_run: self.dry_run,
            message: self.message.as_deref(),
        };
        let sent = Instant::now();
        let applied: Applied = client.post(&["apply"], &request, self.dry_run)?;
        output.show(&applied, |applied, out| write(applied, self.dry_run, out))?;
        match self.wait {
            Some(seconds) => wait(client, applied.version, sent, Duration::from_secs(seconds), output),
            None => Ok(Outcome::Done),
        }
    }
}

fn write(applied: &Applied, dry_run: bool, out: &mut dyn Write) -> io::Result<()> {
    let Applied {
        version,
        created,
        changed,
        unchanged,
        deleted,
    } = applied;
    let what = format!("{created} created, {changed} changed, {unchanged} unchanged, {deleted} deleted");
    if dry_run {
        writeln!(out, "dry run, nothing saved: {what}")
    } else if created + changed + deleted == 0 {
        writeln!(out, "nothing to change, still version {version}: {what}")
    } else {
        writeln!(out, "version {version}: {what}")
    }
}

/// Waits until `version` is live everywhere, or until a gateway refused it.
fn wait(
    client: &Client,
    version: u64,
    sent: Instant,
    most: Duration,
    output: &mut Output<'_>,
) -> Result<Outcome, Failure> {
    let deadline = Instant::now() + most;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let gateways: Gateways = client.get_within(&["gateways"], left.max(PAUSE))?;
        let connected: Vec<&Gateway> = gateways.gateways.iter().filter(|gateway| gateway.connected).collect();
        let refused = connected.iter().find_map(|gateway| {
            let nack = gateway.last_nack.as_ref().filter(|nack| nack.version == version)?;
            Some((gateway, nack))
        });
        if let Some((gateway, nack)) = refused {
            output.say(format_args!(
                "gateway {} refused version {version}:",
                gateway.gateway_id
            ))?;
            for problem in &nack.problems {
                output.say(format_args!("  {problem}"))?;
            }
            return Ok(Outcome::Different);
        }
        let behind: Vec<&str> = connected
            .iter()
            .filter(|gateway| gateway.applied_version < Some(version))
            .map(|gateway| gateway.gateway_id.as_str())
            .collect();
        if behind.is_empty() && !connected.is_empty() {
            output.say(format_args!(
                "version {version} is live on {} after {} ms",
                counted(connected.len(), "gateway"),
                sent.elapsed().as_millis()
            ))?;
            return Ok(Outcome::Done);
        }
        if left.is_zero() {
            let what = if connected.is_empty() {
                "no gateway is connected".to_owned()
            } else {
                format!("still behind: {}", behind.join(", "))
            };
            output.say(format_args!(
                "version {version} is not live after {} s; {what}",
                most.as_secs()
            ))?;
            return Ok(Outcome::Different);
        }
        thread::sleep(PAUSE.min(left));
    }
}

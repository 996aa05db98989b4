//! `gwctl apply`.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use filters::model::Snapshot;

use super::answers::{Applied, Gateway, Gateways};
use super::change::{self, Change};
use super::client::Client;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::table::{Table, counted};
use super::{Files, Prune};

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
    #[arg(short, long, default_value = "", hide_default_value = true)]
    message: String,
    /// Waits until every connected gateway runs the version, and at least one does
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    wait: Option<u64>,
}

impl Apply {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let documents = self.files.load()?;
        documents.refuse_security()?;
        documents.compiled()?;
        self.prune.check(&documents.snapshot)?;
        let live = if self.prune.prune {
            change::live(client, &documents, &self.prune)?
        } else {
            Snapshot::default()
        };
        let change = Change::new(&documents, &self.prune, &live);
        let sent = Instant::now();
        let applied = change.send(client, self.dry_run, &self.message)?;
        output.show(&applied, write)?;
        match self.wait {
            Some(seconds) => {
                output.data.flush()?;
                let version = applied.version;
                wait(client, version, sent, Duration::from_secs(seconds), output).inspect_err(|_| {
                    // The failure itself is reported next.
                    let _ = output.say(format_args!(
                        "version {version} is saved, but where it is live cannot be told"
                    ));
                })
            }
            None => Ok(Outcome::Done),
        }
    }
}

/// Writes what was done for people.
pub(super) fn write(applied: &Applied, out: &mut dyn Write) -> io::Result<()> {
    if !applied.objects.is_empty() {
        let mut table = Table::new(&["KIND", "ID", "ACTION"]);
        for done in &applied.objects {
            table.row([done.kind.clone(), done.id(), done.action.clone()]);
        }
        table.write(out)?;
    }
    let Applied {
        version,
        created,
        changed,
        unchanged,
        deleted,
        ..
    } = applied;
    let what = format!("{created} created, {changed} changed, {unchanged} unchanged, {deleted} deleted");
    if applied.dry_run {
        writeln!(out, "dry run, nothing saved: {what}")
    } else if applied.objects.is_empty() {
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
        let gateways: Gateways = client.get_within(&["gateways"], left.max(SHORTEST_CALL))?;
        match Progress::of(&gateways.gateways, version) {
            Progress::Live(count) => {
                output.say(format_args!(
                    "version {version} is live on {} after {} ms",
                    counted(count, "gateway"),
                    sent.elapsed().as_millis()
                ))?;
                return Ok(Outcome::Done);
            }
            Progress::Refused(reasons) => {
                output.say(reasons)?;
                return Ok(Outcome::Different);
            }
            Progress::Behind(what) if left.is_zero() => {
                let seconds = most.as_secs();
                output.say(format_args!(
                    "version {version} is not live everywhere after {seconds} s: {what}"
                ))?;
                return Ok(Outcome::Different);
            }
            Progress::Behind(_) => thread::sleep(PAUSE.min(left)),
        }
    }
}

/// How far a version has come.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// On so many gateways, which are all that are connected.
    Live(usize),
    /// A gateway refused it, for these reasons.
    Refused(String),
    /// Not everywhere, as this text says.
    Behind(String),
}

impl Progress {
    fn of(gateways: &[Gateway], version: u64) -> Self {
        let connected: Vec<&Gateway> = gateways.iter().filter(|gateway| gateway.connected).collect();
        let refused = connected.iter().find_map(|gateway| {
            let nack = gateway.last_nack.as_ref().filter(|nack| nack.version == version)?;
            Some((gateway, nack)).filter(|_| gateway.applied_version < Some(version))
        });
        if let Some((gateway, nack)) = refused {
            let problems = nack.problems.iter().map(|problem| format!("\n  {problem}"));
            let reasons: String = problems.collect();
            return Self::Refused(format!(
                "gateway {} refused version {version}:{reasons}",
                gateway.gateway_id
            ));
        }
        let behind: Vec<String> = connected
            .iter()
            .filter(|gateway| gateway.applied_version < Some(version))
            .map(|gateway| match &gateway.reason {
                Some(reason) => format!("{} ({reason})", gateway.gateway_id),
                None => gateway.gateway_id.clone(),
            })
            .collect();
        match (connected.len(), behind.len()) {
            (0, _) => Self::Behind("no gateway is connected".to_owned()),
            (count, 0) => Self::Live(count),
            _ => Self::Behind(format!("still behind: {}", behind.join(", "))),
        }
    }
}

/// A last look is given this long, even where the time is up.
const SHORTEST_CALL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn progress(gateways: Value) -> Progress {
        let gateways: Vec<Gateway> = serde_json::from_value(gateways).unwrap();
        Progress::of(&gateways, 7)
    }

    fn gateway(id: &str, connected: bool, applied: u64) -> Value {
        json!({"gatewayId": id, "connected": connected, "appliedVersion": applied, "targetVersion": 7})
    }

    #[test]
    fn a_version_is_live_when_every_connected_gateway_runs_it() {
        assert_eq!(
            progress(json!([gateway("a", true, 7), gateway("b", true, 8)])),
            Progress::Live(2)
        );
        assert_eq!(
            progress(json!([gateway("a", true, 7), gateway("b", false, 3)])),
            Progress::Live(1)
        );
        assert_eq!(
            progress(json!([gateway("a", true, 7), gateway("b", true, 6)])),
            Progress::Behind("still behind: b".to_owned())
        );
        assert_eq!(
            progress(json!([{"gatewayId": "new", "connected": true, "appliedVersion": null}])),
            Progress::Behind("still behind: new".to_owned())
        );
    }

    #[test]
    fn without_a_gateway_nothing_is_live() {
        let nobody = Progress::Behind("no gateway is connected".to_owned());
        assert_eq!(progress(json!([])), nobody);
        assert_eq!(progress(json!([gateway("a", false, 7)])), nobody);
    }

    #[test]
    fn a_refusal_of_this_version_ends_the_wait_and_one_of_another_does_not() {
        let mut refusing = gateway("a", true, 6);
        refusing["lastNack"] = json!({"version": 7, "problems": [{"path": "p", "message": "wrong"}], "at": "now"});
        assert_eq!(
            progress(json!([refusing])),
            Progress::Refused("gateway a refused version 7:\n  p: wrong".to_owned())
        );
        refusing["lastNack"]["version"] = json!(5);
        assert_eq!(
            progress(json!([refusing])),
            Progress::Behind("still behind: a".to_owned())
        );
    }
}

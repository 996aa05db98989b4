//! One version after the other: read, compile, build, one swap. Or every problem, and the old one stays.

use std::sync::Arc;
use std::time::Instant;

use filters::model::push::{FromControlPlane, Have, VersionCounts};
use filters::model::{Problem, Snapshot, decode};
use tokio::sync::{Mutex, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tracing::{info, warn};

use super::state::{Source, State};
use crate::live::{Deps, Live, Shared};

/// A version on its way, not yet read: reading takes its time.
#[derive(Debug)]
pub(crate) enum Update {
    /// A message of the control plane.
    Message(Utf8Bytes),
    /// The text of the watched file.
    Document(String),
    /// What was live before the restart.
    Restored(Snapshot),
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is live.
    Live(Have),
    /// It was refused, and what was live stays.
    Refused {
        /// Its place in the sequence of versions, if it could be read.
        version: Option<u64>,
        /// Everything that is wrong with it.
        problems: Vec<Problem>,
    },
    /// It is a change of a version other than the live one.
    DoesNotFit,
}

/// Applies versions, one at a time.
#[derive(Debug)]
pub(crate) struct Applier {
    shared: Arc<Shared>,
    deps: Deps,
    state: Arc<State>,
    current: Mutex<Arc<Snapshot>>,
    accepted: watch::Sender<Option<Arc<Snapshot>>>,
}

impl Applier {
    /// What is live, if anything is.
    pub(super) fn live(&self) -> Option<Arc<Live>> {
        self.shared.load()
    }

    /// The receiver holds the newest version that was accepted from outside.
    pub(super) fn new(
        shared: Arc<Shared>,
        deps: Deps,
        state: Arc<State>,
    ) -> (Self, watch::Receiver<Option<Arc<Snapshot>>>) {
        let (accepted, receiver) = watch::channel(None);
        let applier = Self {
            shared,
            deps,
            state,
            current: Mutex::default(),
            accepted,
        };
        (applier, receiver)
    }

    /// What is live.
    pub(super) fn have(&self) -> Option<Have> {
        let live = self.shared.load()?;
        Some(Have {
            version: live.plan.version,
            digest: live.plan.digest.clone(),
        })
    }

    /// What came of requests since the live version is.
    pub(super) fn counts(&self) -> Option<VersionCounts> {
        Some(self.shared.load()?.counts(&self.deps.metrics))
    }

    /// Makes `update` live, or refuses it. Compiling happens on a thread of its own; everything is swapped at once.
    pub(super) async fn apply(&self, update: Update) -> Outcome {
        let received = Instant::now();
        let source = update.source();
        let mut current = self.current.lock().await;
        let (base, previous, deps) = (Arc::clone(&current), self.shared.load(), self.deps.clone());
        let prepared = tokio::task::spawn_blocking(move || prepare(update, &base, previous.as_ref(), &deps)).await;
        let prepared = prepared.unwrap_or_else(|error| {
            Err(Obstacle::Problems(
                None,
                vec![Problem::new(
                    "",
                    format!("the gateway failed while it compiled this version: {error}"),
                )],
            ))
        });
        match prepared {
            Ok((snapshot, live)) => {
                let have = Have {
                    version: live.plan.version,
                    digest: live.plan.digest.clone(),
                };
                self.shared.store(Arc::new(live));
                let swapped = received.elapsed();
                let metrics = &self.deps.metrics;
                metrics.config_swaps.inc();
                metrics.config_swap_seconds.observe(swapped.as_secs_f64());
                metrics.config_version.set(have.version.try_into().unwrap_or(i64::MAX));
                *current = Arc::new(snapshot);
                self.state.accepted(source);
                if source != Source::LastKnownGood {
                    self.accepted.send_replace(Some(Arc::clone(&current)));
                }
                info!(
                    version = have.version,
                    digest = have.digest,
                    ?source,
                    inbound = current.integrations.len(),
                    outbound = current.outbound.len(),
                    millis = swapped.as_secs_f64() * 1e3,
                    "a version is live"
                );
                Outcome::Live(have)
            }
            Err(Obstacle::DoesNotFit { from }) => {
                let have = self.have().map(|have| have.version);
                info!(
                    from,
                    have, "a change does not fit the live version; asking for what is missing"
                );
                Outcome::DoesNotFit
            }
            Err(Obstacle::Problems(version, problems)) => {
                warn!(version, ?source, problems = %listed(&problems), "a version was refused; what was live stays");
                self.deps.metrics.config_rejected.inc();
                self.state.refused(source, version, problems.clone());
                Outcome::Refused { version, problems }
            }
        }
    }
}

impl Update {
    fn source(&self) -> Source {
        match self {
            Self::Message(_) => Source::ControlPlane,
            Self::Document(_) => Source::File,
            Self::Restored(_) => Source::LastKnownGood,
        }
    }
}

/// Why a version does not become live.
enum Obstacle {
    DoesNotFit { from: u64 },
    Problems(Option<u64>, Vec<Problem>),
}

fn prepare(
    update: Update,
    base: &Snapshot,
    previous: Option<&Arc<Live>>,
    deps: &Deps,
) -> Result<(Snapshot, Live), Obstacle> {
    let mut on_trial = false;
    let snapshot = match update {
        Update::Message(text) => {
            let message = read_message(&text)?;
            on_trial = is_trial(&message);
            next(message, base, previous.map(|live| &**live))?
        }
        Update::Document(text) => read_document(&text).map_err(|problems| Obstacle::Problems(None, problems))?,
        Update::Restored(snapshot) => snapshot,
    };
    let plan = filters::compile(&snapshot, previous.map(|live| &live.plan))
        .map_err(|problems| Obstacle::Problems(Some(snapshot.version), problems))?;
    let mut live = Live::build(plan, previous.map(|live| &**live), deps);
    if on_trial {
        // Of several versions on trial the one before all of them stands in.
        live.before = previous.map(|live| Arc::clone(live.before.as_ref().unwrap_or(live)));
    }
    Ok((snapshot, live))
}

/// True for a version that not all gateways have yet.
fn is_trial(message: &FromControlPlane) -> bool {
    match message {
        FromControlPlane::Snapshot { trial, .. } | FromControlPlane::Change { trial, .. } => *trial,
        FromControlPlane::Recorded { .. } | FromControlPlane::Settled { .. } | FromControlPlane::Command { .. } => {
            false
        }
    }
}

fn next(message: FromControlPlane, base: &Snapshot, previous: Option<&Live>) -> Result<Snapshot, Obstacle> {
    match message {
        FromControlPlane::Snapshot { version, put, .. } => Ok(Snapshot::from_objects(version, put)),
        FromControlPlane::Change {
            from, to, put, delete, ..
        } => {
            if previous.is_none_or(|live| live.plan.version != from) {
                return Err(Obstacle::DoesNotFit { from });
            }
            Ok(base.changed(to, put, &delete))
        }
        FromControlPlane::Recorded { .. } | FromControlPlane::Settled { .. } | FromControlPlane::Command { .. } => {
            let problem = Problem::new("message", "is no version");
            Err(Obstacle::Problems(None, vec![problem]))
        }
    }
}

fn read_message(text: &str) -> Result<FromControlPlane, Obstacle> {
    let error = match serde_json::from_str(text) {
        Ok(message) => return Ok(message),
        Err(error) => error,
    };
    let document: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let version = ["version", "to"]
        .iter()
        .find_map(|field| document.get(*field)?.as_u64());
    let mut problems = Vec::new();
    if !document.is_null() {
        let _: Option<FromControlPlane> = decode::from_value(&document, "", &mut problems);
    }
    if problems.is_empty() {
        problems.push(Problem::new("", format!("the message is not understood: {error}")));
    }
    Err(Obstacle::Problems(version, problems))
}

fn read_document(text: &str) -> Result<Snapshot, Vec<Problem>> {
    if text.trim().is_empty() {
        let message = "the file is empty; write `integrations: []` if nothing is to be served";
        return Err(vec![Problem::new("", message)]);
    }
    let document = decode::from_text(text).map_err(|problem| vec![problem])?;
    Snapshot::from_document(&document)
}

fn listed(problems: &[Problem]) -> String {
    let shown: Vec<_> = problems.iter().take(MOST_LOGGED).map(Problem::to_string).collect();
    match problems.len().saturating_sub(MOST_LOGGED) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

const MOST_LOGGED: usize = 20;

#[cfg(test)]
mod tests;

//! What to tell one gateway next: a pure decision over what it said and what there is.
//!
//! At most one version is on its way to a gateway. What is made in the meantime goes out as one difference, so a slow
//! gateway skips versions instead of queueing them.

use std::time::{Duration, Instant};

use filters::model::push::Have;

use crate::publish::State;
use crate::store::Change;

/// The conversation with one gateway.
#[derive(Debug)]
pub(crate) struct Session {
    have: Option<Have>,
    on_its_way: Option<OnItsWay>,
    /// The last version that it did not take, and how often it was tried.
    failed: Option<(u64, Failed)>,
}

#[derive(Clone, Copy, Debug)]
struct OnItsWay {
    version: u64,
    since: Instant,
    whole: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failed {
    /// A difference did not fit; the whole snapshot may.
    Change,
    /// Nothing more can be done before the next version.
    Version,
}

/// What a gateway is to be told.
#[derive(Debug, PartialEq)]
pub(crate) enum Due {
    /// Everything.
    Snapshot,
    /// The difference from a version that it has.
    Change {
        /// That version.
        from: u64,
        /// The difference.
        change: Change,
    },
}

impl Session {
    /// A gateway that says what it has.
    pub(crate) fn new(have: Option<Have>) -> Self {
        Self {
            have,
            on_its_way: None,
            failed: None,
        }
    }

    /// What the gateway is to be told now, if anything.
    pub(crate) fn due(&self, state: &State) -> Option<Due> {
        let target = state.snapshot.version;
        if self.on_its_way.is_some() || target == 0 || !state.resolved.is_whole() {
            return None;
        }
        let failed = self
            .failed
            .filter(|(version, _)| *version == target)
            .map(|(_, failed)| failed);
        let have = match (failed, &self.have) {
            (Some(Failed::Version), _) => return None,
            (Some(Failed::Change), _) | (None, None) => return Some(Due::Snapshot),
            (None, Some(have)) => have,
        };
        if have.version == target && have.digest == state.digest {
            return None;
        }
        Some(match state.touched_since(have.version, &have.digest) {
            Some(change) => Due::Change {
                from: have.version,
                change,
            },
            None => Due::Snapshot,
        })
    }

    /// The gateway was told of version `version`; `whole` if by a snapshot.
    pub(crate) fn sent(&mut self, version: u64, whole: bool, now: Instant) {
        self.on_its_way = Some(OnItsWay {
            version,
            since: now,
            whole,
        });
    }

    /// It took a version; `digest` is what that version should have. False if the gateway has something else.
    pub(crate) fn acked(&mut self, have: Have, expected: Option<&str>) -> bool {
        let as_expected = expected.is_none_or(|expected| *expected == have.digest);
        if !as_expected {
            self.not_taken(have.version);
        }
        self.arrived(have.version);
        self.have = Some(have);
        as_expected
    }

    /// It refused a version and has what it had before.
    pub(crate) fn nacked(&mut self, version: u64) {
        self.failed = Some((version, Failed::Version));
        self.arrived(version);
    }

    /// It says anew what it has, as a difference did not fit.
    pub(crate) fn said_hello(&mut self, have: Option<Have>) {
        if let Some(sent) = self.on_its_way {
            self.not_taken(sent.version);
        }
        self.on_its_way = None;
        self.have = have;
    }

    /// True if the gateway has not answered for too long.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.on_its_way
            .is_some_and(|sent| now.saturating_duration_since(sent.since) > LONGEST_APPLY)
    }

    fn not_taken(&mut self, version: u64) {
        let whole = self.on_its_way.is_some_and(|sent| sent.whole);
        let failed = if whole { Failed::Version } else { Failed::Change };
        self.failed = Some((version, failed));
    }

    fn arrived(&mut self, version: u64) {
        if self.on_its_way.is_some_and(|sent| sent.version <= version) {
            self.on_its_way = None;
        }
    }
}

/// From a message to its answer, compiling included.
const LONGEST_APPLY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;

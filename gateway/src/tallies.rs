//! Counts of calls on their way to the control plane: of each integration, by quarters of an hour.
//!
//! Every call is counted, also those of which no record is made. Counts are in memory until the control plane has them, so
//! that a killed gateway loses those of its last seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use filters::model::tally::{CallTally, Tally};
use parking_lot::Mutex;
use prometheus::IntCounter;

use crate::metrics::Metrics;

/// The counts that the control plane does not have yet.
#[derive(Debug)]
pub struct Tallies {
    /// Parted, so that calls of different integrations do not wait for each other.
    parts: [Mutex<Part>; PARTS],
    hasher: ahash::RandomState,
    /// When counts were handed over last, and whether there were more.
    taken: Mutex<Option<Instant>>,
    /// True once all are to go out without a pause.
    ending: AtomicBool,
    dropped: IntCounter,
}

type Part = std::collections::HashMap<Key, Tally, ahash::RandomState>;

/// What one count is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    integration: Arc<str>,
    org_id: u64,
    /// When the quarter of an hour began: seconds since 1970.
    from: i64,
}

/// How a call went.
#[derive(Clone, Copy, Debug)]
pub struct Went<'c> {
    /// The fault or the class of the partner's status; `None` if it succeeded.
    pub failure: Option<&'c str>,
    /// How long it took.
    pub took: Duration,
    /// When it began.
    pub at: SystemTime,
}

impl Tallies {
    /// Nothing counted yet.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            parts: std::array::from_fn(|_| Mutex::default()),
            hasher: ahash::RandomState::new(),
            taken: Mutex::new(None),
            ending: AtomicBool::new(false),
            dropped: metrics.tallies_dropped.clone(),
        }
    }

    /// Counts a call of an integration.
    pub fn count(&self, org_id: u64, integration: &Arc<str>, went: Went<'_>) {
        let seconds = went.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(seconds.as_secs()).unwrap_or(0);
        let key = Key {
            integration: Arc::clone(integration),
            org_id,
            from: seconds - seconds % QUARTER,
        };
        let ms = u64::try_from(went.took.as_millis()).unwrap_or(u64::MAX);
        let part = self.hasher.hash_one(integration) as usize % PARTS;
        let mut part = self.parts[part].lock();
        if part.len() >= MOST_OF_A_PART && !part.contains_key(&key) {
            drop(part);
            self.dropped.inc();
            return;
        }
        let tally = part.entry(key).or_default();
        match went.failure {
            None => tally.success(ms),
            failure => tally.failure(failure, false, ms),
        }
    }

    /// From now on counts are handed over whenever they are asked for, as the process is to stop.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Hands some counts over; none if that was done a moment ago.
    pub(crate) fn take(&self, now: Instant) -> Vec<CallTally> {
        let mut taken = self.taken.lock();
        let is_early = |taken| now.saturating_duration_since(taken) < TAKE_EVERY;
        if taken.is_some_and(is_early) && !self.ending.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut tallies = Vec::new();
        for part in &self.parts {
            let room = MOST_AT_ONCE - tallies.len();
            let mut part = part.lock();
            let keys: Vec<Key> = part.keys().take(room).cloned().collect();
            let out = keys.into_iter().filter_map(|key| part.remove_entry(&key));
            tallies.extend(out.map(|(key, tally)| CallTally {
                org_id: key.org_id,
                integration_config_id: key.integration,
                from: key.from,
                tally,
            }));
        }
        // Where there are more, they come next.
        *taken = (tallies.len() < MOST_AT_ONCE).then_some(now);
        tallies
    }
}

const PARTS: usize = 16;
const QUARTER: i64 = 15 * 60;
/// Some hours of a thousand integrations while there is no control plane.
const MOST_OF_A_PART: usize = 2_000;
const MOST_AT_ONCE: usize = 200;
const TAKE_EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn tallies() -> (Tallies, Metrics) {
        let metrics = Metrics::new(0).unwrap();
        (Tallies::new(&metrics), metrics)
    }

    fn count(tallies: &Tallies, integration: &str, second: u64, failure: Option<&str>) {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let took = Duration::from_millis(7);
        tallies.count(648, &integration.into(), Went { failure, took, at });
    }

    #[test]
    fn calls_are_counted_by_quarters_of_an_hour_and_handed_over_once() {
        let (tallies, _metrics) = tallies();
        count(&tallies, "labs", 899, None);
        count(&tallies, "labs", 0, Some("UPSTREAM_TIMEOUT"));
        count(&tallies, "labs", 900, None);
        let now = Instant::now();
        let mut taken = tallies.take(now);
        taken.sort_by_key(|tally| tally.from);
        let counts: Vec<_> = taken
            .iter()
            .map(|of| (of.from, of.tally.succeeded, of.tally.failed))
            .collect();
        assert_eq!(counts, [(0, 1, 1), (900, 1, 0)]);
        assert_eq!(taken[0].tally.errors["UPSTREAM_TIMEOUT"], 1);
        assert_eq!(taken[0].tally.latency.total_ms, 14);
        count(&tallies, "labs", 900, None);
        assert!(tallies.take(now).is_empty(), "a moment later");
        assert_eq!(tallies.take(now + TAKE_EVERY).len(), 1);
        count(&tallies, "labs", 900, None);
        tallies.end();
        assert_eq!(tallies.take(now + TAKE_EVERY).len(), 1, "nothing waits at the end");
        assert!(tallies.take(now + 3 * TAKE_EVERY).is_empty());
    }

    #[test]
    fn many_are_handed_over_one_after_the_other() {
        let (tallies, _metrics) = tallies();
        for number in 0..MOST_AT_ONCE + 5 {
            count(&tallies, &format!("i{number}"), 0, None);
        }
        let now = Instant::now();
        assert_eq!(tallies.take(now).len(), MOST_AT_ONCE);
        assert_eq!(tallies.take(now).len(), 5);
    }

    #[test]
    fn memory_is_bounded() {
        let (tallies, metrics) = tallies();
        let most = MOST_OF_A_PART as u64;
        for quarter in 0..most + 3 {
            count(&tallies, "labs", quarter * 900, None);
        }
        assert_eq!(metrics.tallies_dropped.get(), 3);
        count(&tallies, "labs", 0, None);
        assert_eq!(metrics.tallies_dropped.get(), 3, "what is there is counted on");
    }
}

//! Counts of calls on their way to the control plane: of each integration, by quarters of an hour.
//!
//! Every call is counted, also those of which no record is made. Counts are in memory until the control plane has them, so
//! that a killed gateway loses those of its last seconds.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use filters::model::tally::{CallTally, Tally};
use parking_lot::Mutex;
use prometheus::IntCounter;

use crate::metrics::Metrics;

/// The counts of one integration, which its runtime holds, so that nothing is looked up for a call.
#[derive(Debug)]
pub struct CallCounts {
    org_id: u64,
    integration: Arc<str>,
    quarter: Mutex<Quarter>,
}

/// The quarter of an hour that is counted now.
#[derive(Debug, Default)]
struct Quarter {
    /// When it began: seconds since 1970.
    from: i64,
    /// What the control plane was not told yet.
    tally: Tally,
    /// True once it stands in [`Tallies::counted`].
    is_listed: bool,
}

impl CallCounts {
    /// Nothing counted yet.
    pub fn new(org_id: u64, integration: &Arc<str>) -> Self {
        Self {
            org_id,
            integration: Arc::clone(integration),
            quarter: Mutex::default(),
        }
    }

    /// True if they are those of an integration of this organization.
    pub fn is_of(&self, org_id: u64) -> bool {
        self.org_id == org_id
    }
}

/// The counts that the control plane does not have yet.
#[derive(Debug)]
pub struct Tallies {
    /// Integrations whose calls were counted.
    counted: Mutex<Vec<Arc<CallCounts>>>,
    /// Counts of earlier quarters.
    over: Mutex<HashMap<Key, Tally, ahash::RandomState>>,
    /// When counts were handed over last, unless there were more.
    taken: Mutex<Option<Instant>>,
    /// True once all are to go out without a pause.
    ending: AtomicBool,
    dropped: IntCounter,
}

/// What one count is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    integration: Arc<str>,
    org_id: u64,
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
            counted: Mutex::default(),
            over: Mutex::default(),
            taken: Mutex::new(None),
            ending: AtomicBool::new(false),
            dropped: metrics.tallies_dropped.clone(),
        }
    }

    /// Counts a call of the integration that `counts` belongs to.
    pub fn count(&self, counts: &Arc<CallCounts>, went: Went<'_>) {
        let seconds = went.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(seconds.as_secs()).unwrap_or(0);
        let from = seconds - seconds % QUARTER;
        let ms = u64::try_from(went.took.as_millis()).unwrap_or(u64::MAX);
        let mut quarter = counts.quarter.lock();
        if quarter.from != from {
            let tally = mem::take(&mut quarter.tally);
            self.put_by(counts, quarter.from, tally);
            quarter.from = from;
        }
        match went.failure {
            None => quarter.tally.success(ms),
            failure => quarter.tally.failure(failure, false, ms),
        }
        if !mem::replace(&mut quarter.is_listed, true) {
            drop(quarter);
            self.counted.lock().push(Arc::clone(counts));
        }
    }

    /// Keeps what was counted of a quarter other than the one that is counted now.
    fn put_by(&self, counts: &CallCounts, from: i64, tally: Tally) {
        if tally.total() == 0 {
            return;
        }
        let key = Key {
            integration: Arc::clone(&counts.integration),
            org_id: counts.org_id,
            from,
        };
        let mut over = self.over.lock();
        if over.len() >= MOST_OVER && !over.contains_key(&key) {
            self.dropped.inc_by(tally.total());
        } else {
            over.entry(key).or_default().add(&tally);
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
        let mut tallies = self.take_over();
        let counted: Vec<_> = {
            let mut counted = self.counted.lock();
            let room = counted.len().min(MOST_AT_ONCE - tallies.len());
            counted.drain(..room).collect()
        };
        tallies.extend(counted.iter().map(|counts| {
            let mut quarter = counts.quarter.lock();
            quarter.is_listed = false;
            CallTally {
                org_id: counts.org_id,
                integration_config_id: Arc::clone(&counts.integration),
                from: quarter.from,
                tally: mem::take(&mut quarter.tally),
            }
        }));
        // Where there are more, they come next.
        *taken = (tallies.len() < MOST_AT_ONCE).then_some(now);
        tallies
    }

    fn take_over(&self) -> Vec<CallTally> {
        let mut over = self.over.lock();
        let keys: Vec<Key> = over.keys().take(MOST_AT_ONCE).cloned().collect();
        let out = keys.into_iter().filter_map(|key| over.remove_entry(&key));
        out.map(|(key, tally)| CallTally {
            org_id: key.org_id,
            integration_config_id: key.integration,
            from: key.from,
            tally,
        })
        .collect()
    }
}

const QUARTER: i64 = 15 * 60;
/// Some hours of two thousand integrations while there is no control plane.
const MOST_OVER: usize = 32_000;
const MOST_AT_ONCE: usize = 200;
const TAKE_EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn tallies() -> (Tallies, Metrics) {
        let metrics = Metrics::new(0).unwrap();
        (Tallies::new(&metrics), metrics)
    }

    fn counts(integration: &str) -> Arc<CallCounts> {
        Arc::new(CallCounts::new(648, &integration.into()))
    }

    fn count(tallies: &Tallies, counts: &Arc<CallCounts>, second: u64, failure: Option<&str>) {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let took = Duration::from_millis(7);
        tallies.count(counts, Went { failure, took, at });
    }

    #[test]
    fn calls_are_counted_by_quarters_of_an_hour_and_handed_over_once() {
        let (tallies, _metrics) = tallies();
        let labs = counts("labs");
        count(&tallies, &labs, 899, None);
        count(&tallies, &labs, 0, Some("UPSTREAM_TIMEOUT"));
        count(&tallies, &labs, 900, None);
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
        count(&tallies, &labs, 900, None);
        assert!(tallies.take(now).is_empty(), "a moment later");
        assert_eq!(tallies.take(now + TAKE_EVERY).len(), 1);
        count(&tallies, &labs, 900, None);
        tallies.end();
        assert_eq!(tallies.take(now + TAKE_EVERY).len(), 1, "nothing waits at the end");
        assert!(tallies.take(now + 3 * TAKE_EVERY).is_empty());
    }

    #[test]
    fn many_are_handed_over_one_after_the_other() {
        let (tallies, _metrics) = tallies();
        for number in 0..MOST_AT_ONCE + 5 {
            count(&tallies, &counts(&format!("i{number}")), 0, None);
        }
        let now = Instant::now();
        assert_eq!(tallies.take(now).len(), MOST_AT_ONCE);
        assert_eq!(tallies.take(now).len(), 5);
    }

    #[test]
    fn memory_is_bounded() {
        let (tallies, metrics) = tallies();
        let labs = counts("labs");
        let most = MOST_OVER as u64;
        // The last one is that which is counted now.
        for quarter in 0..most + 4 {
            count(&tallies, &labs, quarter * 900, None);
        }
        assert_eq!(metrics.tallies_dropped.get(), 3);
        count(&tallies, &labs, 0, None);
        count(&tallies, &labs, 900, None);
        assert_eq!(metrics.tallies_dropped.get(), 4, "that which was counted until now");
        let key = Key {
            integration: "labs".into(),
            org_id: 648,
            from: 0,
        };
        assert_eq!(tallies.over.lock()[&key].total(), 2, "what is there is counted on");
    }
}

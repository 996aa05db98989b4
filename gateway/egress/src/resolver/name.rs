//! What is known of one name, and how long that may be relied on.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::ResolveError;

/// What a lookup ends with.
pub(super) type Outcome = Result<Arc<Records>, ResolveError>;

/// A lookup under way: everybody who needs the name waits for the same one.
pub(super) type Flight = watch::Receiver<Option<Outcome>>;

/// The addresses of a name, before any policy looked at them.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) refresh_at: Instant,
    pub(super) valid_until: Instant,
}

impl Records {
    /// What DNS gave at `now`, to be relied on for `ttl`, within bounds.
    pub(super) fn new(addresses: Vec<IpAddr>, ttl: Duration, now: Instant) -> Self {
        let ttl = ttl.clamp(SHORTEST_TTL, LONGEST_TTL);
        let valid_until = now + ttl;
        Self {
            addresses,
            refresh_at: valid_until - (ttl / 5).min(LONGEST_LEAD),
            valid_until,
        }
    }

    /// What needs no DNS.
    pub(super) fn constant(address: IpAddr, now: Instant) -> Self {
        let valid_until = now + CONSTANT;
        Self {
            addresses: vec![address],
            refresh_at: valid_until,
            valid_until,
        }
    }

    fn end(&self, need: Need) -> Instant {
        match need {
            Need::Valid => self.valid_until,
            Need::Renewed => self.refresh_at,
        }
    }

    fn can_stand_in(&self, now: Instant) -> bool {
        now < self.valid_until + STAND_IN
    }
}

/// How fresh records have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Not expired.
    Valid,
    /// Not even about to expire.
    Renewed,
}

/// What is known without a lookup.
pub(super) enum Known {
    /// Enough.
    Settled(Outcome),
    /// Addresses that have expired, or are about to, and can stand in if DNS does not answer.
    Expired(Arc<Records>),
    /// Nothing.
    Nothing,
}

/// One name.
#[derive(Debug, Default)]
pub(super) struct Name {
    pub(super) state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    records: Option<Arc<Records>>,
    failure: Option<(Instant, ResolveError)>,
    flight: Option<Flight>,
}

impl State {
    /// What can be said at `now` without asking. After a failure nobody asks again for a moment, so that a name that
    /// cannot be resolved costs one lookup per second and not one per request.
    pub(super) fn known(&self, need: Need, now: Instant) -> Known {
        let records = self.records.as_ref().filter(|records| records.can_stand_in(now));
        let failure = self.failure.as_ref();
        let asked_just_now = failure.filter(|(since, _)| now < *since + PAUSE_AFTER_FAILURE);
        match (records, asked_just_now) {
            (Some(records), _) if now < records.end(need) => Known::Settled(Ok(Arc::clone(records))),
            (Some(records), Some(_)) => Known::Settled(Ok(Arc::clone(records))),
            (None, Some((_, error))) => Known::Settled(Err(error.clone())),
            (Some(records), None) => Known::Expired(Arc::clone(records)),
            (None, None) => Known::Nothing,
        }
    }

    /// The lookup under way, or the one that `start` starts.
    pub(super) fn join(&mut self, start: impl FnOnce() -> Flight) -> Flight {
        match &self.flight {
            // One whose task is gone (its runtime was stopped) will never land.
            Some(flight) if flight.has_changed().is_ok() => flight.clone(),
            _ => self.flight.insert(start()).clone(),
        }
    }

    /// Takes in what a lookup gave, and says what those who waited for it get.
    pub(super) fn land(&mut self, outcome: Result<Records, ResolveError>, now: Instant) -> Outcome {
        self.flight = None;
        match outcome {
            Ok(records) => {
                let records = Arc::new(records);
                self.failure = None;
                self.records = Some(Arc::clone(&records));
                Ok(records)
            }
            Err(error) => {
                if let ResolveError::NotFound { .. } = error {
                    self.records = None;
                }
                self.failure = Some((now, error.clone()));
                match self.records.as_ref().filter(|records| records.can_stand_in(now)) {
                    Some(records) => {
                        tracing::warn!(%error, "addresses from an earlier answer stand in");
                        Ok(Arc::clone(records))
                    }
                    None => Err(error),
                }
            }
        }
    }

    /// False if forgetting the name would change nothing.
    pub(super) fn is_of_use(&self, now: Instant) -> bool {
        self.flight.is_some() || self.records.as_ref().is_some_and(|records| records.can_stand_in(now))
    }
}

const SHORTEST_TTL: Duration = Duration::from_secs(1);
const LONGEST_TTL: Duration = Duration::from_secs(300);
/// Records are renewed in their last fifth, and no earlier than this before their end.
const LONGEST_LEAD: Duration = Duration::from_secs(10);
/// So long after their end, records can stand in for a DNS that fails.
const STAND_IN: Duration = Duration::from_secs(60);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// A literal address never changes; a day is as good as for ever.
const CONSTANT: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests;

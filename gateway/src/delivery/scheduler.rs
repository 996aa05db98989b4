//! The scheduler between the durable queue and the attempts: [`super::lanes`] behind one lock, the workers, the timer.
//!
//! The lock is held for a microsecond or two at a time and never across an await. A worker takes it twice for a delivery:
//! when the endpoint has answered, and when the outcome is on disk, in which case it takes the next delivery along.

pub(super) mod shared;

use std::sync::Arc;
use std::time::Duration;

use ahash::AHashSet;
use tokio::runtime::Handle;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::clock::Clock;
use super::hold::{Hold, NotKept};
use super::lanes::Counts;
use super::stats::{DispatcherStats, EndpointState, EndpointStats};
use super::subscriptions::Configured;
use super::work::Work;
use crate::queue::{DeliveryKey, Handed};
use shared::Shared;

/// How much the scheduler may do at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// Attempts under way at a time, over all endpoints.
    pub(super) max_in_flight: usize,
    /// How many of them one organization gets while nobody else wants any, in percent; what it leaves is for the others.
    pub(super) organization_percent: u8,
    /// Bytes of events that are kept in memory; the others are read back when they are due.
    pub(super) memory_bytes: usize,
}

/// Takes deliveries in and has them made. Clones are the same scheduler.
pub(super) struct Scheduler<W: Work> {
    shared: Arc<Shared<W>>,
}

impl<W: Work> Clone for Scheduler<W> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<W: Work> Scheduler<W> {
    /// A scheduler that takes deliveries in, and makes none before [`Self::start`].
    pub(super) fn new(settings: Settings, clock: Clock) -> Self {
        Self {
            shared: Arc::new(Shared::new(settings, clock)),
        }
    }

    /// Begins to make deliveries by `work`, on `runtime`. `holds` are those that were remembered. Only the first call
    /// starts anything.
    pub(super) fn start(&self, work: W, runtime: Handle, holds: Vec<(Arc<str>, Hold)>) {
        let shared = &self.shared;
        shared.with(|lanes, now| {
            for (id, hold) in holds {
                lanes.restore(&id, hold, now);
            }
        });
        shared.start(work, runtime);
    }

    /// Takes in deliveries that are to be made. It does not wait, and can be called from any thread.
    pub(super) fn hand(&self, handed: Vec<Handed>) {
        let mut handed = handed.into_iter().peekable();
        while handed.peek().is_some() {
            self.shared.with(|lanes, now| {
                for one in handed.by_ref().take(EVENTS_AT_A_TIME) {
                    lanes.hand(one, now);
                }
            });
        }
    }

    /// Follows a new configuration: `all` of its subscriptions. The deliveries of those that are not in it wait for a
    /// minute; then they become dead letters. It is not to be called twice at a time.
    pub(super) fn configure(&self, all: impl IntoIterator<Item = Configured<W::Endpoint>>) {
        let mut all = all.into_iter().peekable();
        self.shared.with(|lanes, _| lanes.begin());
        while all.peek().is_some() {
            let some: Vec<_> = all.by_ref().take(SUBSCRIPTIONS_AT_A_TIME as usize).collect();
            self.shared.with(|lanes, now| {
                for configured in some {
                    lanes.configure(configured, now);
                }
            });
        }
        self.shared.with(|lanes, now| lanes.end(now));
    }

    /// Stops deliveries to a subscription until [`Self::resume`], over restarts; false if there is no such subscription.
    ///
    /// # Errors
    /// If it cannot be remembered; then nothing was stopped.
    pub(super) async fn pause(&self, id: &Arc<str>) -> Result<bool, NotKept> {
        let hold = Hold::paused(self.shared.now_ms());
        self.change_hold(id, Some(hold)).await
    }

    /// Lets deliveries go on, whatever stopped them: a pause, the endpoint, its breaker. One attempt goes first. False if
    /// there is no such subscription.
    ///
    /// # Errors
    /// If it cannot be remembered; then nothing goes on.
    pub(super) async fn resume(&self, id: &Arc<str>) -> Result<bool, NotKept> {
        self.change_hold(id, None).await
    }

    /// Holds a subscription back, or lets it go on, where the caller has remembered it already; false if there is no
    /// such subscription.
    pub(super) fn hold_in_memory(&self, id: &str, hold: Option<Hold>) -> bool {
        self.shared.with(|lanes, now| lanes.hold(id, hold, now))
    }

    /// Takes deliveries out that are not in flight: those that are gone and will not be made. It looks at every open
    /// delivery, some thousands at a time.
    pub(super) fn withdraw(&self, keys: &[DeliveryKey]) -> Vec<DeliveryKey> {
        let (mut gone, mut from) = (Vec::new(), Some(0));
        while let Some(place) = from
            && gone.len() < keys.len()
        {
            let (some, next) = self.shared.with(|lanes, now| lanes.withdraw(keys, place, now));
            gone.extend(some);
            from = next;
        }
        gone
    }

    /// No attempt begins from now on. Those under way go on.
    pub(super) fn stop(&self) {
        self.shared.with(|lanes, _| lanes.stop(true));
    }

    /// Attempts begin again after [`Self::stop`].
    pub(super) fn go_on(&self) {
        self.shared.with(|lanes, _| lanes.stop(false));
    }

    /// Waits until no attempt is under way or unsettled, at most for `longest`; false if some are left. It comes to an
    /// end early only after [`Self::stop`].
    pub(super) async fn idle(&self, longest: Duration) -> bool {
        let deadline = Instant::now() + longest;
        loop {
            let quiet = self.shared.quiet();
            tokio::pin!(quiet);
            // From here on no notice is missed.
            quiet.as_mut().enable();
            let left = self.shared.look(|lanes, _| lanes.counts().in_flight);
            if left == 0 {
                return true;
            }
            if timeout_at(deadline, quiet).await.is_err() {
                return false;
            }
        }
    }

    /// What there is. It never keeps the lock for long, so endpoints may be from slightly different moments.
    pub(super) async fn stats(&self) -> DispatcherStats {
        let mut endpoints = Vec::new();
        let mut from = 0;
        let counts = loop {
            match self.some_endpoints(from, &mut endpoints) {
                Ok(next) => from = next,
                Err(counts) => break counts,
            }
            yield_now().await;
        };
        let working = endpoints.iter().filter(|endpoint| endpoint.state.works());
        DispatcherStats {
            open: counts.open as u64,
            in_flight: counts.in_flight as u64,
            max_in_flight: counts.max_in_flight as u64,
            due: working.map(|endpoint| endpoint.due).sum(),
            memory_bytes: counts.memory_bytes as u64,
            totals: counts.totals,
            endpoints,
        }
    }

    /// Subscriptions with an endpoint that is left alone because it fails.
    pub(super) fn open_circuits(&self) -> AHashSet<Arc<str>> {
        let mut endpoints = Vec::new();
        let mut from = 0;
        while let Ok(next) = self.some_endpoints(from, &mut endpoints) {
            from = next;
        }
        let open = endpoints.into_iter();
        let open = open.filter(|endpoint| endpoint.state == EndpointState::CircuitOpen);
        open.map(|endpoint| endpoint.id).collect()
    }

    /// Adds the next endpoints to `list`: where to go on, or the counts if that was all.
    fn some_endpoints(&self, from: u32, list: &mut Vec<EndpointStats>) -> Result<u32, Counts> {
        self.shared.look(|lanes, now| {
            let next = lanes.endpoints(from, SUBSCRIPTIONS_AT_A_TIME, now, list);
            next.ok_or_else(|| lanes.counts())
        })
    }

    async fn change_hold(&self, id: &Arc<str>, hold: Option<Hold>) -> Result<bool, NotKept> {
        if !self.shared.look(|lanes, _| lanes.knows(id)) {
            return Ok(false);
        }
        if let Some(work) = self.shared.work() {
            work.remember(Arc::clone(id), hold.as_ref()).await?;
        }
        Ok(self.hold_in_memory(id, hold))
    }
}

/// So much is done before others get the lock.
const EVENTS_AT_A_TIME: usize = 64;
const SUBSCRIPTIONS_AT_A_TIME: u32 = 256;

#[cfg(test)]
mod tests;

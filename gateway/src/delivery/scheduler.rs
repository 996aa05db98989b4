//! The scheduler between the durable queue and the attempts: [`super::lanes`] behind one lock, the workers, the timer.
//!
//! The lock is held for a microsecond or two at a time and never across an await. A worker takes it twice for a delivery:
//! when the endpoint has answered, and when the outcome is on disk, in which case it takes the next delivery along.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use ahash::AHashSet;
use filters::delivery::Pass;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout, timeout_at};

use super::clock::Clock;
use super::crew::{Call, Crew};
use super::hold::{Hold, NotKept};
use super::job::Verdict;
use super::lanes::{Counts, Lanes, Taken, Ticket};
use super::stats::{DispatcherStats, EndpointState, EndpointStats, Failure};
use super::subscriptions::Configured;
use super::timer::Now;
use super::work::Work;
use super::worker::{self, Done};
use crate::queue::{DeliveryKey, Handed};

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
        let Settings {
            max_in_flight,
            organization_percent,
            memory_bytes,
        } = settings;
        let core = Core {
            lanes: Lanes::new(max_in_flight, organization_percent, memory_bytes),
            crew: Crew::default(),
            alarm_ms: None,
        };
        Self {
            shared: Arc::new(Shared {
                core: Mutex::new(core),
                max_in_flight: max_in_flight.max(1),
                engine: OnceLock::new(),
                clock,
                alarm: Arc::new(Notify::new()),
                quiet: Notify::new(),
            }),
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
        let watch = watch(Arc::downgrade(shared), Arc::clone(&shared.alarm));
        let spawned = runtime.clone();
        if shared.engine.set(Engine { work, runtime }).is_ok() {
            spawned.spawn(watch);
        }
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
    /// delivery.
    pub(super) fn withdraw(&self, keys: &[DeliveryKey]) -> Vec<DeliveryKey> {
        self.shared.with(|lanes, now| lanes.withdraw(keys, now))
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
            let quiet = self.shared.quiet.notified();
            tokio::pin!(quiet);
            // From here on no notice is missed.
            quiet.as_mut().enable();
            let left = self.shared.core.lock().lanes.counts().in_flight;
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
        let core = self.shared.core.lock();
        let now = self.shared.clock.now();
        let next = core.lanes.endpoints(from, SUBSCRIPTIONS_AT_A_TIME, now, list);
        next.ok_or_else(|| core.lanes.counts())
    }

    async fn change_hold(&self, id: &Arc<str>, hold: Option<Hold>) -> Result<bool, NotKept> {
        if !self.shared.core.lock().lanes.knows(id) {
            return Ok(false);
        }
        if let Some(Engine { work, .. }) = self.shared.engine.get() {
            work.remember(Arc::clone(id), hold.as_ref()).await?;
        }
        Ok(self.hold_in_memory(id, hold))
    }
}

/// What the scheduler, its workers and its timer share.
pub(super) struct Shared<W: Work> {
    core: Mutex<Core<W::Endpoint>>,
    max_in_flight: usize,
    engine: OnceLock<Engine<W>>,
    clock: Clock,
    alarm: Arc<Notify>,
    quiet: Notify,
}

/// What deliveries are made with, and where.
struct Engine<W> {
    work: W,
    runtime: Handle,
}

struct Core<E> {
    lanes: Lanes<E>,
    crew: Crew,
    /// When the timer rings; `None` while it is being set.
    alarm_ms: Option<i64>,
}

/// What a worker is to do.
pub(super) enum Task<'w, W: Work> {
    /// This delivery.
    Delivery(Box<Taken<W::Endpoint>>, &'w W),
    /// Nothing until its bell rings.
    Rest,
    /// It is not needed any more.
    Leave,
}

impl<W: Work> Shared<W> {
    /// Changes something, and calls who is needed then.
    fn with<T>(self: &Arc<Self>, change: impl FnOnce(&mut Lanes<W::Endpoint>, Now) -> T) -> T {
        let mut core = self.core.lock();
        let now = self.clock.now();
        let result = change(&mut core.lanes, now);
        let needed = self.needed(&mut core, now);
        drop(core);
        self.call(needed);
        result
    }

    /// Takes in what a worker did, and gives it something to do.
    pub(super) fn next_task(self: &Arc<Self>, bell: &Arc<Notify>, done: Option<Done>, was_called: bool) -> Task<'_, W> {
        let Some(Engine { work, .. }) = self.engine.get() else {
            return Task::Leave;
        };
        let mut core = self.core.lock();
        let now = self.clock.now();
        if was_called {
            core.crew.came();
        }
        if let Some(done) = done {
            take_in(&mut core.lanes, done, now);
        }
        let task = match core.lanes.next(now) {
            Some(taken) => Task::Delivery(Box::new(taken), work),
            None if core.crew.rests(bell) => Task::Rest,
            None => Task::Leave,
        };
        let needed = self.needed(&mut core, now);
        drop(core);
        self.call(needed);
        task
    }

    /// The endpoint has answered.
    pub(super) fn answered(
        self: &Arc<Self>,
        ticket: Ticket,
        pass: Pass,
        verdict: &Verdict,
        failure: Option<Failure>,
    ) -> Option<(Arc<str>, Hold)> {
        self.with(|lanes, now| lanes.answered(ticket, pass, verdict, failure, now))
    }

    /// No attempt begins while the returned value lives.
    pub(super) fn cannot_write(self: &Arc<Self>) -> Unwritten<W> {
        self.with(|lanes, _| lanes.cannot_write(true));
        Unwritten(Arc::clone(self))
    }

    /// An event was read back.
    pub(super) fn was_read_back(&self) {
        self.core.lock().lanes.totals().read_back += 1;
    }

    /// An attempt did not come to its end.
    pub(super) fn has_crashed(&self) {
        self.core.lock().lanes.totals().crashed += 1;
    }

    /// Milliseconds since the epoch.
    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now().wall_ms
    }

    /// Looks at the lanes whose time has come: when to look again.
    fn tick(self: &Arc<Self>) -> Instant {
        let room = usize::from(
            self.engine
                .get()
                .map_or(100, |engine| engine.work.room_percent())
                .min(100),
        );
        loop {
            let mut core = self.core.lock();
            let now = self.clock.now();
            core.alarm_ms = None;
            core.lanes.limit((self.max_in_flight * room).div_ceil(100));
            let has_more = core.lanes.tick(LANES_AT_A_TIME, now);
            let latest = now.mono_ms() + CHECK_MS;
            let next = core.lanes.next_wake().earliest(now).map_or(latest, |at| at.min(latest));
            core.alarm_ms = Some(next);
            let needed = self.needed(&mut core, now);
            drop(core);
            self.call(needed);
            if !has_more {
                return self.clock.instant(next);
            }
        }
    }

    fn needed(&self, core: &mut Core<W::Endpoint>, now: Now) -> Needed {
        let is_early = core
            .alarm_ms
            .zip(core.lanes.next_wake().earliest(now))
            .is_some_and(|(alarm, wake)| wake < alarm);
        if is_early {
            core.alarm_ms = None;
        }
        let has_work = core.lanes.has_work() && self.engine.get().is_some();
        Needed {
            worker: if has_work {
                core.crew.call(self.max_in_flight)
            } else {
                None
            },
            alarm: is_early,
            is_quiet: core.lanes.is_quiet(),
        }
    }

    fn call(self: &Arc<Self>, needed: Needed) {
        match needed.worker {
            Some(Call::Wake(bell)) => bell.notify_one(),
            Some(Call::Hire) => {
                if let Some(Engine { runtime, .. }) = self.engine.get() {
                    runtime.spawn(worker::work(Arc::clone(self)));
                }
            }
            None => {}
        }
        if needed.alarm {
            self.alarm.notify_one();
        }
        if needed.is_quiet {
            self.quiet.notify_waiters();
        }
    }
}

/// Who is to be called once the lock is released.
struct Needed {
    worker: Option<Call>,
    alarm: bool,
    is_quiet: bool,
}

/// The queue cannot write; attempts begin again when this is dropped.
pub(super) struct Unwritten<W: Work>(Arc<Shared<W>>);

impl<W: Work> Drop for Unwritten<W> {
    fn drop(&mut self) {
        self.0.with(|lanes, _| lanes.cannot_write(false));
    }
}

fn take_in<E>(lanes: &mut Lanes<E>, done: Done, now: Now) {
    match done {
        Done::Settled {
            ticket,
            settlement,
            event,
            is_burial,
        } => {
            if is_burial {
                lanes.buried(ticket, now);
            }
            let next = match Arc::try_unwrap(settlement) {
                Ok(own) => own.next,
                Err(shared) => shared.next.clone(),
            };
            lanes.settled(ticket, next, &event, now);
        }
        Done::Unsent {
            ticket,
            pass,
            failure,
            wait_ms,
        } => lanes.unsent(ticket, pass, failure, wait_ms, now),
    }
}

/// Rings for the lanes, as long as the scheduler is there.
async fn watch<W: Work>(shared: Weak<Shared<W>>, alarm: Arc<Notify>) {
    while let Some(next) = shared.upgrade().map(|shared| shared.tick()) {
        let wait = next.saturating_duration_since(Instant::now());
        // An early call means that a lane wants to be looked at before.
        let _ = timeout(wait, alarm.notified()).await;
    }
}

/// The wall clock may jump and the room for outcomes may go, so both are looked at again at least so often.
const CHECK_MS: i64 = 500;
/// So much is done before others get the lock.
const EVENTS_AT_A_TIME: usize = 64;
const LANES_AT_A_TIME: usize = 256;
const SUBSCRIPTIONS_AT_A_TIME: u32 = 256;

#[cfg(test)]
mod tests;

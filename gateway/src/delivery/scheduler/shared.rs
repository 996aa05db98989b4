//! What the scheduler, its workers and its timer share: the lock, and whom to call after it.

use std::sync::{Arc, OnceLock, Weak};

use filters::delivery::Pass;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, timeout};

use super::Settings;
use crate::delivery::clock::Clock;
use crate::delivery::crew::{Call, Crew};
use crate::delivery::hold::Hold;
use crate::delivery::job::Verdict;
use crate::delivery::lanes::{Lanes, Taken, Ticket};
use crate::delivery::stats::Failure;
use crate::delivery::timer::Now;
use crate::delivery::work::Work;
use crate::delivery::worker::{self, Counted, Done};

/// What the scheduler, its workers and its timer share.
pub(in crate::delivery) struct Shared<W: Work> {
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
pub(in crate::delivery) enum Task<'w, W: Work> {
    /// This delivery.
    Delivery(Box<Taken<W::Endpoint>>, &'w W),
    /// Nothing until its bell rings.
    Rest,
    /// It is not needed any more.
    Leave,
}

impl<W: Work> Shared<W> {
    /// Without deliveries, and without anybody to make them.
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
            core: Mutex::new(core),
            max_in_flight: max_in_flight.max(1),
            engine: OnceLock::new(),
            clock,
            alarm: Arc::new(Notify::new()),
            quiet: Notify::new(),
        }
    }

    /// Begins to make deliveries by `work`, on `runtime`. Only the first call does anything.
    pub(super) fn start(self: &Arc<Self>, work: W, runtime: Handle) {
        let watch = watch(Arc::downgrade(self), Arc::clone(&self.alarm));
        let spawner = runtime.clone();
        if self.engine.set(Engine { work, runtime }).is_ok() {
            spawner.spawn(watch);
        }
    }

    /// What deliveries are made by, once they are.
    pub(super) fn work(&self) -> Option<&W> {
        self.engine.get().map(|engine| &engine.work)
    }

    /// Looks at something.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Lanes<W::Endpoint>, Now) -> T) -> T {
        let core = self.core.lock();
        look(&core.lanes, self.clock.now())
    }

    /// Rings once no attempt is under way after all were stopped.
    pub(super) fn quiet(&self) -> Notified<'_> {
        self.quiet.notified()
    }

    /// Changes something, and calls who is needed then.
    pub(super) fn with<T>(self: &Arc<Self>, change: impl FnOnce(&mut Lanes<W::Endpoint>, Now) -> T) -> T {
        let mut core = self.core.lock();
        let now = self.clock.now();
        let result = change(&mut core.lanes, now);
        let needed = self.needed(&mut core, now);
        drop(core);
        self.call(needed);
        result
    }

    /// Takes in what a worker did, and gives it something to do.
    pub(in crate::delivery) fn next_task(
        self: &Arc<Self>,
        bell: &Arc<Notify>,
        done: Option<Done>,
        was_called: bool,
    ) -> Task<'_, W> {
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
    pub(in crate::delivery) fn answered(
        self: &Arc<Self>,
        ticket: Ticket,
        pass: Pass,
        verdict: &Verdict,
        failure: Option<Failure>,
    ) -> Option<(Arc<str>, Hold)> {
        self.with(|lanes, now| lanes.answered(ticket, pass, verdict, failure, now))
    }

    /// No attempt begins while the returned value lives.
    pub(in crate::delivery) fn cannot_write(self: &Arc<Self>) -> Unwritten<W> {
        self.with(|lanes, _| lanes.cannot_write(true));
        Unwritten(Arc::clone(self))
    }

    /// An event was read back.
    pub(in crate::delivery) fn was_read_back(&self) {
        self.core.lock().lanes.totals().read_back += 1;
    }

    /// An attempt did not come to its end.
    pub(in crate::delivery) fn has_crashed(&self) {
        self.core.lock().lanes.totals().crashed += 1;
    }

    /// Milliseconds since the epoch.
    pub(in crate::delivery) fn now_ms(&self) -> i64 {
        self.clock.now().wall_ms
    }

    /// Looks at the lanes whose time has come: when to look again.
    fn tick(self: &Arc<Self>) -> Instant {
        let room = self.work().map_or(100, |work| work.room_percent().min(100));
        let room = usize::from(room);
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
pub(in crate::delivery) struct Unwritten<W: Work>(Arc<Shared<W>>);

impl<W: Work> Drop for Unwritten<W> {
    fn drop(&mut self) {
        self.0.with(|lanes, _| lanes.cannot_write(false));
    }
}

fn take_in<E>(lanes: &mut Lanes<E>, done: Done, now: Now) {
    match done {
        Done::Settled {
            ticket,
            next,
            event,
            is_burial,
        } => {
            if is_burial {
                lanes.totals().buried += 1;
                lanes.buried(ticket, now);
            }
            lanes.settled(ticket, next, &event, now);
        }
        Done::Undone {
            ticket,
            counted,
            failure,
            wait_ms,
        } => {
            match counted {
                Counted::Attempt(pass) => drop(lanes.answered(ticket, pass, &Verdict::default(), Some(failure), now)),
                Counted::Burial => lanes.buried(ticket, now),
                Counted::Nothing => {}
            }
            lanes.undone(ticket, wait_ms, now);
        }
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
/// So many lanes are looked at before others get the lock.
const LANES_AT_A_TIME: usize = 256;

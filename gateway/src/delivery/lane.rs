//! The deliveries of one endpoint, and when the next of them may go out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use filters::delivery::Health;
use filters::delivery::breaker::{Admission, Breaker, Pass, State};

use super::entry::{Entry, Place};
use super::lanes::EntryIx;
use super::rate::Used;
use super::slab::Slab;
use super::stats::Failure;
use super::subscriptions::{Rules, SubscriptionIx};
use super::timer::{Now, Wake};
use crate::queue::Step;

/// The deliveries of one step of a subscription.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) subscription: SubscriptionIx,
    pub(super) step: Step,
    /// Organization that its attempts count for, as far as is known.
    pub(super) org: u64,
    /// Organization in whose turns it is, if it is.
    pub(super) in_turn_of: Option<u64>,
    /// What it is registered for at the timer.
    pub(super) wake: Wake,
    /// Open deliveries, wherever they are.
    pub(super) depth: usize,
    /// Attempts under way at the endpoint.
    pub(super) sending: u32,
    /// Attempts that are not settled yet.
    pub(super) held: usize,
    /// What went wrong last.
    pub(super) last_error: Option<Failure>,
    ready: VecDeque<EntryIx>,
    /// Those that wait for a span of time, by the clock that never goes back.
    spans: BinaryHeap<Reverse<(i64, EntryIx)>>,
    /// Those that wait for a time of day, by the wall clock.
    times: BinaryHeap<Reverse<(i64, EntryIx)>>,
    /// The endpoint asked for a pause until then.
    paused_until_ms: i64,
    /// Not to be asked again until then.
    gate: Option<(i64, Barrier)>,
    used: Used,
    breaker: Option<Breaker>,
}

/// What keeps a lane from making its next attempt for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Barrier {
    /// The endpoint asked for a pause.
    Pause,
    /// The rate limit.
    Rate,
    /// The circuit breaker.
    Breaker,
}

/// Whether a lane may make an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// Yes; it is counted already.
    Yes(Pass),
    /// Not before this time (milliseconds of the clock that never goes back).
    Until(i64, Barrier),
    /// Not while so many are under way.
    Busy,
    /// Not until an operator says so.
    Deactivated,
}

impl Lane {
    /// A lane without deliveries.
    pub(super) fn new(subscription: SubscriptionIx, step: Step) -> Self {
        Self {
            subscription,
            step,
            org: 0,
            in_turn_of: None,
            wake: Wake::default(),
            depth: 0,
            sending: 0,
            held: 0,
            last_error: None,
            ready: VecDeque::new(),
            spans: BinaryHeap::new(),
            times: BinaryHeap::new(),
            paused_until_ms: i64::MIN,
            gate: None,
            used: Used::default(),
            breaker: None,
        }
    }

    /// Takes a delivery in that is due.
    pub(super) fn push_ready(&mut self, ix: EntryIx, entry: &mut Entry) {
        entry.place = Place::Ready;
        self.ready.push_back(ix);
    }

    /// Takes a delivery in that waits for its time.
    pub(super) fn push_later(&mut self, ix: EntryIx, entry: &mut Entry, now: Now) {
        entry.place = Place::Later;
        if entry.waits_for_span() {
            self.spans.push(Reverse((now.mono_of(entry.due_ms), ix)));
        } else {
            self.times.push(Reverse((entry.due_ms, ix)));
        }
    }

    /// Takes a delivery in that waits until `mono_ms`.
    pub(super) fn push_until(&mut self, ix: EntryIx, entry: &mut Entry, mono_ms: i64) {
        entry.place = Place::Later;
        self.spans.push(Reverse((mono_ms, ix)));
    }

    /// Makes those ready whose time has come, or all of them.
    pub(super) fn promote(&mut self, entries: &mut Slab<EntryIx, Entry>, now: Now, all: bool) {
        for (heap, time) in [(&mut self.spans, now.mono_ms()), (&mut self.times, now.wall_ms)] {
            while let Some(Reverse((at, ix))) = heap.peek().copied()
                && (all || at <= time)
            {
                heap.pop();
                entries[ix].place = Place::Ready;
                self.ready.push_back(ix);
            }
            give_back(heap);
        }
    }

    /// Takes all out that are ready.
    pub(super) fn take_ready(&mut self) -> VecDeque<EntryIx> {
        std::mem::take(&mut self.ready)
    }

    /// The next delivery, to be attempted.
    pub(super) fn pop(&mut self) -> Option<EntryIx> {
        let next = self.ready.pop_front();
        if self.ready.capacity() > SPARE && self.ready.len() < self.ready.capacity() / 8 {
            self.ready.shrink_to(self.ready.len() * 2);
        }
        next
    }

    /// Takes a delivery out, wherever it waits.
    pub(super) fn withdraw(&mut self, ix: EntryIx, place: Place) {
        match place {
            Place::Ready => self.ready.retain(|other| *other != ix),
            Place::Later => {
                self.spans.retain(|Reverse((_, other))| *other != ix);
                self.times.retain(|Reverse((_, other))| *other != ix);
            }
            Place::Behind | Place::InFlight => {}
        }
    }

    /// True if a delivery is due.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The delivery that has been due for the longest.
    pub(super) fn first_ready(&self) -> Option<EntryIx> {
        self.ready.front().copied()
    }

    /// How many are due.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// When the next of those that wait for their time is due.
    pub(super) fn next_due(&self) -> Wake {
        Wake {
            mono_ms: self.spans.peek().map(|Reverse((at, _))| *at),
            wall_ms: self.times.peek().map(|Reverse((at, _))| *at),
        }
    }

    /// What keeps it from making an attempt at the moment, and until when.
    pub(super) fn barrier(&self, now: Now) -> Option<(i64, Barrier)> {
        self.gate.filter(|(until, _)| *until > now.mono_ms())
    }

    /// Asks whether an attempt may be made. If so, it is counted.
    pub(super) fn admit(&mut self, rules: &Rules, now: Now) -> Admitted {
        if self.sending >= rules.max_concurrency {
            return Admitted::Busy;
        }
        if self.paused_until_ms > now.mono_ms() {
            return self.closed(self.paused_until_ms, Barrier::Pause);
        }
        if let Some(until_us) = rules.rate.and_then(|rate| self.used.wait_until(rate, now.mono_us)) {
            return self.closed(until_us.saturating_add(999) / 1000, Barrier::Rate);
        }
        let breaker = self.breaker.get_or_insert_with(|| Breaker::new(rules.breaker));
        match breaker.allows(now.mono_ms()) {
            Admission::Wait(until) => self.closed(until, Barrier::Breaker),
            Admission::Deactivated => Admitted::Deactivated,
            Admission::Go(pass) => {
                if let Some(rate) = rules.rate {
                    self.used.take(rate, now.mono_us);
                }
                self.sending += 1;
                Admitted::Yes(pass)
            }
        }
    }

    /// An attempt is over. True if the breaker gave up by it.
    pub(super) fn answered(&mut self, pass: Pass, health: Health, pause_until_ms: Option<i64>, now: Now) -> bool {
        self.sending = self.sending.saturating_sub(1);
        self.gate = None;
        if let Some(until) = pause_until_ms {
            self.paused_until_ms = self.paused_until_ms.max(now.mono_of(until));
        }
        let Some(breaker) = &mut self.breaker else {
            return false;
        };
        breaker.record(now.mono_ms(), pass, health);
        breaker.state() == State::Deactivated
    }

    /// Goes on by other rules, from where it is.
    pub(super) fn follow(&mut self, rules: &Rules) {
        self.gate = None;
        if let Some(breaker) = &mut self.breaker {
            breaker.set_rules(rules.breaker);
        }
    }

    /// An operator says that the endpoint may be called again. With `doubted`, the rules of an endpoint that had been at
    /// fault, one attempt goes first, whatever is remembered of it.
    pub(super) fn resume(&mut self, doubted: Option<&Rules>, now: Now) {
        self.gate = None;
        self.paused_until_ms = i64::MIN;
        if let Some(rules) = doubted {
            self.breaker.get_or_insert_with(|| Breaker::new(rules.breaker));
        }
        if let Some(breaker) = &mut self.breaker
            && (doubted.is_some() || breaker.state() != State::Closed)
        {
            breaker.resume(now.mono_ms());
        }
    }

    /// What the breaker does.
    pub(super) fn breaker(&self) -> State {
        self.breaker.as_ref().map_or(State::Closed, Breaker::state)
    }

    const fn closed(&mut self, until_ms: i64, barrier: Barrier) -> Admitted {
        self.gate = Some((until_ms, barrier));
        Admitted::Until(until_ms, barrier)
    }
}

fn give_back<T: Ord>(heap: &mut BinaryHeap<T>) {
    if heap.capacity() > SPARE && heap.len() < heap.capacity() / 8 {
        heap.shrink_to(heap.len() * 2);
    }
}

/// Room that is not worth giving back.
const SPARE: usize = 64;

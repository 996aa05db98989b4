//! Every open delivery, and which of them may go out next. All of it is arithmetic in memory: the time is an argument,
//! and nothing waits.
//!
//! A delivery comes in by [`Lanes::hand`]. It waits behind those with its order key, then in the lane of its step until
//! it is due, then for the lane (concurrency, rate, breaker, pauses) and for its organization's turn. [`Lanes::next`]
//! gives it to a worker, [`Lanes::answered`] frees the endpoint, and [`Lanes::settled`] frees the permit and lets the
//! delivery behind it go on.

mod book;
mod configuring;
mod counting;

use std::sync::Arc;
use std::time::Duration;

use filters::delivery::Pass;
use filters::event::Event;

use super::fair::Shares;
use super::hold::Hold;
use super::job::Verdict;
use super::slab::index;
use super::stats::Failure;
use super::timer::{Now, Wake};
use crate::queue::{DeliveryKey, DeliveryState, Handed, Next};
use book::Book;
pub(super) use counting::Counts;

index! {
    /// An open delivery.
    EntryIx
}
index! {
    /// A lane.
    LaneIx
}

/// Every open delivery. `E` is what attempts are made with.
#[derive(Debug)]
pub(super) struct Lanes<E> {
    book: Book<E>,
    shares: Shares,
    /// True while no attempt is to begin.
    is_stopped: bool,
    /// True while there is no room for outcomes.
    is_full: bool,
    /// Workers that wait for the queue to write again.
    unwritten: usize,
    totals: Totals,
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Deliveries that came in.
    pub handed: u64,
    /// Attempts that began.
    pub attempts: u64,
    /// Deliveries that are over.
    pub settled: u64,
    /// Deliveries that became dead letters, those of deleted subscriptions included.
    pub dead: u64,
    /// Deliveries of deleted subscriptions that became dead letters.
    pub buried: u64,
    /// Attempts that were given up because they panicked or outlasted every timeout.
    pub crashed: u64,
    /// Events that were read back from disk.
    pub read_back: u64,
    /// Times that the queue could not write an outcome.
    pub unwritten: u64,
}

/// A delivery in the hands of a worker.
#[derive(Debug)]
pub(super) struct Taken<E> {
    /// Where it is kept.
    pub(super) ticket: Ticket,
    /// Which it is.
    pub(super) key: DeliveryKey,
    /// When its event was accepted.
    pub(super) accepted_ms: i64,
    /// How far it is.
    pub(super) state: DeliveryState,
    /// The event, if it is in memory.
    pub(super) event: Option<Arc<Event>>,
    /// What is to be done.
    pub(super) duty: Duty<E>,
}

/// Where a delivery in flight is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    entry: EntryIx,
    lane: LaneIx,
    org: u64,
}

/// What is to be done with a delivery.
#[derive(Debug)]
pub(super) enum Duty<E> {
    /// An attempt.
    Send {
        /// What it is made with.
        endpoint: Arc<E>,
        /// Its outcome is to be recorded with it.
        pass: Pass,
        /// After it the attempt is given up.
        longest: Duration,
    },
    /// It becomes a dead letter, as its subscription was deleted.
    Bury {
        /// The subscription.
        id: Arc<str>,
        /// What the subscription was.
        last: Option<Arc<E>>,
    },
}

impl<E> Lanes<E> {
    /// At most `max_in_flight` attempts at a time, `percent` of them for one organization, and about `memory_bytes` of
    /// events in memory.
    pub(super) fn new(max_in_flight: usize, percent: u8, memory_bytes: usize) -> Self {
        Self {
            book: Book::new(memory_bytes),
            shares: Shares::new(max_in_flight, percent),
            is_stopped: false,
            is_full: false,
            unwritten: 0,
            totals: Totals::default(),
        }
    }

    /// Takes in deliveries that are to be made.
    pub(super) fn hand(&mut self, handed: Handed, now: Now) {
        let Handed {
            seq,
            accepted_ms,
            event,
            deliveries,
        } = handed;
        for open in deliveries {
            self.totals.handed += 1;
            let key = DeliveryKey {
                seq,
                number: open.number,
            };
            let ix = self.book.add(key, accepted_ms, &open.subscription, open.state, now);
            let first = self.book.line_up(ix, event.as_ref(), now);
            self.refresh(first, now);
        }
    }

    /// True if [`Self::next`] may have something.
    pub(super) fn has_work(&self) -> bool {
        !self.is_stopped && !self.is_full && self.unwritten == 0 && self.shares.has_work()
    }

    /// The delivery that is to be worked on next, if any may be.
    pub(super) fn next(&mut self, now: Now) -> Option<Taken<E>> {
        if !self.has_work() {
            return None;
        }
        let taken = self.shares.next(|lane, room| self.book.offer(lane, room, now))?;
        if matches!(taken.duty, Duty::Send { .. }) {
            self.totals.attempts += 1;
        }
        Some(taken)
    }

    /// An attempt is over, and its outcome is about to be settled: the endpoint is free for another. Returns the hold
    /// that it puts on the subscription, to be remembered.
    pub(super) fn answered(
        &mut self,
        ticket: Ticket,
        pass: Pass,
        verdict: &Verdict,
        failure: Option<Failure>,
        now: Now,
    ) -> Option<(Arc<str>, Hold)> {
        let hold = self.book.answered(ticket.lane, pass, verdict, failure, now);
        self.refresh(Some(ticket.lane), now);
        hold
    }

    /// What came of the delivery is on disk.
    pub(super) fn settled(&mut self, ticket: Ticket, next: Next, event: &Arc<Event>, now: Now) {
        self.release(ticket);
        match next {
            Next::Again(state) => {
                let (own, other) = self.book.go_on(ticket.entry, state, event, now);
                self.refresh(own, now);
                self.refresh(other, now);
            }
            Next::Settled => {
                self.totals.settled += 1;
                self.remove(ticket.entry, now);
            }
            Next::Dead { .. } | Next::StillDead { .. } => {
                self.totals.dead += 1;
                self.remove(ticket.entry, now);
            }
        }
    }

    /// A burial is over: the lane may have another one. [`Self::settled`] or [`Self::undone`] follows.
    pub(super) fn buried(&mut self, ticket: Ticket, now: Now) {
        self.book.buried(ticket.lane);
        self.refresh(Some(ticket.lane), now);
    }

    /// Nothing came of working on the delivery: it is due again after `wait_ms`, in the same state.
    pub(super) fn undone(&mut self, ticket: Ticket, wait_ms: i64, now: Now) {
        self.release(ticket);
        self.book.postpone(ticket.entry, ticket.lane, wait_ms, now);
        self.refresh(Some(ticket.lane), now);
    }

    /// The queue cannot write an outcome (true), or could at last: meanwhile no attempt begins.
    pub(super) const fn cannot_write(&mut self, cannot: bool) {
        if cannot {
            self.unwritten += 1;
            self.totals.unwritten += 1;
        } else {
            self.unwritten = self.unwritten.saturating_sub(1);
        }
    }

    /// No attempt begins from now on, or they begin again.
    pub(super) const fn stop(&mut self, stop: bool) {
        self.is_stopped = stop;
    }

    /// At most so many attempts at a time from now on, and none that is new at 0. Those under way go on.
    pub(super) fn limit(&mut self, max_in_flight: usize) {
        self.is_full = max_in_flight == 0;
        self.shares.limit(max_in_flight);
    }

    /// True if attempts were stopped and none is under way any more.
    pub(super) const fn is_quiet(&self) -> bool {
        self.is_stopped && self.shares.in_flight() == 0
    }

    /// Looks at lanes whose time has come, at most `most` of them; true if there are more.
    pub(super) fn tick(&mut self, most: usize, now: Now) -> bool {
        for _ in 0..most {
            let Some((lane, gone)) = self.book.timer.pop(now) else {
                return false;
            };
            let subscription = self.book.woken(lane, gone);
            self.refresh(Some(lane), now);
            self.forget_if_over(subscription);
        }
        true
    }

    /// When the next lane wants to be looked at.
    pub(super) fn next_wake(&self) -> Wake {
        self.book.timer.next()
    }

    /// Takes those of `keys` out that are not in flight, among some deliveries from the place `from` on: those that are
    /// gone and will not be sent, and where to go on.
    pub(super) fn withdraw(&mut self, keys: &[DeliveryKey], from: u32, now: Now) -> (Vec<DeliveryKey>, Option<u32>) {
        let (found, next) = self.book.find(keys, from);
        let gone = found.into_iter().map(|(key, ix)| {
            self.book.take_out(ix);
            self.remove(ix, now);
            key
        });
        (gone.collect(), next)
    }

    fn release(&mut self, ticket: Ticket) {
        self.shares.release(ticket.org);
        self.book.release(ticket.lane);
    }

    fn remove(&mut self, ix: EntryIx, now: Now) {
        let (subscription, next) = self.book.remove(ix, now);
        self.refresh(next, now);
        self.forget_if_over(subscription);
    }

    /// Puts the lane in turn if it wants to make an attempt, or sets the timer for when it will.
    fn refresh(&mut self, lane: Option<LaneIx>, now: Now) {
        if let Some(lane) = lane
            && let Some(org) = self.book.refresh(lane, now)
        {
            self.shares.enter(org, lane);
        }
    }
}

#[cfg(test)]
mod tests;

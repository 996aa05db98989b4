//! What operators change: configurations, holds.

use std::sync::Arc;

use super::Lanes;
use crate::delivery::hold::{Cause, Hold};
use crate::delivery::subscriptions::{Configured, SubscriptionIx};
use crate::delivery::timer::Now;

impl<E> Lanes<E> {
    /// Begins a new configuration; [`Self::configure`] takes in each of its subscriptions, and [`Self::end`] ends it.
    pub(in crate::delivery) const fn begin(&mut self) {
        self.book.subscriptions.begin();
    }

    /// Takes in a subscription of the new configuration.
    pub(in crate::delivery) fn configure(&mut self, configured: Configured<E>, now: Now) {
        let (ix, is_changed) = self.book.subscriptions.configure(configured, now);
        if !is_changed {
            return;
        }
        for number in 0..self.book.subscriptions[ix].lanes.len() {
            let subscription = &self.book.subscriptions[ix];
            let (_, lane) = subscription.lanes[number];
            if let Some(rules) = subscription.rules() {
                self.book.lanes[lane].follow(rules);
            }
            // While it was missing those may have been made ready that are not due.
            for entry in self.book.lanes[lane].take_ready() {
                self.book.schedule(entry, None, now);
            }
            self.refresh(Some(lane), now);
        }
    }

    /// Ends a configuration: what it did not have is missing.
    pub(in crate::delivery) fn end(&mut self, now: Now) {
        for ix in self.book.subscriptions.end(now) {
            self.refresh_all(ix, now);
            self.forget_if_over(ix);
        }
    }

    /// Puts a hold back that was remembered over a restart.
    pub(in crate::delivery) fn restore(&mut self, id: &Arc<str>, hold: Hold, now: Now) {
        let ix = self.book.subscriptions.find_or_add(id, now);
        self.book.subscriptions[ix].hold = Some(hold);
    }

    /// Holds a subscription back, or lets it go on with one attempt first; false if there is none.
    pub(in crate::delivery) fn hold(&mut self, id: &str, hold: Option<Hold>, now: Now) -> bool {
        let Some(ix) = self.book.subscriptions.find(id) else {
            return false;
        };
        let resumes = hold.is_none();
        let subscription = &mut self.book.subscriptions[ix];
        let before = std::mem::replace(&mut subscription.hold, hold);
        if resumes {
            // What an operator paused was not at fault.
            let was_at_fault = before.is_some_and(|hold| hold.cause != Cause::Paused);
            let doubted = subscription.rules().filter(|_| was_at_fault);
            for (_, lane) in &subscription.lanes {
                self.book.lanes[*lane].resume(doubted, now);
            }
        }
        self.refresh_all(ix, now);
        self.forget_if_over(ix);
        true
    }

    /// Forgets a subscription that is neither configured nor held and has no deliveries.
    pub(super) fn forget_if_over(&mut self, ix: SubscriptionIx) {
        let subscription = &self.book.subscriptions[ix];
        if !subscription.is_over() {
            return;
        }
        let lanes = subscription.lanes.iter().map(|(_, lane)| *lane);
        if lanes.clone().any(|lane| self.book.lanes[lane].held > 0) {
            return;
        }
        for lane in lanes {
            let Some(gone) = self.book.lanes.remove(lane) else {
                continue;
            };
            self.book.timer.set(lane, gone.wake, Default::default());
            if let Some(org) = gone.in_turn_of {
                self.shares.leave(org, lane);
            }
        }
        self.book.subscriptions.remove(ix);
    }

    /// True if `id` has rules, deliveries or a hold.
    pub(in crate::delivery) fn knows(&self, id: &str) -> bool {
        self.book.subscriptions.find(id).is_some()
    }

    fn refresh_all(&mut self, ix: SubscriptionIx, now: Now) {
        for number in 0..self.book.subscriptions[ix].lanes.len() {
            let (_, lane) = self.book.subscriptions[ix].lanes[number];
            self.refresh(Some(lane), now);
        }
    }
}

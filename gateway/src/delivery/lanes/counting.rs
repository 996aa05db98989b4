//! What there is, for operators.

use filters::delivery::breaker::State;

use super::{Lanes, Totals};
use crate::delivery::lane::{Barrier, Lane};
use crate::delivery::slab::Index as _;
use crate::delivery::stats::{EndpointState, EndpointStats};
use crate::delivery::subscriptions::{Mode, Standing, Subscription, SubscriptionIx};
use crate::delivery::timer::Now;
use crate::queue::Step;

/// The counts that are at hand.
#[derive(Clone, Copy, Debug)]
pub(in crate::delivery) struct Counts {
    pub(in crate::delivery) open: usize,
    pub(in crate::delivery) in_flight: usize,
    pub(in crate::delivery) max_in_flight: usize,
    pub(in crate::delivery) memory_bytes: usize,
    pub(in crate::delivery) totals: Totals,
}

impl<E> Lanes<E> {
    /// The counts that are at hand.
    pub(in crate::delivery) fn counts(&self) -> Counts {
        Counts {
            open: self.book.entries.len(),
            in_flight: self.shares.in_flight(),
            max_in_flight: self.shares.max(),
            memory_bytes: self.book.bodies.bytes(),
            totals: self.totals,
        }
    }

    /// Counts what happened outside.
    pub(in crate::delivery) const fn totals(&mut self) -> &mut Totals {
        &mut self.totals
    }

    /// Adds the endpoints of at most `most` subscriptions to `list`, from the place `from` on: where to go on, if there
    /// are more.
    pub(in crate::delivery) fn endpoints(
        &self,
        from: u32,
        most: u32,
        now: Now,
        list: &mut Vec<EndpointStats>,
    ) -> Option<u32> {
        let end = self.book.subscriptions.end_place();
        let to = from.saturating_add(most).min(end);
        for place in from..to {
            let Some(subscription) = self.book.subscriptions.get(SubscriptionIx::at(place)) else {
                continue;
            };
            for (_, lane) in &subscription.lanes {
                list.push(self.endpoint(subscription, &self.book.lanes[*lane], now));
            }
            if subscription.lanes.is_empty() && subscription.hold.is_some() {
                list.push(blank(subscription, now));
            }
        }
        (to < end).then_some(to)
    }

    fn endpoint(&self, subscription: &Subscription<E>, lane: &Lane, now: Now) -> EndpointStats {
        let first = lane.first_ready().map(|ix| self.book.entries[ix].due_ms);
        let barrier = lane.barrier(now).filter(|_| lane.has_ready());
        let next = match barrier {
            Some((until, _)) => Some(until),
            None if lane.has_ready() => None,
            None => lane.next_due().earliest(now),
        };
        let state = match state(subscription, now) {
            EndpointState::Working => lane_state(lane, barrier.map(|(_, barrier)| barrier)),
            other => other,
        };
        EndpointStats {
            id: subscription.id.clone(),
            step: lane.step,
            org_id: lane.org,
            open: lane.depth as u64,
            in_flight: lane.held as u64,
            due: lane.ready() as u64,
            due_since_ms: first,
            next_ms: next.map(|at| now.wall_of(at)),
            state,
            last_failure: lane.last_error.clone(),
        }
    }
}

fn blank<E>(subscription: &Subscription<E>, now: Now) -> EndpointStats {
    EndpointStats {
        id: subscription.id.clone(),
        step: Step::Forward(0),
        org_id: subscription.rules().map_or(0, |rules| rules.org_id),
        open: 0,
        in_flight: 0,
        due: 0,
        due_since_ms: None,
        next_ms: None,
        state: state(subscription, now),
        last_failure: None,
    }
}

fn state<E>(subscription: &Subscription<E>, now: Now) -> EndpointState {
    match (subscription.mode(now), &subscription.hold, &subscription.standing) {
        (Mode::Send(_), ..) => EndpointState::Working,
        (Mode::Missing(_) | Mode::Bury, ..) => EndpointState::Missing,
        (Mode::Shut, Some(hold), _) => EndpointState::Held(hold.clone()),
        (Mode::Shut, None, Standing::Unknown) => EndpointState::Unknown,
        (Mode::Shut, None, _) => EndpointState::Inactive,
    }
}

fn lane_state(lane: &Lane, barrier: Option<Barrier>) -> EndpointState {
    match (lane.breaker(), barrier) {
        (State::HalfOpen, _) => EndpointState::HalfOpen,
        (State::Open | State::Deactivated, _) => EndpointState::CircuitOpen,
        (State::Closed, Some(Barrier::Pause)) => EndpointState::Waiting,
        (State::Closed, Some(Barrier::Rate)) => EndpointState::RateLimited,
        (State::Closed, Some(Barrier::Breaker) | None) => EndpointState::Working,
    }
}

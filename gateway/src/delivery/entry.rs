//! An open delivery as the dispatcher holds it: as small as can be, as there may be millions.

use uuid::Uuid;

use filters::model::delivery::TriggerType;

use super::subscriptions::SubscriptionIx;
use crate::queue::{DeliveryKey, DeliveryState, Seq, Step};

/// An open delivery.
#[derive(Debug)]
pub(super) struct Entry {
    seq: Seq,
    pub(super) due_ms: i64,
    pub(super) accepted_ms: i64,
    id: Uuid,
    order_key: u64,
    rest: Option<Box<Rest>>,
    pub(super) attempts: u32,
    pub(super) subscription: SubscriptionIx,
    step: Step,
    number: u16,
    trigger: TriggerType,
    is_ordered: bool,
    /// True if it counts among those that keep the event's body in memory.
    pub(super) keeps_body: bool,
    pub(super) place: Place,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind others with its order key.
    Behind,
    /// In its lane, until its time.
    Later,
    /// In its lane, due.
    Ready,
    /// With a worker, until it is settled.
    InFlight,
}

/// What few deliveries have.
#[derive(Debug)]
struct Rest {
    answers: Option<Box<str>>,
    payload: Option<Box<str>>,
    occurrences: u32,
    dead_retries: Option<u32>,
}

impl Entry {
    /// `state` of the delivery `key`, which waits for its order until it is placed.
    pub(super) fn new(key: DeliveryKey, accepted_ms: i64, subscription: SubscriptionIx, state: DeliveryState) -> Self {
        let mut entry = Self {
            seq: key.seq,
            due_ms: 0,
            accepted_ms,
            id: state.id,
            order_key: 0,
            rest: None,
            attempts: 0,
            subscription,
            step: state.step,
            number: key.number,
            trigger: state.trigger,
            is_ordered: false,
            keeps_body: false,
            place: Place::Behind,
        };
        entry.update(state);
        entry
    }

    /// Goes on with another state.
    pub(super) fn update(&mut self, state: DeliveryState) {
        let is_plain = state.answers.is_none()
            && state.payload.is_none()
            && state.occurrences == 0
            && state.dead_retries.is_none();
        self.rest = (!is_plain).then(|| {
            Box::new(Rest {
                answers: state.answers,
                payload: state.payload,
                occurrences: state.occurrences,
                dead_retries: state.dead_retries,
            })
        });
        self.id = state.id;
        self.trigger = state.trigger;
        self.due_ms = state.due_ms;
        self.attempts = state.attempts;
        self.step = state.step;
        self.is_ordered = state.order_key.is_some();
        self.order_key = state.order_key.unwrap_or_default();
    }

    /// Its state, for an attempt.
    pub(super) fn state(&self) -> DeliveryState {
        let rest = self.rest.as_deref();
        DeliveryState {
            id: self.id,
            trigger: self.trigger,
            due_ms: self.due_ms,
            attempts: self.attempts,
            order_key: self.order_key(),
            step: self.step,
            answers: rest.and_then(|rest| rest.answers.clone()),
            occurrences: rest.map_or(0, |rest| rest.occurrences),
            dead_retries: rest.and_then(|rest| rest.dead_retries),
            payload: rest.and_then(|rest| rest.payload.clone()),
        }
    }

    /// Which delivery it is.
    pub(super) const fn key(&self) -> DeliveryKey {
        DeliveryKey {
            seq: self.seq,
            number: self.number,
        }
    }

    /// Its event's place in the queue.
    pub(super) const fn seq(&self) -> Seq {
        self.seq
    }

    /// The step that is next.
    pub(super) const fn step(&self) -> Step {
        self.step
    }

    /// With whom it is in one order.
    pub(super) fn order_key(&self) -> Option<u64> {
        self.is_ordered.then_some(self.order_key)
    }

    /// True if it waits for a span of time (before a retry or between steps), and not for a time of day.
    pub(super) fn waits_for_span(&self) -> bool {
        self.attempts > 0 || self.step != Step::Forward(0)
    }

    /// True if it was to go out as soon as it was accepted, and was not tried yet.
    pub(super) fn is_immediate(&self) -> bool {
        !self.waits_for_span() && self.rest.is_none() && self.due_ms <= self.accepted_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> DeliveryState {
        DeliveryState {
            id: Uuid::from_u128(7),
            trigger: TriggerType::Replay,
            due_ms: 5,
            attempts: 2,
            order_key: Some(0),
            step: Step::Back(3),
            answers: Some("{}".into()),
            occurrences: 4,
            dead_retries: Some(0),
            payload: Some("[]".into()),
        }
    }

    #[test]
    fn nothing_of_a_state_is_lost() {
        let key = DeliveryKey { seq: 9, number: 1 };
        let mut entry = Entry::new(key, 1, SubscriptionIx(0), state());
        assert_eq!((entry.key(), entry.state()), (key, state()));
        let plain = DeliveryState {
            order_key: None,
            answers: None,
            occurrences: 0,
            dead_retries: None,
            payload: None,
            ..state()
        };
        entry.update(plain.clone());
        assert_eq!(entry.state(), plain);
        assert!(entry.rest.is_none());
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Entry>() <= 80, "{}", size_of::<Entry>());
    }
}

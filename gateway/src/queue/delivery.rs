//! Deliveries as the queue keeps them, and what may become of them.

use std::sync::Arc;

use filters::event::Event;
pub use filters::model::delivery::DeliveryRecord as Record;
use filters::model::delivery::{ScheduledDelivery, TriggerType};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::call::Setback;

/// An event's place in the queue; later ones are larger.
pub type Seq = i64;

/// Names a delivery: the event, and its number among the event's deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// The event.
    pub seq: Seq,
    /// Number among its deliveries.
    pub number: u16,
}

/// A delivery that is not settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenDelivery {
    /// Number among the event's deliveries.
    pub number: u16,
    /// The subscription, by identifier.
    pub subscription: Arc<str>,
    /// How far it is.
    pub state: DeliveryState,
}

/// How far a delivery is. It is written down when it changes, not when an attempt begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryState {
    /// Identifier of the delivery of the current step, stable over its attempts.
    pub id: Uuid,
    /// What made it.
    pub trigger: TriggerType,
    /// When the next attempt is due, in milliseconds since the epoch.
    pub due_ms: i64,
    /// Failed attempts at the current step.
    pub attempts: u32,
    /// Deliveries with the same key go out one after the other; `None` for those that wait for nobody.
    pub order_key: Option<u64>,
    /// The step that is next, forward or back.
    pub step: Step,
    /// What attempts leave for later ones: answers of earlier steps, why it became a dead letter; of a call, the call. Only
    /// attempts read it.
    pub answers: Option<Box<str>>,
    /// Deliveries of a recurring schedule so far.
    pub occurrences: u32,
    /// Automatic retries since it became a dead letter; `None` while it is none.
    pub dead_retries: Option<u32>,
    /// What an operator put in the place of the event's payload.
    pub payload: Option<Box<str>>,
}

/// A step of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// The step itself.
    Forward(u16),
    /// What undoes it, as a later step failed for good.
    Back(u16),
}

/// An event that is to be kept.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The event.
    pub event: Arc<Event>,
    /// Name of the key that its producer signed in with.
    pub producer: Arc<str>,
    /// Identity by which a repeat is known, and for how long.
    pub dedupe: Dedupe,
    /// Its deliveries; `number`s count from 0.
    pub deliveries: Vec<OpenDelivery>,
    /// Subscriptions whose type it has and that did not get it, with the reason.
    pub skipped: Vec<Skipped>,
    /// What operators are told of its deliveries that wait for a time of their own, by number. The queue makes their
    /// identifiers.
    pub scheduled: Vec<(u16, ScheduledDelivery)>,
}

/// How a repeat of an event is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dedupe {
    /// Digest of its identity.
    pub key: [u8; 16],
    /// For so many milliseconds.
    pub window_ms: i64,
}

/// A subscription that did not get an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// The subscription.
    pub integration_config_id: Arc<str>,
    /// Why.
    pub reason: String,
}

/// What became of an arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is on disk.
    New(Seq),
    /// It was there already: the identifier of the event that is kept.
    Repeat(String),
}

/// An event whose deliveries are to be made: just accepted, or found at the start.
#[derive(Clone, Debug)]
pub struct Handed {
    /// Its place.
    pub seq: Seq,
    /// When it was accepted, in milliseconds since the epoch.
    pub accepted_ms: i64,
    /// The event; `None` where it is to be read when it is due.
    pub event: Option<Arc<Event>>,
    /// What is open of it.
    pub deliveries: Vec<OpenDelivery>,
}

/// What became of an attempt. It is committed as a whole.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The delivery.
    pub key: DeliveryKey,
    /// How it goes on.
    pub next: Next,
    /// What operators are told.
    pub records: Vec<Record>,
}

/// How a delivery goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// It does not: the endpoint has it, or nobody tries again.
    Settled,
    /// With another attempt, step or occurrence.
    Again(DeliveryState),
    /// As a dead letter; `state` is how it goes on if it is tried again, `retry_ms` when that happens by itself.
    Dead {
        /// How it goes on.
        state: DeliveryState,
        /// When, in milliseconds since the epoch; `None` leaves it to operators.
        retry_ms: Option<i64>,
    },
    /// As the dead letter of a call that it was; the queue brings its record up to date.
    StillDead {
        /// How it goes on if an operator has it made again.
        state: DeliveryState,
        /// What came of making it again.
        setback: Setback,
    },
}

impl DeliveryKey {
    /// The name that operators have for a delivery that waits for its time: after the gateway's.
    pub fn scheduled_id(self, gateway_id: &str) -> String {
        format!("{gateway_id}:{}-{}", self.seq, self.number)
    }

    /// What [`Self::scheduled_id`] named; `None` if `id` is none of this gateway's.
    pub fn of_scheduled(id: &str, gateway_id: &str) -> Option<Self> {
        let (seq, number) = id.strip_prefix(gateway_id)?.strip_prefix(':')?.split_once('-')?;
        Some(Self {
            seq: seq.parse().ok()?,
            number: number.parse().ok()?,
        })
    }

    /// Both parts in one number, which sorts as they do.
    pub(super) fn packed(self) -> i64 {
        self.seq << NUMBER_BITS | i64::from(self.number)
    }

    /// What [`Self::packed`] made.
    pub(super) fn unpacked(packed: i64) -> Self {
        Self {
            seq: packed >> NUMBER_BITS,
            number: (packed & i64::from(u16::MAX)) as u16,
        }
    }

    /// The first and the last packed key of an event.
    pub(super) fn packed_range(seq: Seq) -> (i64, i64) {
        (seq << NUMBER_BITS, seq << NUMBER_BITS | i64::from(u16::MAX))
    }
}

const NUMBER_BITS: u32 = 16;

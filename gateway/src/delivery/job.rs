//! What an attempt is given, and what it gives back.

use std::sync::Arc;

pub use filters::delivery::Health;
use filters::event::Event;

use crate::queue::{DeliveryKey, DeliveryState, Settlement};

/// One attempt that is to be made now.
#[derive(Clone, Debug)]
pub struct Job {
    /// The delivery.
    pub key: DeliveryKey,
    /// When the event was accepted, in milliseconds since the epoch.
    pub accepted_ms: i64,
    /// The event.
    pub event: Arc<Event>,
    /// How far the delivery is.
    pub state: DeliveryState,
}

/// What came of an attempt.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What is to be committed; the delivery goes on only after that.
    pub settlement: Settlement,
    /// What the attempt says of its endpoint.
    pub verdict: Verdict,
}

impl From<Settlement> for Outcome {
    /// Of an attempt that says nothing of its endpoint.
    fn from(settlement: Settlement) -> Self {
        Self {
            settlement,
            verdict: Verdict::default(),
        }
    }
}

/// What an attempt says of its endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// For the circuit breaker.
    pub health: Health,
    /// The whole lane is to pause until then (429, 502, 504, `Retry-After`), in milliseconds since the epoch.
    pub pause_until_ms: Option<i64>,
    /// The endpoint wants no more events (410, or it said so): the reason, for operators.
    pub disable: Option<String>,
}

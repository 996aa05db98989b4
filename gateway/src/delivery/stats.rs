//! What the dispatcher holds, for operators and metrics.

use std::sync::Arc;

use super::hold::Hold;
pub use super::lanes::Totals;
use crate::queue::Step;

/// What the dispatcher holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DispatcherStats {
    /// Open deliveries.
    pub open: u64,
    /// Attempts that are under way or being settled.
    pub in_flight: u64,
    /// The most of them at the moment.
    pub max_in_flight: u64,
    /// Deliveries that are due, at endpoints that work, and wait for their turn.
    pub due: u64,
    /// Bytes of events in memory.
    pub memory_bytes: u64,
    /// What happened since the start.
    pub totals: Totals,
    /// Endpoints with deliveries, and those that had some or are held.
    pub endpoints: Vec<EndpointStats>,
}

/// What waits for an endpoint: a step of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointStats {
    /// The subscription.
    pub id: Arc<str>,
    /// Its step.
    pub step: Step,
    /// Organization, 0 if it is not known yet.
    pub org_id: u64,
    /// Open deliveries.
    pub open: u64,
    /// Attempts that are under way or being settled.
    pub in_flight: u64,
    /// Deliveries that are due now, those behind others of the same order not counted.
    pub due: u64,
    /// Since when the first of them has been due, in milliseconds since the epoch.
    pub due_since_ms: Option<i64>,
    /// When the next attempt is due or allowed, in milliseconds since the epoch, if it waits for that.
    pub next_ms: Option<i64>,
    /// How it stands.
    pub state: EndpointState,
    /// The last attempt that failed.
    pub last_failure: Option<Failure>,
}

/// Whether an endpoint gets its events, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// It does.
    Working,
    /// Not faster than its rate limit.
    RateLimited,
    /// It asked for a pause.
    Waiting,
    /// Its circuit breaker is open.
    CircuitOpen,
    /// A few, to see whether it works again.
    HalfOpen,
    /// None, until an operator says so.
    Held(Hold),
    /// None: the subscription is not active.
    Inactive,
    /// None: there is no configuration yet.
    Unknown,
    /// None: the subscription was deleted, or is not there yet. Its deliveries become dead letters in the end.
    Missing,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened, for people.
    pub message: String,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Status of the answer, if there was one.
    pub status: Option<u16>,
}

impl EndpointState {
    /// True if deliveries go out, if not all at once.
    pub const fn works(&self) -> bool {
        matches!(self, Self::Working | Self::RateLimited | Self::HalfOpen)
    }
}

//! What can be read from the queue, page by page.

use std::sync::Arc;

use filters::event::Event;
use filters::model::delivery::{DeadLetter, DeliveryStatus};
use serde::Serialize;

use super::{DeliveryKey, DeliveryState, OpenDelivery, Record, Seq, Settlement, Skipped};

/// Which dead letters.
#[derive(Clone, Debug, Default)]
pub struct DeadFilter {
    /// Of this organization.
    pub org_id: Option<u64>,
    /// Of this subscription.
    pub subscription: Option<Arc<str>>,
    /// Those after this one; from the oldest event on if left out.
    pub after: Option<DeliveryKey>,
    /// At most so many.
    pub limit: usize,
}

/// A dead letter.
#[derive(Clone, Debug)]
pub struct DeadEntry {
    /// The delivery.
    pub key: DeliveryKey,
    /// When it is tried again by itself, in milliseconds since the epoch.
    pub retry_ms: Option<i64>,
    /// True while it is being tried again: it is an open delivery, too.
    pub retrying: bool,
    /// How it goes on if it is tried again.
    pub state: DeliveryState,
    /// As operators see it. In lists its payload is null; [`super::Queue::dead_letter`] fills it in.
    pub letter: DeadLetter,
}

/// Which open deliveries.
#[derive(Clone, Debug, Default)]
pub struct OpenFilter {
    /// Of this organization.
    pub org_id: Option<u64>,
    /// Of this subscription.
    pub subscription: Option<Arc<str>>,
    /// Those of events after this one.
    pub after: Seq,
    /// At most so many, unless one event has more.
    pub limit: usize,
}

/// An open delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenEntry {
    /// Its event.
    pub seq: Seq,
    /// When that was accepted, in milliseconds since the epoch.
    pub accepted_ms: i64,
    /// Organization.
    pub org_id: u64,
    /// The delivery.
    pub delivery: OpenDelivery,
}

/// Which events of an organization.
#[derive(Clone, Debug)]
pub struct HistoryRange {
    /// The organization.
    pub org_id: u64,
    /// Accepted from this time on, in milliseconds since the epoch.
    pub from_ms: i64,
    /// Accepted before this time.
    pub to_ms: i64,
    /// Those after this one; 0 to begin with.
    pub after: Seq,
    /// At most so many.
    pub limit: usize,
}

/// A page of events.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The events, in the order of their acceptance.
    pub events: Vec<KeptEvent>,
    /// Where the next page begins ([`HistoryRange::after`]); `None` after the last one. A page may be empty and not the
    /// last.
    pub next: Option<Seq>,
}

/// How far what was removed is out of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scrubbed {
    /// Nothing of it is left.
    Whole,
    /// There is more to do.
    InPart,
    /// Somebody reads the log, which cannot be emptied meanwhile.
    Held,
}

/// An event that the queue keeps.
#[derive(Clone, Debug)]
pub struct KeptEvent {
    /// Its place.
    pub seq: Seq,
    /// When it was accepted, in milliseconds since the epoch.
    pub accepted_ms: i64,
    /// The event.
    pub event: Arc<Event>,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventAudit {
    /// Its place.
    pub seq: Seq,
    /// When it was accepted, in milliseconds since the epoch.
    pub accepted_ms: i64,
    /// Name of the key that its producer signed in with.
    pub producer: Arc<str>,
    /// Its deliveries, replays included.
    pub deliveries: Vec<DeliveryAudit>,
    /// Subscriptions that did not get it.
    pub skipped: Vec<Skipped>,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryAudit {
    /// Number among the event's deliveries.
    pub number: u16,
    /// The subscription.
    pub integration_config_id: Arc<str>,
    /// How it ended, or how it is.
    pub status: DeliveryStatus,
    /// When it was settled, in milliseconds since the epoch; `None` while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_ms: Option<i64>,
}

/// A batch of records that the control plane does not have yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spooled {
    /// What to acknowledge, and where the next batch begins.
    pub up_to: i64,
    /// How many.
    pub count: usize,
    /// A JSON array of [`Record`]s, as it can be sent.
    pub json: String,
}

impl Spooled {
    /// The records.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn records(&self) -> Result<Vec<Record>, serde_json::Error> {
        serde_json::from_str(&self.json)
    }
}

/// Deliveries that are to be made of an event that the queue keeps.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The event.
    pub seq: Seq,
    /// The deliveries; the queue numbers them anew.
    pub deliveries: Vec<OpenDelivery>,
}

/// A delivery that an operator calls off.
#[derive(Clone, Debug)]
pub struct Cancellation {
    /// As the command names it.
    pub id: String,
    /// The delivery and what is told of it; its `next` should be `Settled`.
    pub settlement: Settlement,
}

/// A subscription that gets nothing until an operator says so. Its events are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// The subscription.
    pub integration_config_id: Arc<str>,
    /// Why, for operators.
    pub reason: String,
    /// Since when, in milliseconds since the epoch.
    pub since_ms: i64,
}

//! Settings of the event flow: taking events in, keeping them, delivering them.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::validate::Found;

/// Taking events in, at `POST /api/v1/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Ingest {
    /// False for a gateway that only proxies: it opens no queue.
    pub enabled: bool,
    /// The most bytes of a request's body.
    pub body_bytes: u64,
    /// Milliseconds for a whole body to arrive.
    pub body_timeout_ms: u64,
    /// The most events of one batch.
    pub max_batch: usize,
    /// Requests that are taken in at a time; more are told to come back.
    pub max_in_flight: usize,
    /// Bytes of all bodies that are being taken in at a time; more are told to come back.
    pub max_buffered_bytes: u64,
}

impl Ingest {
    /// [`Self::body_timeout_ms`] as a duration.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    pub(super) fn check(&self, found: &mut Found) {
        found.range("ingest.bodyBytes", self.body_bytes, 1_024..=64 << 20);
        found.range("ingest.bodyTimeoutMs", self.body_timeout_ms, 100..=600_000);
        found.range("ingest.maxBatch", self.max_batch, 1..=10_000);
        found.range("ingest.maxInFlight", self.max_in_flight, 1..=1_000_000);
        found.range("ingest.maxBufferedBytes", self.max_buffered_bytes, 1 << 20..=1 << 40);
        if self.max_buffered_bytes < self.body_bytes {
            let message = format!(
                "is {}, less than the one body of ingest.bodyBytes ({}); make it at least as large",
                self.max_buffered_bytes, self.body_bytes
            );
            found.add("ingest.maxBufferedBytes", message);
        }
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            enabled: true,
            body_bytes: 1 << 20,
            body_timeout_ms: 30_000,
            max_batch: 1_000,
            max_in_flight: 4_096,
            max_buffered_bytes: 128 << 20,
        }
    }
}

/// Keeping events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Queue {
    /// Folder of the queue; `queue` in the data folder if left out.
    pub dir: Option<PathBuf>,
    /// Days that settled events are kept, to be replayed.
    pub retention_days: u32,
    /// The most bytes of the queue's files. Settled events make room first; then no more events are taken in.
    pub max_bytes: u64,
    /// No more events are taken in with less than this left on the queue's disk.
    pub min_free_disk_bytes: u64,
    /// The most bytes of records that the control plane does not have yet; beyond it deliveries slow down, then no more
    /// events are taken in.
    pub spool_max_bytes: u64,
    /// The most deliveries that are open at a time; each takes memory. Beyond it no more events are taken in.
    pub max_open_deliveries: u64,
    /// How much of the open deliveries may be one organization's, in percent, before it is told to come back.
    pub organization_percent: u8,
    /// How long a repeat of an event is known.
    pub dedupe: Dedupe,
}

/// How long a repeat of an event is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Dedupe {
    /// Seconds, for events with an identifier of their producer.
    pub with_id_seconds: u64,
    /// Seconds, for events without one.
    pub without_id_seconds: u64,
}

impl Queue {
    pub(super) fn check(&self, found: &mut Found) {
        if self.dir.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
            found.add("queue.dir", "is empty; name a folder, or leave it out");
        }
        found.range("queue.retentionDays", self.retention_days, 0..=3_650);
        found.range("queue.maxBytes", self.max_bytes, 1 << 24..=1 << 50);
        found.range("queue.minFreeDiskBytes", self.min_free_disk_bytes, 0..=1 << 50);
        found.range("queue.spoolMaxBytes", self.spool_max_bytes, 1 << 20..=1 << 50);
        found.range("queue.maxOpenDeliveries", self.max_open_deliveries, 1_000..=1 << 32);
        found.range("queue.organizationPercent", self.organization_percent, 1..=100);
        let Dedupe {
            with_id_seconds,
            without_id_seconds,
        } = self.dedupe;
        found.range("queue.dedupe.withIdSeconds", with_id_seconds, 0..=2_592_000);
        found.range("queue.dedupe.withoutIdSeconds", without_id_seconds, 0..=2_592_000);
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            dir: None,
            retention_days: 14,
            max_bytes: 10 << 30,
            min_free_disk_bytes: 1 << 30,
            spool_max_bytes: 1 << 30,
            max_open_deliveries: 2_000_000,
            organization_percent: 50,
            dedupe: Dedupe::default(),
        }
    }
}

impl Default for Dedupe {
    fn default() -> Self {
        Self {
            with_id_seconds: 86_400,
            without_id_seconds: 300,
        }
    }
}

/// Delivering events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Delivery {
    /// Attempts that are under way at a time, over all endpoints.
    pub max_in_flight: usize,
    /// How many of them may be one organization's while others wait, in percent.
    pub organization_percent: u8,
    /// Bytes of payloads that wait in memory for their delivery; those of others are read again when they are due.
    pub memory_bytes: u64,
    /// Bytes of content that attempts keep in temporary files at a time, where an enrichment fetches much.
    pub content_bytes: u64,
    /// Milliseconds that a process waits for its attempts when it hands the queue to a new one; those that are not done
    /// by then are made again by the new one.
    pub hand_over_ms: u64,
}

impl Delivery {
    /// [`Self::hand_over_ms`] as a duration.
    pub fn hand_over(&self) -> Duration {
        Duration::from_millis(self.hand_over_ms)
    }

    pub(super) fn check(&self, found: &mut Found) {
        found.range("delivery.maxInFlight", self.max_in_flight, 1..=100_000);
        found.range("delivery.organizationPercent", self.organization_percent, 1..=100);
        found.range("delivery.memoryBytes", self.memory_bytes, 1 << 20..=1 << 40);
        found.range("delivery.contentBytes", self.content_bytes, 1 << 20..=1 << 50);
        found.range("delivery.handOverMs", self.hand_over_ms, 0..=60_000);
    }
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            max_in_flight: 2_048,
            organization_percent: 50,
            memory_bytes: 128 << 20,
            content_bytes: 2 << 30,
            hand_over_ms: 1_500,
        }
    }
}

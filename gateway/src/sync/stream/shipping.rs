//! Records of calls on the push stream: a batch at a time, and again until it is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tracing::warn;

use crate::records::Records;

/// The records' part in one connection.
pub(super) struct Shipping {
    records: Arc<Records>,
    /// When the batch on its way was sent on this connection.
    sent: Option<Instant>,
}

impl Shipping {
    pub(super) fn new(records: Arc<Records>) -> Self {
        Self { records, sent: None }
    }

    /// Returns when there is more than fits into a batch. Safe to drop while it waits.
    pub(super) async fn filled(&self) {
        self.records.filled().await;
    }

    /// What is to be sent now, if anything.
    pub(super) fn due(&mut self) -> Option<Utf8Bytes> {
        if self.is_unanswered() {
            return None;
        }
        let batch = self.records.batch().unwrap_or_else(|error| {
            warn!(%error, "records of calls cannot be written as JSON and are dropped");
            None
        });
        self.sent = batch.is_some().then(Instant::now);
        batch
    }

    /// What is left is to go out now.
    pub(super) fn end(&self) {
        self.records.tallies().end();
    }

    /// True while a batch may still be acknowledged.
    pub(super) fn is_unanswered(&self) -> bool {
        self.sent.is_some_and(|sent| sent.elapsed() < SEND_AGAIN)
    }

    /// The control plane has a batch.
    pub(super) fn acknowledged(&mut self, batch: &str) {
        if self.records.acknowledged(batch) {
            self.sent = None;
        }
    }

    /// True if the next batch need not wait for its time.
    pub(super) fn has_full_batch(&self) -> bool {
        self.records.fill_a_batch()
    }
}

/// Longer than the control plane waits for its store.
const SEND_AGAIN: Duration = Duration::from_secs(15);

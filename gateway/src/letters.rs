//! Calls that failed for good, on their way into the queue. A call only hands its dead letter over; what cannot be kept is
//! lost and counted, and no client waits for any of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use tracing::{error, warn};

use crate::config::ProcessConfig;
use crate::metrics::{LetterOutcome, Metrics};
use crate::queue::{DeadArrival, Queue, QueueError};

/// Puts dead letters of calls into the queue.
#[derive(Debug)]
pub struct Letters {
    queue: Option<watch::Receiver<Option<Queue>>>,
    gateway_id: Arc<str>,
    metrics: Arc<Metrics>,
    /// Bytes of records that may wait for the control plane before calls are turned away.
    most_spooled: u64,
    /// Those that are not on disk yet.
    waiting: Arc<AtomicU64>,
}

/// A call that failed for good.
#[derive(Debug)]
pub struct Letter {
    /// What is kept of it.
    pub arrival: DeadArrival,
    /// The most dead letters of its integration.
    pub most: u32,
}

impl Letters {
    /// Of the gateway that has these settings. Without a `queue` every dead letter is lost.
    pub fn new(queue: Option<watch::Receiver<Option<Queue>>>, config: &ProcessConfig, metrics: Arc<Metrics>) -> Self {
        Self {
            queue,
            gateway_id: config.gateway_id().into(),
            metrics,
            // From three quarters on deliveries are slowed down, and no call may do that.
            most_spooled: config.queue.spool_max_bytes / 2,
            waiting: Arc::default(),
        }
    }

    /// Name of this gateway, for its dead letters.
    pub const fn gateway_id(&self) -> &Arc<str> {
        &self.gateway_id
    }

    /// Hands a dead letter to the queue, or counts it as lost. It does not wait.
    pub fn put(&self, letter: Letter) {
        let opened = self.queue.as_ref().and_then(|queue| queue.borrow().clone());
        let Some(queue) = opened else {
            return self.metrics.letter(LetterOutcome::NoQueue);
        };
        let Letter { arrival, most } = letter;
        let integration = Arc::clone(&arrival.letter.integration_config_id);
        if queue.dead_of(&integration) >= u64::from(most) {
            return self.metrics.letter(LetterOutcome::TooMany);
        }
        if queue.levels().spool_bytes >= self.most_spooled {
            return self.metrics.letter(LetterOutcome::Full);
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MOST_WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return self.metrics.letter(LetterOutcome::Busy);
        }
        // Sent to the writer here, so that a queue that is closed next has it.
        let written = queue.bury(arrival);
        let (metrics, waiting) = (Arc::clone(&self.metrics), Arc::clone(&self.waiting));
        tokio::spawn(async move {
            let outcome = match written.await {
                Ok(true) => LetterOutcome::Kept,
                Ok(false) => LetterOutcome::Repeated,
                Err(QueueError::Busy) => LetterOutcome::Busy,
                Err(QueueError::Full) => LetterOutcome::Full,
                Err(error) => {
                    warn!(%integration, %error, "a dead letter of a call is lost");
                    LetterOutcome::Failed
                }
            };
            waiting.fetch_sub(1, Ordering::Relaxed);
            metrics.letter(outcome);
        });
    }

    /// Counts a dead letter that could not be written down.
    pub fn lost_to(&self, error: &serde_json::Error) {
        error!(%error, "a dead letter of a call cannot be written down");
        self.metrics.letter(LetterOutcome::Failed);
    }
}

/// More are not let in at a time; a queue that keeps up has a few.
const MOST_WAITING: u64 = 256;

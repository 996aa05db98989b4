//! How a queue is kept.

use std::time::Duration;

use super::QueueMetrics;

/// How a queue is kept.
#[derive(Clone, Debug)]
pub struct QueueSettings {
    /// How long settled events are kept, to be replayed.
    pub retention: Duration,
    /// Bytes of the queue's files beyond which settled events go before their time.
    pub max_bytes: u64,
    /// Whether records are kept for a control plane; without one they would only pile up.
    pub records: bool,
    /// Where the queue counts.
    pub metrics: QueueMetrics,
}

impl QueueSettings {
    /// The defaults: 14 days, 10 GiB, with records.
    pub fn new(metrics: QueueMetrics) -> Self {
        Self {
            retention: Duration::from_secs(14 * 86_400),
            max_bytes: 10 << 30,
            records: true,
            metrics,
        }
    }
}

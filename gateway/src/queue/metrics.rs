//! What the queue counts.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

/// What the queue counts.
#[derive(Clone, Debug)]
pub struct QueueMetrics {
    /// Operations that one commit made durable.
    pub group_operations: Histogram,
    /// Time of a commit with its fsync, in seconds.
    pub commit_seconds: Histogram,
    /// Commits that failed.
    pub failed_commits: IntCounter,
    /// Events that were taken in.
    pub accepted: IntCounter,
    /// Repeats that were answered with the event that is kept.
    pub repeated: IntCounter,
    /// Settled events that were thrown out, by age or for room.
    pub purged: IntCounter,
    /// Deliveries that are open.
    pub open: IntGauge,
    /// Dead letters.
    pub dead: IntGauge,
    /// Bytes of the queue's files that are in use.
    pub used_bytes: IntGauge,
    /// Bytes of records that the control plane does not have yet.
    pub spool_bytes: IntGauge,
}

impl QueueMetrics {
    /// Makes and registers everything.
    ///
    /// # Errors
    /// If a metric is described wrongly or twice, which no input can cause.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name, help| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name, help| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        Ok(Self {
            group_operations: histogram(
                "gateway_queue_group_operations",
                "Operations that one commit made durable.",
                GROUP_OPERATIONS,
            )?,
            commit_seconds: histogram(
                "gateway_queue_commit_seconds",
                "Time of a commit with its fsync.",
                COMMIT_SECONDS,
            )?,
            failed_commits: counter("gateway_queue_failed_commits_total", "Commits that failed.")?,
            accepted: counter("gateway_queue_accepted_total", "Events taken in.")?,
            repeated: counter(
                "gateway_queue_repeated_total",
                "Repeats of events that were there already.",
            )?,
            purged: counter("gateway_queue_purged_total", "Settled events thrown out.")?,
            open: gauge("gateway_queue_open_deliveries", "Deliveries that are open.")?,
            dead: gauge("gateway_queue_dead_letters", "Dead letters.")?,
            used_bytes: gauge("gateway_queue_used_bytes", "Bytes of the queue's files in use.")?,
            spool_bytes: gauge(
                "gateway_queue_spool_bytes",
                "Bytes of records on their way to the control plane.",
            )?,
        })
    }
}

const GROUP_OPERATIONS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
const COMMIT_SECONDS: &[f64] = &[
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
];

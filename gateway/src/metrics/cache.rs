//! What is kept of answers, all integrations together.

use prometheus::{IntCounter, IntGauge, Registry};

use super::registered;

/// Counts of the answer cache.
#[derive(Clone, Debug)]
pub struct CacheMetrics {
    /// Answers that were kept.
    pub stored: IntCounter,
    /// Answers that went as there was no more room.
    pub evicted: IntCounter,
    /// Bytes that are kept.
    pub bytes: IntGauge,
}

impl CacheMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let stored = IntCounter::new("gateway_cache_stored_total", "Answers that were kept.")?;
        let evicted = IntCounter::new("gateway_cache_evicted_total", "Answers that went for want of room.")?;
        let bytes = IntGauge::new("gateway_cache_bytes", "Bytes of answers that are kept.")?;
        Ok(Self {
            stored: registered(registry, stored)?,
            evicted: registered(registry, evicted)?,
            bytes: registered(registry, bytes)?,
        })
    }
}

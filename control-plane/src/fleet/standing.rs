//! Gateways as those see them who watch over deliveries.

use std::sync::Arc;

use filters::model::push::EndpointStatus;
use jiff::Timestamp;

use super::Fleet;

/// Whether a gateway is there, and what it said of its endpoints.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// Its name.
    pub(crate) gateway_id: String,
    /// True while its push stream is open.
    pub(crate) connected: bool,
    /// When it was heard of last.
    pub(crate) last_seen: Timestamp,
    /// What it said last of its endpoints with undelivered events; `None` if nothing since it connected.
    pub(crate) endpoints: Option<Arc<[EndpointStatus]>>,
}

impl Fleet {
    /// All gateways, by name.
    pub(crate) fn standing(&self) -> Vec<Standing> {
        let gateways = self.gateways.lock();
        let standing = gateways.values().map(|tracked| Standing {
            gateway_id: tracked.record.gateway_id.clone(),
            connected: tracked.connection.is_some(),
            last_seen: tracked.record.last_seen,
            endpoints: tracked.endpoints.clone(),
        });
        standing.collect()
    }
}

//! Gateways as those see them who watch over deliveries.

use std::sync::Arc;

use filters::model::limits::LimitStatus;
use filters::model::push::EndpointStatus;
use jiff::{SignedDuration, Timestamp};

use super::{Fleet, Tracked};

/// Whether a gateway is there, and what it said of its endpoints.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// Its name.
    pub(crate) gateway_id: String,
    /// True while its push stream is open.
    pub(crate) connected: bool,
    /// When it was heard of last.
    pub(crate) last_seen: Timestamp,
    /// Its endpoints with undelivered events, as it said last; `None` if it has not had the time to say so since it
    /// connected.
    pub(crate) endpoints: Option<Arc<[EndpointStatus]>>,
}

impl Fleet {
    /// All gateways, by name.
    pub(crate) fn standing(&self) -> Vec<Standing> {
        let now = Timestamp::now();
        let gateways = self.gateways.lock();
        let standing = gateways.values().map(|tracked| Standing {
            gateway_id: tracked.record.gateway_id.clone(),
            connected: tracked.connection.is_some(),
            last_seen: tracked.record.last_seen,
            endpoints: tracked.heard(now),
        });
        standing.collect()
    }

    /// What each gateway that is connected here said last of limits that are used up.
    pub(crate) fn limits(&self) -> Vec<(String, Arc<[LimitStatus]>)> {
        let gateways = self.gateways.lock();
        let connected = gateways.values().filter(|tracked| tracked.connection.is_some());
        let limits = connected.map(|tracked| (tracked.record.gateway_id.clone(), Arc::clone(&tracked.limits)));
        limits.collect()
    }

    /// Has it saved that the gateways that are connected here are there, for other control planes.
    pub(crate) fn save_connected(&self) {
        if self.store.is_shared() {
            let mut gateways = self.gateways.lock();
            let connected = gateways.values_mut().filter(|tracked| tracked.connection.is_some());
            connected.for_each(|tracked| tracked.unsaved = true);
        }
    }
}

impl Tracked {
    /// A gateway without undelivered events need not say so.
    fn heard(&self, now: Timestamp) -> Option<Arc<[EndpointStatus]>> {
        let connection = self.connection.as_ref()?;
        let had_time = now.duration_since(connection.since) >= SAID_WITHIN;
        self.endpoints.clone().or_else(|| had_time.then(|| [].into()))
    }
}

/// Gateways speak of their endpoints every few seconds.
const SAID_WITHIN: SignedDuration = SignedDuration::from_secs(60);

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::super::Connection;
    use super::*;
    use crate::store::GatewayRecord;

    #[test]
    fn a_gateway_that_says_nothing_for_a_while_has_nothing_that_waits() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let mut tracked = Tracked::new(GatewayRecord {
            gateway_id: "g1".to_owned(),
            model_version: 1,
            applied: None,
            applied_at: None,
            refused: None,
            last_seen: at(0),
        });
        assert_eq!(tracked.heard(at(1_000)), None, "it is not there");
        tracked.connection = Some(Connection {
            number: 1,
            token: "t".into(),
            peer: "127.0.0.1:1".parse().unwrap(),
            since: at(1_000),
            replaced: CancellationToken::new(),
        });
        assert_eq!(tracked.heard(at(1_059)), None, "it may have something to say");
        assert_eq!(tracked.heard(at(1_060)).as_deref(), Some(&[][..]));
    }
}

//! Gateways that were taken away for good.

use filters::model::command::{CommandFailure, CommandResult};
use jiff::{SignedDuration, Timestamp};

use super::{Fleet, Tracked};
use crate::audit::AuditEntry;
use crate::store::StoreError;

/// What came of removing a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is not known any more.
    Removed,
    /// It is connected, or was just now: it would come back.
    Connected,
    /// There is no such gateway.
    Unknown,
}

impl Fleet {
    /// True for a gateway that has connected and was not removed since.
    pub(crate) fn knows(&self, gateway_id: &str) -> bool {
        self.gateways.lock().contains_key(gateway_id)
    }

    /// Forgets a gateway that is not connected, with an entry in the audit. What it was told to do and has not done, is not
    /// done any more.
    ///
    /// # Errors
    /// If the store does not work.
    pub(crate) async fn remove(&self, gateway_id: &str, audit: AuditEntry) -> Result<Removal, StoreError> {
        self.refresh().await?;
        // What is known of it is on disk before it goes: it is not written again afterwards.
        self.save().await?;
        if let Some(refusal) = self.refusal(gateway_id) {
            return Ok(refusal);
        }
        let result = CommandResult {
            done: 0,
            failed: vec![CommandFailure {
                id: gateway_id.to_owned(),
                error: "the gateway was removed before it had carried this out".to_owned(),
            }],
        };
        self.store.remove_gateway(gateway_id, &result, audit).await?;
        let mut gateways = self.gateways.lock();
        if let Some(tracked) = gateways.get_mut(gateway_id) {
            match tracked.connection {
                // It came back just now.
                Some(_) => tracked.unsaved = true,
                None => drop(gateways.remove(gateway_id)),
            }
        }
        Ok(Removal::Removed)
    }

    fn refusal(&self, gateway_id: &str) -> Option<Removal> {
        let gateways = self.gateways.lock();
        let is_there = |tracked: &Tracked| {
            let silent = Timestamp::now().duration_since(tracked.record.last_seen);
            tracked.connection.is_some() || self.store.is_shared() && silent < MAY_BE_ELSEWHERE
        };
        match gateways.get(gateway_id) {
            None => Some(Removal::Unknown),
            Some(tracked) => is_there(tracked).then_some(Removal::Connected),
        }
    }
}

/// Of gateways that are connected to other control planes it is known now and then only.
const MAY_BE_ELSEWHERE: SignedDuration = SignedDuration::from_secs(90);

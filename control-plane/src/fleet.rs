//! The gateways: who is connected, what each of them runs, and what it refused.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use filters::model::limits::LimitStatus;
use filters::model::push::{EndpointStatus, Have, VersionCounts};
use filters::model::{MODEL_VERSION, Problem};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::publish::State;
use crate::store::{GatewayRecord, MOST_GATEWAYS, Refused, Store, StoreError};

mod messages;
mod removing;
mod rolling;
mod session;
mod shown;
mod standing;

pub(crate) use messages::Messages;
pub(crate) use removing::Removal;
pub(crate) use session::{Due, Session};
pub use shown::{Gateway, Nack};
pub(crate) use standing::Standing;

/// Everything known of the gateways.
#[derive(Debug)]
pub struct Fleet {
    gateways: Mutex<BTreeMap<String, Tracked>>,
    connections: AtomicU64,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Tracked {
    record: GatewayRecord,
    connection: Option<Connection>,
    /// True where the store does not have the record as it is.
    unsaved: bool,
    requests: Option<u64>,
    in_flight: Option<u64>,
    records_dropped: Option<u64>,
    /// What it said last of its endpoints, since it connected.
    endpoints: Option<Arc<[EndpointStatus]>>,
    /// What it said last of limits that are used up, since it connected.
    limits: Arc<[LimitStatus]>,
    conflicts: u64,
    /// What it counted since it runs the version that it runs, and while it ran the one before.
    counts: Option<VersionCounts>,
    counts_before: Option<VersionCounts>,
}

#[derive(Debug)]
struct Connection {
    number: u64,
    token: Arc<str>,
    peer: SocketAddr,
    since: Timestamp,
    replaced: CancellationToken,
}

/// A gateway's place in the fleet, for as long as it is connected. Dropping it says that the gateway is gone.
#[derive(Debug)]
pub(crate) struct Member {
    fleet: Arc<Fleet>,
    gateway_id: String,
    number: u64,
    /// Cancelled when the same gateway connects anew.
    pub(crate) replaced: CancellationToken,
}

/// Why a gateway may not join.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JoinRefusal {
    #[error("gatewayId must be 1 to 128 letters, digits, `-`, `_`, `.` or `:`")]
    Name,
    #[error("a gateway with this gatewayId is connected with another token")]
    Taken,
    #[error("there are too many gateways")]
    Full,
}

impl Fleet {
    /// With the gateways that the store knows.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn load(store: Arc<Store>, metrics: Arc<Metrics>) -> Result<Self, StoreError> {
        let records = store.gateways().await?;
        let gateways = records
            .into_iter()
            .map(|record| (record.gateway_id.clone(), Tracked::new(record)));
        Ok(Self {
            gateways: Mutex::new(gateways.collect()),
            connections: AtomicU64::new(0),
            store,
            metrics,
        })
    }

    /// Takes a gateway in. One that is connected already under the same name is asked to leave.
    pub(crate) fn join(
        self: &Arc<Self>,
        gateway_id: &str,
        model_version: u32,
        have: Option<&Have>,
        token: &Arc<str>,
        peer: SocketAddr,
    ) -> Result<Member, JoinRefusal> {
        if !is_name(gateway_id) {
            return Err(JoinRefusal::Name);
        }
        let now = Timestamp::now();
        let mut gateways = self.gateways.lock();
        if !gateways.contains_key(gateway_id) && gateways.len() >= MOST_GATEWAYS as usize {
            return Err(JoinRefusal::Full);
        }
        let tracked = gateways.entry(gateway_id.to_owned()).or_insert_with(|| {
            Tracked::new(GatewayRecord {
                gateway_id: gateway_id.to_owned(),
                model_version,
                applied: None,
                applied_at: None,
                refused: None,
                last_seen: now,
            })
        });
        match &tracked.connection {
            Some(before) if before.token != *token => return Err(JoinRefusal::Taken),
            Some(before) => {
                before.replaced.cancel();
                tracked.conflicts += 1;
            }
            None => {}
        }
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let replaced = CancellationToken::new();
        tracked.connection = Some(Connection {
            number,
            token: Arc::clone(token),
            peer,
            since: now,
            replaced: replaced.clone(),
        });
        tracked.record.model_version = model_version;
        tracked.endpoints = None;
        tracked.limits = [].into();
        tracked.runs(have, now);
        self.metrics.gateway_connected();
        Ok(Member {
            fleet: Arc::clone(self),
            gateway_id: gateway_id.to_owned(),
            number,
            replaced,
        })
    }

    /// All gateways, by name, beside what they should run.
    pub fn list(&self, state: &Arc<State>) -> Vec<Gateway> {
        let now = Timestamp::now();
        self.gateways
            .lock()
            .values()
            .map(|tracked| tracked.shown(state.for_gateway(&tracked.record.gateway_id), now))
            .collect()
    }

    /// Takes over what other control planes know of gateways that are not connected here, and forgets those that were
    /// removed there.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        if !self.store.is_shared() {
            return Ok(());
        }
        let records = self.store.gateways().await?;
        let kept: BTreeSet<&str> = records.iter().map(|record| record.gateway_id.as_str()).collect();
        let mut gateways = self.gateways.lock();
        gateways.retain(|id, tracked| tracked.connection.is_some() || tracked.unsaved || kept.contains(id.as_str()));
        for record in records {
            match gateways.get_mut(&record.gateway_id) {
                Some(tracked) if tracked.connection.is_some() || tracked.unsaved => {}
                Some(tracked) => tracked.record = record,
                None => drop(gateways.insert(record.gateway_id.clone(), Tracked::new(record))),
            }
        }
        Ok(())
    }

    /// Saves what has changed, once a second, until `stop`; and once more then.
    pub async fn keep_saved(&self, stop: CancellationToken) {
        let mut works = true;
        loop {
            let stopping = tokio::select! {
                () = tokio::time::sleep(SAVE_EVERY) => false,
                () = stop.cancelled() => true,
            };
            match self.save().await {
                Ok(()) => works = true,
                Err(error) if works => {
                    tracing::warn!(%error, "what gateways run cannot be saved; it is tried again");
                    works = false;
                }
                Err(_) => {}
            }
            if stopping {
                return;
            }
        }
    }

    async fn save(&self) -> Result<(), StoreError> {
        let records: Vec<GatewayRecord> = {
            let mut gateways = self.gateways.lock();
            let unsaved = gateways.values_mut().filter(|tracked| tracked.unsaved);
            unsaved
                .map(|tracked| {
                    tracked.unsaved = false;
                    tracked.record.clone()
                })
                .collect()
        };
        if records.is_empty() {
            return Ok(());
        }
        let saved = self.store.save_gateways(&records).await;
        if saved.is_err() {
            let mut gateways = self.gateways.lock();
            for record in &records {
                if let Some(tracked) = gateways.get_mut(&record.gateway_id) {
                    tracked.unsaved = true;
                }
            }
        }
        saved
    }

    /// Calls `change` if the connection is still the gateway's newest.
    fn update(&self, member: &Member, change: impl FnOnce(&mut Tracked, Timestamp)) {
        let now = Timestamp::now();
        let mut gateways = self.gateways.lock();
        if let Some(tracked) = gateways.get_mut(&member.gateway_id)
            && tracked
                .connection
                .as_ref()
                .is_some_and(|connection| connection.number == member.number)
        {
            tracked.record.last_seen = now;
            change(tracked, now);
        }
    }
}

impl Member {
    /// It says what it runs.
    pub(crate) fn runs(&self, have: Option<&Have>) {
        self.fleet.update(self, |tracked, now| tracked.runs(have, now));
    }

    /// It took a version.
    pub(crate) fn acked(&self, have: &Have) {
        self.fleet.metrics.acked();
        self.runs(Some(have));
    }

    /// It refused a version.
    pub(crate) fn nacked(&self, version: u64, mut problems: Vec<Problem>) {
        self.fleet.metrics.nacked();
        problems.truncate(MOST_PROBLEMS);
        self.fleet.update(self, |tracked, now| {
            tracked.record.refused = Some(Refused {
                version,
                problems,
                at: now,
            });
            tracked.unsaved = true;
        });
    }

    /// It says how it is.
    pub(crate) fn status(&self, requests: u64, in_flight: u64) {
        self.fleet.update(self, |tracked, _| {
            tracked.requests = Some(requests);
            tracked.in_flight = Some(in_flight);
        });
    }

    /// It says how many records of calls it lost.
    pub(crate) fn dropped(&self, records: u64) {
        self.fleet
            .update(self, |tracked, _| tracked.records_dropped = Some(records));
    }

    /// It says how its endpoints with undelivered events stand.
    pub(crate) fn endpoints(&self, endpoints: Vec<EndpointStatus>) {
        self.fleet
            .update(self, |tracked, _| tracked.endpoints = Some(endpoints.into()));
    }

    /// It says how much of limits is used up.
    pub(crate) fn limits(&self, limits: Vec<LimitStatus>) {
        self.fleet.update(self, |tracked, _| tracked.limits = limits.into());
    }

    /// Its name.
    pub(crate) fn gateway_id(&self) -> &str {
        &self.gateway_id
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.fleet.metrics.gateway_gone();
        self.fleet.update(self, |tracked, _| {
            tracked.connection = None;
            tracked.unsaved = true;
        });
    }
}

impl Tracked {
    fn new(record: GatewayRecord) -> Self {
        Self {
            record,
            connection: None,
            unsaved: false,
            requests: None,
            in_flight: None,
            records_dropped: None,
            endpoints: None,
            limits: [].into(),
            conflicts: 0,
            counts: None,
            counts_before: None,
        }
    }

    fn runs(&mut self, have: Option<&Have>, now: Timestamp) {
        let applied = have.map(|have| (have.version, have.digest.clone()));
        if applied != self.record.applied {
            self.record.applied_at = applied.as_ref().map(|_| now);
            self.record.applied = applied;
        }
        self.record.last_seen = now;
        self.unsaved = true;
    }
}

/// Why a gateway of another model version is told nothing.
pub(crate) fn other_model(version: u32) -> Option<String> {
    (version != MODEL_VERSION).then(|| {
        format!("it speaks model version {version}, and this control plane {MODEL_VERSION}; upgrade the older of them")
    })
}

fn is_name(gateway_id: &str) -> bool {
    (1..=128).contains(&gateway_id.len())
        && gateway_id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

const SAVE_EVERY: Duration = Duration::from_secs(1);
/// Of a refused version; beyond them a longer list helps nobody.
const MOST_PROBLEMS: usize = 100;

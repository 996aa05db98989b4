//! A gateway as operators see it.

use filters::model::Problem;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Tracked, other_model};
use crate::publish::State;

/// A gateway as operators see it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// Its name.
    pub gateway_id: String,
    /// True while its push stream is open.
    pub connected: bool,
    /// Address that it is connected from.
    pub address: Option<String>,
    /// The model version that it speaks.
    pub model_version: u32,
    /// The version that it runs.
    pub applied_version: Option<u64>,
    /// Digest of that version's content.
    pub applied_digest: Option<String>,
    /// When it took that version (RFC 3339).
    pub applied_at: Option<String>,
    /// The version that it should run.
    pub target_version: u64,
    /// How many versions it is behind.
    pub lag_versions: u64,
    /// How long ago the version that it should run was made, in milliseconds; 0 if it runs that one.
    pub lag_ms: u64,
    /// The last version that it refused.
    pub last_nack: Option<Nack>,
    /// Why it is told nothing, if so.
    pub reason: Option<String>,
    /// When it was heard of last (RFC 3339).
    pub last_seen: String,
    /// Requests that it answered since its start.
    pub requests: Option<u64>,
    /// Requests that it had in flight when it was heard of last.
    pub in_flight: Option<u64>,
    /// Records of calls that it lost since its start, as it had no more room for them.
    pub records_dropped: Option<u64>,
    /// How often it connected while it was connected, since the start of the control plane. If this goes on growing, two
    /// gateways have the same name.
    pub conflicts: u64,
}

/// A version that a gateway refused.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Nack {
    /// Which one.
    pub version: u64,
    /// Everything that was wrong with it.
    pub problems: Vec<Problem>,
    /// When (RFC 3339).
    pub at: String,
}

impl Tracked {
    /// The gateway beside what it should run.
    pub(super) fn shown(&self, state: &State, now: Timestamp) -> Gateway {
        let record = &self.record;
        let target = state.snapshot.version;
        let up_to_date = record
            .applied
            .as_ref()
            .is_some_and(|(version, digest)| *version == target && *digest == state.digest);
        let applied = record.applied.as_ref();
        let age = state.at.map_or(0, |at| now.duration_since(at).as_millis());
        Gateway {
            gateway_id: record.gateway_id.clone(),
            connected: self.connection.is_some(),
            address: self.connection.as_ref().map(|connection| connection.peer.to_string()),
            model_version: record.model_version,
            applied_version: applied.map(|(version, _)| *version),
            applied_digest: applied.map(|(_, digest)| digest.clone()),
            applied_at: record.applied_at.map(|at| format!("{at:.3}")),
            target_version: target,
            lag_versions: target.saturating_sub(applied.map_or(0, |(version, _)| *version)),
            lag_ms: if up_to_date { 0 } else { u64::try_from(age).unwrap_or(0) },
            last_nack: record.refused.as_ref().map(|refused| Nack {
                version: refused.version,
                problems: refused.problems.clone(),
                at: format!("{:.3}", refused.at),
            }),
            reason: other_model(record.model_version),
            last_seen: format!("{:.3}", record.last_seen),
            requests: self.requests,
            in_flight: self.in_flight,
            records_dropped: self.records_dropped,
            conflicts: self.conflicts,
        }
    }
}

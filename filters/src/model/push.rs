//! The messages between control plane and gateway: JSON texts on one WebSocket that the gateway dials.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::delivery::DeliveryRecord;
use super::limits::LimitStatus;
pub use super::object::{Object, ObjectId, ObjectKind};
use super::problem::Problem;
use super::record::ExecutionRecord;
use super::tally::CallTally;

/// Header field in which a control plane says the [`MODEL_VERSION`](super::MODEL_VERSION) that it speaks, when a gateway
/// connects. It says nothing else to a gateway that speaks another.
pub const MODEL_VERSION_FIELD: &str = "x-model-version";

/// Reason in the close frame of a connection whose `gatewayId` has connected anew.
pub const REPLACED: &str = "the same gatewayId connected anew";

/// The most bytes of one message, in both directions: a snapshot of some hundred thousand integrations, or a dead letter
/// with the largest body that a gateway takes in.
pub const MOST_MESSAGE_BYTES: usize = 256 << 20;

/// What a gateway says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "camelCase", deny_unknown_fields)]
pub enum FromGateway {
    /// First message on a connection, and the answer to a `Change` that does not fit.
    #[serde(rename_all = "camelCase")]
    Hello {
        /// Name of the gateway, unique among those of one control plane.
        gateway_id: String,
        /// The model version that it speaks.
        model_version: u32,
        /// What it runs; `None` before its first plan.
        have: Option<Have>,
    },
    /// The version is live.
    Ack {
        /// Which one.
        version: u64,
        /// Digest of its content.
        digest: String,
    },
    /// The version was refused; the one before it stays live.
    Nack {
        /// Which one.
        version: u64,
        /// Everything that is wrong with it.
        problems: Vec<Problem>,
    },
    /// How the gateway is, sent every few seconds.
    #[serde(rename_all = "camelCase")]
    Status {
        /// Requests answered since the start.
        requests: u64,
        /// Requests in flight.
        in_flight: u64,
        /// What came of them since the version that it runs is live.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        counts: Option<VersionCounts>,
    },
    /// Records of calls. The batch is sent again until it is answered with `Recorded`.
    Records {
        /// Name of the batch: a version 7 UUID.
        batch: String,
        /// Records lost since the gateway's start, as there was no more room for them.
        dropped: u64,
        /// The records, at most 500.
        records: Vec<ExecutionRecord>,
        /// Counts of calls, recorded or not, at most 1,000.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tallies: Vec<CallTally>,
    },
    /// What became of deliveries and commands, in the order in which it happened. The batch is sent again until it is
    /// answered with `Settled`.
    #[serde(rename_all = "camelCase")]
    Outcomes {
        /// The place of its last record in the gateway's spool.
        up_to: i64,
        /// The records.
        records: Vec<DeliveryRecord>,
    },
    /// How deliveries stand, sent every few seconds.
    Deliveries {
        /// Endpoints with undelivered events, those with most first; at most 500.
        endpoints: Vec<EndpointStatus>,
    },
    /// How much of limits is used up, sent every few seconds.
    Limits {
        /// Limits of which something is used up, those of which least is left first; at most 500.
        limits: Vec<LimitStatus>,
    },
}

/// What came of the requests that were served by one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VersionCounts {
    /// The version.
    pub version: u64,
    /// All requests.
    pub total: Counts,
    /// Those of integrations of which some failed, those with most failures first; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub integrations: Vec<IntegrationCounts>,
}

/// What came of the requests of one integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IntegrationCounts {
    /// The integration.
    pub id: Arc<str>,
    /// Its requests.
    pub counts: Counts,
}

/// Requests, and how many of them failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counts {
    /// All of them.
    pub requests: u64,
    /// Those that failed: answered with 500 or above, or refused by the gateway itself for another reason than load.
    pub failed: u64,
}

impl Counts {
    /// Adds those of another part.
    pub fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

/// An endpoint with undelivered events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointStatus {
    /// The subscription.
    pub integration_config_id: Arc<str>,
    /// Organization.
    pub org_id: u64,
    /// Deliveries that are not settled.
    pub open: u64,
    /// When the oldest of their events was accepted (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<String>,
    /// Why they are not delivered yet: `working`, `rateLimited`, `waiting` (the endpoint asked for a pause), `halfOpen`,
    /// `circuitOpen`, `paused`, `disabled`, `deactivated`, `inactive`, `missing`, `unknown`.
    pub state: String,
    /// The reason of that state, or the last failure, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the next attempt is due (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<String>,
}

/// What the control plane says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "camelCase", deny_unknown_fields)]
pub enum FromControlPlane {
    /// Everything, at one version.
    Snapshot {
        /// Position in the sequence of versions.
        version: u64,
        /// Every object.
        put: Vec<Object>,
        /// True for a version that not all gateways have yet.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        trial: bool,
    },
    /// The difference between two versions.
    Change {
        /// The version that it builds on.
        from: u64,
        /// The version that it makes.
        to: u64,
        /// Objects that are new or changed.
        put: Vec<Object>,
        /// Objects that are gone.
        delete: Vec<ObjectId>,
        /// True for a version that not all gateways have yet: where it fails a request, the one before serves it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        trial: bool,
    },
    /// A batch of records is on disk.
    Recorded {
        /// Its name.
        batch: String,
    },
    /// A batch of outcomes is on disk.
    #[serde(rename_all = "camelCase")]
    Settled {
        /// Its last record.
        up_to: i64,
    },
    /// Something to do. It is said again, at each connect, until an outcome `commanded` names it.
    Command {
        /// Identifier: a version 7 UUID.
        id: String,
        /// What to do.
        command: Command,
    },
}

/// What a gateway runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Have {
    /// Position in the sequence of versions.
    pub version: u64,
    /// Digest of the content.
    pub digest: String,
}

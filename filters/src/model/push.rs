//! The messages between control plane and gateway: JSON texts on one WebSocket that the gateway dials.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::integration::InboundIntegration;
use super::organization::Organization;
use super::problem::Problem;
use super::record::ExecutionRecord;
use super::snapshot::{Entry, Security, Snapshot};

/// Reason in the close frame of a connection whose `gatewayId` has connected anew.
pub const REPLACED: &str = "the same gatewayId connected anew";

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
    },
    /// Records of calls. The batch is sent again until it is answered with `Recorded`.
    Records {
        /// Name of the batch: a version 7 UUID.
        batch: String,
        /// Records lost since the gateway's start, as there was no more room for them.
        dropped: u64,
        /// The records, at most 500.
        records: Vec<ExecutionRecord>,
    },
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
    },
    /// A batch of records is on disk.
    Recorded {
        /// Its name.
        batch: String,
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

/// One object of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "camelCase", deny_unknown_fields)]
pub enum Object {
    /// The rules for connections.
    Security(Security),
    /// An organization.
    Organization(Arc<Organization>),
    /// An inbound integration.
    Integration(Arc<InboundIntegration>),
}

/// Names an object of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "camelCase", deny_unknown_fields)]
pub enum ObjectId {
    /// An organization, by number.
    Organization(u64),
    /// An inbound integration, by identifier.
    Integration(Arc<str>),
}

impl Snapshot {
    /// Every object of the snapshot.
    pub fn objects(&self) -> Vec<Object> {
        let organizations = self
            .organizations
            .values()
            .map(|entry| Object::Organization(Arc::clone(&entry.value)));
        let integrations = self
            .integrations
            .values()
            .map(|entry| Object::Integration(Arc::clone(&entry.value)));
        std::iter::once(Object::Security(self.security))
            .chain(organizations)
            .chain(integrations)
            .collect()
    }

    /// The snapshot at `version` that holds exactly these objects.
    pub fn from_objects(version: u64, put: Vec<Object>) -> Self {
        Self::default().changed(version, put, &[])
    }

    /// The next snapshot: this one with objects put and deleted. Unchanged objects are shared.
    #[must_use]
    pub fn changed(&self, version: u64, put: Vec<Object>, delete: &[ObjectId]) -> Self {
        let mut next = self.clone();
        next.version = version;
        for id in delete {
            match id {
                ObjectId::Organization(id) => drop(next.organizations.remove(id)),
                ObjectId::Integration(id) => drop(next.integrations.remove(id)),
            }
        }
        for object in put {
            match object {
                Object::Security(security) => next.security = security,
                Object::Organization(value) => {
                    next.organizations.insert(value.org_id, Entry::of(value));
                }
                Object::Integration(value) => {
                    next.integrations.insert(value.id.as_str().into(), Entry::of(value));
                }
            }
        }
        next
    }
}

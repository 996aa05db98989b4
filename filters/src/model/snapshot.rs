//! The whole configuration of a gateway, as data.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::certificate::Certificate;
use super::consumer::Consumer;
use super::decode;
use super::event_type::EventType;
use super::integration::InboundIntegration;
use super::lookup::Lookup;
use super::object::{ObjectId, ObjectKind};
use super::organization::Organization;
use super::outbound::OutboundIntegration;
use super::problem::Problem;
use super::producer::ProducerKey;
use super::unit::OrgUnit;

/// Rules for every connection to a partner. The strict values are the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Security {
    /// Refuses targets in private networks, unless the organization is allowed the range.
    pub block_private_networks: bool,
    /// Refuses targets without TLS.
    pub enforce_https: bool,
}

impl Default for Security {
    fn default() -> Self {
        Self {
            block_private_networks: true,
            enforce_https: true,
        }
    }
}

/// An object of a snapshot, shared between the versions that hold it unchanged, with the digest of its content.
#[derive(Debug)]
pub struct Entry<T> {
    /// The object.
    pub value: Arc<T>,
    /// SHA-256 of its JSON.
    pub digest: [u8; 32],
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            digest: self.digest,
        }
    }
}

impl<T: Serialize> Entry<T> {
    /// Wraps an object and computes its digest.
    pub fn new(value: T) -> Self {
        Self::of(Arc::new(value))
    }

    /// The same for an object that is shared already.
    pub fn of(value: Arc<T>) -> Self {
        let json = serde_json::to_vec(&*value).expect("model types have text keys and serialize without fail");
        Self {
            digest: Sha256::digest(&json).into(),
            value,
        }
    }
}

/// The whole configuration, at one version. Cloning shares the objects.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Position in the control plane's one sequence of versions; 0 for a file.
    pub version: u64,
    /// Rules for every connection to a partner.
    pub security: Security,
    /// Organizations by number.
    pub organizations: BTreeMap<u64, Entry<Organization>>,
    /// Units of organizations by number.
    pub units: BTreeMap<u64, Entry<OrgUnit>>,
    /// Types of events by identifier.
    pub event_types: BTreeMap<Arc<str>, Entry<EventType>>,
    /// Producers' keys by identifier.
    pub producer_keys: BTreeMap<Arc<str>, Entry<ProducerKey>>,
    /// Inbound integrations by identifier.
    pub integrations: BTreeMap<Arc<str>, Entry<InboundIntegration>>,
    /// Outbound integrations by identifier.
    pub outbound: BTreeMap<Arc<str>, Entry<OutboundIntegration>>,
    /// Certificates of the listeners by identifier.
    pub certificates: BTreeMap<Arc<str>, Entry<Certificate>>,
    /// Lookup tables by identifier.
    pub lookups: BTreeMap<Arc<str>, Entry<Lookup>>,
    /// Client systems by identifier.
    pub consumers: BTreeMap<Arc<str>, Entry<Consumer>>,
}

impl Snapshot {
    /// Digest of the content, whatever the version: 64 hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update([
            u8::from(self.security.block_private_networks),
            u8::from(self.security.enforce_https),
        ]);
        for (id, entry) in &self.organizations {
            hash.update(id.to_be_bytes());
            hash.update(entry.digest);
        }
        for (id, entry) in &self.integrations {
            hash.update(id.as_bytes());
            hash.update(entry.digest);
        }
        for (rid, entry) in &self.units {
            hash.update(b"unit");
            hash.update(rid.to_be_bytes());
            hash.update(entry.digest);
        }
        add(&mut hash, b"event type", &self.event_types);
        add(&mut hash, b"producer key", &self.producer_keys);
        add(&mut hash, b"outbound", &self.outbound);
        add(&mut hash, b"certificate", &self.certificates);
        add(&mut hash, b"lookup", &self.lookups);
        add(&mut hash, b"consumer", &self.consumers);
        hex::encode(hash.finalize())
    }

    /// Reads a document `{security?, organizations?, units?, eventTypes?, producerKeys?, certificates?, lookups?,
    /// integrations?, consumers?}`. Objects without an `id` get one made of their organization and name, so that a file need
    /// not give it.
    ///
    /// # Errors
    /// Every problem of the document's shape, with paths such as `integrations[2].targetUrl`.
    pub fn from_document(document: &Value) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let file: Option<SnapshotFile> = decode::from_value(document, "", &mut problems);
        let Some(file) = file else {
            return Err(problems);
        };
        let mut snapshot = Self {
            security: file.security,
            ..Self::default()
        };
        let lists = [
            ("organizations", &file.organizations, ObjectKind::Organization),
            ("units", &file.units, ObjectKind::Unit),
            ("eventTypes", &file.event_types, ObjectKind::EventType),
            ("producerKeys", &file.producer_keys, ObjectKind::ProducerKey),
            ("certificates", &file.certificates, ObjectKind::Certificate),
            ("lookups", &file.lookups, ObjectKind::Lookup),
            ("integrations", &file.integrations, ObjectKind::Integration),
            ("consumers", &file.consumers, ObjectKind::Consumer),
        ];
        for (list, values, kind) in lists {
            for (index, value) in values.iter().enumerate() {
                let path = format!("{list}[{index}]");
                let Some(object) = kind.directed(value).read(value, &path, &mut problems) else {
                    continue;
                };
                let is_there = object.id().filter(|id| snapshot.object(id).is_some());
                match is_there {
                    Some(id) => problems.push(id.twice(&path)),
                    None => snapshot.put(object),
                }
            }
        }
        if problems.is_empty() {
            Ok(snapshot)
        } else {
            Err(problems)
        }
    }
}

fn add<T>(hash: &mut Sha256, kind: &[u8], entries: &BTreeMap<Arc<str>, Entry<T>>) {
    for (id, entry) in entries {
        hash.update(kind);
        hash.update(id.as_bytes());
        hash.update(entry.digest);
    }
}

impl ObjectKind {
    /// Integrations of a file are outbound where their `direction` says so.
    fn directed(self, value: &Value) -> Self {
        let outbound = || value.get("direction").is_some_and(|direction| direction == "OUTBOUND");
        match self {
            Self::Integration if outbound() => Self::Outbound,
            other => other,
        }
    }
}

impl ObjectId {
    fn twice(&self, path: &str) -> Problem {
        match self {
            Self::Organization(id) => Problem::new(format!("{path}.orgId"), format!("{id} is there twice")),
            Self::Unit(rid) => Problem::new(format!("{path}.rid"), format!("{rid} is there twice")),
            Self::Integration(id)
            | Self::Outbound(id)
            | Self::EventType(id)
            | Self::ProducerKey(id)
            | Self::Certificate(id)
            | Self::Lookup(id)
            | Self::Consumer(id) => Problem::new(
                path,
                format!("the id {id} is there twice; give each object its own `id`, `type` or name"),
            ),
        }
    }
}

/// A snapshot as a file. Its objects are read one by one, so that each reports all of its problems.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct SnapshotFile {
    security: Security,
    organizations: Vec<Value>,
    units: Vec<Value>,
    event_types: Vec<Value>,
    producer_keys: Vec<Value>,
    certificates: Vec<Value>,
    lookups: Vec<Value>,
    integrations: Vec<Value>,
    consumers: Vec<Value>,
}

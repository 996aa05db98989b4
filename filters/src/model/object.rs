//! The objects of a snapshot, one by one: as they travel to gateways, and as they are stored and written in files.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::certificate::Certificate;
use super::consumer::Consumer;
use super::decode;
use super::event_type::EventType;
use super::integration::InboundIntegration;
use super::lookup::Lookup;
use super::organization::Organization;
use super::outbound::OutboundIntegration;
use super::problem::Problem;
use super::producer::ProducerKey;
use super::snapshot::{Entry, Security, Snapshot};
use super::unit::OrgUnit;

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
    /// An outbound integration.
    Outbound(Arc<OutboundIntegration>),
    /// A type of events.
    EventType(Arc<EventType>),
    /// A unit of an organization.
    Unit(Arc<OrgUnit>),
    /// A producer's key.
    ProducerKey(Arc<ProducerKey>),
    /// A certificate of the listeners.
    Certificate(Arc<Certificate>),
    /// A lookup table.
    Lookup(Arc<Lookup>),
    /// A client system.
    Consumer(Arc<Consumer>),
}

/// Names an object of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "camelCase", deny_unknown_fields)]
pub enum ObjectId {
    /// An organization, by number.
    Organization(u64),
    /// An inbound integration, by identifier.
    Integration(Arc<str>),
    /// An outbound integration, by identifier.
    Outbound(Arc<str>),
    /// A type of events, by identifier.
    EventType(Arc<str>),
    /// A unit, by number.
    Unit(u64),
    /// A producer's key, by identifier.
    ProducerKey(Arc<str>),
    /// A certificate, by identifier.
    Certificate(Arc<str>),
    /// A lookup table, by identifier.
    Lookup(Arc<str>),
    /// A client system, by identifier.
    Consumer(Arc<str>),
}

/// Kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ObjectKind {
    /// The rules for connections.
    Security,
    /// An organization.
    Organization,
    /// An inbound integration.
    Integration,
    /// An outbound integration.
    Outbound,
    /// A type of events.
    EventType,
    /// A unit of an organization.
    Unit,
    /// A producer's key.
    ProducerKey,
    /// A certificate of the listeners.
    Certificate,
    /// A lookup table.
    Lookup,
    /// A client system.
    Consumer,
}

impl Object {
    /// Its name among the objects of a snapshot; `None` for the rules, of which there is one.
    pub fn id(&self) -> Option<ObjectId> {
        Some(match self {
            Self::Security(_) => return None,
            Self::Organization(value) => ObjectId::Organization(value.org_id),
            Self::Integration(value) => ObjectId::Integration(value.id.as_str().into()),
            Self::Outbound(value) => ObjectId::Outbound(value.id.as_str().into()),
            Self::EventType(value) => ObjectId::EventType(value.id.as_str().into()),
            Self::Unit(value) => ObjectId::Unit(value.rid),
            Self::ProducerKey(value) => ObjectId::ProducerKey(value.id.as_str().into()),
            Self::Certificate(value) => ObjectId::Certificate(value.id.as_str().into()),
            Self::Lookup(value) => ObjectId::Lookup(value.id.as_str().into()),
            Self::Consumer(value) => ObjectId::Consumer(value.id.as_str().into()),
        })
    }

    /// The organization that it belongs to; `None` for the rules.
    pub fn org_id(&self) -> Option<u64> {
        Some(match self {
            Self::Security(_) => return None,
            Self::Organization(value) => value.org_id,
            Self::Integration(value) => value.org_id,
            Self::Outbound(value) => value.org_id,
            Self::EventType(value) => value.org_id,
            Self::Unit(value) => value.org_id,
            Self::ProducerKey(value) => value.org_id,
            Self::Certificate(value) => value.org_id,
            Self::Lookup(value) => value.org_id,
            Self::Consumer(value) => value.org_id,
        })
    }

    /// Its kind.
    pub fn kind(&self) -> ObjectKind {
        match self {
            Self::Security(_) => ObjectKind::Security,
            Self::Organization(_) => ObjectKind::Organization,
            Self::Integration(_) => ObjectKind::Integration,
            Self::Outbound(_) => ObjectKind::Outbound,
            Self::EventType(_) => ObjectKind::EventType,
            Self::Unit(_) => ObjectKind::Unit,
            Self::ProducerKey(_) => ObjectKind::ProducerKey,
            Self::Certificate(_) => ObjectKind::Certificate,
            Self::Lookup(_) => ObjectKind::Lookup,
            Self::Consumer(_) => ObjectKind::Consumer,
        }
    }

    /// A copy for people and logs, with the mask in the place of each secret.
    #[must_use]
    pub fn masked(&self) -> Self {
        match self {
            Self::Integration(value) => Self::Integration(Arc::new(value.masked())),
            Self::Outbound(value) => Self::Outbound(Arc::new(value.masked())),
            Self::ProducerKey(value) => Self::ProducerKey(Arc::new(value.masked())),
            Self::Certificate(value) => Self::Certificate(Arc::new(value.masked())),
            Self::Consumer(value) => Self::Consumer(Arc::new(value.masked())),
            Self::Security(_) | Self::Organization(_) | Self::EventType(_) | Self::Unit(_) | Self::Lookup(_) => {
                self.clone()
            }
        }
    }

    /// Puts the secrets of the stored `previous` version back where this one carries the mask.
    pub fn restore_secrets(&mut self, previous: &Self) {
        match (self, previous) {
            (Self::Integration(value), Self::Integration(old)) => Arc::make_mut(value).restore_secrets(old),
            (Self::Outbound(value), Self::Outbound(old)) => Arc::make_mut(value).restore_secrets(old),
            (Self::ProducerKey(value), Self::ProducerKey(old)) => Arc::make_mut(value).restore_secrets(old),
            (Self::Certificate(value), Self::Certificate(old)) => Arc::make_mut(value).restore_secrets(old),
            (Self::Consumer(value), Self::Consumer(old)) => Arc::make_mut(value).restore_secrets(old),
            _ => {}
        }
    }
}

impl ObjectKind {
    /// All of them, each after those that it may name.
    pub const ALL: [Self; 10] = [
        Self::Security,
        Self::Organization,
        Self::Unit,
        Self::EventType,
        Self::ProducerKey,
        Self::Certificate,
        Self::Lookup,
        Self::Integration,
        Self::Outbound,
        Self::Consumer,
    ];

    /// Its name in messages and stores.
    pub fn name(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Organization => "organization",
            Self::Integration => "integration",
            Self::Outbound => "outbound",
            Self::EventType => "eventType",
            Self::Unit => "unit",
            Self::ProducerKey => "producerKey",
            Self::Certificate => "certificate",
            Self::Lookup => "lookup",
            Self::Consumer => "consumer",
        }
    }

    /// The kind of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Reads `value` as an object of this kind. One without an `id` gets one made of its organization and name, so that
    /// a file need not give it. `None` with the problems, at paths below `path`, if it does not read.
    pub fn read(self, value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<Object> {
        Some(match self {
            Self::Security => Object::Security(decode::from_value(value, path, problems)?),
            Self::Organization => Object::Organization(decode::from_value(value, path, problems)?),
            Self::Unit => Object::Unit(decode::from_value(value, path, problems)?),
            Self::EventType => {
                let mut read: EventType = decode::from_value(value, path, problems)?;
                fill(&mut read.id, read.org_id, &read.event_type);
                Object::EventType(Arc::new(read))
            }
            Self::ProducerKey => {
                let mut read: ProducerKey = decode::from_value(value, path, problems)?;
                fill(&mut read.id, read.org_id, &read.name);
                Object::ProducerKey(Arc::new(read))
            }
            Self::Certificate => {
                let mut read: Certificate = decode::from_value(value, path, problems)?;
                fill(&mut read.id, read.org_id, &read.name);
                Object::Certificate(Arc::new(read))
            }
            Self::Lookup => {
                let mut read: Lookup = decode::from_value(value, path, problems)?;
                fill(&mut read.id, read.org_id, &read.name);
                Object::Lookup(Arc::new(read))
            }
            Self::Consumer => {
                let mut read: Consumer = decode::from_value(value, path, problems)?;
                fill(&mut read.id, read.org_id, &read.name);
                Object::Consumer(Arc::new(read))
            }
            Self::Integration => {
                let mut read: InboundIntegration = decode::from_value(value, path, problems)?;
                fill(&mut read.id, read.org_id, &read.kind);
                Object::Integration(Arc::new(read))
            }
            Self::Outbound => {
                let mut read: OutboundIntegration = decode::from_value(value, path, problems)?;
                fill(&mut read.id, read.org_id, &read.name);
                Object::Outbound(Arc::new(read))
            }
        })
    }
}

fn fill(id: &mut String, org_id: u64, name: &str) {
    if id.is_empty() {
        // As identifiers stand in paths of the API, they have fewer characters than names.
        let plain = |c: char| match c {
            '.' | '_' => c,
            c if c.is_ascii_alphanumeric() => c,
            _ => '-',
        };
        let made = format!("{org_id}-{}", name.trim())
            .chars()
            .map(plain)
            .take(100)
            .collect();
        *id = made;
    }
}

impl ObjectId {
    /// The object of `kind` whose identifier is written as `text`; `None` for the rules, and where it must be a number
    /// and is not.
    pub fn of(kind: ObjectKind, text: &str) -> Option<Self> {
        match kind {
            ObjectKind::Security => None,
            ObjectKind::Organization => text.parse().ok().map(Self::Organization),
            ObjectKind::Unit => text.parse().ok().map(Self::Unit),
            ObjectKind::Integration => Some(Self::Integration(text.into())),
            ObjectKind::Outbound => Some(Self::Outbound(text.into())),
            ObjectKind::EventType => Some(Self::EventType(text.into())),
            ObjectKind::ProducerKey => Some(Self::ProducerKey(text.into())),
            ObjectKind::Certificate => Some(Self::Certificate(text.into())),
            ObjectKind::Lookup => Some(Self::Lookup(text.into())),
            ObjectKind::Consumer => Some(Self::Consumer(text.into())),
        }
    }

    /// Kind of the object.
    pub fn kind(&self) -> ObjectKind {
        match self {
            Self::Organization(_) => ObjectKind::Organization,
            Self::Integration(_) => ObjectKind::Integration,
            Self::Outbound(_) => ObjectKind::Outbound,
            Self::EventType(_) => ObjectKind::EventType,
            Self::Unit(_) => ObjectKind::Unit,
            Self::ProducerKey(_) => ObjectKind::ProducerKey,
            Self::Certificate(_) => ObjectKind::Certificate,
            Self::Lookup(_) => ObjectKind::Lookup,
            Self::Consumer(_) => ObjectKind::Consumer,
        }
    }

    /// Its identifier as text.
    pub fn text(&self) -> String {
        match self {
            Self::Organization(number) | Self::Unit(number) => number.to_string(),
            Self::Integration(id)
            | Self::Outbound(id)
            | Self::EventType(id)
            | Self::ProducerKey(id)
            | Self::Certificate(id)
            | Self::Lookup(id)
            | Self::Consumer(id) => id.to_string(),
        }
    }

    /// Where problems of a snapshot find the object, as `organizations[7]` or `integrations["appointments"]`.
    pub fn path(&self) -> String {
        match self {
            Self::Organization(number) => format!("organizations[{number}]"),
            Self::Unit(number) => format!("units[{number}]"),
            Self::Integration(id) | Self::Outbound(id) => format!("integrations[\"{id}\"]"),
            Self::EventType(id) => format!("eventTypes[\"{id}\"]"),
            Self::ProducerKey(id) => format!("producerKeys[\"{id}\"]"),
            Self::Certificate(id) => format!("certificates[\"{id}\"]"),
            Self::Lookup(id) => format!("lookups[\"{id}\"]"),
            Self::Consumer(id) => format!("consumers[\"{id}\"]"),
        }
    }
}

/// The object for people, as `integration "appointments"`.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization(number) => write!(f, "organization {number}"),
            Self::Unit(number) => write!(f, "unit {number}"),
            Self::Integration(id) => write!(f, "integration {id:?}"),
            Self::Outbound(id) => write!(f, "outbound integration {id:?}"),
            Self::EventType(id) => write!(f, "event type {id:?}"),
            Self::ProducerKey(id) => write!(f, "producer key {id:?}"),
            Self::Certificate(id) => write!(f, "certificate {id:?}"),
            Self::Lookup(id) => write!(f, "lookup table {id:?}"),
            Self::Consumer(id) => write!(f, "consumer {id:?}"),
        }
    }
}

impl Snapshot {
    /// Every object of the snapshot.
    pub fn objects(&self) -> Vec<Object> {
        let security = std::iter::once(Object::Security(self.security));
        security
            .chain(shared(&self.organizations).map(Object::Organization))
            .chain(shared(&self.units).map(Object::Unit))
            .chain(shared(&self.event_types).map(Object::EventType))
            .chain(shared(&self.producer_keys).map(Object::ProducerKey))
            .chain(shared(&self.certificates).map(Object::Certificate))
            .chain(shared(&self.lookups).map(Object::Lookup))
            .chain(shared(&self.integrations).map(Object::Integration))
            .chain(shared(&self.outbound).map(Object::Outbound))
            .chain(shared(&self.consumers).map(Object::Consumer))
            .collect()
    }

    /// The object `id`, if it is there.
    pub fn object(&self, id: &ObjectId) -> Option<Object> {
        match id {
            ObjectId::Organization(id) => found(&self.organizations, id).map(Object::Organization),
            ObjectId::Integration(id) => found(&self.integrations, id).map(Object::Integration),
            ObjectId::Outbound(id) => found(&self.outbound, id).map(Object::Outbound),
            ObjectId::EventType(id) => found(&self.event_types, id).map(Object::EventType),
            ObjectId::Unit(id) => found(&self.units, id).map(Object::Unit),
            ObjectId::ProducerKey(id) => found(&self.producer_keys, id).map(Object::ProducerKey),
            ObjectId::Certificate(id) => found(&self.certificates, id).map(Object::Certificate),
            ObjectId::Lookup(id) => found(&self.lookups, id).map(Object::Lookup),
            ObjectId::Consumer(id) => found(&self.consumers, id).map(Object::Consumer),
        }
    }

    /// The snapshot at `version` that holds exactly these objects.
    pub fn from_objects(version: u64, put: Vec<Object>) -> Self {
        Self::default().changed(version, put, &[])
    }

    /// This snapshot with a change on top; what is unchanged is shared.
    #[must_use]
    pub fn changed(&self, version: u64, put: Vec<Object>, delete: &[ObjectId]) -> Self {
        let mut next = self.clone();
        next.version = version;
        for id in delete {
            match id {
                ObjectId::Organization(id) => drop(next.organizations.remove(id)),
                ObjectId::Integration(id) => drop(next.integrations.remove(id)),
                ObjectId::Outbound(id) => drop(next.outbound.remove(id)),
                ObjectId::EventType(id) => drop(next.event_types.remove(id)),
                ObjectId::Unit(id) => drop(next.units.remove(id)),
                ObjectId::ProducerKey(id) => drop(next.producer_keys.remove(id)),
                ObjectId::Certificate(id) => drop(next.certificates.remove(id)),
                ObjectId::Lookup(id) => drop(next.lookups.remove(id)),
                ObjectId::Consumer(id) => drop(next.consumers.remove(id)),
            }
        }
        for object in put {
            next.put(object);
        }
        next
    }

    /// Puts one object in the place of the one of the same identity, if there is one.
    pub fn put(&mut self, object: Object) {
        match object {
            Object::Security(security) => self.security = security,
            Object::Organization(value) => drop(self.organizations.insert(value.org_id, Entry::of(value))),
            Object::Unit(value) => drop(self.units.insert(value.rid, Entry::of(value))),
            Object::Integration(value) => {
                drop(self.integrations.insert(value.id.as_str().into(), Entry::of(value)));
            }
            Object::Outbound(value) => drop(self.outbound.insert(value.id.as_str().into(), Entry::of(value))),
            Object::EventType(value) => {
                drop(self.event_types.insert(value.id.as_str().into(), Entry::of(value)));
            }
            Object::ProducerKey(value) => {
                drop(self.producer_keys.insert(value.id.as_str().into(), Entry::of(value)));
            }
            Object::Certificate(value) => {
                drop(self.certificates.insert(value.id.as_str().into(), Entry::of(value)));
            }
            Object::Lookup(value) => {
                drop(self.lookups.insert(value.id.as_str().into(), Entry::of(value)));
            }
            Object::Consumer(value) => {
                drop(self.consumers.insert(value.id.as_str().into(), Entry::of(value)));
            }
        }
    }
}

fn shared<K, V>(entries: &BTreeMap<K, Entry<V>>) -> impl Iterator<Item = Arc<V>> {
    entries.values().map(|entry| Arc::clone(&entry.value))
}

fn found<K: Ord + Borrow<Q>, Q: Ord + ?Sized, V>(entries: &BTreeMap<K, Entry<V>>, id: &Q) -> Option<Arc<V>> {
    entries.get(id).map(|entry| Arc::clone(&entry.value))
}

//! Objects in lists by kind, as files have them.

use std::sync::Arc;

use filters::model::push::Object;
use filters::model::{
    Certificate, Consumer, EventType, InboundIntegration, Lookup, OrgUnit, Organization, OutboundIntegration,
    ProducerKey,
};
use schemars::JsonSchema;
use serde::Serialize;

/// Objects in the lists of a file; secrets are masked.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Lists {
    /// Organizations by number.
    organizations: Vec<Organization>,
    /// Units by number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    units: Vec<OrgUnit>,
    /// Types of events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    event_types: Vec<EventType>,
    /// Producers' keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    producer_keys: Vec<ProducerKey>,
    /// Certificates of the listeners.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<Certificate>,
    /// Lookup tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lookups: Vec<Arc<Lookup>>,
    /// Inbound and outbound integrations, as their `direction` says.
    integrations: Vec<Integration>,
    /// Client systems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    consumers: Vec<Consumer>,
}

/// An integration of either direction.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Integration {
    Inbound(Box<InboundIntegration>),
    Outbound(Box<OutboundIntegration>),
}

impl Lists {
    /// Adds a copy of `object` without its secrets. The rules for connections are in no list.
    pub(super) fn push(&mut self, object: &Object) {
        match object {
            Object::Security(_) => {}
            Object::Organization(value) => self.organizations.push((**value).clone()),
            Object::Unit(value) => self.units.push((**value).clone()),
            Object::EventType(value) => self.event_types.push((**value).clone()),
            Object::ProducerKey(value) => self.producer_keys.push(value.masked()),
            Object::Certificate(value) => self.certificates.push(value.masked()),
            Object::Lookup(value) => self.lookups.push(Arc::clone(value)),
            Object::Consumer(value) => self.consumers.push(value.masked()),
            Object::Integration(value) => self.integrations.push(Integration::Inbound(Box::new(value.masked()))),
            Object::Outbound(value) => self.integrations.push(Integration::Outbound(Box::new(value.masked()))),
        }
    }
}

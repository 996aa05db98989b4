//! The part of a plan that events are decided by: who may hand them over, of which types, and who gets them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::AHashMap;

use crate::auth::sha256;
use crate::event::{Event, Payload};
use crate::model::{Entry, EventType, OrgUnit, ProducerKey, Security};
use crate::schema::Schema;
use crate::subscription::{Index, Matched, Subscription};

/// Producers, event types and subscriptions, compiled. What a new version leaves unchanged is shared with the plan before.
#[derive(Debug, Default)]
pub struct EventPlan {
    pub(crate) security: Security,
    /// Subscriptions by slot. One keeps its slot from version to version; empty slots are reused.
    pub(crate) subscriptions: Vec<Option<Arc<Subscription>>>,
    pub(crate) slots: AHashMap<Arc<str>, usize>,
    /// Subscriptions by organization.
    pub(crate) indexes: AHashMap<u64, Arc<Index>>,
    pub(crate) types: Arc<Types>,
    pub(crate) producers: Arc<Producers>,
    pub(crate) units: Arc<Units>,
}

/// A compiled event type.
#[derive(Debug)]
pub struct TypePlan {
    /// Identifier.
    pub id: Arc<str>,
    /// Organization.
    pub org_id: u64,
    /// Its name.
    pub name: Arc<str>,
    /// Its action id.
    pub action_id: Option<i64>,
    /// What payloads must be like.
    pub schema: Option<Schema>,
    pub(crate) digest: [u8; 32],
}

/// Who a producer's key belongs to.
#[derive(Debug)]
pub struct Producer {
    /// Identifier of the key.
    pub id: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The organization whose events it may hand over.
    pub org_id: u64,
}

/// All event types.
#[derive(Debug, Default)]
pub(crate) struct Types {
    pub(crate) by_id: BTreeMap<Arc<str>, Arc<TypePlan>>,
    organizations: AHashMap<u64, OrganizationTypes>,
}

#[derive(Debug, Default)]
struct OrganizationTypes {
    by_name: AHashMap<Arc<str>, Arc<TypePlan>>,
    by_action: AHashMap<i64, Arc<TypePlan>>,
}

/// All producers' keys.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    pub(crate) entries: BTreeMap<Arc<str>, Entry<ProducerKey>>,
    /// By the SHA-256 of the key.
    pub(crate) by_digest: AHashMap<[u8; 32], Arc<Producer>>,
}

/// All units.
#[derive(Debug, Default)]
pub(crate) struct Units {
    pub(crate) entries: BTreeMap<u64, Entry<OrgUnit>>,
    /// How many an organization has.
    pub(crate) counts: AHashMap<u64, usize>,
}

impl EventPlan {
    /// Whose key `key` is; `None` if it is unknown or not active. It is looked up by its hash, so that the time that this
    /// takes says nothing of it.
    pub fn producer(&self, key: &str) -> Option<&Arc<Producer>> {
        self.producers.by_digest.get(&sha256(key.as_bytes()))
    }

    /// The event type `name` of an organization.
    pub fn event_type(&self, org_id: u64, name: &str) -> Option<&Arc<TypePlan>> {
        self.types.organizations.get(&org_id)?.by_name.get(name)
    }

    /// The event type with an action id.
    pub fn action(&self, org_id: u64, action_id: i64) -> Option<&Arc<TypePlan>> {
        self.types.organizations.get(&org_id)?.by_action.get(&action_id)
    }

    /// All subscriptions, in the order of their slots.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Arc<Subscription>> {
        self.subscriptions.iter().flatten()
    }

    /// One more than the largest slot of a subscription.
    pub fn slots(&self) -> usize {
        self.subscriptions.len()
    }

    /// The subscription `id`.
    pub fn subscription(&self, id: &str) -> Option<&Arc<Subscription>> {
        self.subscriptions.get(*self.slots.get(id)?)?.as_ref()
    }

    /// Who gets an event, and who does not although its type is right. The payload is parsed only if a filter needs it.
    pub fn matches(&self, event: &Event, payload: &Payload<'_>) -> Matched {
        self.indexes
            .get(&event.head.org_id)
            .map(|index| index.matches(event, payload))
            .unwrap_or_default()
    }

    /// Rules for every connection.
    pub(crate) fn security(&self) -> &Security {
        &self.security
    }
}

impl Types {
    /// All of `types`, by name and action id; problems for those that are there twice.
    pub(crate) fn of(types: BTreeMap<Arc<str>, Arc<TypePlan>>, mut twice: impl FnMut(&TypePlan, Twice<'_>)) -> Self {
        let mut organizations: AHashMap<u64, OrganizationTypes> = AHashMap::new();
        for event_type in types.values() {
            let organization = organizations.entry(event_type.org_id).or_default();
            let before = organization
                .by_name
                .insert(Arc::clone(&event_type.name), Arc::clone(event_type));
            if let Some(before) = before {
                twice(event_type, Twice::Name(&before.id));
            }
            let Some(action) = event_type.action_id else {
                continue;
            };
            if let Some(before) = organization.by_action.insert(action, Arc::clone(event_type)) {
                twice(event_type, Twice::Action(&before.id));
            }
        }
        Self {
            by_id: types,
            organizations,
        }
    }
}

/// What an event type shares with another one, whose identifier is given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Twice<'a> {
    Name(&'a str),
    Action(&'a str),
}

impl Units {
    /// The unit `rid`, if it is one of `org_id`.
    pub(crate) fn unit(&self, org_id: u64, rid: u64) -> Option<&Entry<OrgUnit>> {
        self.entries.get(&rid).filter(|unit| unit.value.org_id == org_id)
    }

    /// True if the organization has told of its units.
    pub(crate) fn has_any(&self, org_id: u64) -> bool {
        self.counts.contains_key(&org_id)
    }
}

impl TypePlan {
    pub(crate) fn is_of(&self, entry: &Entry<EventType>) -> bool {
        self.digest == entry.digest
    }
}

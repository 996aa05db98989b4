//! What only one object may have: problems are told of the object that was put, whichever the compiler would name.

use std::collections::HashMap;
use std::hash::Hash;

use filters::model::push::{Object, ObjectId};
use filters::model::{Problem, Snapshot};

use crate::store::Change;

/// Finds objects of `change` that have in `next` what another object has already.
pub(super) fn check(next: &Snapshot, change: &Change) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut known = Known::default();
    for object in &change.put {
        let Some(id) = object.id() else { continue };
        let mut refuse = |field: &str, shown: String, other: Option<&ObjectId>| {
            if let Some(other) = other {
                let message = format!("{shown} is that of {other} already");
                problems.push(Problem::new(format!("{}.{field}", id.path()), message));
            }
        };
        match object {
            Object::EventType(value) => {
                let known = known.event_types(next);
                let name = (value.org_id, value.event_type.as_str());
                refuse(
                    "eventType",
                    format!("{:?}", value.event_type),
                    known.names.other(&name, &id),
                );
                if let Some(action_id) = value.action_id {
                    let other = known.actions.other(&(value.org_id, action_id), &id);
                    refuse("actionId", action_id.to_string(), other);
                }
            }
            Object::ProducerKey(value) => {
                let name = (value.org_id, value.name.as_str());
                let other = known.producer_keys(next).other(&name, &id);
                refuse("name", format!("{:?}", value.name), other);
            }
            Object::Certificate(value) => {
                let name = (value.org_id, value.name.as_str());
                let other = known.certificates(next).other(&name, &id);
                refuse("name", format!("{:?}", value.name), other);
            }
            Object::Lookup(value) => {
                let name = (value.org_id, value.name.as_str());
                let other = known.lookups(next).other(&name, &id);
                refuse("name", format!("{:?}", value.name), other);
            }
            Object::Consumer(value) => {
                let name = (value.org_id, value.name.as_str());
                let other = known.consumers(next).other(&name, &id);
                refuse("name", format!("{:?}", value.name), other);
            }
            Object::Organization(value) if next.units.contains_key(&value.org_id) => {
                let other = ObjectId::Unit(value.org_id);
                refuse("orgId", value.org_id.to_string(), Some(&other));
            }
            Object::Unit(value) if next.organizations.contains_key(&value.rid) => {
                let other = ObjectId::Organization(value.rid);
                refuse("rid", value.rid.to_string(), Some(&other));
            }
            Object::Security(_)
            | Object::Organization(_)
            | Object::Unit(_)
            | Object::Integration(_)
            | Object::Outbound(_) => {}
        }
    }
    problems
}

/// Who has what, as far as it was asked for.
#[derive(Default)]
struct Known<'a> {
    event_types: Option<EventTypes<'a>>,
    producer_keys: Option<Names<'a>>,
    certificates: Option<Names<'a>>,
    lookups: Option<Names<'a>>,
    consumers: Option<Names<'a>>,
}

/// Objects by organization and name.
type Names<'a> = Owners<(u64, &'a str)>;

#[derive(Default)]
struct EventTypes<'a> {
    names: Owners<(u64, &'a str)>,
    actions: Owners<(u64, i64)>,
}

/// The names of the objects in `$list` of the snapshot.
macro_rules! by_name {
    ($list:ident, $variant:ident) => {
        fn $list(&mut self, next: &'a Snapshot) -> &Names<'a> {
            self.$list.get_or_insert_with(|| {
                let mut all = Owners::default();
                for (id, entry) in &next.$list {
                    let name = (entry.value.org_id, entry.value.name.as_str());
                    all.add(name, &ObjectId::$variant(id.clone()));
                }
                all
            })
        }
    };
}

impl<'a> Known<'a> {
    fn event_types(&mut self, next: &'a Snapshot) -> &EventTypes<'a> {
        self.event_types.get_or_insert_with(|| {
            let mut all = EventTypes::default();
            for (id, entry) in &next.event_types {
                let value = &entry.value;
                let id = ObjectId::EventType(id.clone());
                all.names.add((value.org_id, value.event_type.as_str()), &id);
                if let Some(action_id) = value.action_id {
                    all.actions.add((value.org_id, action_id), &id);
                }
            }
            all
        })
    }

    by_name!(producer_keys, ProducerKey);
    by_name!(certificates, Certificate);
    by_name!(lookups, Lookup);
    by_name!(consumers, Consumer);
}

/// The objects that have something, of which there should be one.
struct Owners<K>(HashMap<K, Vec<ObjectId>>);

impl<K> Default for Owners<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Owners<K> {
    fn add(&mut self, key: K, id: &ObjectId) {
        self.0.entry(key).or_default().push(id.clone());
    }

    /// Another object than `id` that has it.
    fn other(&self, key: &K, id: &ObjectId) -> Option<&ObjectId> {
        self.0.get(key)?.iter().find(|other| *other != id)
    }
}

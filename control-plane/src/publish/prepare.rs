//! Makes of what somebody sends what is kept: secrets restored or hashed, times set, the unchanged left out.

use std::collections::HashMap;
use std::sync::Arc;

use filters::model::auth::InboundAuthType;
use filters::model::consumer::{Consumer, ConsumerCredential};
use filters::model::problem::join;
use filters::model::push::{Object, ObjectId};
use filters::model::secret::SecretReference;
use filters::model::{Problem, ProducerKey, Secret, Snapshot, secret};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Edit;
use crate::access::KeyHash;
use crate::store::Change;

/// What happened to one object of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which object.
    pub id: ObjectId,
    /// What happened to it.
    pub action: Action,
}

impl Outcome {
    /// True if the object is as it was.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self.action, Action::Unchanged | Action::Absent)
    }
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It was not there before.
    Created,
    /// It was there with another content.
    Changed,
    /// It is as it was.
    Unchanged,
    /// It is gone.
    Deleted,
    /// It was to be deleted and was not there.
    Absent,
}

/// A change that is ready to be compiled.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) change: Change,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) places: Places,
}

impl Prepared {
    /// What `edit` changes in `base`, its objects kept exactly as they are: they were kept like that before.
    pub(super) fn as_given(base: &Snapshot, edit: Edit) -> Self {
        let put = edit.put.into_iter().map(|(_, object)| object);
        let delete = edit.delete.into_iter().filter(|id| base.object(id).is_some());
        let change = Change {
            put: put.collect(),
            delete: delete.collect(),
        };
        let changed = change.put.iter().filter_map(Object::id).map(|id| (id, Action::Changed));
        let deleted = change.delete.iter().map(|id| (id.clone(), Action::Deleted));
        Self {
            outcomes: changed
                .chain(deleted)
                .map(|(id, action)| Outcome { id, action })
                .collect(),
            change,
            places: Places::default(),
        }
    }
}

/// Where in the request each object came from.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<String, String>);

impl Places {
    /// Problems of the whole configuration as problems of the request.
    pub(super) fn relocate(&self, problems: Vec<Problem>) -> Vec<Problem> {
        let relocated = problems.into_iter().map(|problem| {
            let Some(end) = problem.path.find(']') else {
                return problem;
            };
            let (object, rest) = problem.path.split_at(end + 1);
            match self.0.get(object) {
                Some(place) => Problem::new(join(place, rest.trim_start_matches('.')), problem.message),
                None => problem,
            }
        });
        relocated.collect()
    }

    /// False if the object is there already.
    fn insert(&mut self, id: &ObjectId, place: &str) -> bool {
        self.0.insert(id.path(), place.to_owned()).is_none()
    }
}

/// Works out what `edit` changes in `base`.
pub(super) fn prepare(base: &Snapshot, edit: Edit, at: Timestamp) -> Result<Prepared, Vec<Problem>> {
    let mut prepared = Prepared {
        change: Change::default(),
        outcomes: Vec::with_capacity(edit.put.len() + edit.delete.len()),
        places: Places::default(),
    };
    let mut problems = Vec::new();
    for (place, object) in edit.put {
        let Some(id) = object.id() else {
            if base.version == 0 || object != Object::Security(base.security) {
                prepared.change.put.push(object);
            }
            continue;
        };
        let previous = base.object(&id);
        let mut found = Vec::new();
        check_identity(base, &id, &mut found);
        let made = edit
            .restores
            .then(|| times_of(&object))
            .flatten()
            .and_then(|times| times.0);
        let mut object = settle(object, previous.as_ref(), at, &mut found);
        if let (None, Some(made), Some((created, _))) = (&previous, made, times_in(&mut object)) {
            *created = Some(made);
        }
        problems.extend(
            found
                .into_iter()
                .map(|problem| Problem::new(join(&place, &problem.path), problem.message)),
        );
        if !prepared.places.insert(&id, &place) {
            problems.push(Problem::new(place, format!("{id} is there twice")));
        }
        let action = match previous {
            None => Action::Created,
            Some(previous) if previous == object => Action::Unchanged,
            Some(_) => Action::Changed,
        };
        if action != Action::Unchanged {
            prepared.change.put.push(object);
        }
        prepared.outcomes.push(Outcome { id, action });
    }
    for (index, id) in edit.delete.into_iter().enumerate() {
        let place = format!("delete[{index}]");
        if !prepared.places.insert(&id, &place) {
            problems.push(Problem::new(place, format!("{id} is there twice")));
        }
        let is_there = base.object(&id).is_some();
        let action = if is_there { Action::Deleted } else { Action::Absent };
        if is_there {
            prepared.change.delete.push(id.clone());
        }
        prepared.outcomes.push(Outcome { id, action });
    }
    if problems.is_empty() {
        Ok(prepared)
    } else {
        Err(problems)
    }
}

/// Inbound and outbound integrations share one space of identifiers, as one collection holds both.
fn check_identity(base: &Snapshot, id: &ObjectId, problems: &mut Vec<Problem>) {
    let other = match id {
        ObjectId::Integration(id) => ObjectId::Outbound(Arc::clone(id)),
        ObjectId::Outbound(id) => ObjectId::Integration(Arc::clone(id)),
        _ => return,
    };
    if base.object(&other).is_some() {
        let message = "is that of an integration of the other direction; take another one";
        problems.push(Problem::new("id", message));
    }
}

/// An object as it is kept.
fn settle(mut object: Object, previous: Option<&Object>, at: Timestamp, problems: &mut Vec<Problem>) -> Object {
    let named = match &object {
        Object::Security(_) | Object::Organization(_) | Object::Unit(_) => None,
        Object::Integration(value) => Some(&value.id),
        Object::Outbound(value) => Some(&value.id),
        Object::EventType(value) => Some(&value.id),
        Object::ProducerKey(value) => Some(&value.id),
        Object::Certificate(value) => Some(&value.id),
        Object::Lookup(value) => Some(&value.id),
        Object::Consumer(value) => Some(&value.id),
    };
    if named.is_some_and(|id| !is_identifier(id)) {
        let message = "must be 1 to 128 letters, digits, `-`, `_` or `.`, and begin with a letter or a digit";
        problems.push(Problem::new("id", message));
    }
    if let Some(previous) = previous {
        object.restore_secrets(previous);
        if previous.org_id() != object.org_id() {
            let owner = previous.org_id().unwrap_or_default();
            let message = format!("is {owner} and cannot be changed; make a new object there");
            problems.push(Problem::new("orgId", message));
        }
    }
    settle_secrets(&mut object, problems);
    let kept = previous.and_then(times_of);
    if let Some((created, updated)) = times_in(&mut object) {
        (*created, *updated) = kept.unwrap_or_else(|| (Some(time(at)), None));
    }
    if previous.is_none_or(|previous| *previous != object)
        && let Some((_, updated)) = times_in(&mut object)
    {
        *updated = Some(time(at));
    }
    object
}

/// The times of an object, by what they are of its `$value`. The rules for connections have none.
macro_rules! times {
    ($object:ident, $value:ident => $times:expr) => {
        match $object {
            Object::Security(_) => None,
            Object::Organization($value) => Some($times),
            Object::Integration($value) => Some($times),
            Object::Outbound($value) => Some($times),
            Object::EventType($value) => Some($times),
            Object::Unit($value) => Some($times),
            Object::ProducerKey($value) => Some($times),
            Object::Certificate($value) => Some($times),
            Object::Lookup($value) => Some($times),
            Object::Consumer($value) => Some($times),
        }
    };
}

/// When an object was made, and when it was changed last.
fn times_of(object: &Object) -> Option<(Option<String>, Option<String>)> {
    times!(object, value => (value.created_at.clone(), value.updated_at.clone()))
}

/// The same, to set them.
fn times_in(object: &mut Object) -> Option<(&mut Option<String>, &mut Option<String>)> {
    times!(object, value => {
        let value = Arc::make_mut(value);
        (&mut value.created_at, &mut value.updated_at)
    })
}

/// Hashes what is kept as a hash only, and finds masks that no stored secret took the place of.
fn settle_secrets(object: &mut Object, problems: &mut Vec<Problem>) {
    match object {
        Object::Integration(integration) => {
            let integration = Arc::make_mut(integration);
            let kind = integration.inbound_auth_type;
            if let Some(config) = &mut integration.inbound_auth_config {
                hash_credentials(kind, config, "inboundAuthConfig", problems);
                find_masks(config, "inboundAuthConfig", problems);
            }
            if let Some(config) = &integration.outgoing_auth_config {
                find_masks(config, "outgoingAuthConfig", problems);
            }
        }
        Object::Outbound(integration) => {
            for (path, config) in integration.configs() {
                find_masks(config, &path, problems);
            }
        }
        Object::ProducerKey(key) => hash_producer_key(Arc::make_mut(key), problems),
        Object::Certificate(value) => find_masks_in(&**value, problems),
        Object::Consumer(value) => {
            hash_consumer(Arc::make_mut(value), problems);
            find_masks_in(&**value, problems);
        }
        Object::Security(_) | Object::Organization(_) | Object::EventType(_) | Object::Unit(_) | Object::Lookup(_) => {}
    }
}

/// Only the hash of a producer's key is kept.
fn hash_producer_key(key: &mut ProducerKey, problems: &mut Vec<Problem>) {
    for (path, secret) in [("hash", &key.hash), ("value", &key.value)] {
        if secret.as_ref().is_some_and(|secret| secret.expose() == secret::MASK) {
            problems.push(unknown_mask(path));
        }
    }
    // What it refers to is hashed for the gateways.
    if key
        .value
        .as_ref()
        .is_some_and(|value| SecretReference::is_meant(value.expose()))
    {
        return;
    }
    let Some(value) = key.value.take() else { return };
    // Seen here only: of a hash nobody can tell how long the key is.
    if value.expose().len() < SHORTEST_KEY {
        let message = format!("must be at least {SHORTEST_KEY} bytes long");
        problems.push(Problem::new("value", message));
    } else if key.hash.is_some() {
        problems.push(Problem::new("value", "give either `value` or `hash`, not both"));
    } else {
        key.hash = Some(Secret::new(KeyHash::of(value.expose()).to_text()));
    }
}

/// Only hashes of what clients send are kept. Secrets that signatures are made with stay: a hash could check none.
fn hash_credentials(kind: InboundAuthType, config: &mut Value, path: &str, problems: &mut Vec<Problem>) {
    let (list, plain, hashed) = match kind {
        InboundAuthType::ApiKey => ("keys", "value", "hash"),
        InboundAuthType::Bearer => ("tokens", "value", "hash"),
        InboundAuthType::Basic => ("users", "password", "passwordHash"),
        InboundAuthType::AnyOf => return hash_alternatives(config, path, problems),
        InboundAuthType::None
        | InboundAuthType::Jwt
        | InboundAuthType::Introspection
        | InboundAuthType::Hmac
        | InboundAuthType::ClientCertificate => return,
    };
    let Some(Value::Array(entries)) = config.get_mut(list) else {
        return;
    };
    for (index, entry) in entries.iter_mut().enumerate() {
        let Some(entry) = entry.as_object_mut() else { continue };
        let Some(Value::String(text)) = entry.get(plain) else {
            continue;
        };
        if SecretReference::is_meant(text) {
            continue;
        }
        let path = format!("{path}.{list}[{index}].{plain}");
        if text.is_empty() {
            problems.push(Problem::new(path, "must not be empty"));
        } else if text == secret::MASK {
            // Reported with the other masks.
        } else if entry.contains_key(hashed) {
            problems.push(Problem::new(
                path,
                format!("give either `{plain}` or `{hashed}`, not both"),
            ));
        } else {
            let hash = KeyHash::of(text).to_text();
            entry.shift_remove(plain);
            entry.insert(hashed.to_owned(), Value::String(hash));
        }
    }
}

fn hash_alternatives(config: &mut Value, path: &str, problems: &mut Vec<Problem>) {
    let ways = config.get_mut("anyOf").and_then(Value::as_array_mut);
    for (index, way) in ways.into_iter().flatten().enumerate() {
        let kind = way.get("inboundAuthType").cloned().unwrap_or_default();
        // What is no kind, or another list of alternatives, is refused when it is compiled.
        let Ok(kind @ (InboundAuthType::ApiKey | InboundAuthType::Bearer | InboundAuthType::Basic)) =
            serde_json::from_value(kind)
        else {
            continue;
        };
        if let Some(config) = way.get_mut("inboundAuthConfig") {
            let path = format!("{path}.anyOf[{index}].inboundAuthConfig");
            hash_credentials(kind, config, &path, problems);
        }
    }
}

/// The same for a consumer's credentials.
fn hash_consumer(consumer: &mut Consumer, problems: &mut Vec<Problem>) {
    for (index, credential) in consumer.credentials.iter_mut().enumerate() {
        let (plain, hashed, names) = match credential {
            ConsumerCredential::ApiKey { value, hash, .. } | ConsumerCredential::Bearer { value, hash, .. } => {
                (value, hash, ("value", "hash"))
            }
            ConsumerCredential::Basic {
                password,
                password_hash,
                ..
            } => (password, password_hash, ("password", "passwordHash")),
            ConsumerCredential::Jwt { .. }
            | ConsumerCredential::Hmac { .. }
            | ConsumerCredential::ClientCertificate { .. } => continue,
        };
        let is_secret = |text: &&Secret| text.expose() != secret::MASK && !SecretReference::is_meant(text.expose());
        let Some(text) = plain.as_ref().filter(is_secret) else {
            continue;
        };
        let (plain_name, hash_name) = names;
        let path = format!("credentials[{index}].{plain_name}");
        // Seen here only: of a hash nobody can tell how long the key is.
        if text.expose().len() < SHORTEST_KEY {
            problems.push(Problem::new(
                path,
                format!("must be at least {SHORTEST_KEY} bytes long"),
            ));
        } else if hashed.is_some() {
            let message = format!("give either `{plain_name}` or `{hash_name}`, not both");
            problems.push(Problem::new(path, message));
        } else {
            *hashed = Some(Secret::new(KeyHash::of(text.expose()).to_text()));
            *plain = None;
        }
    }
}

/// Finds masks anywhere in an object.
fn find_masks_in(object: &impl Serialize, problems: &mut Vec<Problem>) {
    let value = serde_json::to_value(object).expect("model types have text keys and serialize without fail");
    find_masks(&value, "", problems);
}

/// A mask that no stored secret took the place of would be saved as the secret.
fn find_masks(config: &Value, path: &str, problems: &mut Vec<Problem>) {
    match config {
        Value::String(text) if text == secret::MASK => {
            problems.push(unknown_mask(path));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                find_masks(value, &join(path, name), problems);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find_masks(item, &format!("{path}[{index}]"), problems);
            }
        }
        _ => {}
    }
}

fn unknown_mask(path: &str) -> Problem {
    Problem::new(
        path,
        "is the mask of a secret that is not stored; give the secret itself",
    )
}

fn is_identifier(id: &str) -> bool {
    id.len() <= LONGEST_ID
        && id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}

const LONGEST_ID: usize = 128;
const SHORTEST_KEY: usize = 8;

#[cfg(test)]
mod tests;

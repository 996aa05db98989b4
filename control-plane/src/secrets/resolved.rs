//! The configuration as gateways get it: with the secrets in the place of the references to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use filters::model::problem::join;
use filters::model::push::{Object, ObjectId};
use filters::model::secret::SecretReference;
use filters::model::{Problem, Secret, Snapshot};
use serde_json::Value;

use crate::store::{Change, for_each_secret, holds_secrets};

/// A reference of an organization. What it may refer to depends on the organization.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    pub(crate) org_id: u64,
    /// The reference, as it stands in the object.
    pub(crate) text: String,
}

/// What is known of references: the secret, or why there is none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(BTreeMap<Wanted, Result<Secret, String>>);

/// The configuration with secrets in the place of references.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolved {
    /// What gateways get.
    pub(crate) snapshot: Snapshot,
    values: Arc<Values>,
    /// The objects with references.
    users: Arc<BTreeMap<ObjectId, BTreeSet<Wanted>>>,
}

/// The references in an object.
pub(crate) fn wanted_by(object: &Object) -> BTreeSet<Wanted> {
    let mut wanted = BTreeSet::new();
    if let Some(org_id) = object.org_id() {
        visited(object, |text| {
            if SecretReference::is_meant(text) {
                let text = text.clone();
                wanted.insert(Wanted { org_id, text });
            }
        });
    }
    wanted
}

impl Values {
    /// What was read just now.
    pub(crate) fn insert(&mut self, wanted: Wanted, value: Result<Secret, String>) {
        self.0.insert(wanted, value);
    }

    pub(super) fn secret(&self, wanted: &Wanted) -> Result<&Secret, &str> {
        match self.0.get(wanted) {
            Some(Ok(secret)) => Ok(secret),
            Some(Err(reason)) => Err(reason),
            None => Err("`secretSources` of the control plane allows no such reference"),
        }
    }

    /// Takes over what was read; a secret that could not be read again stays what it was.
    fn updated(&self, read: &Self) -> Self {
        let mut values = self.clone();
        for (wanted, value) in &read.0 {
            if value.is_ok() || self.secret(wanted).is_err() {
                values.0.insert(wanted.clone(), value.clone());
            }
        }
        values
    }
}

impl Resolved {
    /// Of a whole configuration.
    pub(crate) fn of(snapshot: &Snapshot, read: &Values) -> Self {
        let change = Change {
            put: snapshot.objects(),
            delete: Vec::new(),
        };
        Self::default().changed(snapshot, &change, read)
    }

    /// Of what the configuration is after a change, with what was read for it.
    pub(crate) fn changed(&self, snapshot: &Snapshot, change: &Change, read: &Values) -> Self {
        let mut users = Arc::clone(&self.users);
        for id in &change.delete {
            if users.contains_key(id) {
                Arc::make_mut(&mut users).remove(id);
            }
        }
        for object in &change.put {
            let Some(id) = object.id() else { continue };
            let wanted = wanted_by(object);
            if !wanted.is_empty() {
                Arc::make_mut(&mut users).insert(id, wanted);
            } else if users.contains_key(&id) {
                Arc::make_mut(&mut users).remove(&id);
            }
        }
        let values = Self::needed(self.values.updated(read), &users);
        let objects = users.keys().filter_map(|id| snapshot.object(id));
        let put: Vec<Object> = objects.map(|object| filled(&object, &values)).collect();
        Self {
            snapshot: snapshot.changed(snapshot.version, put, &[]),
            values: Arc::new(values),
            users,
        }
    }

    /// Every reference.
    pub(crate) fn wanted(&self) -> BTreeSet<Wanted> {
        self.users.values().flatten().cloned().collect()
    }

    /// The objects with references.
    pub(crate) fn users(&self) -> Vec<ObjectId> {
        self.users.keys().cloned().collect()
    }

    /// Those of `wanted` that there is no secret for.
    pub(crate) fn unknown(&self, wanted: impl IntoIterator<Item = Wanted>) -> BTreeSet<Wanted> {
        let unknown = wanted.into_iter().filter(|wanted| self.values.secret(wanted).is_err());
        unknown.collect()
    }

    /// What is known here, and what was read since.
    pub(crate) fn known_with(&self, read: &Values) -> Values {
        self.values.updated(read)
    }

    /// What is wrong with the references in these objects.
    pub(crate) fn problems(&self, objects: &[Object]) -> Vec<Problem> {
        let mut problems = Vec::new();
        for object in objects {
            let Some(id) = object.id() else { continue };
            for wanted in self.users.get(&id).into_iter().flatten() {
                if let Err(reason) = self.values.secret(wanted) {
                    let place = join(&id.path(), &place_of(object, &wanted.text));
                    problems.push(Problem::new(place, format!("{}: {reason}", wanted.text)));
                }
            }
        }
        problems
    }

    /// True if there is a secret for each reference. Else gateways keep what they have.
    pub(crate) fn is_whole(&self) -> bool {
        let mut wanted = self.users.values().flatten();
        wanted.all(|wanted| self.values.secret(wanted).is_ok())
    }

    /// The objects whose secrets are other ones in `read`.
    pub(crate) fn outdated(&self, read: &Values) -> Vec<ObjectId> {
        let is_new = |wanted: &Wanted| match (read.secret(wanted), self.values.secret(wanted)) {
            (Ok(new), Ok(old)) => new != old,
            (Ok(_), Err(_)) => true,
            (Err(_), _) => false,
        };
        let outdated = self.users.iter().filter(|(_, wanted)| wanted.iter().any(is_new));
        outdated.map(|(id, _)| id.clone()).collect()
    }

    /// Without the secrets that nothing refers to any more.
    fn needed(mut values: Values, users: &BTreeMap<ObjectId, BTreeSet<Wanted>>) -> Values {
        let wanted: BTreeSet<&Wanted> = users.values().flatten().collect();
        values.0.retain(|known, _| wanted.contains(known));
        values
    }
}

/// The object with its secrets; a reference without one stays, and is told of by [`Resolved::problems`].
fn filled(object: &Object, values: &Values) -> Object {
    let org_id = object.org_id().unwrap_or_default();
    let whole = visited(object, |text| {
        let wanted = Wanted {
            org_id,
            text: text.clone(),
        };
        if let Ok(secret) = values.secret(&wanted) {
            secret.expose().clone_into(text);
        }
    });
    // One text in the place of another is of the same type.
    let filled = whole.and_then(|whole| serde_json::from_value(whole).ok());
    filled.unwrap_or_else(|| object.clone())
}

/// The JSON of an object, with each of its secrets passed through `visit`; `None` if it is of a kind without.
fn visited(object: &Object, mut visit: impl FnMut(&mut String)) -> Option<Value> {
    if !holds_secrets(object.kind()) {
        return None;
    }
    let mut whole = serde_json::to_value(object).expect("model types have text keys and serialize without fail");
    for_each_secret(object.kind(), whole.get_mut("value")?, &mut visit);
    Some(whole)
}

/// The field of an object in which a reference stands.
fn place_of(object: &Object, text: &str) -> String {
    fn find(value: &Value, text: &str, path: &str) -> Option<String> {
        match value {
            Value::String(found) => (found == text).then(|| path.to_owned()),
            Value::Object(fields) => fields
                .iter()
                .find_map(|(name, value)| find(value, text, &join(path, name))),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .find_map(|(index, value)| find(value, text, &format!("{path}[{index}]"))),
            _ => None,
        }
    }
    let whole = serde_json::to_value(object).unwrap_or_default();
    find(&whole["value"], text, "").unwrap_or_default()
}

#[cfg(test)]
mod tests;

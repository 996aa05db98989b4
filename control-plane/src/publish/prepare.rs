//! Makes of what somebody sends what is kept: secrets restored or hashed, times set, the unchanged left out.

use std::collections::HashMap;
use std::sync::Arc;

use filters::model::auth::InboundAuthType;
use filters::model::problem::join;
use filters::model::push::{Object, ObjectId};
use filters::model::{InboundIntegration, Organization, Problem, Snapshot, secret};
use jiff::Timestamp;
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
        let object = match id {
            ObjectId::Organization(id) => format!("organizations[{id}]"),
            ObjectId::Integration(id) => format!("integrations[\"{id}\"]"),
        };
        self.0.insert(object, place.to_owned()).is_none()
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
        let (id, action, object) = match object {
            Object::Security(security) => {
                if security != base.security || base.version == 0 {
                    prepared.change.put.push(object);
                }
                continue;
            }
            Object::Organization(organization) => compare_organization(base, organization),
            Object::Integration(integration) => {
                let found = problems.len();
                let compared = compare_integration(base, Arc::unwrap_or_clone(integration), at, &mut problems);
                for problem in &mut problems[found..] {
                    problem.path = join(&place, &problem.path);
                }
                compared
            }
        };
        if !prepared.places.insert(&id, &place) {
            problems.push(Problem::new(place, format!("{} is there twice", title(&id))));
        }
        if action != Action::Unchanged {
            prepared.change.put.push(object);
        }
        prepared.outcomes.push(Outcome { id, action });
    }
    for (index, id) in edit.delete.into_iter().enumerate() {
        let place = format!("delete[{index}]");
        if !prepared.places.insert(&id, &place) {
            problems.push(Problem::new(place, format!("{} is there twice", title(&id))));
        }
        let is_there = match &id {
            ObjectId::Organization(id) => base.organizations.contains_key(id),
            ObjectId::Integration(id) => base.integrations.contains_key(id),
        };
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

/// What happens to an organization.
fn compare_organization(base: &Snapshot, organization: Arc<Organization>) -> (ObjectId, Action, Object) {
    let id = organization.org_id;
    let previous = base.organizations.get(&id);
    let action = action_of(previous.map(|entry| *entry.value == *organization));
    (ObjectId::Organization(id), action, Object::Organization(organization))
}

/// What happens to an integration, which is brought into the form that is kept.
fn compare_integration(
    base: &Snapshot,
    integration: InboundIntegration,
    at: Timestamp,
    problems: &mut Vec<Problem>,
) -> (ObjectId, Action, Object) {
    let id: Arc<str> = integration.id.as_str().into();
    let previous = base.integrations.get(&id).map(|entry| &*entry.value);
    let integration = settle(integration, previous, at, problems);
    let action = action_of(previous.map(|previous| *previous == integration));
    (
        ObjectId::Integration(id),
        action,
        Object::Integration(Arc::new(integration)),
    )
}

/// The name of an object for people.
fn title(id: &ObjectId) -> String {
    match id {
        ObjectId::Organization(id) => format!("organization {id}"),
        ObjectId::Integration(id) => format!("integration \"{id}\""),
    }
}

/// An integration as it is kept.
fn settle(
    mut integration: InboundIntegration,
    previous: Option<&InboundIntegration>,
    at: Timestamp,
    problems: &mut Vec<Problem>,
) -> InboundIntegration {
    if !is_identifier(&integration.id) {
        let message = "must be 1 to 128 letters, digits, `-`, `_` or `.`, and begin with a letter or a digit";
        problems.push(Problem::new("id", message));
    }
    if let Some(previous) = previous {
        integration.restore_secrets(previous);
        if previous.org_id != integration.org_id {
            let message = format!(
                "is {} and cannot be changed; make a new integration there",
                previous.org_id
            );
            problems.push(Problem::new("orgId", message));
        }
    }
    let kind = integration.inbound_auth_type;
    if let Some(config) = &mut integration.inbound_auth_config {
        hash_credentials(kind, config, problems);
        find_masks(config, "inboundAuthConfig", problems);
    }
    if let Some(config) = &integration.outgoing_auth_config {
        find_masks(config, "outgoingAuthConfig", problems);
    }
    integration.created_at = previous.map_or_else(|| Some(time(at)), |previous| previous.created_at.clone());
    integration.updated_at = previous.and_then(|previous| previous.updated_at.clone());
    if previous.is_none_or(|previous| *previous != integration) {
        integration.updated_at = Some(time(at));
    }
    integration
}

/// Only hashes of what clients send are kept.
fn hash_credentials(kind: InboundAuthType, config: &mut Value, problems: &mut Vec<Problem>) {
    let (list, plain, hashed) = match kind {
        InboundAuthType::ApiKey => ("keys", "value", "hash"),
        InboundAuthType::Bearer => ("tokens", "value", "hash"),
        InboundAuthType::Basic => ("users", "password", "passwordHash"),
        InboundAuthType::None => return,
    };
    let Some(Value::Array(entries)) = config.get_mut(list) else {
        return;
    };
    for (index, entry) in entries.iter_mut().enumerate() {
        let Some(entry) = entry.as_object_mut() else { continue };
        let Some(Value::String(text)) = entry.get(plain) else {
            continue;
        };
        let path = format!("inboundAuthConfig.{list}[{index}].{plain}");
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

/// A mask that no stored secret took the place of would be saved as the secret.
fn find_masks(config: &Value, path: &str, problems: &mut Vec<Problem>) {
    match config {
        Value::String(text) if text == secret::MASK => {
            let message = "is the mask of a secret that is not stored; give the secret itself";
            problems.push(Problem::new(path, message));
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

fn is_identifier(id: &str) -> bool {
    id.len() <= LONGEST_ID
        && id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// `same` tells whether what was there has the same content.
fn action_of(same: Option<bool>) -> Action {
    match same {
        None => Action::Created,
        Some(false) => Action::Changed,
        Some(true) => Action::Unchanged,
    }
}

fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}

const LONGEST_ID: usize = 128;

#[cfg(test)]
mod tests;

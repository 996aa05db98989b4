//! Copies of what is configured: switched off, under a new name, to be changed before they are used.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::extract::State;
use filters::model::{EventType, InboundIntegration, Lookup, OutboundIntegration, Problem, Snapshot};
use serde_json::{Value, json};

use super::App;
use super::answer::Answer;
use super::changing::Changing;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Named, Place};
use super::resource::{Patch, Resource, check_patch, id_of, merged, publish, taken, visible};
use crate::publish::{Edit, Refusal, State as Configuration};

/// A kind that can be copied.
pub(super) trait Cloned: Resource {
    /// The field that tells one from another for people.
    const NAME: &'static str;

    /// A copy with this identifier, or one to be made if it is empty; without what only one may have.
    fn copy(&self, id: String) -> Self;
    /// What tells it from others for people.
    fn title(&self) -> &str;
    /// The name of the copy `number` of what is called `base`.
    fn copied_name(base: &str, number: usize) -> String;
}

/// Copies an object, with the fields of the body in the place of its own.
pub(super) async fn copy<T: Cloned>(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    changing: Changing,
    body: Option<Document<Patch>>,
) -> Result<Answer<T>, ApiError> {
    let mut patch = body.map_or_else(|| json!({}), |body| body.value);
    let wanted = wanted_id(&mut patch).map_err(|problem| ApiError::validation(vec![problem]))?;
    check_patch(&patch).map_err(ApiError::validation)?;
    let source = id_of::<T>(&named.id)?;
    let id = wanted.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let copied = id_of::<T>(&id)?;
    let put = {
        let (caller, copied) = (caller.clone(), copied.clone());
        move |state: &Configuration| {
            let entry = visible::<T>(state, &source, &caller, changing.org_id)?;
            T::may_change(&caller, entry.value.org_id())?;
            if state.snapshot.object(&copied).is_some() {
                return Err(Refusal::Conflict(taken::<T>(&copied)));
            }
            let mut patch = patch.clone();
            if let Value::Object(fields) = &mut patch {
                let name = || free_name(&state.snapshot, &*entry.value).into();
                fields.entry(T::NAME).or_insert_with(name);
            }
            let copy = merged(&entry.value.copy(id.clone()), &patch).map_err(Refusal::Problems)?;
            Ok(Edit::of_one(copy.object()))
        }
    };
    publish(&app, &caller, &copied, changing.message, put).await
}

/// The identifier that the copy is to have. It is no field that a patch may change.
fn wanted_id(patch: &mut Value) -> Result<Option<String>, Problem> {
    let Value::Object(fields) = patch else { return Ok(None) };
    match fields.shift_remove("id") {
        None => Ok(None),
        Some(Value::String(id)) if !id.is_empty() => Ok(Some(id)),
        Some(_) => Err(Problem::new(
            "id",
            "must be a text that is not empty; leave it out to have one made",
        )),
    }
}

/// The first of `name (copy)`, `name (copy 2)`, ... that no other has.
fn free_name<T: Cloned>(snapshot: &Snapshot, object: &T) -> String {
    let org_id = object.org_id();
    let own = T::entries(snapshot).filter(|entry| entry.value.org_id() == org_id);
    let taken: std::collections::HashSet<&str> = own.map(|entry| entry.value.title()).collect();
    let base = object.title();
    let mut name = T::copied_name(base, 1);
    // There are more numbers than objects.
    for number in 2..=taken.len() + 1 {
        if !taken.contains(name.as_str()) {
            break;
        }
        name = T::copied_name(base, number);
    }
    name
}

/// `base` as the name of its copy; a long one is cut, as names have a longest length.
fn spaced(base: &str, number: usize) -> String {
    let base: String = base.chars().take(LONGEST_BASE).collect();
    match number {
        0 | 1 => format!("{} (copy)", base.trim_end()),
        _ => format!("{} (copy {number})", base.trim_end()),
    }
}

/// The same in the letters that names of events have.
fn dotted(base: &str, number: usize) -> String {
    let base: String = base.chars().take(LONGEST_BASE).collect();
    match number {
        0 | 1 => format!("{base}-copy"),
        _ => format!("{base}-copy-{number}"),
    }
}

impl Cloned for InboundIntegration {
    const NAME: &'static str = "name";

    fn copy(&self, id: String) -> Self {
        Self {
            id,
            is_active: false,
            ..self.clone()
        }
    }

    fn title(&self) -> &str {
        &self.name
    }

    fn copied_name(base: &str, number: usize) -> String {
        spaced(base, number)
    }
}

impl Cloned for OutboundIntegration {
    const NAME: &'static str = "name";

    fn copy(&self, id: String) -> Self {
        Self {
            id,
            is_active: false,
            ..self.clone()
        }
    }

    fn title(&self) -> &str {
        &self.name
    }

    fn copied_name(base: &str, number: usize) -> String {
        spaced(base, number)
    }
}

impl Cloned for Lookup {
    const NAME: &'static str = "name";

    fn copy(&self, id: String) -> Self {
        Self { id, ..self.clone() }
    }

    fn title(&self) -> &str {
        &self.name
    }

    fn copied_name(base: &str, number: usize) -> String {
        spaced(base, number)
    }
}

impl Cloned for EventType {
    const NAME: &'static str = "eventType";

    fn copy(&self, id: String) -> Self {
        Self {
            id,
            action_id: None,
            ..self.clone()
        }
    }

    fn title(&self) -> &str {
        &self.event_type
    }

    fn copied_name(base: &str, number: usize) -> String {
        dotted(base, number)
    }
}

pub(super) fn copy_docs<T: Cloned>(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary(&format!("Copy the {} under a new identifier and name, secrets included", T::NOUN))
        .description(
            "The copy is switched off where it has `isActive`. The fields of the body take the place of its own (JSON merge \
             patch), `id` and name among them; without a body both are made.",
        )
        .made::<T>()
        .errors(&[409])
}

/// Of a name that is copied; what is added must fit behind it.
const LONGEST_BASE: usize = 80;

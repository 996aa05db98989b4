//! One change to many objects: all of it or nothing.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::push::{Object, ObjectId};
use filters::model::{InboundIntegration, Organization, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::App;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, read};
use crate::publish::{Action, Edit, Mode, Outcome, Refusal, State as Configuration};

/// A change to many objects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Request {
    /// Objects to make or replace.
    #[serde(default)]
    #[schemars(with = "Vec<Put>")]
    put: Vec<Value>,
    /// Objects to delete; those that are not there are passed over.
    #[serde(default)]
    #[schemars(with = "Vec<Reference>")]
    delete: Vec<Value>,
    /// True changes nothing and says what would happen.
    #[serde(default)]
    dry_run: bool,
    /// What for; kept with the version.
    #[serde(default)]
    message: String,
}

/// An object to put.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Put {
    kind: Kind,
    /// An organization or an integration. An integration without `id` gets `{orgId}-{type}`, as in a file.
    #[schemars(with = "AnyObject")]
    value: Value,
}

/// An object of either kind.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the value; it is read by its kind")]
enum AnyObject {
    Organization(Organization),
    Integration(Box<InboundIntegration>),
}

/// Kind of an object.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Security,
    Organization,
    Integration,
}

/// Names an object.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Reference {
    kind: Kind,
    /// The number of an organization, or the identifier of an integration.
    id: Value,
}

/// What became of a change.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Applied {
    /// The version with the change in it; the newest one if nothing was to change.
    version: u64,
    /// True if it was only tried.
    dry_run: bool,
    /// How many objects were made.
    created: usize,
    /// How many objects were changed.
    changed: usize,
    /// How many objects were as they should be.
    unchanged: usize,
    /// How many objects were deleted.
    deleted: usize,
    /// What was done, object by object; without the unchanged ones.
    objects: Vec<Done>,
}

/// What was done to an object.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Done {
    #[serde(flatten)]
    object: Reference,
    action: DoneAction,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum DoneAction {
    Created,
    Changed,
    Deleted,
}

/// Applies a change to many objects.
pub(super) async fn apply(
    State(app): State<Arc<App>>,
    caller: Caller,
    document: Document<Request>,
) -> Result<Json<Applied>, ApiError> {
    let request = document.read()?;
    let (mode, message) = (
        if request.dry_run { Mode::DryRun } else { Mode::Commit },
        request.message.clone(),
    );
    if message.len() > LONGEST_MESSAGE {
        let problem = Problem::new("message", format!("is longer than {LONGEST_MESSAGE} bytes"));
        return Err(ApiError::validation(vec![problem]));
    }
    // Reading thousands of objects takes longer than the threads that serve requests should be held.
    let (put, delete) = tokio::task::spawn_blocking(move || objects_of(&request))
        .await
        .map_err(|_| ApiError::internal())?
        .map_err(ApiError::validation)?;
    let by = caller.author(message);
    let change = move |state: &Configuration| {
        for (_, object) in &put {
            check_put(&caller, state, object)?;
        }
        let delete = delete
            .iter()
            .filter(|id| !is_hidden(&caller, state, id))
            .cloned()
            .collect::<Vec<_>>();
        for id in &delete {
            check_delete(&caller, state, id)?;
        }
        let put = put.clone();
        Ok(Edit { put, delete })
    };
    let published = app.publisher.publish(by, mode, change).await?;
    Ok(Json(summary(
        published.state.snapshot.version,
        mode,
        &published.outcomes,
    )))
}

/// A list of objects, each with its place in the request.
type Placed = Vec<(String, Object)>;

fn objects_of(request: &Request) -> Result<(Placed, Vec<ObjectId>), Vec<Problem>> {
    let mut problems = Vec::new();
    let mut put = Vec::with_capacity(request.put.len());
    for (index, value) in request.put.iter().enumerate() {
        match object_of(value, &format!("put[{index}]")) {
            Ok(placed) => put.push(placed),
            Err(found) => problems.extend(found),
        }
    }
    let mut delete = Vec::with_capacity(request.delete.len());
    for (index, value) in request.delete.iter().enumerate() {
        match id_of(value, &format!("delete[{index}]")) {
            Ok(id) => delete.push(id),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        Ok((put, delete))
    } else {
        Err(problems)
    }
}

fn object_of(value: &Value, path: &str) -> Result<(String, Object), Vec<Problem>> {
    let Put { kind, value } = read(value, path)?;
    let place = format!("{path}.value");
    let object = match kind {
        Kind::Security => return Err(vec![not_here(path)]),
        Kind::Organization => Object::Organization(Arc::new(read(&value, &place)?)),
        Kind::Integration => {
            let mut integration: InboundIntegration = read(&value, &place)?;
            if integration.id.is_empty() {
                integration.id = format!("{}-{}", integration.org_id, integration.kind);
            }
            Object::Integration(Arc::new(integration))
        }
    };
    Ok((place, object))
}

fn id_of(value: &Value, path: &str) -> Result<ObjectId, Vec<Problem>> {
    let Reference { kind, id } = read(value, path)?;
    let wrong = |wanted: &str| vec![Problem::new(format!("{path}.id"), format!("must be {wanted}"))];
    match kind {
        Kind::Security => Err(vec![not_here(path)]),
        Kind::Organization => id.as_u64().map(ObjectId::Organization).ok_or_else(|| wrong("a number")),
        Kind::Integration => id
            .as_str()
            .map(|id| ObjectId::Integration(id.into()))
            .ok_or_else(|| wrong("a text")),
    }
}

fn not_here(path: &str) -> Problem {
    let message = "the security rules are set in the control plane's own settings, under `security`";
    Problem::new(format!("{path}.kind"), message)
}

fn check_put(caller: &Caller, state: &Configuration, object: &Object) -> Result<(), Refusal> {
    match object {
        Object::Security(_) => Ok(()),
        Object::Organization(_) => caller.may_all(),
        Object::Integration(integration) => {
            caller.may(integration.org_id)?;
            let entry = state.snapshot.integrations.get(integration.id.as_str());
            match entry {
                // Whose it is, is not for everybody to know.
                Some(entry) if !caller.sees(&entry.value, None) => {
                    Err(Refusal::NotFound(format!("the integration {:?}", integration.id)))
                }
                _ => Ok(()),
            }
        }
    }
}

fn check_delete(caller: &Caller, state: &Configuration, id: &ObjectId) -> Result<(), Refusal> {
    match id {
        ObjectId::Organization(_) => caller.may_all(),
        ObjectId::Integration(id) => {
            let entry = state.snapshot.integrations.get(id);
            entry.map_or(Ok(()), |entry| caller.may(entry.value.org_id))
        }
    }
}

/// For an operator who may not know of an object, it is not there.
fn is_hidden(caller: &Caller, state: &Configuration, id: &ObjectId) -> bool {
    match id {
        ObjectId::Organization(_) => false,
        ObjectId::Integration(id) => {
            let entry = state.snapshot.integrations.get(id);
            entry.is_some_and(|entry| !caller.sees(&entry.value, None))
        }
    }
}

fn summary(version: u64, mode: Mode, outcomes: &[Outcome]) -> Applied {
    let count = |action| outcomes.iter().filter(|outcome| outcome.action == action).count();
    let done = outcomes.iter().filter_map(|outcome| {
        let action = match outcome.action {
            Action::Created => DoneAction::Created,
            Action::Changed => DoneAction::Changed,
            Action::Deleted => DoneAction::Deleted,
            Action::Unchanged | Action::Absent => return None,
        };
        Some(Done {
            object: Reference::of(&outcome.id),
            action,
        })
    });
    Applied {
        version,
        dry_run: mode == Mode::DryRun,
        created: count(Action::Created),
        changed: count(Action::Changed),
        unchanged: count(Action::Unchanged) + count(Action::Absent),
        deleted: count(Action::Deleted),
        objects: done.collect(),
    }
}

impl Reference {
    /// Names `id`.
    pub(super) fn of(id: &ObjectId) -> Self {
        match id {
            ObjectId::Organization(id) => Self {
                kind: Kind::Organization,
                id: (*id).into(),
            },
            ObjectId::Integration(id) => Self {
                kind: Kind::Integration,
                id: id.as_ref().into(),
            },
        }
    }
}

pub(super) fn apply_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Change many objects at once: all of them or none")
        .errors(&[409])
}

const LONGEST_MESSAGE: usize = 4_096;

//! One change to many objects: all of it or nothing.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::push::{Object, ObjectId, ObjectKind};
use filters::model::{
    Certificate, Consumer, EventType, InboundIntegration, Lookup, OrgUnit, Organization, OutboundIntegration, Problem,
    ProducerKey,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::App;
use super::changing::check_message;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, read};
use crate::differences::json_of;
use crate::publish::{Action, Edit, Mode, Outcome, Refusal, State as Configuration};

/// A change to many objects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ApplyRequest")]
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
pub(super) struct Put {
    kind: ObjectKind,
    /// An object of that kind. One without `id` gets `{orgId}-{type}` or `{orgId}-{name}`, as in a file.
    #[schemars(with = "AnyObject")]
    value: Value,
}

/// An object of any kind.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the value; it is read by its kind")]
enum AnyObject {
    Organization(Box<Organization>),
    Integration(Box<InboundIntegration>),
    Outbound(Box<OutboundIntegration>),
    EventType(Box<EventType>),
    Unit(Box<OrgUnit>),
    ProducerKey(Box<ProducerKey>),
    Certificate(Box<Certificate>),
    Lookup(Box<Lookup>),
    Consumer(Box<Consumer>),
}

/// Names an object.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Reference {
    kind: ObjectKind,
    /// The number of an organization or unit, or the identifier of another object.
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
    /// What may be wrong with the objects that were put.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Problem>,
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
    if !request.dry_run {
        caller.require_write()?;
    }
    let (mode, message) = (
        if request.dry_run { Mode::DryRun } else { Mode::Commit },
        request.message.clone(),
    );
    check_message(&message, "message").map_err(|problem| ApiError::validation(vec![problem]))?;
    let by = caller.author(message);
    let wanted = Wanted::read(request.put, request.delete).await?;
    let change = move |state: &Configuration| wanted.edit(&caller, state);
    let published = app.publisher.publish(by, mode, change).await?;
    Ok(Json(summary(
        published.state.snapshot.version,
        mode,
        &published.outcomes,
        published.warnings,
    )))
}

/// A change to many objects, read.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Each with its place in the request.
    pub(super) put: Vec<(String, Object)>,
    pub(super) delete: Vec<ObjectId>,
}

impl Wanted {
    /// Reads the lists `put` and `delete` of a request.
    pub(super) async fn read(put: Vec<Value>, delete: Vec<Value>) -> Result<Self, ApiError> {
        // Reading thousands of objects takes longer than the threads that serve requests should be held.
        let read = tokio::task::spawn_blocking(move || objects_of(&put, &delete)).await;
        read.map_err(|_| ApiError::internal())?.map_err(ApiError::validation)
    }

    /// What is changed in `state`, if `caller` may.
    pub(super) fn edit(&self, caller: &Caller, state: &Configuration) -> Result<Edit, Refusal> {
        for (_, object) in &self.put {
            check_put(caller, state, object)?;
        }
        let visible = self.delete.iter().filter(|id| !is_hidden(caller, state, id));
        let delete: Vec<ObjectId> = visible.cloned().collect();
        for id in &delete {
            caller.may_change(id.kind())?;
        }
        Ok(Edit {
            put: self.put.clone(),
            delete,
            ..Edit::default()
        })
    }
}

fn objects_of(put: &[Value], delete: &[Value]) -> Result<Wanted, Vec<Problem>> {
    let (puts, deletes) = (put, delete);
    let mut problems = Vec::new();
    let mut put = Vec::with_capacity(puts.len());
    for (index, value) in puts.iter().enumerate() {
        match object_of(value, &format!("put[{index}]")) {
            Ok(placed) => put.push(placed),
            Err(found) => problems.extend(found),
        }
    }
    let mut delete = Vec::with_capacity(deletes.len());
    for (index, value) in deletes.iter().enumerate() {
        match id_of(value, &format!("delete[{index}]")) {
            Ok(id) => delete.push(id),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        Ok(Wanted { put, delete })
    } else {
        Err(problems)
    }
}

fn object_of(value: &Value, path: &str) -> Result<(String, Object), Vec<Problem>> {
    let Put { kind, value } = read(value, path)?;
    let place = format!("{path}.value");
    if kind == ObjectKind::Security {
        return Err(vec![not_here(path)]);
    }
    let mut problems = Vec::new();
    match kind.read(&value, &place, &mut problems) {
        Some(object) if problems.is_empty() => Ok((place, object)),
        _ => Err(problems),
    }
}

/// The object that a reference at `path` of the request names.
pub(super) fn id_of(value: &Value, path: &str) -> Result<ObjectId, Vec<Problem>> {
    let Reference { kind, id } = read(value, path)?;
    let (text, wanted) = match kind {
        ObjectKind::Security => return Err(vec![not_here(path)]),
        ObjectKind::Organization | ObjectKind::Unit => (id.as_u64().map(|number| number.to_string()), "a number"),
        _ => (id.as_str().map(str::to_owned), "a text"),
    };
    let id = text.and_then(|text| ObjectId::of(kind, &text));
    id.ok_or_else(|| vec![Problem::new(format!("{path}.id"), format!("must be {wanted}"))])
}

fn not_here(path: &str) -> Problem {
    let message = "the security rules are set in the control plane's own settings, under `security`";
    Problem::new(format!("{path}.kind"), message)
}

fn check_put(caller: &Caller, state: &Configuration, object: &Object) -> Result<(), Refusal> {
    let Some(id) = object.id() else { return Ok(()) };
    caller.may_change(id.kind())?;
    object.org_id().map_or(Ok(()), |org_id| caller.may(org_id))?;
    // Whose it is, is not for everybody to know.
    if is_hidden(caller, state, &id) {
        return Err(Refusal::NotFound(format!("the {id}")));
    }
    Ok(())
}

/// For an operator who may not know of an object, it is not there.
fn is_hidden(caller: &Caller, state: &Configuration, id: &ObjectId) -> bool {
    let owner = state.snapshot.object(id).and_then(|object| object.org_id());
    !matches!(id, ObjectId::Organization(_)) && owner.is_some_and(|owner| !caller.sees(owner, None))
}

/// What is answered to a change.
pub(super) fn summary(version: u64, mode: Mode, outcomes: &[Outcome], warnings: Vec<Problem>) -> Applied {
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
        warnings,
    }
}

impl Reference {
    /// Names `id`.
    pub(super) fn of(id: &ObjectId) -> Self {
        Self {
            kind: id.kind(),
            id: json_of(id),
        }
    }
}

pub(super) fn apply_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Change many objects at once: all of them or none")
        .errors(&[409])
}

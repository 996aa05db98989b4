//! Drafts: a change is saved, looked at, checked, and published or given up later.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use filters::model::Problem;
use filters::model::push::{Object, ObjectId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::App;
use super::answer::Answer;
use super::apply::{Put, Reference, Wanted};
use super::changing::check_message;
use super::error::ApiError;
use super::lists::Lists;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Named, Params, Place, Precondition, Within};
use crate::audit::AuditEntry;
use crate::draft::Draft;
use crate::publish::State as Configuration;
use crate::store::{Sheet, Write};

mod publish;

pub(super) use publish::{diff, diff_docs, publish, publish_docs, validate, validate_docs};

/// A change to save.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "DraftRequest")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Request {
    /// Name for people.
    name: String,
    /// What for; the version gets it.
    #[serde(default)]
    message: String,
    /// Objects to make or replace. A secret that is sent as `***` stays as it is in the draft, or else as it is live.
    #[serde(default)]
    #[schemars(with = "Vec<Put>")]
    put: Vec<Value>,
    /// Objects to delete.
    #[serde(default)]
    #[schemars(with = "Vec<Reference>")]
    delete: Vec<Value>,
}

/// A draft.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Draft")]
pub(super) struct Shown {
    #[serde(flatten)]
    head: Head,
    /// Objects to make or replace.
    put: Lists,
    /// Objects to delete.
    delete: Vec<Reference>,
}

/// What is told of a draft in a list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Head {
    /// Identifier.
    id: String,
    /// The organization that its objects belong to; left out for a draft of the whole installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    org_id: Option<u64>,
    /// Name for people.
    name: String,
    /// What for.
    message: String,
    /// Who saved it last.
    author: String,
    /// When it was made (RFC 3339).
    created_at: String,
    /// When it was saved last (RFC 3339).
    updated_at: String,
    /// The newest version when it was saved last.
    base: u64,
    /// How often it was saved.
    revision: u64,
    /// Objects that somebody changed since it was saved.
    stale: Vec<Reference>,
}

/// Drafts, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Drafts {
    /// Oldest first, at most 500.
    drafts: Vec<Head>,
}

/// Saves a new draft.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(within): Params<Within>,
    document: Document<Request>,
) -> Result<Answer<Shown>, ApiError> {
    let org_id = caller.scope(within.org_id)?;
    let state = app.publisher.state();
    let kept = app.store.sheets::<Draft>(None, None, MOST + 1).await?;
    if kept.len() > MOST as usize {
        return Err(ApiError::conflict(format!(
            "there are {MOST} drafts; discard some first"
        )));
    }
    let now = now();
    let draft = Draft {
        id: Uuid::now_v7().to_string(),
        org_id,
        name: String::new(),
        message: String::new(),
        author: String::new(),
        created_at: now,
        updated_at: now,
        base: 0,
        put: Vec::new(),
        delete: Vec::new(),
        known: Vec::new(),
    };
    let draft = filled(draft, document.read()?, &caller, &state).await?;
    let audit = vec![entry(&caller, "draft.create", &draft)];
    if !app.store.write(vec![Write::new(&draft)?], audit).await? {
        return Err(ApiError::internal());
    }
    let location = format!("/api/v1/drafts/{}", draft.id);
    Ok(Answer::created(tag(1), location, shown(draft, 1, &state)))
}

/// Lists drafts.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(within): Params<Within>,
) -> Result<Json<Drafts>, ApiError> {
    let scope = caller.scope(within.org_id)?;
    let state = app.publisher.state();
    let sheets = app.store.sheets::<Draft>(scope, None, MOST).await?;
    let drafts = sheets
        .into_iter()
        .map(|Sheet { revision, value }| head(&value, revision, &state));
    Ok(Json(Drafts {
        drafts: drafts.collect(),
    }))
}

/// Reads a draft.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Answer<Shown>, ApiError> {
    let Sheet { revision, value } = find(&app, &caller, &id, &within).await?;
    Ok(Answer::found(
        tag(revision),
        shown(value, revision, &app.publisher.state()),
    ))
}

/// Saves a draft anew.
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
    precondition: Precondition,
    document: Document<Request>,
) -> Result<Answer<Shown>, ApiError> {
    let Sheet { revision, value } = find(&app, &caller, &id, &within).await?;
    check(&precondition, &id, revision)?;
    let state = app.publisher.state();
    let draft = filled(value, document.read()?, &caller, &state).await?;
    let audit = vec![entry(&caller, "draft.change", &draft)];
    if !app.store.write(vec![Write::replace(&draft, revision)?], audit).await? {
        return Err(changed(&id));
    }
    Ok(Answer::found(tag(revision + 1), shown(draft, revision + 1, &state)))
}

/// Gives a draft up.
pub(super) async fn discard(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
    precondition: Precondition,
) -> Result<NoContent, ApiError> {
    let Sheet { revision, value } = find(&app, &caller, &id, &within).await?;
    check(&precondition, &id, revision)?;
    let audit = vec![entry(&caller, "draft.discard", &value)];
    let gone = Write::delete::<Draft>(&id, Some(revision));
    if app.store.write(vec![gone], audit).await? {
        Ok(NoContent)
    } else {
        Err(changed(&id))
    }
}

/// The draft `id`, if the caller may know of it.
async fn find(app: &App, caller: &Caller, id: &str, within: &Within) -> Result<Sheet<Draft>, ApiError> {
    let scope = caller.scope(within.org_id)?;
    let sheet: Option<Sheet<Draft>> = app.store.sheet(id).await?;
    let is_visible = |draft: &Draft| scope.is_none() || draft.org_id == scope;
    sheet
        .filter(|sheet| is_visible(&sheet.value))
        .ok_or_else(|| ApiError::not_found(&format!("the draft {id:?}")))
}

/// `draft` with what a request says.
async fn filled(draft: Draft, request: Request, caller: &Caller, state: &Configuration) -> Result<Draft, ApiError> {
    let mut problems = Vec::new();
    if !(1..=LONGEST_NAME).contains(&request.name.len()) {
        problems.push(Problem::new("name", format!("must be 1 to {LONGEST_NAME} bytes long")));
    }
    problems.extend(check_message(&request.message, "message").err());
    let wanted = Wanted::read(request.put, request.delete).await?;
    for (place, object) in &wanted.put {
        if let Some(org_id) = draft.org_id
            && object.org_id() != Some(org_id)
        {
            let message = format!("must be {org_id}, as the draft belongs to that organization");
            problems.push(Problem::new(format!("{place}.orgId"), message));
        }
    }
    if !problems.is_empty() {
        return Err(ApiError::validation(problems));
    }
    // Whoever may not publish it may not save it either.
    wanted.edit(caller, state)?;
    let restored = |mut object: Object| {
        let earlier = draft.put.iter().find(|earlier| earlier.id() == object.id());
        if let Some(earlier) = earlier {
            object.restore_secrets(earlier);
        }
        object
    };
    let put = wanted.put.into_iter().map(|(_, object)| restored(object)).collect();
    let draft = Draft {
        name: request.name,
        message: request.message,
        author: caller.name().to_owned(),
        updated_at: now(),
        put,
        delete: wanted.delete,
        ..draft
    };
    Ok(draft.based_on(state))
}

fn check(precondition: &Precondition, id: &str, revision: u64) -> Result<(), ApiError> {
    if precondition.allows(Some(&tag(revision))) {
        Ok(())
    } else {
        Err(changed(id))
    }
}

fn changed(id: &str) -> ApiError {
    crate::publish::Refusal::Precondition(format!("the draft {id:?}")).into()
}

fn tag(revision: u64) -> String {
    revision.to_string()
}

fn shown(draft: Draft, revision: u64, state: &Configuration) -> Shown {
    let mut put = Lists::default();
    draft.put.iter().for_each(|object| put.push(object));
    Shown {
        head: head(&draft, revision, state),
        put,
        delete: references(&draft.delete),
    }
}

fn head(draft: &Draft, revision: u64, state: &Configuration) -> Head {
    Head {
        id: draft.id.clone(),
        org_id: draft.org_id,
        name: draft.name.clone(),
        message: draft.message.clone(),
        author: draft.author.clone(),
        created_at: format!("{:.3}", draft.created_at),
        updated_at: format!("{:.3}", draft.updated_at),
        base: draft.base,
        revision,
        stale: references(&draft.stale(state)),
    }
}

fn references(ids: &[ObjectId]) -> Vec<Reference> {
    ids.iter().map(Reference::of).collect()
}

fn entry(caller: &Caller, action: &str, draft: &Draft) -> AuditEntry {
    let target = format!("draft {} ({})", draft.id, draft.name);
    caller.actor().did(action, target, draft.org_id)
}

/// In whole milliseconds, the finest that both stores keep.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

pub(super) fn create_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Save a change without publishing it; secrets are kept encrypted")
        .made::<Shown>()
        .errors(&[404, 409])
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List drafts, oldest first")
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read a draft; secrets are masked")
}

pub(super) fn replace_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Save a draft anew, on top of what is live now")
        .description("With If-Match, only the revision with that tag is replaced.")
}

pub(super) fn discard_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Give a draft up")
}

/// Drafts that are kept, of all organizations together.
const MOST: u32 = 500;
const LONGEST_NAME: usize = 200;

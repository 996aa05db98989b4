//! Deleted objects: seen, brought back, thrown away.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use filters::model::Problem;
use filters::model::push::{Object, ObjectKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::App;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Named, Params, Place, Within};
use crate::publish::{Edit, Mode, Refusal, State as Configuration};
use crate::store::Sheet;
use crate::trash::{Content, Trashed, take_out};

/// Which deleted objects, and which page of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Listing {
    /// Of this organization; must be given if the key is not for all of them.
    #[serde(default)]
    org_id: Option<u64>,
    /// Only of this kind.
    #[serde(default)]
    kind: Option<ObjectKind>,
    /// The `nextCursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// The most on a page, 1 to 200; 50 if left out.
    #[serde(default)]
    limit: Option<u32>,
}

/// Deleted objects, the one that was deleted last first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PageOfTrash")]
pub(super) struct Page {
    /// Those on the page.
    trash: Vec<Trashed>,
    /// The most on a page.
    limit: u32,
    /// True if there are further pages.
    has_more: bool,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A deleted object.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Whole {
    #[serde(flatten)]
    entry: Trashed,
    /// What it was; secrets are masked.
    object: Value,
}

/// How an object comes back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Return {
    /// The organization; must be given if the key is not for all of them.
    #[serde(default)]
    org_id: Option<u64>,
    /// True brings it back switched off, where it has `isActive`.
    #[serde(default)]
    inactive: bool,
}

/// An object that came back.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Restored {
    /// The version that has it again.
    version: u64,
    /// Kind of the object.
    kind: ObjectKind,
    /// Its identifier, which is the one that it had.
    object_id: String,
}

/// Lists deleted objects.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(listing): Params<Listing>,
) -> Result<Json<Page>, ApiError> {
    let scope = caller.scope(listing.org_id)?;
    let limit = listing.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        let problem = Problem::new("limit", format!("{limit} is not between 1 and {MOST}"));
        return Err(ApiError::validation(vec![problem]));
    }
    let (mut trash, mut before, mut looked_at) = (Vec::new(), listing.cursor, 0);
    // Of other kinds there may be many; a page that has found too few of them goes on where it stopped.
    let has_more = loop {
        let sheets: Vec<Sheet<Trashed>> = app.store.sheets_before(scope, before.as_deref(), MOST).await?;
        let last = sheets.len() < MOST as usize;
        looked_at += sheets.len();
        let mut rest = sheets.into_iter().map(|sheet| sheet.value);
        for entry in rest.by_ref() {
            before = Some(entry.id.clone());
            if listing.kind.is_none_or(|kind| kind == entry.kind) {
                trash.push(entry);
            }
            if trash.len() == limit as usize {
                break;
            }
        }
        let is_full = trash.len() == limit as usize;
        if is_full || last || looked_at >= MOST_LOOKED_AT {
            break rest.len() > 0 || !last;
        }
    };
    Ok(Json(Page {
        trash,
        limit,
        has_more,
        next_cursor: before.filter(|_| has_more),
    }))
}

/// Reads a deleted object.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Json<Whole>, ApiError> {
    let (sheet, object) = find(&app, &caller, &id, within.org_id).await?;
    let object = serde_json::to_value(object.masked()).ok();
    let object = object.and_then(|mut object| object.get_mut("value").map(Value::take));
    Ok(Json(Whole {
        entry: sheet.value,
        object: object.ok_or_else(ApiError::internal)?,
    }))
}

/// Brings a deleted object back.
pub(super) async fn restore(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(wanted): Params<Return>,
) -> Result<Json<Restored>, ApiError> {
    let (sheet, mut object) = find(&app, &caller, &id, wanted.org_id).await?;
    let object_id = sheet.value.object_id().ok_or_else(ApiError::internal)?;
    if wanted.inactive {
        switch_off(&mut object);
    }
    let by = caller.author(format!("restored {object_id}"));
    let (revision, org_id) = (sheet.revision, sheet.value.org_id);
    let put = move |state: &Configuration| {
        caller.may_change(object_id.kind())?;
        caller.may(org_id)?;
        if state.snapshot.object(&object_id).is_some() {
            let message = format!("{object_id} is there again; what was deleted cannot take its place");
            return Err(Refusal::Conflict(message));
        }
        Ok(Edit {
            writes: take_out(&id, revision),
            restores: true,
            ..Edit::of_one(object.clone())
        })
    };
    let published = app.publisher.publish(by, Mode::Commit, put).await?;
    Ok(Json(Restored {
        version: published.state.snapshot.version,
        kind: sheet.value.kind,
        object_id: sheet.value.object_id,
    }))
}

/// Throws a deleted object away for good.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
) -> Result<NoContent, ApiError> {
    let sheet = entry(&app, &caller, &id, within.org_id).await?;
    caller.may_change(sheet.value.kind)?;
    let title = format!("{} {}", sheet.value.kind.name(), sheet.value.object_id);
    let audit = caller.actor().did("trash.delete", title, Some(sheet.value.org_id));
    if app.store.write(take_out(&id, sheet.revision), vec![audit]).await? {
        Ok(NoContent)
    } else {
        Err(absent(&id))
    }
}

/// The entry with what it was, if the caller may know of it.
async fn find(app: &App, caller: &Caller, id: &str, org_id: Option<u64>) -> Result<(Sheet<Trashed>, Object), ApiError> {
    let sheet = entry(app, caller, id, org_id).await?;
    // Somebody may have brought it back a moment ago.
    let content: Option<Sheet<Content>> = app.store.sheet(id).await?;
    let content = content.ok_or_else(|| absent(id))?;
    Ok((sheet, content.value.object))
}

async fn entry(app: &App, caller: &Caller, id: &str, org_id: Option<u64>) -> Result<Sheet<Trashed>, ApiError> {
    let scope = caller.scope(org_id)?;
    let sheet: Option<Sheet<Trashed>> = app.store.sheet(id).await?;
    let sheet = sheet.filter(|sheet| caller.sees(sheet.value.org_id, scope));
    sheet.ok_or_else(|| absent(id))
}

fn switch_off(object: &mut Object) {
    match object {
        Object::Integration(value) => Arc::make_mut(value).is_active = false,
        Object::Outbound(value) => Arc::make_mut(value).is_active = false,
        Object::ProducerKey(value) => Arc::make_mut(value).is_active = false,
        Object::Certificate(value) => Arc::make_mut(value).is_active = false,
        Object::Consumer(value) => Arc::make_mut(value).is_active = false,
        Object::Security(_) | Object::Organization(_) | Object::Unit(_) | Object::EventType(_) | Object::Lookup(_) => {}
    }
}

fn absent(id: &str) -> ApiError {
    ApiError::not_found(&format!("the entry {id:?} of the trash"))
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("List deleted objects, the newest deletion first")
        .description("They are kept for 30 days after their deletion, and may come back until then.")
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read a deleted object; secrets are masked")
}

pub(super) fn restore_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Bring a deleted object back under its identifier, secrets included")
        .description(
            "It makes a version, so what came back must fit to what is there: 400 says what does not. 409 if the identifier \
             is taken again.",
        )
        .errors(&[409])
}

pub(super) fn delete_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Throw a deleted object away for good")
}

/// Entries on a page if nothing is said, and the most that may be asked for.
const USUAL: u32 = 50;
const MOST: u32 = 200;
/// Entries of other kinds that one page passes over.
const MOST_LOOKED_AT: usize = 10_000;

//! Single rows of lookup tables.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use filters::lookup::text_of;
use filters::model::push::{Object, ObjectId};
use filters::model::{Lookup, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::App;
use super::super::answer::Answer;
use super::super::error::ApiError;
use super::super::openapi::Describe as _;
use super::super::operator::Caller;
use super::super::request::{Document, Named, Params, Place, Precondition, Within};
use super::super::resource::{Resource as _, check_change, id_of, title, visible};
use crate::publish::{Edit, Mode, Refusal, State as Configuration};

/// A row of a table.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    /// Key.
    key: String,
    /// What it stands for: a text, a number, a boolean, or an object whose fields are columns.
    value: Value,
}

/// The value of a row.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewValue {
    /// What the key stands for: a text, a number, a boolean, or an object whose fields are columns.
    value: Value,
}

/// A row in the path.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct OneRow {
    /// Identifier of the table.
    id: String,
    /// Key of the row.
    key: String,
}

/// Which rows, and which page of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Listing {
    /// The organization; must be given if the key is not for all of them.
    #[serde(default)]
    org_id: Option<u64>,
    /// Number of the page, from 1; the first if left out.
    #[serde(default)]
    page: Option<usize>,
    /// The most rows on a page, 1 to 1,000; 100 if left out.
    #[serde(default)]
    limit: Option<usize>,
    /// Only rows with this text in their key or value; upper and lower case are the same.
    #[serde(default)]
    search: Option<String>,
}

/// A page of rows, by key.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PageOfLookupEntry")]
pub(crate) struct Page {
    /// The rows on the page.
    entries: Vec<Row>,
    /// How many there are on all pages.
    total: usize,
    /// Number of the page.
    page: usize,
    /// The most on a page.
    limit: usize,
    /// True if there are further pages.
    has_more: bool,
}

/// Lists rows.
pub(in super::super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(listing): Params<Listing>,
) -> Result<Json<Page>, ApiError> {
    let (page, limit) = (listing.page.unwrap_or(1), listing.limit.unwrap_or(USUAL));
    let mut problems = Vec::new();
    if page == 0 {
        problems.push(Problem::new("page", "pages are counted from 1"));
    }
    if !(1..=MOST).contains(&limit) {
        problems.push(Problem::new("limit", format!("{limit} is not between 1 and {MOST}")));
    }
    if !problems.is_empty() {
        return Err(ApiError::validation(problems));
    }
    let id = id_of::<Lookup>(&id)?;
    let state = app.publisher.state();
    let table = Arc::clone(&visible::<Lookup>(&state, &id, &caller, listing.org_id)?.value);
    let search = listing.search.map(|text| text.to_lowercase());
    // To look through a large table takes longer than the threads that serve requests should be held.
    let read = move || {
        let rows = table.entries.rows().iter();
        let matching = rows.filter(|(key, value)| search.as_ref().is_none_or(|text| mentions(key, value, text)));
        let skip = (page - 1).saturating_mul(limit);
        let (mut entries, mut total) = (Vec::new(), 0);
        for (key, value) in matching {
            if total >= skip && entries.len() < limit {
                entries.push(Row {
                    key: key.to_string(),
                    value: value.clone(),
                });
            }
            total += 1;
        }
        (entries, total, skip)
    };
    let read = tokio::task::spawn_blocking(read).await;
    let (entries, total, skip) = read.map_err(|_| ApiError::internal())?;
    Ok(Json(Page {
        has_more: skip.saturating_add(entries.len()) < total,
        entries,
        total,
        page,
        limit,
    }))
}

/// Reads a row.
pub(in super::super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(OneRow { id, key }): Place<OneRow>,
    Params(within): Params<Within>,
) -> Result<Answer<Row>, ApiError> {
    let id = id_of::<Lookup>(&id)?;
    let state = app.publisher.state();
    let entry = visible::<Lookup>(&state, &id, &caller, within.org_id)?;
    let value = entry.value.entries.get(&key).cloned();
    let value = value.ok_or_else(|| ApiError::not_found(&row_of(&id, &key)))?;
    Ok(Answer::found(app.sealer.tag(&entry.digest), Row { key, value }))
}

/// Gives a row a value, or makes it.
pub(in super::super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(OneRow { id, key }): Place<OneRow>,
    Params(within): Params<Within>,
    precondition: Precondition,
    document: Document<NewValue>,
) -> Result<Answer<Row>, ApiError> {
    let NewValue { value } = document.read()?;
    if value.is_null() {
        let problem = Problem::new("value", "must not be null; DELETE removes the row");
        return Err(ApiError::validation(vec![problem]));
    }
    let id = id_of::<Lookup>(&id)?;
    let edit = {
        let (id, caller, sealer) = (id.clone(), caller.clone(), Arc::clone(&app.sealer));
        let (key, value) = (key.clone(), value.clone());
        move |state: &Configuration| {
            let entry = visible::<Lookup>(state, &id, &caller, within.org_id)?;
            check_change(entry, &caller, &precondition, &sealer)?;
            let mut table = (*entry.value).clone();
            table.entries.set(&key, value.clone());
            Ok(Edit::of_one(Object::Lookup(Arc::new(table))))
        }
    };
    let was_there = Lookup::entry(&app.publisher.state().snapshot, &id)
        .is_some_and(|entry| entry.value.entries.get(&key).is_some());
    let by = caller.author(String::new());
    let published = app.publisher.publish(by, Mode::Commit, edit).await?;
    let entry = Lookup::entry(&published.state.snapshot, &id).ok_or_else(ApiError::internal)?;
    let tag = app.sealer.tag(&entry.digest);
    if was_there {
        return Ok(Answer::found(tag, Row { key, value }));
    }
    let place = format!("/api/v1/lookups/{}/entries/{}", id.text(), encoded(&key));
    Ok(Answer::created(tag, place, Row { key, value }))
}

/// Removes a row.
pub(in super::super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(OneRow { id, key }): Place<OneRow>,
    Params(within): Params<Within>,
    precondition: Precondition,
) -> Result<NoContent, ApiError> {
    let id = id_of::<Lookup>(&id)?;
    let by = caller.author(String::new());
    let sealer = Arc::clone(&app.sealer);
    let edit = move |state: &Configuration| {
        let entry = visible::<Lookup>(state, &id, &caller, within.org_id)?;
        check_change(entry, &caller, &precondition, &sealer)?;
        let mut table = (*entry.value).clone();
        if !table.entries.remove(&key) {
            return Err(Refusal::NotFound(row_of(&id, &key)));
        }
        Ok(Edit::of_one(Object::Lookup(Arc::new(table))))
    };
    app.publisher.publish(by, Mode::Commit, edit).await?;
    Ok(NoContent)
}

fn mentions(key: &str, value: &Value, text: &str) -> bool {
    let has = |found: &str| found.to_lowercase().contains(text);
    has(key)
        || match value {
            Value::Object(fields) => fields.values().filter_map(text_of).any(|field| has(&field)),
            value => text_of(value).is_some_and(|value| has(&value)),
        }
}

fn row_of(id: &ObjectId, key: &str) -> String {
    format!("the key {key:?} in {}", title(id))
}

/// A key as a part of an address.
fn encoded(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let parts = key.bytes().map(|byte| match byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    parts.collect()
}

pub(in super::super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("List the rows of a lookup table, page by page")
        .errors(&[404])
}

pub(in super::super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Read one row of a lookup table")
        .description("The entity tag is that of the table.")
}

pub(in super::super) fn replace_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Give one row of a lookup table a value, or make it")
        .description(
            "The entity tag is that of the table. Many rows at once go through PATCH of the table, or an import.",
        )
        .made::<Row>()
        .errors(&[409])
}

pub(in super::super) fn delete_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Remove one row of a lookup table")
        .errors(&[400, 409])
}

const USUAL: usize = 100;
const MOST: usize = 1_000;

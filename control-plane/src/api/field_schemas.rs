//! The fields of event types, for those who write mappings.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use filters::model::delivery::DeadLetter;
use filters::model::{EventType, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::answer::Answer;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Params, Place, Precondition};
use super::resource::Resource as _;
use super::sheets::{self, Filed, Listing, Page};
use super::templates::OfOrganization;
use crate::field_schemas::{Field, FieldSchema, FieldSource, of_payloads, of_schema};
use crate::publish::State as Configuration;
use crate::store::{Field as Asked, Query, Sheet};

impl Filed for FieldSchema {
    const LIST: &'static str = "fieldSchemas";
    const AUDITED: &'static str = "fieldSchema";
}

/// An event type in the path.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfEventType {
    /// Name of the event type.
    event_type: String,
}

/// The fields of an event type.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Known {
    /// The organization.
    org_id: u64,
    /// Name of the event type.
    event_type: String,
    /// Where the fields are known from.
    source: FieldSource,
    /// The fields, by path where nobody wrote them down.
    fields: Vec<Field>,
}

/// Fields to write down.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Written {
    /// The fields, at most 1,000.
    fields: Vec<Field>,
}

/// Lists what was written down.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(listing): Params<Listing>,
) -> Result<Json<Page<FieldSchema>>, ApiError> {
    let scope = caller.scope(listing.org_id)?;
    let limit = listing.limit()?;
    let sheets = app.store.sheets(scope, listing.cursor.as_deref(), limit + 1).await?;
    Ok(Json(Page::of(sheets, limit)))
}

/// Reads the fields of an event type, from wherever they are known.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(OfEventType { event_type }): Place<OfEventType>,
    Params(OfOrganization { org_id }): Params<OfOrganization>,
) -> Result<Answer<Known>, ApiError> {
    caller.allow(org_id)?;
    let written = find(&app, org_id, &event_type).await?;
    let configured = configured(&app.publisher.state(), org_id, &event_type);
    let (source, fields) = match (written, &configured) {
        (Some(sheet), _) => (FieldSource::Written, sheet.value.fields),
        (None, Some(Some(schema))) => (FieldSource::Schema, of_schema(schema)),
        (None, configured) => {
            let seen = seen(&app, org_id, &event_type).await?;
            if seen.is_empty() && configured.is_none() {
                return Err(ApiError::not_found(&format!("the event type {event_type:?}")));
            }
            let source = if seen.is_empty() {
                FieldSource::None
            } else {
                FieldSource::Seen
            };
            (source, seen)
        }
    };
    let known = Known {
        org_id,
        event_type,
        source,
        fields,
    };
    Ok(Answer::found(sheets::tag_of(&app, &known), known))
}

/// Writes the fields of an event type down.
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(OfEventType { event_type }): Place<OfEventType>,
    Params(OfOrganization { org_id }): Params<OfOrganization>,
    precondition: Precondition,
    document: Document<Written>,
) -> Result<Answer<FieldSchema>, ApiError> {
    caller.allow(org_id)?;
    let Written { fields } = document.read()?;
    if configured(&app.publisher.state(), org_id, &event_type).is_none() {
        let message = format!("the event type {event_type:?} of organization {org_id}");
        return Err(ApiError::not_found(&message));
    }
    let before = find(&app, org_id, &event_type).await?;
    let now = sheets::now();
    let mut schema = FieldSchema {
        id: FieldSchema::id_of(org_id, &event_type),
        org_id,
        event_type,
        fields,
        created_at: before.as_ref().map_or(Some(now), |before| before.value.created_at),
        updated_at: before.as_ref().and_then(|before| before.value.updated_at),
    };
    let problems: Vec<Problem> = schema.problems();
    if !problems.is_empty() {
        return Err(ApiError::validation(problems));
    }
    sheets::check_tag(&app, &precondition, before.as_ref(), &schema.event_type)?;
    if before.as_ref().is_none_or(|before| before.value != schema) {
        schema.updated_at = Some(now);
        sheets::save(&app, &caller, &schema, before.as_ref()).await?;
    }
    let tag = sheets::tag_of(&app, &schema);
    Ok(if before.is_some() {
        Answer::found(tag, schema)
    } else {
        let place = format!("/api/v1/field-schemas/{}?orgId={org_id}", schema.event_type);
        Answer::created(tag, place, schema)
    })
}

/// Forgets what was written of an event type.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(OfEventType { event_type }): Place<OfEventType>,
    Params(OfOrganization { org_id }): Params<OfOrganization>,
    precondition: Precondition,
) -> Result<NoContent, ApiError> {
    caller.allow(org_id)?;
    let sheet = find(&app, org_id, &event_type).await?;
    let sheet = sheet.ok_or_else(|| sheets::absent::<FieldSchema>(&event_type))?;
    sheets::check_tag(&app, &precondition, Some(&sheet), &event_type)?;
    sheets::remove(&app, &caller, &sheet).await?;
    Ok(NoContent)
}

async fn find(app: &App, org_id: u64, event_type: &str) -> Result<Option<Sheet<FieldSchema>>, ApiError> {
    Ok(app.store.sheet(&FieldSchema::id_of(org_id, event_type)).await?)
}

/// The JSON Schema of an event type, if it has one; `None` if there is no such type.
fn configured(state: &Configuration, org_id: u64, event_type: &str) -> Option<Option<serde_json::Value>> {
    let mut types = EventType::entries(&state.snapshot).map(|entry| &entry.value);
    let found = types.find(|found| found.org_id == org_id && found.event_type == event_type)?;
    Some(found.schema.clone())
}

/// What the newest dead letters of an event type tell.
async fn seen(app: &App, org_id: u64, event_type: &str) -> Result<Vec<Field>, ApiError> {
    let query = Query {
        org_id: Some(org_id),
        equal: vec![(Asked::EventType, event_type.to_owned())],
        limit: MOST_SEEN,
        ..Query::default()
    };
    let letters: Vec<DeadLetter> = app.store.list(&query).await?;
    let mut payloads = Vec::new();
    for letter in letters {
        // A list has them without their payloads.
        let whole: Option<DeadLetter> = app.store.find(&letter.id).await?;
        payloads.extend(whole.map(|letter| letter.original_payload));
    }
    Ok(of_payloads(&payloads))
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List the fields of event types that were written down")
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Read the fields of an event type")
        .description(
            "They are those that somebody wrote down; else those of its JSON Schema; else those of the newest dead letters, with \
             paths and types only.",
        )
        .errors(&[404])
}

pub(super) fn replace_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Write the fields of an event type down")
        .made::<FieldSchema>()
        .errors(&[404, 409])
}

pub(super) fn delete_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Forget what was written of the fields of an event type")
        .errors(&[404, 409])
}

/// Dead letters that are looked at.
const MOST_SEEN: u32 = 20;

//! Makes integrations of OpenAPI documents.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::push::{Object, ObjectId};
use filters::model::{InboundIntegration, Problem, decode};
use filters::openapi::{self, Imported, Wanted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::App;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Params, Within, read};
use super::resource::{Resource as _, merged, other_organization, visible};
use crate::publish::{Action, Edit, Mode, Published, Refusal, State as Configuration};

/// An OpenAPI document, and the integration that it is for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ImportRequest")]
pub(super) struct Request {
    /// OpenAPI 3.0 or 3.1: as JSON, or as a text of JSON or YAML.
    document: Value,
    /// Fields of the integration. With the `id` of one that is there, that one is changed. A new one needs `orgId` and
    /// `hosts`; `name`, `type` and `targetUrl` come from the document where they are left out.
    #[serde(default)]
    integration: Map<String, Value>,
    /// False leaves the partner's answers unchecked.
    #[serde(default = "yes")]
    answers: bool,
    /// True changes nothing and says what would happen.
    #[serde(default)]
    dry_run: bool,
}

/// What came of a document.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ImportOutcome")]
pub(super) struct Outcome {
    /// True if the integration was not there before.
    created: bool,
    /// True if it was only tried.
    dry_run: bool,
    /// How many operations the document has.
    operations: usize,
    /// The integration as it is now.
    integration: InboundIntegration,
    /// What will not be checked, and where that stands in the document.
    notes: Vec<Problem>,
}

/// Makes or changes an integration.
pub(super) async fn import(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(within): Params<Within>,
    document: Document<Request>,
) -> Result<Json<Outcome>, ApiError> {
    let request = document.read()?;
    let wanted = Wanted {
        answers: request.answers,
    };
    let document = request.document;
    // Reading a large document takes longer than the threads that serve requests should be held.
    let imported = tokio::task::spawn_blocking(move || read_document(&document, wanted))
        .await
        .map_err(|_| ApiError::internal())?
        .map_err(ApiError::validation)?;
    let fields = request.integration;
    let new = new_integration(&fields, &imported, within.org_id);
    let id = match (fields.get("id").and_then(Value::as_str), &new) {
        (Some(id), _) => id.into(),
        (None, Ok(new)) => new.id.as_str().into(),
        (None, Err(problems)) => return Err(ApiError::validation(problems.clone())),
    };
    let id = ObjectId::Integration(id);
    let mode = if request.dry_run { Mode::DryRun } else { Mode::Commit };
    let by = caller.author("imported an OpenAPI document".to_owned());
    let (operations, notes) = (imported.validation.operations.len(), imported.notes.clone());
    let becomes = {
        let id = id.clone();
        Arc::new(move |state: &Configuration| {
            if InboundIntegration::entry(&state.snapshot, &id).is_none() {
                let new = new.as_ref().map_err(|problems| Refusal::Problems(problems.clone()))?;
                caller.may(new.org_id)?;
                return Ok(new.clone());
            }
            let entry = visible::<InboundIntegration>(state, &id, &caller, within.org_id)?;
            caller.may(entry.value.org_id)?;
            changed(&entry.value, &fields, &imported).map_err(Refusal::Problems)
        })
    };
    let edit = {
        let becomes = Arc::clone(&becomes);
        move |state: &Configuration| Ok(Edit::of_one(Object::Integration(Arc::new(becomes(state)?))))
    };
    let Published { state, outcomes, .. } = app.publisher.publish(by, mode, edit).await?;
    let integration = match mode {
        Mode::Commit => {
            let entry = InboundIntegration::entry(&state.snapshot, &id).ok_or_else(ApiError::internal)?;
            entry.value.shown()
        }
        Mode::DryRun => becomes(&state)?.shown(),
    };
    Ok(Json(Outcome {
        created: outcomes.iter().any(|outcome| outcome.action == Action::Created),
        dry_run: mode == Mode::DryRun,
        operations,
        integration,
        notes,
    }))
}

fn read_document(document: &Value, wanted: Wanted) -> Result<Imported, Vec<Problem>> {
    let within = |problems: Vec<Problem>| problems.into_iter().map(|problem| problem.within("document")).collect();
    let parsed = match document {
        Value::String(text) => Some(decode::from_text(text).map_err(|problem| within(vec![problem]))?),
        _ => None,
    };
    openapi::import(parsed.as_ref().unwrap_or(document), wanted).map_err(within)
}

/// A new integration of these fields and the document.
fn new_integration(
    fields: &Map<String, Value>,
    imported: &Imported,
    org_id: Option<u64>,
) -> Result<InboundIntegration, Vec<Problem>> {
    let mut fields = fields.clone();
    if let Some(org_id) = org_id {
        fields.entry("orgId").or_insert_with(|| org_id.into());
    }
    fields.entry("name").or_insert_with(|| "".into());
    if let Some(kind) = imported.kind() {
        fields.entry("type").or_insert_with(|| kind.into());
    }
    let mut integration: InboundIntegration = read(&Value::Object(fields), "integration")?;
    if let Some(problem) = other_organization(org_id, integration.org_id) {
        return Err(vec![problem.within("integration")]);
    }
    imported.apply(&mut integration);
    integration.name_it();
    Ok(integration)
}

/// The stored integration with these fields and the document.
fn changed(
    stored: &InboundIntegration,
    fields: &Map<String, Value>,
    imported: &Imported,
) -> Result<InboundIntegration, Vec<Problem>> {
    let mut fields = fields.clone();
    fields.shift_remove("id");
    if fields.get("orgId").and_then(Value::as_u64) == Some(stored.org_id) {
        fields.shift_remove("orgId");
    }
    let mut integration = merged(stored, &Value::Object(fields))?;
    imported.apply(&mut integration);
    Ok(integration)
}

pub(super) fn import_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Make an integration of an OpenAPI document, or change its paths, methods and validation")
        .errors(&[403, 404, 409])
}

fn yes() -> bool {
    true
}

//! Inbound integrations: list, make, read, replace, patch, delete, validate.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use filters::model::push::{Object, ObjectId};
use filters::model::{Entry, InboundIntegration, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::App;
use super::answer::Answer;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Named, Params, Place, Precondition, Within, read as read_value};
use crate::publish::{Action, Edit, Mode, Published, Refusal, State as Configuration};

mod list;
mod merge;

pub(super) use list::{list, list_docs};

/// Whether an integration could be saved.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    /// True if there are no problems.
    valid: bool,
    /// Everything that is wrong.
    problems: Vec<Problem>,
}

/// What a patch may change: any field of an integration but its identity, by JSON merge patch (RFC 7396).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes the body; it is merged as JSON")]
pub(super) struct Patch {
    /// False keeps the integration but answers its requests with 404.
    #[serde(default)]
    is_active: Option<bool>,
    /// Name for people.
    #[serde(default)]
    name: Option<String>,
}

/// Makes an integration.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(within): Params<Within>,
    document: Document<InboundIntegration>,
) -> Result<Answer<InboundIntegration>, ApiError> {
    let mut integration = read_integration(document, within.org_id)?;
    caller.allow(integration.org_id)?;
    if integration.id.is_empty() {
        integration.id = Uuid::now_v7().to_string();
    }
    let id: Arc<str> = integration.id.as_str().into();
    let object = Object::Integration(Arc::new(integration));
    let make = {
        let id = Arc::clone(&id);
        move |state: &Configuration| {
            if state.snapshot.integrations.contains_key(&id) {
                return Err(Refusal::Conflict(format!(
                    "the id {id:?} is taken; leave it out to have one made"
                )));
            }
            Ok(Edit::of_one(object.clone()))
        }
    };
    let published = app
        .publisher
        .publish(caller.author(String::new()), Mode::Commit, make)
        .await?;
    shown(&app, &published, &id)
}

/// Reads an integration.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Answer<InboundIntegration>, ApiError> {
    let state = app.publisher.state();
    let entry = visible(&state, &named.id, &caller, within.org_id)?;
    Ok(Answer::found(app.sealer.tag(&entry.digest), entry.value.masked()))
}

/// Replaces an integration, or makes it under this identifier.
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    Params(within): Params<Within>,
    precondition: Precondition,
    document: Document<InboundIntegration>,
) -> Result<Answer<InboundIntegration>, ApiError> {
    let mut integration = read_integration(document, within.org_id)?;
    caller.allow(integration.org_id)?;
    if !integration.id.is_empty() && integration.id != named.id {
        let message = format!("is not that of the path, {:?}; leave it out", named.id);
        return Err(ApiError::validation(vec![Problem::new("id", message)]));
    }
    integration.id.clone_from(&named.id);
    let id: Arc<str> = named.id.into();
    let object = Object::Integration(Arc::new(integration));
    let put = {
        let (id, caller, sealer) = (Arc::clone(&id), caller.clone(), Arc::clone(&app.sealer));
        move |state: &Configuration| {
            let entry = state.snapshot.integrations.get(&id);
            if entry.is_some_and(|entry| !caller.sees(entry.value.org_id, None)) {
                return Err(Refusal::NotFound(name(&id)));
            }
            let tag = entry.map(|entry| sealer.tag(&entry.digest));
            if !precondition.allows(tag.as_deref()) {
                return Err(Refusal::Precondition(name(&id)));
            }
            Ok(Edit::of_one(object.clone()))
        }
    };
    let published = app
        .publisher
        .publish(caller.author(String::new()), Mode::Commit, put)
        .await?;
    shown(&app, &published, &id)
}

/// Changes single fields of an integration.
pub(super) async fn patch(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    Params(within): Params<Within>,
    precondition: Precondition,
    document: Document<Patch>,
) -> Result<Answer<InboundIntegration>, ApiError> {
    merge::check(&document.value).map_err(ApiError::validation)?;
    let id: Arc<str> = named.id.into();
    let change = {
        let (id, caller, sealer) = (Arc::clone(&id), caller.clone(), Arc::clone(&app.sealer));
        move |state: &Configuration| {
            let entry = visible_in(state, &id, &caller, within.org_id)?;
            if !precondition.allows(Some(&sealer.tag(&entry.digest))) {
                return Err(Refusal::Precondition(name(&id)));
            }
            let patched = merge::merged(&entry.value, &document.value).map_err(Refusal::Problems)?;
            Ok(Edit::of_one(Object::Integration(Arc::new(patched))))
        }
    };
    let published = app
        .publisher
        .publish(caller.author(String::new()), Mode::Commit, change)
        .await?;
    shown(&app, &published, &id)
}

/// Deletes an integration.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    Params(within): Params<Within>,
    precondition: Precondition,
) -> Result<NoContent, ApiError> {
    let id: Arc<str> = named.id.into();
    let (by, sealer) = (caller.author(String::new()), Arc::clone(&app.sealer));
    let remove = move |state: &Configuration| {
        let entry = visible_in(state, &id, &caller, within.org_id)?;
        if !precondition.allows(Some(&sealer.tag(&entry.digest))) {
            return Err(Refusal::Precondition(name(&id)));
        }
        Ok(Edit {
            put: Vec::new(),
            delete: vec![ObjectId::Integration(Arc::clone(&id))],
        })
    };
    app.publisher.publish(by, Mode::Commit, remove).await?;
    Ok(NoContent)
}

/// Says what would be wrong with an integration if it were saved.
pub(super) async fn validate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(within): Params<Within>,
    document: Document<InboundIntegration>,
) -> Result<Json<Verdict>, ApiError> {
    let problems = match read_integration(document, within.org_id) {
        Ok(mut integration) => {
            caller.allow(integration.org_id)?;
            if integration.id.is_empty() {
                integration.id = Uuid::now_v7().to_string();
            }
            let object = Object::Integration(Arc::new(integration));
            let by = caller.author(String::new());
            let put = move |state: &Configuration| {
                if let Object::Integration(integration) = &object
                    && let Some(entry) = state.snapshot.integrations.get(integration.id.as_str())
                    && !caller.sees(entry.value.org_id, None)
                {
                    return Err(Refusal::NotFound(name(&integration.id)));
                }
                Ok(Edit::of_one(object.clone()))
            };
            match app.publisher.publish(by, Mode::DryRun, put).await {
                Ok(_) => Vec::new(),
                Err(Refusal::Problems(problems)) => problems,
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Err(error) => error.into_problems()?,
    };
    Ok(Json(Verdict {
        valid: problems.is_empty(),
        problems,
    }))
}

/// The body as an integration; `org_id` of the query stands in where the body has none.
fn read_integration(
    mut document: Document<InboundIntegration>,
    org_id: Option<u64>,
) -> Result<InboundIntegration, ApiError> {
    if let (Value::Object(fields), Some(org_id)) = (&mut document.value, org_id) {
        fields.entry("orgId").or_insert_with(|| org_id.into());
    }
    let integration = document.read()?;
    match org_id {
        Some(org_id) if org_id != integration.org_id => {
            let message = format!("is {}, and the query says {org_id}", integration.org_id);
            Err(ApiError::validation(vec![Problem::new("orgId", message)]))
        }
        _ => Ok(integration),
    }
}

/// The integration, if the caller may know of it.
fn visible<'a>(
    state: &'a Configuration,
    id: &str,
    caller: &Caller,
    org_id: Option<u64>,
) -> Result<&'a Entry<InboundIntegration>, ApiError> {
    if let Some(org_id) = org_id {
        caller.allow(org_id)?;
    }
    Ok(visible_in(state, id, caller, org_id)?)
}

fn visible_in<'a>(
    state: &'a Configuration,
    id: &str,
    caller: &Caller,
    org_id: Option<u64>,
) -> Result<&'a Entry<InboundIntegration>, Refusal> {
    if let Some(org_id) = org_id {
        caller.may(org_id)?;
    }
    let entry = state.snapshot.integrations.get(id);
    let entry = entry.filter(|entry| caller.sees(entry.value.org_id, org_id));
    entry.ok_or_else(|| Refusal::NotFound(name(id)))
}

/// The integration as it is after a change.
fn shown(app: &App, published: &Published, id: &str) -> Result<Answer<InboundIntegration>, ApiError> {
    let entry = published
        .state
        .snapshot
        .integrations
        .get(id)
        .ok_or_else(ApiError::internal)?;
    let tag = app.sealer.tag(&entry.digest);
    let created = published
        .outcomes
        .iter()
        .any(|outcome| outcome.action == Action::Created);
    Ok(if created {
        Answer::created(tag, format!("/api/v1/inbound-integrations/{id}"), entry.value.masked())
    } else {
        Answer::found(tag, entry.value.masked())
    })
}

fn name(id: &str) -> String {
    format!("the integration {id:?}")
}

pub(super) fn create_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Make an integration")
        .made::<InboundIntegration>()
        .errors(&[409])
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read an integration; secrets are masked")
}

pub(super) fn replace_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Replace an integration, or make it under this id")
        .description(
            "A secret that is sent as `***` stays as it is. With If-Match, only that state is replaced; with \
             If-None-Match: *, nothing is.",
        )
        .made::<InboundIntegration>()
        .errors(&[409])
}

pub(super) fn patch_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Activate, deactivate, or change single fields (JSON merge patch, RFC 7396)")
        .errors(&[409])
}

pub(super) fn delete_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Delete an integration").errors(&[409])
}

pub(super) fn validate_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Say what would be wrong with an integration, without saving it")
}

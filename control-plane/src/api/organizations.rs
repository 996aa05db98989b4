//! Organizations: what gateways need to know of each.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use filters::model::push::{Object, ObjectId};
use filters::model::{Organization, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::App;
use super::answer::Answer;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Place, Precondition};
use crate::publish::{Action, Edit, Mode, Refusal, State as Configuration};

/// An organization in the path.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Numbered {
    /// Its number.
    org_id: u64,
}

/// All organizations that the key is for.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Organizations {
    /// By number.
    organizations: Vec<Organization>,
    /// How many there are.
    total: usize,
}

/// Lists organizations.
pub(super) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Json<Organizations> {
    let state = app.publisher.state();
    let organizations: Vec<_> = state
        .snapshot
        .organizations
        .values()
        .filter(|entry| caller.allow(entry.value.org_id).is_ok())
        .map(|entry| (*entry.value).clone())
        .collect();
    Json(Organizations {
        total: organizations.len(),
        organizations,
    })
}

/// Reads an organization.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Numbered { org_id }): Place<Numbered>,
) -> Result<Answer<Organization>, ApiError> {
    caller.allow(org_id)?;
    let state = app.publisher.state();
    let entry = state
        .snapshot
        .organizations
        .get(&org_id)
        .ok_or_else(|| ApiError::not_found(&name(org_id)))?;
    Ok(Answer::found(app.sealer.tag(&entry.digest), (*entry.value).clone()))
}

/// Makes or replaces an organization. What it is allowed is not for itself to say.
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Numbered { org_id }): Place<Numbered>,
    precondition: Precondition,
    mut document: Document<Organization>,
) -> Result<Answer<Organization>, ApiError> {
    caller.require_all()?;
    if let Value::Object(fields) = &mut document.value {
        fields.entry("orgId").or_insert_with(|| org_id.into());
    }
    let organization = document.read()?;
    if organization.org_id != org_id {
        let message = format!("is {}, and the path says {org_id}", organization.org_id);
        return Err(ApiError::validation(vec![Problem::new("orgId", message)]));
    }
    let object = Object::Organization(Arc::new(organization));
    let sealer = Arc::clone(&app.sealer);
    let put = move |state: &Configuration| {
        let entry = state.snapshot.organizations.get(&org_id);
        if !precondition.allows(entry.map(|entry| sealer.tag(&entry.digest)).as_deref()) {
            return Err(Refusal::Precondition(name(org_id)));
        }
        Ok(Edit::of_one(object.clone()))
    };
    let published = app
        .publisher
        .publish(caller.author(String::new()), Mode::Commit, put)
        .await?;
    let entry = published
        .state
        .snapshot
        .organizations
        .get(&org_id)
        .ok_or_else(ApiError::internal)?;
    let (tag, body) = (app.sealer.tag(&entry.digest), (*entry.value).clone());
    let created = published
        .outcomes
        .iter()
        .any(|outcome| outcome.action == Action::Created);
    Ok(if created {
        Answer::created(tag, format!("/api/v1/admin/organizations/{org_id}"), body)
    } else {
        Answer::found(tag, body)
    })
}

/// Deletes an organization that has no integrations.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Numbered { org_id }): Place<Numbered>,
    precondition: Precondition,
) -> Result<NoContent, ApiError> {
    caller.require_all()?;
    let sealer = Arc::clone(&app.sealer);
    let remove = move |state: &Configuration| {
        let entry = state
            .snapshot
            .organizations
            .get(&org_id)
            .ok_or_else(|| Refusal::NotFound(name(org_id)))?;
        if !precondition.allows(Some(&sealer.tag(&entry.digest))) {
            return Err(Refusal::Precondition(name(org_id)));
        }
        let owned = state
            .snapshot
            .integrations
            .values()
            .filter(|entry| entry.value.org_id == org_id)
            .count();
        if owned > 0 {
            let message = format!("{} has {owned} integration(s); delete them first", name(org_id));
            return Err(Refusal::Conflict(message));
        }
        Ok(Edit {
            put: Vec::new(),
            delete: vec![ObjectId::Organization(org_id)],
        })
    };
    app.publisher
        .publish(caller.author(String::new()), Mode::Commit, remove)
        .await?;
    Ok(NoContent)
}

fn name(org_id: u64) -> String {
    format!("the organization {org_id}")
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List organizations")
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read an organization")
}

pub(super) fn replace_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Make or replace an organization")
        .made::<Organization>()
}

pub(super) fn delete_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Delete an organization that has no integrations")
        .errors(&[409])
}

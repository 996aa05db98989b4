//! How long the records of an organization are kept.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::Problem;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::error::ApiError;
use super::figures::zone_of;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Place};
use crate::audit::AuditEntry;
use crate::retention::OrganizationSettings;
use crate::store::Write;

/// An organization in the path.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Numbered {
    /// Number of the organization.
    id: u64,
}

/// For how long records are to be kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "RetentionWanted")]
pub(super) struct Wanted {
    /// Records from before so many days are deleted: at least 1, and no more than the installation keeps.
    retention_days: u32,
}

/// For how long the records of an organization are kept.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kept {
    /// The organization.
    org_id: u64,
    /// Its records from before so many days are deleted.
    retention_days: u32,
    /// The days of the installation, which are the most.
    installation_days: u32,
    /// True if the organization has days of its own.
    is_own: bool,
}

/// Reads it.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Numbered { id }): Place<Numbered>,
) -> Result<Json<Kept>, ApiError> {
    caller.allow(id)?;
    zone_of(&app, id)?;
    let own = OrganizationSettings::of(&app.store, id).await?;
    Ok(Json(shown(&app, id, own.map(|own| own.value.retention_days))))
}

/// Gives the organization days of its own.
pub(super) async fn set(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Numbered { id }): Place<Numbered>,
    document: Document<Wanted>,
) -> Result<Json<Kept>, ApiError> {
    caller.allow(id)?;
    zone_of(&app, id)?;
    let Wanted { retention_days } = document.read()?;
    let most = app.records.retention_days;
    if !(1..=most).contains(&retention_days) {
        let message = format!("{retention_days} is not between 1 and {most}, the days of the installation");
        return Err(ApiError::validation(vec![Problem::new("retentionDays", message)]));
    }
    let own = OrganizationSettings::of(&app.store, id).await?;
    let settings = OrganizationSettings::new(id, retention_days);
    let write = match &own {
        Some(own) => Write::replace(&settings, own.revision)?,
        None => Write::new(&settings)?,
    };
    let before = own.map(|own| own.value.retention_days);
    change(&app, &caller, id, write, before, Some(retention_days)).await
}

/// Takes the days of its own away from the organization.
pub(super) async fn unset(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Numbered { id }): Place<Numbered>,
) -> Result<Json<Kept>, ApiError> {
    caller.allow(id)?;
    zone_of(&app, id)?;
    let Some(own) = OrganizationSettings::of(&app.store, id).await? else {
        return Ok(Json(shown(&app, id, None)));
    };
    let write = Write::delete::<OrganizationSettings>(&id.to_string(), Some(own.revision));
    change(&app, &caller, id, write, Some(own.value.retention_days), None).await
}

async fn change(
    app: &App,
    caller: &Caller,
    org_id: u64,
    write: Write,
    before: Option<u32>,
    after: Option<u32>,
) -> Result<Json<Kept>, ApiError> {
    let days = |days: Option<u32>| days.map(|days| serde_json::json!({"retentionDays": days}));
    let target = format!("organization {org_id}");
    let entry = AuditEntry {
        before: days(before),
        after: days(after),
        ..AuditEntry::new(caller.name(), "retention.change", target, Some(org_id))
    };
    if !app.store.write(vec![write], vec![entry]).await? {
        let message = "somebody else changed it at the same time; read it and try again";
        return Err(ApiError::new(StatusCode::CONFLICT, message));
    }
    Ok(Json(shown(app, org_id, after)))
}

fn shown(app: &App, org_id: u64, own: Option<u32>) -> Kept {
    let installation_days = app.records.retention_days;
    Kept {
        org_id,
        retention_days: own.map_or(installation_days, |own| own.min(installation_days)),
        installation_days,
        is_own: own.is_some(),
    }
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read for how long the records of an organization are kept")
}

pub(super) fn set_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Keep the records of an organization for less time than the installation does")
        .errors(&[409])
}

pub(super) fn unset_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Keep the records of an organization for as long as the installation does")
        .errors(&[409])
}

//! Everything that is configured, as one document.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::Security;
use schemars::JsonSchema;
use serde::Serialize;

use super::App;
use super::error::ApiError;
use super::lists::Lists;
use super::operator::Caller;
use super::request::{Params, Within};

/// A snapshot document with the version that it shows. Without `version` it reads as a file.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConfigurationExport")]
pub(super) struct Export {
    /// The version.
    version: u64,
    /// Rules for every connection to a partner.
    security: Security,
    /// Everything that is configured.
    #[serde(flatten)]
    objects: Lists,
}

/// Exports everything, or what belongs to one organization.
pub(super) async fn export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(within): Params<Within>,
) -> Result<Json<Export>, ApiError> {
    let scope = caller.scope(within.org_id)?;
    let state = app.publisher.state();
    let snapshot = &state.snapshot;
    let mut objects = Lists::default();
    let all = snapshot.objects();
    for object in all.iter().filter(|object| scope.is_none() || object.org_id() == scope) {
        objects.push(object);
    }
    Ok(Json(Export {
        version: snapshot.version,
        security: snapshot.security,
        objects,
    }))
}

pub(super) fn export_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Export everything, or one organization, as a document that can be applied again")
}

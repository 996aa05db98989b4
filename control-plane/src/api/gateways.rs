//! The gateways and what each of them runs.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::App;
use super::error::ApiError;
use super::operator::Caller;
use crate::fleet::Gateway;

/// All gateways.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Gateways {
    /// By name.
    gateways: Vec<Gateway>,
}

/// Lists gateways.
pub(super) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Gateways>, ApiError> {
    caller.require_all()?;
    if let Err(error) = app.fleet.refresh().await {
        // Those that are connected here are known all the same.
        tracing::warn!(%error, "the gateways of other control planes are not known");
    }
    let state = app.publisher.state();
    Ok(Json(Gateways {
        gateways: app.fleet.list(&state),
    }))
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List gateways, with what each runs and what it refused last")
}

//! The gateways and what each of them runs.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use axum::response::NoContent;
use schemars::JsonSchema;
use serde::Serialize;

use super::App;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Named, Place};
use crate::fleet::{Gateway, Removal};

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

/// Forgets a gateway that was taken away for good.
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
) -> Result<NoContent, ApiError> {
    caller.require_all()?;
    let entry = caller.actor().did("gateway.remove", format!("gateway {id}"), None);
    match app.fleet.remove(&id, entry).await? {
        Removal::Removed => Ok(NoContent),
        Removal::Unknown => Err(ApiError::not_found(&format!("gateway {id:?}"))),
        Removal::Connected => Err(ApiError::conflict(format!(
            "gateway {id:?} is connected, or was a moment ago; stop it first, or it would be back at once"
        ))),
    }
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List gateways, with what each runs and what it refused last")
}

pub(super) fn remove_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Forget a gateway that was taken away for good")
        .description(
            "It must not be connected. Commands that it has not carried out count as failed, and erasures wait for it no \
             more: they end as `INCOMPLETE`, as what its queue held is wherever its data folder is. A gateway that \
             connects again under this name is a new one, and open erasures go on with it.",
        )
        .errors(&[404, 409])
}

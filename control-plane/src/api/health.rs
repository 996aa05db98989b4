//! For orchestrators and for Prometheus; without a key.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::App;
use super::error::ApiError;

/// The process answers.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// The store answers too, so changes can be made.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    match tokio::time::timeout(PATIENCE, app.store.head()).await {
        Ok(Ok(version)) => Ok(Json(json!({"status": "ready", "version": version}))),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(ApiError::unavailable("the store does not answer")),
    }
}

/// Everything that is counted.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<impl IntoResponse, ApiError> {
    let text = app.metrics.text().map_err(|error| {
        tracing::error!(%error, "the metrics cannot be written");
        ApiError::internal()
    })?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

const PATIENCE: Duration = Duration::from_secs(2);

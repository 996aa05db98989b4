//! Whether it works: for orchestrators and for Prometheus, without a key; and in more words for operators.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::error::ApiError;
use super::operator::Caller;
use super::request::{Params, Within};

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

/// How everything is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Health {
    /// All in all.
    status: HealthStatus,
    /// The version of the configuration that this process serves.
    version: u64,
    /// The place where everything is kept.
    store: StoreHealth,
    /// The gateways.
    gateways: GatewayHealth,
    /// What is not delivered yet, as the gateways said last: of the organization, or of all.
    deliveries: DeliveryHealth,
}

/// How everything is, all in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum HealthStatus {
    /// Everything works.
    Ok,
    /// A gateway is away or behind.
    Degraded,
    /// The store does not work: nothing can be changed.
    Down,
}

/// How the store is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StoreHealth {
    /// True if it answers.
    works: bool,
    /// How long it took to answer, in milliseconds.
    latency_ms: u64,
}

/// How the gateways are.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GatewayHealth {
    /// How many are known.
    known: usize,
    /// How many of them are connected to this control plane.
    connected: usize,
    /// How many of those that are connected run another version than they should.
    behind: usize,
    /// Records of calls that those that are connected have lost since their start, as they had no more room for them.
    records_lost: u64,
    /// How long ago the version was made that one of them does not run yet, in milliseconds; 0 if none is behind.
    lag_ms: u64,
}

/// What waits to be delivered.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DeliveryHealth {
    /// Deliveries that are not settled.
    open: u64,
    /// Endpoints that they wait for.
    endpoints: usize,
    /// Age of the oldest event among them, in seconds; 0 if there is none.
    lag_seconds: u64,
}

/// Says how everything is.
pub(super) async fn health(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(within): Params<Within>,
) -> Result<Json<Health>, ApiError> {
    let scope = caller.scope(within.org_id)?;
    let begun = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, app.store.head()).await;
    let store = StoreHealth {
        works: matches!(answer, Ok(Ok(_))),
        latency_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    let state = app.publisher.state();
    let all = app.fleet.list(&state);
    let behind = all.iter().filter(|gateway| gateway.connected && gateway.lag_ms > 0);
    let gateways = GatewayHealth {
        known: all.len(),
        connected: all.iter().filter(|gateway| gateway.connected).count(),
        behind: behind.clone().count(),
        records_lost: all.iter().filter_map(|gateway| gateway.records_dropped).sum(),
        lag_ms: behind.map(|gateway| gateway.lag_ms).max().unwrap_or(0),
    };
    let status = match (store.works, gateways.behind > 0 || gateways.connected < gateways.known) {
        (false, _) => HealthStatus::Down,
        (true, true) => HealthStatus::Degraded,
        (true, false) => HealthStatus::Ok,
    };
    Ok(Json(Health {
        status,
        version: state.snapshot.version,
        store,
        gateways,
        deliveries: deliveries(&app, &caller, scope),
    }))
}

fn deliveries(app: &App, caller: &Caller, scope: Option<u64>) -> DeliveryHealth {
    let now = Timestamp::now();
    let mut health = DeliveryHealth {
        open: 0,
        endpoints: 0,
        lag_seconds: 0,
    };
    for standing in app.fleet.standing() {
        for status in standing.endpoints.iter().flat_map(|endpoints| endpoints.iter()) {
            if !caller.sees(status.org_id, scope) {
                continue;
            }
            health.open += status.open;
            health.endpoints += 1;
            let oldest = status.oldest.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
            let age = oldest.map_or(0, |at| now.duration_since(at).as_secs());
            health.lag_seconds = health.lag_seconds.max(u64::try_from(age).unwrap_or(0));
        }
    }
    health
}

pub(super) fn health_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Say how store, gateways and deliveries are")
        .description(
            "It answers 200 as long as the process does; `status` says how things are. `/readyz` is for machines.",
        )
}

const PATIENCE: Duration = Duration::from_secs(2);

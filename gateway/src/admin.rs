//! What operators and their tools ask of a gateway: whether it is well, what it counts, what it runs.
//!
//! It asks for no password, so it listens on this machine unless told otherwise. Secrets are shown as `***`.

mod explain;
mod fault;
mod listener;
mod queue;
mod routes;
mod upstreams;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use filters::model::{InboundIntegration, Organization, Security};
use serde::{Deserialize, Serialize};

use self::fault::{AdminFault, Query};
use crate::events::EventFlow;
use crate::live::{Live, Shared};
use crate::metrics::{Metrics, Pause};
use crate::sync::state::{Report, State as SyncState};

pub use self::listener::serve;

/// What the admin listener tells about.
#[derive(Clone)]
pub struct Context {
    /// The live version.
    pub shared: Arc<Shared>,
    /// The config flow.
    pub state: Arc<SyncState>,
    /// Every metric of the process.
    pub metrics: Arc<Metrics>,
    /// True once the process is to stop: it is not ready any more.
    pub stopping: Arc<AtomicBool>,
    /// The event flow; `None` at a gateway that only proxies.
    pub events: Option<Arc<EventFlow>>,
}

/// Every address of the admin listener.
fn router(context: Context) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics))
        .route("/config", get(config))
        .route("/routes", get(routes::list))
        .route("/explain", get(explain::show))
        .route("/upstreams", get(upstreams::list))
        .route("/upstreams/{id}/reset", post(upstreams::reset))
        .route("/queue", get(queue::show))
        .route("/queue/endpoints/{id}/pause", post(queue::pause))
        .route("/queue/endpoints/{id}/resume", post(queue::resume))
        .route("/queue/drain", post(queue::drain).delete(queue::undrain))
        .route("/queue/events/{org}/{id}", get(queue::event))
        .fallback(fault::not_found)
        .method_not_allowed_fallback(fault::method_not_allowed)
        .with_state(context)
}

/// 200 as long as the process can answer at all.
async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// 200 if requests can be served: a version is live, and the process is not about to stop. Events that are not taken in
/// for a while, and records that were lost, are told of and change nothing: calls are proxied all the same.
async fn readiness(State(context): State<Context>) -> Result<Json<Readiness>, AdminFault> {
    if context.stopping.load(Ordering::Relaxed) {
        return Err(AdminFault::not_ready("the gateway is stopping"));
    }
    if context.shared.load().is_none() {
        return Err(AdminFault::not_ready("no configuration is live yet; /config says why"));
    }
    let paused = context
        .events
        .as_ref()
        .map(|events| events.pressure().pauses().into_iter().map(Pause::label).collect());
    Ok(Json(Readiness {
        status: "ready",
        events_paused: paused.unwrap_or_default(),
        lost: Lost::of(&context.metrics),
    }))
}

async fn metrics(State(context): State<Context>) -> impl IntoResponse {
    let depths = context.events.as_ref().map(|events| events.depths());
    let metrics = &context.metrics;
    let text = metrics.events.shown(depths.unwrap_or_default(), || metrics.render());
    ([(header::CONTENT_TYPE, METRICS_TYPE)], text)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfigQuery {
    /// True shows every object.
    #[serde(default)]
    full: bool,
}

async fn config(State(context): State<Context>, Query(query): Query<ConfigQuery>) -> Result<Response, AdminFault> {
    let shown = move || {
        let live = context.shared.load();
        let body = ConfigBody {
            live: live.as_deref().map(LiveBody::of),
            sync: context.state.report(),
            objects: live.as_deref().filter(|_| query.full).map(Objects::of),
        };
        serde_json::to_vec(&body)
    };
    // All objects of a large configuration take their time.
    let json = tokio::task::spawn_blocking(shown)
        .await
        .map_err(|error| AdminFault::internal(&error))?
        .map_err(|error| AdminFault::internal(&error))?;
    let json_type = HeaderValue::from_static("application/json");
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, json_type)], json).into_response())
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Readiness {
    status: &'static str,
    /// Why no events are taken in, as in `gateway_ingest_paused`; left out while they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events_paused: Vec<&'static str>,
    /// What could not be kept since the start; left out if nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<Lost>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lost {
    /// Records of calls, as in `gateway_records_dropped_total`.
    records: u64,
    /// Calls that were to become dead letters, as in `gateway_call_dead_letters_total`.
    dead_letters: u64,
}

impl Lost {
    fn of(metrics: &Metrics) -> Option<Self> {
        let lost = Self {
            records: metrics.records_dropped.get(),
            dead_letters: metrics.letters_lost(),
        };
        (lost.records + lost.dead_letters > 0).then_some(lost)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigBody<'a> {
    #[serde(flatten)]
    live: Option<LiveBody<'a>>,
    #[serde(flatten)]
    sync: Report,
    #[serde(flatten)]
    objects: Option<Objects<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LiveBody<'a> {
    version: u64,
    digest: &'a str,
    security: Security,
    organization_count: usize,
    integration_count: usize,
}

impl<'a> LiveBody<'a> {
    fn of(live: &'a Live) -> Self {
        Self {
            version: live.plan.version,
            digest: &live.plan.digest,
            security: live.plan.security,
            organization_count: live.plan.organizations().count(),
            integration_count: live.plan.integrations().count(),
        }
    }
}

#[derive(Serialize)]
struct Objects<'a> {
    organizations: Vec<&'a Organization>,
    integrations: Vec<InboundIntegration>,
}

impl<'a> Objects<'a> {
    fn of(live: &'a Live) -> Self {
        let mut integrations: Vec<_> = live.plan.integrations().map(|found| found.source.masked()).collect();
        integrations.sort_by(|one, two| one.id.cmp(&two.id));
        Self {
            organizations: live.plan.organizations().map(|organization| &**organization).collect(),
            integrations,
        }
    }
}

const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[cfg(test)]
mod tests;

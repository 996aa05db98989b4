//! What operators do about the queue: pause and resume an endpoint, drain, and follow one event.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use filters::model::EventHead;
use serde::{Deserialize, Serialize};

use super::{Summary, opened};
use crate::admin::Context;
use crate::admin::fault::{AdminFault, Path, Query};
use crate::clock;
use crate::events::EventFlow;
use crate::queue::{EventAudit, Queue};

/// What a switch was set to.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Switched {
    integration_config_id: Arc<str>,
    paused: bool,
}

pub(in crate::admin) async fn pause(
    State(context): State<Context>,
    Path(id): Path<Arc<str>>,
) -> Result<Json<Switched>, AdminFault> {
    switch(&context, id, true).await
}

pub(in crate::admin) async fn resume(
    State(context): State<Context>,
    Path(id): Path<Arc<str>>,
) -> Result<Json<Switched>, AdminFault> {
    switch(&context, id, false).await
}

async fn switch(context: &Context, id: Arc<str>, paused: bool) -> Result<Json<Switched>, AdminFault> {
    let (flow, queue) = opened(context)?;
    let live = context.shared.load();
    let is_configured = live.is_some_and(|live| live.plan.events.subscription(&id).is_some());
    let is_kept = || queue.stats().subscriptions.iter().any(|depth| depth.subscription == id);
    if !is_configured && !is_kept() {
        return Err(AdminFault::unknown(format!(
            "there is no outbound integration {id} at this gateway; /queue lists those with open deliveries"
        )));
    }
    let dispatcher = flow.dispatcher();
    let switched = if paused {
        dispatcher.pause(&id).await
    } else {
        dispatcher.resume(&id).await
    };
    switched.map_err(|error| AdminFault::not_ready(&format!("the queue cannot remember it: {error}")))?;
    Ok(Json(Switched {
        integration_config_id: id,
        paused,
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::admin) struct DrainQuery {
    /// How long to wait for what is due to be delivered; 0 to 600.
    #[serde(default)]
    wait_seconds: u64,
}

/// How far a drain is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Drained {
    /// True if nothing is under way any more, and nothing is left that could go out now.
    drained: bool,
    #[serde(flatten)]
    summary: Summary,
}

/// Takes no more events in, and goes on to deliver.
pub(in crate::admin) async fn drain(
    State(context): State<Context>,
    Query(query): Query<DrainQuery>,
) -> Result<Json<Drained>, AdminFault> {
    if query.wait_seconds > MOST_SECONDS {
        return Err(AdminFault::invalid(
            "waitSeconds",
            format!("is {}; it must be 0 to {MOST_SECONDS}", query.wait_seconds),
        ));
    }
    let (flow, queue) = opened(&context)?;
    flow.pressure().drain(true);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(query.wait_seconds);
    loop {
        let report = Drained::of(flow, &queue).await;
        if report.drained || tokio::time::Instant::now() >= deadline {
            return Ok(Json(report));
        }
        tokio::time::sleep(DRAIN_STEP).await;
    }
}

/// Takes events in again.
pub(in crate::admin) async fn undrain(State(context): State<Context>) -> Result<Json<Drained>, AdminFault> {
    let (flow, queue) = opened(&context)?;
    flow.pressure().drain(false);
    Ok(Json(Drained::of(flow, &queue).await))
}

impl Drained {
    async fn of(flow: &EventFlow, queue: &Queue) -> Self {
        let summary = Summary::of(flow, &flow.dispatcher().stats().await, &queue.stats());
        Self {
            drained: summary.in_flight == 0 && summary.due == 0 && !summary.recovering && summary.taking_in == 0,
            summary,
        }
    }
}

/// What became of the events of one identifier.
#[derive(Serialize)]
pub(in crate::admin) struct Audit {
    /// One for each source that used the identifier.
    events: Vec<AuditedEvent>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditedEvent {
    #[serde(flatten)]
    head: EventHead,
    accepted_at: String,
    payload_bytes: usize,
    audit: Option<EventAudit>,
}

pub(in crate::admin) async fn event(
    State(context): State<Context>,
    Path((org_id, id)): Path<(u64, String)>,
) -> Result<Json<Audit>, AdminFault> {
    let (_, queue) = opened(&context)?;
    let kept = queue
        .find(org_id, vec![id.clone()])
        .await
        .map_err(|error| AdminFault::internal(&error))?;
    if kept.is_empty() {
        return Err(AdminFault::unknown(format!(
            "organization {org_id} has no event {id} at this gateway, or it was settled and not kept any longer"
        )));
    }
    let mut events = Vec::with_capacity(kept.len());
    for kept in kept {
        let audit = queue.audit(kept.seq).await;
        events.push(AuditedEvent {
            head: kept.event.head.clone(),
            accepted_at: clock::rfc3339(kept.accepted_ms),
            payload_bytes: kept.event.payload.len(),
            audit: audit.map_err(|error| AdminFault::internal(&error))?,
        });
    }
    Ok(Json(Audit { events }))
}

const MOST_SECONDS: u64 = 600;
const DRAIN_STEP: Duration = Duration::from_millis(50);

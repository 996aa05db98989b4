//! The queue, for people: what waits and why, and the switches of a maintenance.

mod steering;

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::Context;
use super::fault::{AdminFault, Query};
use crate::clock;
use crate::delivery::hold::Cause;
use crate::delivery::stats::{DispatcherStats, EndpointState, EndpointStats};
use crate::events::EventFlow;
use crate::live::Live;
use crate::metrics::Pause;
use crate::queue::{Queue, QueueStats, Step, SubscriptionDepth};

pub(super) use self::steering::{drain, event, pause, resume, undrain};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct QueueQuery {
    /// Only what is this organization's.
    organization: Option<u64>,
    /// Endpoints to leave out from the start of the list.
    #[serde(default)]
    offset: usize,
    /// The most endpoints to show.
    #[serde(default = "some")]
    limit: usize,
}

/// What waits, and why.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueueBody {
    #[serde(flatten)]
    summary: Summary,
    /// Organizations with open deliveries or dead letters, the busiest first.
    organizations: Vec<OrganizationBody>,
    /// Endpoints that match, whether shown or not.
    total: usize,
    offset: usize,
    /// The busiest first.
    endpoints: Vec<EndpointBody>,
}

/// The queue as a whole.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    /// Open deliveries.
    open: u64,
    /// Attempts under way.
    in_flight: u64,
    /// Deliveries whose time has come, and that may go out.
    due: u64,
    /// Requests with events that are being taken in.
    taking_in: u64,
    dead: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<String>,
    used_bytes: u64,
    spool_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    free_disk_bytes: Option<u64>,
    /// True until everything that was found at the start is handed over.
    recovering: bool,
    /// True while the last commit failed.
    failing: bool,
    draining: bool,
    /// Why no events are taken in; empty if they are.
    paused: Vec<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrganizationBody {
    org_id: u64,
    open: u64,
    dead: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointBody {
    integration_config_id: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Arc<str>>,
    org_id: u64,
    /// Place among the integration's actions, from 0.
    step: u16,
    /// True for the calls that undo that step.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    compensation: bool,
    state: &'static str,
    /// Why it gets nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    open: u64,
    in_flight: u64,
    due: u64,
    dead: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<String>,
    /// Since when the first of its deliveries has been due.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastError>,
}

#[derive(Serialize)]
struct LastError {
    at: String,
    message: String,
}

pub(super) async fn show(
    State(context): State<Context>,
    Query(query): Query<QueueQuery>,
) -> Result<Json<QueueBody>, AdminFault> {
    let (flow, queue) = opened(&context)?;
    let dispatched = flow.dispatcher().stats().await;
    let kept = queue.stats();
    let wanted = |org_id: u64| query.organization.is_none_or(|organization| organization == org_id);
    let mut organizations = BTreeMap::<u64, (u64, u64, Option<i64>)>::new();
    for depth in kept.subscriptions.iter().filter(|depth| wanted(depth.org_id)) {
        let (open, dead, oldest) = organizations.entry(depth.org_id).or_default();
        *open += depth.open;
        *dead += depth.dead;
        *oldest = earlier(*oldest, depth.oldest_ms);
    }
    let mut organizations: Vec<_> = organizations
        .into_iter()
        .map(|(org_id, (open, dead, oldest))| OrganizationBody {
            org_id,
            open,
            dead,
            oldest: oldest.map(clock::rfc3339),
        })
        .collect();
    organizations.sort_by_key(|organization| std::cmp::Reverse(organization.open));
    organizations.truncate(MOST_SHOWN);
    let live = context.shared.load();
    let mut endpoints = endpoints(&dispatched, &kept, live.as_deref());
    endpoints.retain(|endpoint| wanted(endpoint.org_id));
    Ok(Json(QueueBody {
        summary: Summary::of(flow, &dispatched, &kept),
        organizations,
        total: endpoints.len(),
        offset: query.offset,
        endpoints: endpoints
            .into_iter()
            .skip(query.offset)
            .take(query.limit.min(MOST_SHOWN))
            .collect(),
    }))
}

impl Summary {
    fn of(flow: &EventFlow, dispatched: &DispatcherStats, kept: &QueueStats) -> Self {
        let levels = &kept.levels;
        Self {
            open: levels.open,
            in_flight: dispatched.in_flight,
            due: dispatched.due,
            taking_in: flow.pressure().in_flight(),
            dead: levels.dead,
            oldest: kept.oldest_ms.map(clock::rfc3339),
            used_bytes: levels.used_bytes,
            spool_bytes: levels.spool_bytes,
            free_disk_bytes: levels.free_disk_bytes,
            recovering: kept.recovering,
            failing: levels.failing,
            draining: flow.pressure().is_draining(),
            paused: flow.pressure().pauses().into_iter().map(Pause::label).collect(),
        }
    }
}

/// Every endpoint that has something waiting or is not simply working, the busiest first.
fn endpoints(dispatched: &DispatcherStats, kept: &QueueStats, live: Option<&Live>) -> Vec<EndpointBody> {
    let depths: AHashMap<&str, &SubscriptionDepth> = kept
        .subscriptions
        .iter()
        .map(|depth| (&*depth.subscription, depth))
        .collect();
    let mut known = AHashSet::new();
    let mut endpoints: Vec<_> = dispatched
        .endpoints
        .iter()
        .map(|stats| {
            // What is counted by subscription stands at the first of its endpoints.
            let is_first = known.insert(&*stats.id);
            let depth = depths.get(&*stats.id).filter(|_| is_first).copied();
            EndpointBody::of(&stats.id, Some(stats), depth, live)
        })
        .collect();
    // Those with nothing but dead letters: the dispatcher does not know them.
    let rest = kept
        .subscriptions
        .iter()
        .filter(|depth| !known.contains(&*depth.subscription));
    endpoints.extend(rest.map(|depth| EndpointBody::of(&depth.subscription, None, Some(depth), live)));
    endpoints.sort_by(|one, other| {
        let order = |endpoint: &EndpointBody| std::cmp::Reverse((endpoint.open, endpoint.dead));
        order(one)
            .cmp(&order(other))
            .then_with(|| one.integration_config_id.cmp(&other.integration_config_id))
            .then(one.step.cmp(&other.step))
    });
    endpoints
}

impl EndpointBody {
    fn of(
        id: &Arc<str>,
        stats: Option<&EndpointStats>,
        depth: Option<&SubscriptionDepth>,
        live: Option<&Live>,
    ) -> Self {
        let known = live.and_then(|live| live.plan.events.subscription(id));
        let (state, reason) = stats.map_or(("working", None), |stats| state(&stats.state));
        let (step, compensation) = match stats.map_or(Step::Forward(0), |stats| stats.step) {
            Step::Forward(step) => (step, false),
            Step::Back(step) => (step, true),
        };
        Self {
            integration_config_id: Arc::clone(id),
            name: known
                .map(|subscription| Arc::clone(&subscription.name))
                .or_else(|| Some(live?.plan.integration(id)?.source.name.as_str().into())),
            org_id: known
                .map(|subscription| subscription.org_id)
                .or_else(|| depth.map(|depth| depth.org_id))
                .or_else(|| stats.map(|stats| stats.org_id))
                .unwrap_or_default(),
            step,
            compensation,
            state,
            reason,
            open: stats.map_or_else(|| depth.map_or(0, |depth| depth.open), |stats| stats.open),
            in_flight: stats.map_or(0, |stats| stats.in_flight),
            due: stats.map_or(0, |stats| stats.due),
            dead: depth.map_or(0, |depth| depth.dead),
            oldest: depth.and_then(|depth| depth.oldest_ms).map(clock::rfc3339),
            due_since: stats.and_then(|stats| stats.due_since_ms).map(clock::rfc3339),
            next_attempt_at: stats.and_then(|stats| stats.next_ms).map(clock::rfc3339),
            last_error: stats
                .and_then(|stats| stats.last_failure.as_ref())
                .map(|failure| LastError {
                    at: clock::rfc3339(failure.at_ms),
                    message: failure.message.clone(),
                }),
        }
    }
}

fn state(state: &EndpointState) -> (&'static str, Option<String>) {
    let told = |state, reason: &str| (state, Some(reason.to_owned()));
    match state {
        EndpointState::Working => ("working", None),
        EndpointState::RateLimited => ("rateLimited", None),
        EndpointState::Waiting => told("waiting", "the endpoint asked for a pause"),
        EndpointState::CircuitOpen => told("circuitOpen", "the endpoint fails; it is left alone for a while"),
        EndpointState::HalfOpen => told("halfOpen", "it is being tried whether the endpoint works again"),
        EndpointState::Held(hold) => {
            let state = match hold.cause {
                Cause::Paused => "paused",
                Cause::Disabled => "disabled",
                Cause::Deactivated => "deactivated",
            };
            (state, Some(hold.reason.clone()))
        }
        EndpointState::Inactive => told("inactive", "the integration is not active"),
        EndpointState::Unknown => told("unknown", "no version is live yet"),
        EndpointState::Missing => told("missing", "the integration is not in the live version"),
    }
}

/// The event flow and its queue.
fn opened(context: &Context) -> Result<(&EventFlow, Queue), AdminFault> {
    let flow = context
        .events
        .as_deref()
        .ok_or_else(|| AdminFault::unknown("this gateway takes no events (ingest.enabled)".to_owned()))?;
    let not_open = || match flow.trouble() {
        Some(trouble) => AdminFault::not_ready(&trouble),
        None => AdminFault::not_ready("the queue is not open yet: the process before this one has it"),
    };
    let queue = flow.queue().ok_or_else(not_open)?;
    Ok((flow, queue))
}

fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn some() -> usize {
    100
}

const MOST_SHOWN: usize = 1_000;

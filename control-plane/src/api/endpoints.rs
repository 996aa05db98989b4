//! What operators see of endpoints, and do with them.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::command::Command;
use filters::model::push::EndpointStatus;
use filters::model::{OutboundIntegration, Problem};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::App;
use super::answer::Accepted;
use super::commands::{Given, text};
use super::error::ApiError;
use super::history::moment;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Named, Params, Place};
use crate::commands::Draft;

/// The gateways that a command goes to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Target {
    /// The organization; must be given if the key is not for all of them.
    #[serde(default)]
    org_id: Option<u64>,
    /// Only this gateway; all that are known if left out.
    #[serde(default)]
    gateway_id: Option<String>,
}

/// A delivery to try an endpoint with.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TestDelivery {
    /// Type of the event that it pretends to be; that of the integration if left out.
    #[serde(default)]
    event_type: Option<String>,
    /// Its payload; `{}` if left out.
    #[serde(default)]
    payload: Option<Value>,
}

/// Events to deliver once more: `eventIds`, or those between two times.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Replay {
    /// Organization.
    org_id: u64,
    /// To this outbound integration only; to all that match if left out.
    #[serde(default)]
    integration_config_id: Option<String>,
    /// These events, at most 1,000.
    #[serde(default)]
    event_ids: Vec<String>,
    /// Events accepted from this moment on: RFC 3339, or a date (UTC).
    #[serde(default)]
    from: Option<String>,
    /// Events accepted before this moment: RFC 3339; or a date (UTC), which is included. Now if left out.
    #[serde(default)]
    to: Option<String>,
    /// Only from this gateway's queue; from all if left out.
    #[serde(default)]
    gateway_id: Option<String>,
}

/// Which endpoints are shown.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Looked {
    /// Of this organization; must be given if the key is not for all of them.
    #[serde(default)]
    org_id: Option<u64>,
    /// Only this outbound integration.
    #[serde(default)]
    integration_config_id: Option<String>,
}

/// What is not delivered yet, and why.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Undelivered {
    /// By endpoint and gateway; those with most first.
    endpoints: Vec<Waiting>,
}

/// What waits for an endpoint at one gateway.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    /// The gateway that has the events.
    gateway_id: String,
    /// False if the gateway is away; then this is what it said last.
    connected: bool,
    /// When the gateway was heard of last (RFC 3339).
    last_seen: String,
    /// Name of the integration; left out if there is none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_name: Option<String>,
    #[serde(flatten)]
    status: EndpointStatus,
}

/// Stops deliveries to an endpoint.
pub(super) async fn pause(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    Params(target): Params<Target>,
) -> Result<Accepted<Given>, ApiError> {
    let command = |integration_config_id| Command::Pause { integration_config_id };
    to_endpoint(&app, &caller, named, target, command).await
}

/// Goes on with deliveries to an endpoint.
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    Params(target): Params<Target>,
) -> Result<Accepted<Given>, ApiError> {
    let command = |integration_config_id| Command::Resume { integration_config_id };
    to_endpoint(&app, &caller, named, target, command).await
}

/// Gives a command about an endpoint.
async fn to_endpoint(
    app: &App,
    caller: &Caller,
    named: Named,
    target: Target,
    command: impl FnOnce(Arc<str>) -> Command,
) -> Result<Accepted<Given>, ApiError> {
    let integration = integration(app, caller, named, target.org_id)?;
    let command = command(integration.id.as_str().into());
    give(app, caller, integration.org_id, target.gateway_id.as_deref(), &command).await
}

/// Sends a test delivery to an endpoint.
pub(super) async fn deliver_test(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    Params(target): Params<Target>,
    body: Option<Document<TestDelivery>>,
) -> Result<Accepted<Given>, ApiError> {
    let test = body.map(|body| body.read()).transpose()?.unwrap_or_default();
    let integration = integration(&app, &caller, named, target.org_id)?;
    let event_type = test.event_type.or_else(|| integration.event_type.clone());
    let command = Command::Test {
        integration_config_id: integration.id.as_str().into(),
        event_type: event_type.unwrap_or_else(|| "test".to_owned()),
        payload: test.payload.unwrap_or_else(|| Value::Object(Default::default())),
    };
    let gateway_id = match target.gateway_id {
        Some(gateway_id) => gateway_id,
        None => one_connected(&app)?,
    };
    give(&app, &caller, integration.org_id, Some(&gateway_id), &command).await
}

/// Delivers events once more.
pub(super) async fn replay(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Document<Replay>,
) -> Result<Accepted<Given>, ApiError> {
    let wanted: Replay = body.read()?;
    caller.allow(wanted.org_id)?;
    let mut problems = Vec::new();
    let from = moment("from", wanted.from.as_deref(), 0, &mut problems);
    let to = moment("to", wanted.to.as_deref(), 1, &mut problems);
    let by_time = wanted.from.is_some() || wanted.to.is_some();
    if wanted.event_ids.is_empty() && wanted.from.is_none() {
        problems.push(Problem::new(
            "eventIds",
            "give `eventIds`, or `from` for a range of time",
        ));
    }
    if !wanted.event_ids.is_empty() && by_time {
        problems.push(Problem::new("eventIds", "cannot be given beside `from` and `to`"));
    }
    if wanted.event_ids.len() > MOST_EVENTS {
        let message = format!("has {} identifiers; give at most {MOST_EVENTS}", wanted.event_ids.len());
        problems.push(Problem::new("eventIds", message));
    }
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        problems.push(Problem::new("to", "is not after `from`"));
    }
    if !problems.is_empty() {
        return Err(ApiError::validation(problems));
    }
    let id = wanted.integration_config_id;
    let id = id
        .map(|id| integration(&app, &caller, Named { id }, Some(wanted.org_id)))
        .transpose()?;
    let command = Command::Replay {
        org_id: wanted.org_id,
        integration_config_id: id.map(|integration| integration.id.as_str().into()),
        event_ids: wanted.event_ids,
        from: from.map(text),
        // A command may wait for its gateway; what comes in meanwhile is not meant.
        to: from.map(|_| text(to.unwrap_or_else(jiff::Timestamp::now))),
    };
    give(&app, &caller, wanted.org_id, wanted.gateway_id.as_deref(), &command).await
}

/// Shows what is not delivered yet, and why.
pub(super) async fn undelivered(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(looked): Params<Looked>,
) -> Result<Json<Undelivered>, ApiError> {
    let scope = caller.scope(looked.org_id)?;
    let state = app.publisher.state();
    let mut endpoints = Vec::new();
    for standing in app.fleet.standing() {
        for status in standing.endpoints.iter().flat_map(|endpoints| endpoints.iter()) {
            let id = &status.integration_config_id;
            let is_other = |wanted: &String| **wanted != **id;
            if !caller.sees(status.org_id, scope) || looked.integration_config_id.as_ref().is_some_and(is_other) {
                continue;
            }
            let configured = state.snapshot.outbound.get(&**id);
            endpoints.push(Waiting {
                gateway_id: standing.gateway_id.clone(),
                connected: standing.connected,
                last_seen: text(standing.last_seen),
                integration_name: configured.map(|entry| entry.value.name.clone()),
                status: status.clone(),
            });
        }
    }
    endpoints.sort_by_key(|waiting| std::cmp::Reverse(waiting.status.open));
    Ok(Json(Undelivered { endpoints }))
}

/// The outbound integration, if the caller may know of it.
fn integration(
    app: &App,
    caller: &Caller,
    Named { id }: Named,
    org_id: Option<u64>,
) -> Result<Arc<OutboundIntegration>, ApiError> {
    let scope = caller.scope(org_id)?;
    let state = app.publisher.state();
    let found = state.snapshot.outbound.get(&*id).map(|entry| Arc::clone(&entry.value));
    found
        .filter(|integration| caller.sees(integration.org_id, scope))
        .ok_or_else(|| ApiError::not_found(&format!("outbound integration {id:?}")))
}

/// Gives a command to one gateway, or to all that are known.
pub(super) async fn give(
    app: &App,
    caller: &Caller,
    org_id: u64,
    gateway_id: Option<&str>,
    command: &Command,
) -> Result<Accepted<Given>, ApiError> {
    if let Err(error) = app.fleet.refresh().await {
        // Those that are known here are told all the same.
        tracing::warn!(%error, "the gateways of other control planes are not known");
    }
    let known = app.fleet.standing().into_iter().map(|standing| standing.gateway_id);
    let meant: Vec<String> = known
        .filter(|known| gateway_id.is_none_or(|wanted| wanted == known))
        .collect();
    if meant.is_empty() {
        return Err(match gateway_id {
            Some(wanted) => ApiError::not_found(&format!("gateway {wanted:?}")),
            None => no_gateway(),
        });
    }
    let drafts = meant.into_iter().map(|gateway_id| Draft {
        org_id,
        gateway_id: gateway_id.into(),
        command: command.clone(),
    });
    Given::of(app, caller, drafts.collect()).await
}

/// A gateway that does it now, if there is one.
fn one_connected(app: &App) -> Result<String, ApiError> {
    let standing = app.fleet.standing();
    let best = standing.into_iter().max_by_key(|one| (one.connected, one.last_seen));
    best.map(|one| one.gateway_id).ok_or_else(no_gateway)
}

fn no_gateway() -> ApiError {
    ApiError::new(
        StatusCode::CONFLICT,
        "no gateway has ever connected, so nobody can do it",
    )
}

pub(super) fn pause_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Stop deliveries to an endpoint; its events are kept")
        .errors(&[409])
}

pub(super) fn resume_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Go on with deliveries to an endpoint that was paused, disabled or left alone")
        .errors(&[409])
}

pub(super) fn deliver_test_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Send a test delivery to an endpoint, once; the attempt is in the logs")
        .errors(&[409])
}

pub(super) fn replay_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Deliver events once more that gateways still have")
        .errors(&[404, 409])
}

pub(super) fn undelivered_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List what is not delivered yet and why, by endpoint and gateway")
}

/// Events that can be named in one call.
const MOST_EVENTS: usize = 1_000;

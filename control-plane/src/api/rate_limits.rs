//! Limits of requests: which there are, how much of them is used up at the gateways, and how they are set back.

use std::collections::BTreeMap;
use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::command::{Command, ResetScope};
use filters::model::limits::{Limit, LimitKind, LimitScope, RateLimits};
use filters::model::{Problem, Snapshot};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::answer::Accepted;
use super::commands::Given;
use super::endpoints::give;
use super::error::ApiError;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Params, Within};

/// The limits of an organization.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RateLimitsOfOrganization")]
pub(super) struct Shown {
    /// Those that are configured: of organizations, integrations and consumers.
    limits: Vec<Configured>,
    /// What is used up of them, as the gateways that are connected to this control plane said some seconds ago; at most 500
    /// of each gateway. What is not listed is whole.
    usage: Vec<Usage>,
}

/// Limits that are configured.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Configured {
    /// Whose they are.
    scope: ResetScope,
    /// Organization.
    org_id: u64,
    /// The integration or consumer; left out for an organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Its name.
    name: String,
    /// False where they are switched off.
    enabled: bool,
    /// The limits of an integration.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limits: Option<RateLimits>,
    /// The limit of an organization or a consumer.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit: Option<Limit>,
}

/// How much of one limit is used up.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Usage {
    /// Whose limit it is.
    scope: LimitScope,
    /// Organization.
    org_id: u64,
    /// The integration or consumer; left out for an organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Arc<str>>,
    /// Name of the caller, of a limit that each has; empty for all those that share one.
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    /// How it counts.
    kind: LimitKind,
    /// Requests that it allows at each gateway.
    limit: u64,
    /// How many are used up, by gateway.
    gateways: Vec<UsedAt>,
}

/// How much of a limit is used up at one gateway.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct UsedAt {
    /// The gateway.
    gateway_id: String,
    /// Requests that are used up.
    used: u64,
    /// Seconds until all are there again if no request comes.
    reset_seconds: u32,
}

/// Limits to set back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Reset {
    /// Organization.
    org_id: u64,
    /// Whose limits.
    scope: ResetScope,
    /// The integration or consumer; none for the organization.
    #[serde(default)]
    id: Option<String>,
    /// Only at this gateway; at all that are known if left out.
    #[serde(default)]
    gateway_id: Option<String>,
}

/// Shows limits.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(within): Params<Within>,
) -> Result<Json<Shown>, ApiError> {
    let scope = caller.scope(within.org_id)?;
    let mut usage: BTreeMap<_, Usage> = BTreeMap::new();
    for (gateway_id, limits) in app.fleet.limits() {
        for limit in limits.iter().filter(|limit| caller.sees(limit.org_id, scope)) {
            let key = (
                limit.org_id,
                limit.scope,
                limit.id.clone(),
                limit.caller.clone(),
                limit.kind,
            );
            let known = usage.entry(key).or_insert_with(|| Usage {
                scope: limit.scope,
                org_id: limit.org_id,
                id: limit.id.clone(),
                caller: limit.caller.clone(),
                kind: limit.kind,
                limit: limit.limit,
                gateways: Vec::new(),
            });
            known.gateways.push(UsedAt {
                gateway_id: gateway_id.clone(),
                used: limit.used,
                reset_seconds: limit.reset_seconds,
            });
        }
    }
    let state = app.publisher.state();
    let limits = configured(&state.snapshot);
    Ok(Json(Shown {
        limits: limits
            .into_iter()
            .filter(|limit| caller.sees(limit.org_id, scope))
            .collect(),
        usage: usage.into_values().collect(),
    }))
}

/// Sets limits back.
pub(super) async fn reset(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Document<Reset>,
) -> Result<Accepted<Given>, ApiError> {
    let wanted = body.read()?;
    caller.allow(wanted.org_id)?;
    let state = app.publisher.state();
    let known = configured(&state.snapshot);
    drop(state);
    match (wanted.scope, &wanted.id) {
        (ResetScope::Organization, Some(_)) => {
            let problem = Problem::new("id", "is for integrations and consumers; leave it out");
            return Err(ApiError::validation(vec![problem]));
        }
        (ResetScope::Integration | ResetScope::Consumer, None) => {
            let problem = Problem::new("id", "must be given: the integration or consumer");
            return Err(ApiError::validation(vec![problem]));
        }
        _ => {}
    }
    let is_wanted =
        |limit: &Configured| (limit.org_id, limit.scope, &limit.id) == (wanted.org_id, wanted.scope, &wanted.id);
    if !known.iter().any(is_wanted) {
        return Err(ApiError::not_found("a limit of that"));
    }
    let command = Command::ResetLimits {
        org_id: wanted.org_id,
        scope: wanted.scope,
        id: wanted.id.as_deref().map(Into::into),
    };
    give(&app, &caller, wanted.org_id, wanted.gateway_id.as_deref(), &command).await
}

/// All limits, organizations first.
fn configured(snapshot: &Snapshot) -> Vec<Configured> {
    let organizations = snapshot.organizations.values().filter_map(|entry| {
        let limit = entry.value.rate_limit?;
        Some(of(
            ResetScope::Organization,
            entry.value.org_id,
            None,
            &entry.value.name,
            Some(limit),
        ))
    });
    let integrations = snapshot.integrations.values().filter_map(|entry| {
        let limits = entry.value.rate_limits.as_ref()?;
        let id = Some(entry.value.id.clone());
        Some(Configured {
            enabled: limits.enabled,
            rate_limits: Some(limits.clone()),
            ..of(ResetScope::Integration, entry.value.org_id, id, &entry.value.name, None)
        })
    });
    let consumers = snapshot.consumers.values().filter_map(|entry| {
        let limit = entry.value.rate_limit?;
        let id = Some(entry.value.id.clone());
        Some(of(
            ResetScope::Consumer,
            entry.value.org_id,
            id,
            &entry.value.name,
            Some(limit),
        ))
    });
    organizations.chain(integrations).chain(consumers).collect()
}

fn of(scope: ResetScope, org_id: u64, id: Option<String>, name: &str, rate_limit: Option<Limit>) -> Configured {
    Configured {
        scope,
        org_id,
        id,
        name: name.to_owned(),
        enabled: true,
        rate_limits: None,
        rate_limit,
    }
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Show limits of requests, and how much of them is used up")
}

pub(super) fn reset_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Forget what is used up of limits")
        .description("It is a command to the gateways: `GET /api/v1/commands/{id}` shows what became of it.")
        .errors(&[404, 409])
}

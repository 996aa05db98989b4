//! The targets of integrations with rules about failing partners, for people.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{Path, State};
use filters::delivery::breaker::State as Circuit;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::Context;
use super::fault::{AdminFault, Query};
use crate::clock;
use crate::live::IntegrationRuntime;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UpstreamsQuery {
    /// Only the targets of this integration.
    integration: Option<String>,
    /// True leaves out the targets that requests go to as always.
    #[serde(default)]
    troubled: bool,
}

#[derive(Serialize)]
pub(super) struct Upstreams {
    targets: Vec<Target>,
}

/// One target.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    integration: String,
    org_id: u64,
    target: String,
    /// Its address, where it was discovered by DNS.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
    weight: u32,
    /// What its breaker does.
    #[serde(skip_serializing_if = "Option::is_none")]
    circuit: Option<&'static str>,
    healthy: bool,
    ejected: bool,
    in_flight: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
}

impl Target {
    fn is_troubled(&self) -> bool {
        !self.healthy || self.ejected || self.circuit.is_some_and(|circuit| circuit != name(Circuit::Closed))
    }
}

/// Lists the targets, in the order of their integrations.
pub(super) async fn list(
    State(context): State<Context>,
    Query(query): Query<UpstreamsQuery>,
) -> Result<Json<Upstreams>, AdminFault> {
    let Some(live) = context.shared.load() else {
        return Err(AdminFault::not_ready("no configuration is live yet; /config says why"));
    };
    let wanted = query.integration.as_deref();
    let runtimes = live.runtimes.iter().flatten();
    let mut targets: Vec<_> = runtimes
        .filter(|runtime| wanted.is_none_or(|wanted| *runtime.integration.id == *wanted))
        .flat_map(|runtime| targets_of(runtime))
        .filter(|target| !query.troubled || target.is_troubled())
        .collect();
    targets.sort_by(|one, two| {
        (&one.integration, &one.target, one.address).cmp(&(&two.integration, &two.target, two.address))
    });
    Ok(Json(Upstreams { targets }))
}

/// Probes the targets of an integration at once whose circuits are open, deactivated ones included.
pub(super) async fn reset(State(context): State<Context>, Path(id): Path<String>) -> Result<StatusCode, AdminFault> {
    let live = context.shared.load();
    let runtimes = live.iter().flat_map(|live| live.runtimes.iter().flatten());
    let found = runtimes.filter(|runtime| *runtime.integration.id == *id);
    let resilience = found.filter_map(|runtime| runtime.resilience.as_ref()).next();
    let Some(resilience) = resilience else {
        return Err(AdminFault::unknown(format!(
            "no integration {id:?} with rules about failing partners is live"
        )));
    };
    resilience.reset();
    Ok(StatusCode::NO_CONTENT)
}

fn targets_of(runtime: &IntegrationRuntime) -> Vec<Target> {
    let Some(resilience) = &runtime.resilience else {
        return Vec::new();
    };
    let now_ms = clock::now_ms();
    let members = resilience.members();
    let targets = members.iter().map(|endpoint| {
        let shown = endpoint.shown(now_ms);
        Target {
            integration: runtime.integration.id.to_string(),
            org_id: runtime.integration.source.org_id,
            target: endpoint.target.upstream.target().to_string(),
            address: shown.address,
            weight: endpoint.weight,
            circuit: shown.circuit.map(name),
            healthy: shown.is_healthy,
            ejected: shown.is_ejected,
            in_flight: shown.in_flight,
            limit: shown.limit,
        }
    });
    targets.collect()
}

fn name(circuit: Circuit) -> &'static str {
    match circuit {
        Circuit::Closed => "closed",
        Circuit::Open => "open",
        Circuit::HalfOpen => "halfOpen",
        Circuit::Deactivated => "deactivated",
    }
}

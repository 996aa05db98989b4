//! Snapshot in, plan or problems out. The only compiler: control plane, gateway and command line all call it.

mod credentials;
mod integration;
mod organization;
mod roster;

use std::sync::Arc;

use crate::address::EgressPolicy;
use crate::model::limits::RateLimit;
use crate::model::{Entry, InboundIntegration, Organization, Problem, Snapshot};
use crate::plan::Plan;
use crate::route::RouteTable;
use roster::Roster;

/// Compiles `snapshot`, sharing with `previous` what has not changed.
///
/// # Errors
/// Every problem of the snapshot, with paths such as `integrations["appointments"].targetUrl`.
pub fn compile(snapshot: &Snapshot, previous: Option<&Plan>) -> Result<Plan, Vec<Problem>> {
    let mut problems = Vec::new();
    for (id, entry) in &snapshot.organizations {
        organization::check(&entry.value, &format!("organizations[{id}]"), &mut problems);
    }
    let mut roster = Roster::of(previous, snapshot);
    for (id, entry) in &snapshot.integrations {
        if previous.is_some_and(|plan| is_unchanged(plan, snapshot, id, entry)) {
            continue;
        }
        let organization = snapshot.organizations.get(&entry.value.org_id);
        let slot = roster.slot_for(id);
        let place = integration::Place {
            slot,
            id,
            egress: EgressPolicy::new(&snapshot.security, organization.map(|entry| &*entry.value)),
            security: snapshot.security,
            organization: organization.map(|entry| &*entry.value),
        };
        let compiled = integration::compile(entry, place, &mut problems);
        roster.put(slot, compiled.map(Arc::new));
    }
    let routes = RouteTable::changed(previous.map(|plan| &plan.routes), &roster.edits, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Plan {
        version: snapshot.version,
        digest: snapshot.digest(),
        security: snapshot.security,
        slots: roster.slots,
        integrations: roster.integrations,
        routes,
        organizations: snapshot.organizations.clone(),
    })
}

/// Compiles one integration by itself: what is wrong with it whatever else there is.
///
/// # Errors
/// Every problem, with paths from the integration's own root.
pub fn check_integration(
    integration: &InboundIntegration,
    security: crate::model::Security,
    organization: Option<&Organization>,
) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    let id: Arc<str> = integration.id.as_str().into();
    let place = integration::Place {
        slot: 0,
        id: &id,
        egress: EgressPolicy::new(&security, organization),
        security,
        organization,
    };
    integration::compile_at("", &Entry::new(integration.clone()), place, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// True if neither the integration nor anything that it is compiled from has changed since `previous`.
fn is_unchanged(previous: &Plan, snapshot: &Snapshot, id: &str, entry: &Entry<InboundIntegration>) -> bool {
    let Some(before) = previous.integration(id) else {
        return false;
    };
    let org_id = entry.value.org_id;
    let digest = |organization: Option<&Entry<Organization>>| organization.map(|organization| organization.digest);
    before.digest == entry.digest
        && previous.security == snapshot.security
        && digest(previous.organizations.get(&org_id)) == digest(snapshot.organizations.get(&org_id))
}

fn check_limit(limit: &RateLimit, path: &str, problems: &mut Vec<Problem>) {
    if limit.max_requests == 0 {
        problems.push(Problem::new(format!("{path}.maxRequests"), "must be at least 1"));
    }
    if !(1..=86_400).contains(&limit.window_seconds) {
        problems.push(Problem::new(
            format!("{path}.windowSeconds"),
            "must be between 1 and 86400",
        ));
    }
}

#[cfg(test)]
mod tests;

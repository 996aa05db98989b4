//! Snapshot in, plan or problems out. The only compiler: control plane, gateway and command line all call it.

mod credentials;
mod integration;

use std::sync::Arc;

use ahash::AHashMap;

use crate::address::EgressPolicy;
use crate::model::limits::RateLimit;
use crate::model::{Entry, InboundIntegration, Organization, Problem, Snapshot};
use crate::plan::{Integration, Plan};
use crate::route::RouteTable;

/// Compiles `snapshot`, sharing with `previous` what has not changed.
///
/// # Errors
/// Every problem of the snapshot, with paths such as `integrations["appointments"].targetUrl`.
pub fn compile(snapshot: &Snapshot, previous: Option<&Plan>) -> Result<Plan, Vec<Problem>> {
    let mut problems = Vec::new();
    for (id, entry) in &snapshot.organizations {
        check_organization(&entry.value, &format!("organizations[{id}]"), &mut problems);
    }
    let mut slots = Slots::of(snapshot, previous);
    let mut integrations: Vec<Option<Arc<Integration>>> = Vec::new();
    let mut active = Vec::with_capacity(snapshot.integrations.len());
    for (id, entry) in &snapshot.integrations {
        let organization = snapshot.organizations.get(&entry.value.org_id);
        let kept = previous.and_then(|plan| unchanged(plan, snapshot, id, entry));
        let compiled = match kept {
            Some(before) => Some(Arc::clone(before)),
            None => {
                let place = integration::Place {
                    slot: slots.take(id),
                    id,
                    egress: EgressPolicy::new(&snapshot.security, organization.map(|entry| &*entry.value)),
                    security: snapshot.security,
                };
                integration::compile(entry, place, &mut problems).map(Arc::new)
            }
        };
        let Some(compiled) = compiled else { continue };
        if compiled.source.is_active {
            active.push(Arc::clone(&compiled));
        }
        let slot = compiled.slot;
        if integrations.len() <= slot {
            integrations.resize(slot + 1, None);
        }
        integrations[slot] = Some(compiled);
    }
    let routes = RouteTable::build(&active, previous.map(|plan| &plan.routes), &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Plan {
        version: snapshot.version,
        digest: snapshot.digest(),
        security: snapshot.security,
        slots: integrations
            .iter()
            .flatten()
            .map(|integration| (Arc::clone(&integration.id), integration.slot))
            .collect(),
        integrations,
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
    };
    integration::compile_at("", &Entry::new(integration.clone()), place, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The integration as `previous` has it, if neither it nor anything that it is compiled from has changed.
fn unchanged<'p>(
    previous: &'p Plan,
    snapshot: &Snapshot,
    id: &str,
    entry: &Entry<InboundIntegration>,
) -> Option<&'p Arc<Integration>> {
    let before = previous.integration(id)?;
    let org_id = entry.value.org_id;
    let digest = |organization: Option<&Entry<Organization>>| organization.map(|organization| organization.digest);
    let same_rules = previous.security == snapshot.security
        && digest(previous.organizations.get(&org_id)) == digest(snapshot.organizations.get(&org_id));
    (same_rules && before.digest == entry.digest).then_some(before)
}

/// Gives each integration the slot it had, and new ones the free slots.
struct Slots<'p> {
    kept: Option<&'p AHashMap<Arc<str>, usize>>,
    free: Vec<usize>,
    next: usize,
}

impl<'p> Slots<'p> {
    fn of(snapshot: &Snapshot, previous: Option<&'p Plan>) -> Self {
        let Some(previous) = previous else {
            return Self {
                kept: None,
                free: Vec::new(),
                next: 0,
            };
        };
        let is_free = |slot: &usize| match &previous.integrations[*slot] {
            Some(integration) => !snapshot.integrations.contains_key(&integration.id),
            None => true,
        };
        Self {
            kept: Some(&previous.slots),
            free: (0..previous.integrations.len()).rev().filter(is_free).collect(),
            next: previous.integrations.len(),
        }
    }

    fn take(&mut self, id: &str) -> usize {
        if let Some(slot) = self.kept.and_then(|kept| kept.get(id)) {
            return *slot;
        }
        self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }
}

fn check_organization(organization: &Organization, path: &str, problems: &mut Vec<Problem>) {
    if let Some(limit) = &organization.rate_limit {
        check_limit(limit, &format!("{path}.rateLimit"), problems);
    }
    if organization.name.len() > 200 {
        problems.push(Problem::new(format!("{path}.name"), "must be at most 200 bytes long"));
    }
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

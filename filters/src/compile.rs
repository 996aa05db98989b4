//! Snapshot in, plan or problems out. The only compiler: control plane, gateway and command line all call it.

mod cache;
mod certificate;
mod consumer;
pub(crate) mod cors;
mod credentials;
mod dead_letter;
pub(crate) mod edits;
pub(crate) mod error_page;
mod event_type;
mod events;
mod idempotency;
mod integration;
mod limits;
pub(crate) mod lookup;
mod organization;
mod outbound;
mod owned;
mod partner;
mod producer;
mod protocol;
mod redaction;
mod resilience;
mod roster;
pub mod transformation;
mod unit;
pub(crate) mod validation;
mod web;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::address::EgressPolicy;
use crate::model::limits::RateLimit;
use crate::model::{Entry, InboundIntegration, Organization, Problem, Snapshot};
use crate::plan::Plan;
use crate::plan::limits::{ConsumerLimit, LimitPlan};
use crate::route::RouteTable;
use lookup::LookupPlan;
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
    check_owned(snapshot, &mut problems);
    let lookups = lookup::compile(snapshot, previous.map(|plan| &plan.lookups), &mut problems);
    let mut roster = Roster::of(previous, snapshot);
    for (id, entry) in &snapshot.integrations {
        if previous.is_some_and(|plan| is_unchanged(plan, snapshot, &lookups, id, entry)) {
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
            tables: lookup::tables_of(&lookups, entry.value.org_id),
        };
        let compiled = integration::compile(entry, place, &mut problems);
        roster.put(slot, compiled.map(Arc::new));
    }
    let routes = RouteTable::changed(previous.map(|plan| &plan.routes), &roster.edits, &mut problems);
    let events = events::compile(snapshot, previous, &lookups, &mut problems);
    let consumers = consumer::compile(snapshot, previous.map(|plan| &plan.consumers), &mut problems);
    let consumer_limits = consumer_limits(snapshot, &mut problems);
    let certificates = certificate::compile(snapshot, previous.map(|plan| &plan.certificates), &mut problems);
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
        events,
        lookups,
        consumers,
        certificates,
        organizations: snapshot.organizations.clone(),
        organization_limits: organization_limits(snapshot),
        consumer_limits,
    })
}

fn consumer_limits(snapshot: &Snapshot, problems: &mut Vec<Problem>) -> BTreeMap<Arc<str>, ConsumerLimit> {
    let mut limited = BTreeMap::new();
    for (id, entry) in &snapshot.consumers {
        if let Some(limit) = entry.value.rate_limit {
            limits::check(&limit, &format!("consumers[{:?}].rateLimit", &**id), problems);
            let organization = snapshot.organizations.get(&entry.value.org_id);
            let plan = limits::planned(limit, organization.map(|entry| &*entry.value));
            let org_id = entry.value.org_id;
            limited.insert(Arc::clone(id), ConsumerLimit { org_id, plan });
        }
    }
    limited
}

fn organization_limits(snapshot: &Snapshot) -> BTreeMap<u64, LimitPlan> {
    let organizations = snapshot.organizations.iter();
    let limited = organizations.filter_map(|(id, entry)| {
        let limit = entry.value.rate_limit?;
        Some((*id, limits::planned(limit, Some(&entry.value))))
    });
    limited.collect()
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
    let lookups = LookupPlan::new();
    let id: Arc<str> = integration.id.as_str().into();
    let place = integration::Place {
        slot: 0,
        id: &id,
        egress: EgressPolicy::new(&security, organization),
        security,
        organization,
        tables: lookup::tables_of(&lookups, integration.org_id),
    };
    integration::compile_at("", &Entry::new(integration.clone()), place, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Checks what objects that are referred to by their names have in common.
fn check_owned(snapshot: &Snapshot, problems: &mut Vec<Problem>) {
    macro_rules! owned {
        ($list:ident) => {
            let objects = snapshot.$list.values().map(|entry| &*entry.value);
            let owned = objects.map(|object| (object.id.as_str(), object.org_id, object.name.as_str()));
            owned::check(stringify!($list), owned, problems);
        };
    }
    owned!(certificates);
    owned!(lookups);
    owned!(consumers);
}

/// True if neither the integration nor anything that it is compiled from has changed since `previous`.
fn is_unchanged(
    previous: &Plan,
    snapshot: &Snapshot,
    lookups: &LookupPlan,
    id: &str,
    entry: &Entry<InboundIntegration>,
) -> bool {
    let Some(before) = previous.integration(id) else {
        return false;
    };
    let org_id = entry.value.org_id;
    let digest = |organization: Option<&Entry<Organization>>| organization.map(|organization| organization.digest);
    before.digest == entry.digest
        && previous.security == snapshot.security
        && digest(previous.organizations.get(&org_id)) == digest(snapshot.organizations.get(&org_id))
        && (lookup::are_shared(&previous.lookups, lookups, org_id) || {
            let tables = lookup::tables_of(lookups, org_id);
            before.mode.transforms().all(|transform| transform.is_current(tables))
        })
}

/// True if both hold the same objects with the same content.
fn is_same<K: Eq, T>(before: &BTreeMap<K, Entry<T>>, now: &BTreeMap<K, Entry<T>>) -> bool {
    before.len() == now.len()
        && before
            .iter()
            .zip(now)
            .all(|((id, entry), (other, now))| id == other && entry.digest == now.digest)
}

/// Adds what is wrong with an identifier or a type, which stand in paths of the API.
fn check_identifier(text: &str, path: &str, problems: &mut Vec<Problem>) {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if text.is_empty() || text.len() > 100 || !text.bytes().all(allowed) {
        let message = format!("{text:?} must be 1 to 100 letters, digits, dots, hyphens or underscores");
        problems.push(Problem::new(path, message));
    }
}

/// Adds what is wrong with a name for people that must be there.
fn check_title(text: &str, path: &str, problems: &mut Vec<Problem>) {
    if text.trim().is_empty() || text.len() > 200 {
        problems.push(Problem::new(path, "must be 1 to 200 bytes long"));
    }
    organization::check_text(text, path, problems);
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

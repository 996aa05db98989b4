//! What events are decided by, compiled: units, event types, producers' keys, subscriptions.

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};

use super::lookup::{self, LookupPlan};
use super::{event_type, outbound, producer, unit};
use crate::model::{Entry, Organization, OutboundIntegration, Problem, Snapshot};
use crate::plan::Plan;
use crate::plan::events::{EventPlan, Units};
use crate::subscription::{Index, Subscription};

/// Compiles the event part of `snapshot`, sharing with `previous` what has not changed.
pub(super) fn compile(
    snapshot: &Snapshot,
    previous: Option<&Plan>,
    lookups: &LookupPlan,
    problems: &mut Vec<Problem>,
) -> EventPlan {
    let before = previous.map(|plan| &plan.events);
    let units = unit::compile(snapshot, before.map(|events| &events.units), problems);
    let types = event_type::compile(snapshot, before.map(|events| &events.types), problems);
    let producers = producer::compile(snapshot, before.map(|events| &events.producers), problems);
    let mut roster = Roster::of(before, snapshot);
    for (id, entry) in &snapshot.outbound {
        if snapshot.integrations.contains_key(id) {
            let message = format!("{id:?} is that of an inbound integration; give each its own");
            problems.push(Problem::new(format!("integrations[{:?}].id", &**id), message));
        }
        if previous.is_some_and(|plan| is_unchanged(plan, snapshot, lookups, &units, id, entry)) {
            continue;
        }
        let place = outbound::Place {
            slot: roster.slot_for(id),
            id,
            security: snapshot.security,
            organization: snapshot
                .organizations
                .get(&entry.value.org_id)
                .map(|entry| &*entry.value),
            units: &units,
            tables: lookup::tables_of(lookups, entry.value.org_id),
        };
        let compiled = outbound::compile(entry, &place, problems);
        roster.put(place.slot, compiled.map(Arc::new));
    }
    let indexes = roster.indexes(before);
    EventPlan {
        security: snapshot.security,
        subscriptions: roster.subscriptions,
        slots: roster.slots,
        indexes,
        types,
        producers,
        units,
    }
}

/// True if neither the subscription nor anything that it is compiled from has changed since `previous`.
fn is_unchanged(
    previous: &Plan,
    snapshot: &Snapshot,
    lookups: &LookupPlan,
    units: &Units,
    id: &str,
    entry: &Entry<OutboundIntegration>,
) -> bool {
    let Some(before) = previous.events.subscription(id) else {
        return false;
    };
    let org_id = entry.value.org_id;
    let tenant = entry.value.tenant();
    let organization = |entry: Option<&Entry<Organization>>| entry.map(|organization| organization.digest);
    let unit = |units: &Units| {
        (
            units.has_any(org_id),
            units.unit(org_id, tenant).map(|unit| unit.digest),
        )
    };
    before.digest == entry.digest
        && previous.security == snapshot.security
        && organization(previous.organizations.get(&org_id)) == organization(snapshot.organizations.get(&org_id))
        && unit(&previous.events.units) == unit(units)
        && (lookup::are_shared(&previous.lookups, lookups, org_id) || {
            let tables = lookup::tables_of(lookups, org_id);
            before.transforms().all(|transform| transform.is_current(tables))
        })
}

/// The subscriptions of the plan in the making: those of the plan before, and what was changed since.
#[derive(Default)]
struct Roster {
    subscriptions: Vec<Option<Arc<Subscription>>>,
    slots: AHashMap<Arc<str>, usize>,
    free: Vec<usize>,
    /// Organizations whose subscriptions are not those of the plan before.
    changed: AHashSet<u64>,
}

impl Roster {
    /// Starts from the subscriptions of `previous`, less those that `snapshot` does not have any more.
    fn of(previous: Option<&EventPlan>, snapshot: &Snapshot) -> Self {
        let Some(previous) = previous else {
            return Self::default();
        };
        let mut roster = Self {
            subscriptions: previous.subscriptions.clone(),
            slots: previous.slots.clone(),
            ..Self::default()
        };
        for slot in (0..roster.subscriptions.len()).rev() {
            let gone = match &roster.subscriptions[slot] {
                Some(subscription) => !snapshot.outbound.contains_key(&subscription.id),
                None => true,
            };
            if gone {
                if let Some(before) = roster.subscriptions[slot].take() {
                    roster.slots.remove(&before.id);
                    roster.changed.insert(before.org_id);
                }
                roster.free.push(slot);
            }
        }
        roster
    }

    /// The slot that the subscription has, or a free one for a new one.
    fn slot_for(&mut self, id: &Arc<str>) -> usize {
        if let Some(slot) = self.slots.get(id) {
            return *slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.subscriptions.push(None);
            self.subscriptions.len() - 1
        });
        self.slots.insert(Arc::clone(id), slot);
        slot
    }

    /// Puts what a subscription compiled to into its slot; `None` if it did not compile.
    fn put(&mut self, slot: usize, compiled: Option<Arc<Subscription>>) {
        let before = std::mem::replace(&mut self.subscriptions[slot], compiled.clone());
        let organizations = before.iter().chain(&compiled).map(|subscription| subscription.org_id);
        self.changed.extend(organizations);
    }

    /// The subscriptions of each organization; those of organizations without a change are taken from `previous`.
    fn indexes(&self, previous: Option<&EventPlan>) -> AHashMap<u64, Arc<Index>> {
        let mut indexes = previous.map(|plan| plan.indexes.clone()).unwrap_or_default();
        let mut changed: AHashMap<u64, Vec<&Arc<Subscription>>> = AHashMap::new();
        for subscription in self.subscriptions.iter().flatten() {
            if self.changed.contains(&subscription.org_id) {
                changed.entry(subscription.org_id).or_default().push(subscription);
            }
        }
        for org_id in &self.changed {
            match changed.remove(org_id) {
                Some(subscriptions) => {
                    indexes.insert(*org_id, Arc::new(Index::of(subscriptions.into_iter())));
                }
                None => drop(indexes.remove(org_id)),
            }
        }
        indexes
    }
}

#[cfg(test)]
mod tests;

//! Lookup tables, compiled: those of each organization, shared with the plan before where nothing changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::lookup::{Table, Tables};
use crate::model::{Problem, Snapshot};

/// The tables of each organization that has any.
pub(crate) type LookupPlan = BTreeMap<u64, Arc<Tables>>;

/// Compiles the tables of `snapshot`, sharing with `previous` what has not changed.
pub(super) fn compile(snapshot: &Snapshot, previous: Option<&LookupPlan>, problems: &mut Vec<Problem>) -> LookupPlan {
    let mut organizations: BTreeMap<u64, Tables> = BTreeMap::new();
    for (id, entry) in &snapshot.lookups {
        let lookup = &entry.value;
        let before = previous
            .and_then(|plan| plan.get(&lookup.org_id))
            .and_then(|tables| tables.get(lookup.name.as_str()))
            .filter(|table| *table.digest() == entry.digest);
        let table = before.map_or_else(
            || {
                let rows = lookup.entries.len();
                if rows > MOST_ROWS {
                    let message = format!("holds {rows} rows; at most {MOST_ROWS} are allowed");
                    problems.push(Problem::new(format!("lookups[{:?}].entries", &**id), message));
                }
                Arc::new(Table::new(Arc::clone(lookup), entry.digest))
            },
            Arc::clone,
        );
        let tables = organizations.entry(lookup.org_id).or_default();
        tables.insert(lookup.name.as_str().into(), table);
    }
    let shared = organizations.into_iter().map(|(org_id, tables)| {
        let before = previous.and_then(|plan| plan.get(&org_id));
        let same = before.filter(|before| is_same(before, &tables)).cloned();
        (org_id, same.unwrap_or_else(|| Arc::new(tables)))
    });
    shared.collect()
}

/// The tables of an organization.
pub(crate) fn tables_of(plan: &LookupPlan, org_id: u64) -> &Tables {
    static NONE: Tables = Tables::new();
    plan.get(&org_id).map_or(&NONE, |tables| tables)
}

/// True if both are the same for the organization, so that whatever asks them stays as it is.
pub(super) fn are_shared(before: &LookupPlan, now: &LookupPlan, org_id: u64) -> bool {
    match (before.get(&org_id), now.get(&org_id)) {
        (Some(before), Some(now)) => Arc::ptr_eq(before, now),
        (None, None) => true,
        _ => false,
    }
}

fn is_same(before: &Tables, now: &Tables) -> bool {
    before.len() == now.len()
        && before
            .iter()
            .zip(now)
            .all(|((name, before), (other, now))| name == other && Arc::ptr_eq(before, now))
}

/// The most rows of one table.
const MOST_ROWS: usize = 500_000;

#[cfg(test)]
mod tests;

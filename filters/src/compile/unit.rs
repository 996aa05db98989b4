//! Units of organizations, checked.

use std::sync::Arc;

use ahash::AHashMap;

use super::is_same;
use super::organization::{self, Profile};
use crate::model::{OrgUnit, Problem, Snapshot};
use crate::plan::events::Units;

/// Checks the units of `snapshot`, which are shared with `previous` if none has changed.
pub(super) fn compile(snapshot: &Snapshot, previous: Option<&Arc<Units>>, problems: &mut Vec<Problem>) -> Arc<Units> {
    for rid in snapshot.units.keys() {
        if snapshot.organizations.contains_key(rid) {
            let message = format!("{rid} is the number of an organization; give the unit another one");
            problems.push(Problem::new(format!("units[{rid}].rid"), message));
        }
    }
    if let Some(previous) = previous.filter(|previous| is_same(&previous.entries, &snapshot.units)) {
        return Arc::clone(previous);
    }
    let mut counts: AHashMap<u64, usize> = AHashMap::new();
    for (rid, entry) in &snapshot.units {
        check(&entry.value, &format!("units[{rid}]"), problems);
        *counts.entry(entry.value.org_id).or_default() += 1;
    }
    Arc::new(Units {
        entries: snapshot.units.clone(),
        counts,
    })
}

fn check(unit: &OrgUnit, path: &str, problems: &mut Vec<Problem>) {
    organization::check_id(unit.rid, &format!("{path}.rid"), problems);
    organization::check_id(unit.org_id, &format!("{path}.orgId"), problems);
    if unit.rid == unit.org_id {
        let message = "is the number of its organization; give the unit another one";
        problems.push(Problem::new(format!("{path}.rid"), message));
    }
    if unit.name.trim().is_empty() {
        problems.push(Problem::new(format!("{path}.name"), "must not be empty"));
    }
    Profile {
        name: &unit.name,
        texts: [
            ("code", unit.code.as_deref()),
            ("email", unit.email.as_deref()),
            ("phone", unit.phone.as_deref()),
            ("address", unit.address.as_deref()),
            ("region", unit.region.as_deref()),
        ],
        tags: &unit.tags,
        timezone: unit.timezone.as_deref(),
    }
    .check(path, problems);
}

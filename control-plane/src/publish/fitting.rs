//! What the schemas of bodies say of the mapping tables in a change.

use std::collections::BTreeSet;

use filters::fit::{self, Findings};
use filters::model::Snapshot;
use filters::model::push::{Object, ObjectId};
use filters::plan::Plan;

use super::prepare::Places;
use crate::store::Change;

/// Holds what `change` puts against the schemas of `snapshot`, with places in the request.
pub(super) fn check(snapshot: &Snapshot, plan: &Plan, change: &Change, places: &Places) -> Findings {
    let changed: BTreeSet<ObjectId> = change.put.iter().filter_map(Object::id).collect();
    let Findings { problems, warnings } = fit::mappings(snapshot, plan, &changed);
    Findings {
        problems: places.relocate(problems),
        warnings: places.relocate(warnings),
    }
}

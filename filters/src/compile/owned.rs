//! What the objects of an organization have in common: identifier, owner, and a name that is theirs alone.

use ahash::AHashSet;

use super::{check_identifier, check_title, organization};
use crate::model::Problem;

/// An object's identifier, organization and name.
pub(super) type Owned<'a> = (&'a str, u64, &'a str);

/// Checks those of all objects in `list` of the snapshot.
pub(super) fn check<'a>(list: &str, objects: impl Iterator<Item = Owned<'a>>, problems: &mut Vec<Problem>) {
    let mut names = AHashSet::new();
    for (id, org_id, name) in objects {
        let mut own = Vec::new();
        check_identifier(id, "id", &mut own);
        check_title(name, "name", &mut own);
        organization::check_id(org_id, "orgId", &mut own);
        if !names.insert((org_id, name)) {
            let message = format!("{name:?} is there twice in organization {org_id}");
            own.push(Problem::new("name", message));
        }
        let path = format!("{list}[{id:?}]");
        problems.extend(own.into_iter().map(|problem| problem.within(&path)));
    }
}

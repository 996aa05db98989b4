//! What goes with a version, as it was an organization's that is deleted.

use filters::model::Snapshot;
use filters::model::push::{Object, ObjectId};

use crate::store::{Change, Left};

/// What is not to be seen by an organization that gets the number of one that was deleted. One that comes back has what is
/// in the trash.
pub(super) fn behind(base: &Snapshot, change: &Change, restores: bool) -> Vec<Left> {
    let deleted = change.delete.iter().filter_map(|id| match id {
        ObjectId::Organization(org_id) => Some(Left::Documents(*org_id)),
        _ => None,
    });
    let made = change
        .put
        .iter()
        .filter(|_| !restores)
        .filter_map(|object| match object {
            Object::Organization(value) if !base.organizations.contains_key(&value.org_id) => {
                Some(Left::Trash(value.org_id))
            }
            _ => None,
        });
    deleted.chain(made).collect()
}

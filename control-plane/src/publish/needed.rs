//! What may not be deleted because something else needs it.

use filters::model::push::{Object, ObjectId};
use filters::model::{OutboundIntegration, Snapshot};

/// Refuses to delete an organization that still owns something in `next`, and a unit that a subscription still names.
/// The text names what is in the way.
pub(super) fn check(next: &Snapshot, deleted: &[ObjectId]) -> Result<(), String> {
    for id in deleted {
        let (users, how) = match id {
            ObjectId::Organization(org_id) => (owned_by(next, *org_id), "has"),
            ObjectId::Unit(rid) => (naming(next, *rid), "is named by"),
            ObjectId::Integration(_)
            | ObjectId::Outbound(_)
            | ObjectId::EventType(_)
            | ObjectId::ProducerKey(_)
            | ObjectId::Certificate(_)
            | ObjectId::Lookup(_)
            | ObjectId::Consumer(_) => continue,
        };
        if !users.is_empty() {
            return Err(format!("{id} {how} {}; delete or change that first", listed(&users)));
        }
    }
    Ok(())
}

fn owned_by(snapshot: &Snapshot, org_id: u64) -> Vec<ObjectId> {
    let objects = snapshot.objects();
    let owned = objects.iter().filter(|object| object.org_id() == Some(org_id));
    owned.filter_map(Object::id).collect()
}

fn naming(snapshot: &Snapshot, rid: u64) -> Vec<ObjectId> {
    let names = |integration: &OutboundIntegration| {
        integration.tenant_id == Some(rid) || integration.excluded_entity_rids.contains(&rid)
    };
    let subscriptions = snapshot.outbound.iter().filter(|(_, entry)| names(&entry.value));
    subscriptions.map(|(id, _)| ObjectId::Outbound(id.clone())).collect()
}

/// Names the first of them, and how many more there are.
pub(super) fn listed<T: ToString>(users: &[T]) -> String {
    let shown: Vec<String> = users.iter().take(MOST_SHOWN).map(ToString::to_string).collect();
    let mut text = shown.join(", ");
    if users.len() > MOST_SHOWN {
        text.push_str(&format!(" and {} more", users.len() - MOST_SHOWN));
    }
    text
}

const MOST_SHOWN: usize = 10;

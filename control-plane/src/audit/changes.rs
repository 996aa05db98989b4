//! What the audit says of a version: an entry for each object that was made, changed or deleted.

use std::io::{self, Write};

use filters::model::Snapshot;
use filters::model::push::{Object, ObjectId};
use serde_json::{Value, json};

use super::{Actor, AuditEntry};
use crate::store::{Change, Version};

/// What `actor` did to `base` with a version. Where it touches very many objects, those at the end get no entries of their
/// own and one for all of them says so; where an object is very large, its entry says how large instead of what it is. The
/// version itself has everything.
pub(crate) fn of_version(base: &Snapshot, change: &Change, version: &Version, actor: &Actor) -> Vec<AuditEntry> {
    let (mut entries, mut left) = (Vec::new(), MOST_BYTES);
    let touched = change.put.len() + change.delete.len();
    let put = change.put.iter().map(Touched::Put);
    let delete = change.delete.iter().map(Touched::Deleted);
    for touched in put.chain(delete).take(MOST_ENTRIES) {
        let mut entry = touched.entry(base, actor, &mut left);
        entry.created_at = version.at;
        entry.version = Some(version.number);
        entries.push(entry);
    }
    if touched > MOST_ENTRIES {
        let mut entry = actor.did("configuration.update", format!("version {}", version.number), None);
        let after = json!({"further": touched - MOST_ENTRIES, "put": version.put, "deleted": version.deleted});
        entry.after = Some(after);
        entry.created_at = version.at;
        entry.version = Some(version.number);
        entries.push(entry);
    }
    entries
}

/// One object of a change.
enum Touched<'a> {
    Put(&'a Object),
    Deleted(&'a ObjectId),
}

impl Touched<'_> {
    fn entry(&self, base: &Snapshot, actor: &Actor, left: &mut usize) -> AuditEntry {
        let (id, after) = match self {
            Self::Put(object) => (object.id(), Some(*object)),
            Self::Deleted(id) => (Some((*id).clone()), None),
        };
        let before = match &id {
            Some(id) => base.object(id),
            None => Some(Object::Security(base.security)).filter(|_| base.version > 0),
        };
        let verb = match (&before, after) {
            (None, _) => "create",
            (Some(_), Some(_)) => "update",
            (Some(_), None) => "delete",
        };
        let kind = id.as_ref().map_or("security", |id| id.kind().name());
        let target = id
            .as_ref()
            .map_or_else(|| kind.to_owned(), |id| format!("{kind} {}", id.text()));
        let org_id = after.or(before.as_ref()).and_then(Object::org_id);
        let mut entry = actor.did(&format!("{kind}.{verb}"), target, org_id);
        entry.before = before.as_ref().map(|object| shown(object, left));
        entry.after = after.map(|object| shown(object, left));
        entry
    }
}

/// An object without its secrets; how large it is, if it is larger than what is left.
fn shown(object: &Object, left: &mut usize) -> Value {
    let masked = object.masked();
    let mut size = Size(0);
    // Counted first, so that a table of many megabytes is not built once more in memory.
    let counted = serde_json::to_writer(&mut size, &masked);
    if counted.is_err() || size.0 > MOST_OBJECT_BYTES.min(*left) {
        return json!({"omitted": "it is too large for the audit; the version has it", "bytes": size.0});
    }
    *left -= size.0;
    match serde_json::to_value(&masked) {
        Ok(Value::Object(mut fields)) => fields.remove("value").unwrap_or_default(),
        Ok(_) | Err(_) => Value::Null,
    }
}

/// Counts what is written.
struct Size(usize);

impl Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Objects of a version that have entries of their own.
const MOST_ENTRIES: usize = 500;
/// The most of one object, and of all of a version, in JSON.
const MOST_OBJECT_BYTES: usize = 64 * 1024;
const MOST_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use filters::model::{Lookup, Organization};
    use jiff::Timestamp;

    use super::*;

    fn version(put: u64) -> Version {
        Version {
            number: 7,
            author: "ops".to_owned(),
            message: String::new(),
            at: Timestamp::UNIX_EPOCH,
            digest: String::new(),
            put,
            deleted: 0,
            shares: Vec::new(),
            canary: None,
        }
    }

    fn actor() -> Actor {
        Actor {
            name: "ops".to_owned(),
            request_id: Some("req_1".to_owned()),
        }
    }

    fn organization(org_id: u64, name: &str) -> Object {
        Object::Organization(Arc::new(Organization {
            org_id,
            name: name.to_owned(),
            ..Organization::default()
        }))
    }

    fn integration(token: &str) -> Object {
        let integration = json!({"kind": "integration", "value": {
            "id": "lab", "name": "lab", "type": "lab", "orgId": 648, "targetUrl": "https://partner.example",
            "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": token},
        }});
        serde_json::from_value(integration).unwrap()
    }

    #[test]
    fn before_and_after_are_told_without_secrets() {
        let base = Snapshot::from_objects(6, vec![integration("hunter1"), organization(7, "Old")]);
        let change = Change {
            put: vec![integration("hunter2"), organization(8, "New")],
            delete: vec![ObjectId::Organization(7)],
        };
        let entries = of_version(&base, &change, &version(2), &actor());
        let actions: Vec<_> = entries
            .iter()
            .map(|entry| (entry.action.as_str(), entry.org_id))
            .collect();
        assert_eq!(
            actions,
            [
                ("integration.update", Some(648)),
                ("organization.create", Some(8)),
                ("organization.delete", Some(7)),
            ]
        );
        assert_eq!(
            entries[0].before.as_ref().unwrap()["outgoingAuthConfig"]["token"],
            "***"
        );
        assert_eq!(entries[1].before, None);
        assert_eq!(entries[1].after.as_ref().unwrap()["name"], "New");
        assert_eq!(entries[2].before.as_ref().unwrap()["name"], "Old");
        assert_eq!(entries[2].target, "organization 7");
        let written = serde_json::to_string(&entries).unwrap();
        assert!(!written.contains("hunter"), "{written}");
        assert!(
            entries
                .iter()
                .all(|entry| entry.version == Some(7) && entry.request_id.is_some())
        );
    }

    #[test]
    fn very_many_and_very_large_objects_are_summed_up() {
        let put: Vec<Object> = (1..=600).map(|number| organization(number, "One")).collect();
        let change = Change {
            put,
            delete: Vec::new(),
        };
        let entries = of_version(&Snapshot::default(), &change, &version(600), &actor());
        assert_eq!(entries.len(), 501);
        assert_eq!(entries[500].after.as_ref().unwrap()["further"], 100);

        let entries: serde_json::Map<String, Value> =
            (0..20_000).map(|number| (number.to_string(), number.into())).collect();
        let lookup: Lookup =
            serde_json::from_value(json!({"id": "l", "orgId": 1, "name": "l", "entries": entries})).unwrap();
        let change = Change {
            put: vec![Object::Lookup(Arc::new(lookup))],
            delete: Vec::new(),
        };
        let entries = of_version(&Snapshot::default(), &change, &version(1), &actor());
        assert!(entries[0].after.as_ref().unwrap()["bytes"].as_u64().unwrap() > 100_000);
    }
}

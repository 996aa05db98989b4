//! Producers' keys, compiled.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};

use super::credentials::OneOf;
use super::{check_identifier, check_title, is_same, organization};
use crate::model::{Entry, Problem, ProducerKey, Snapshot};
use crate::plan::events::{Producer, Producers};

/// Compiles the keys of `snapshot`, which are shared with `previous` if none has changed.
pub(super) fn compile(
    snapshot: &Snapshot,
    previous: Option<&Arc<Producers>>,
    problems: &mut Vec<Problem>,
) -> Arc<Producers> {
    let entries = &snapshot.producer_keys;
    if let Some(previous) = previous.filter(|previous| is_same(&previous.entries, entries)) {
        return Arc::clone(previous);
    }
    let by_digest = by_digest(entries, problems);
    Arc::new(Producers {
        entries: entries.clone(),
        by_digest,
    })
}

fn by_digest(
    entries: &BTreeMap<Arc<str>, Entry<ProducerKey>>,
    problems: &mut Vec<Problem>,
) -> AHashMap<[u8; 32], Arc<Producer>> {
    let mut active = AHashMap::new();
    let mut digests = AHashSet::new();
    let mut names = AHashSet::new();
    for (id, entry) in entries {
        let key = &entry.value;
        let mut own = Vec::new();
        check_identifier(id, "id", &mut own);
        check_title(&key.name, "name", &mut own);
        organization::check_id(key.org_id, "orgId", &mut own);
        if !names.insert((key.org_id, key.name.as_str())) {
            let message = format!("{:?} is there twice in organization {}", key.name, key.org_id);
            own.push(Problem::new("name", message));
        }
        let secret = OneOf {
            hash: (key.hash.as_ref(), "hash"),
            clear: (key.value.as_ref(), "value"),
        };
        if let Some(digest) = secret.digest("", &mut own) {
            if !digests.insert(digest) {
                own.push(Problem::new("", "is the same key as another one; make a new one"));
            } else if key.is_active {
                let producer = Producer {
                    id: Arc::clone(id),
                    name: key.name.as_str().into(),
                    org_id: key.org_id,
                };
                active.insert(digest, Arc::new(producer));
            }
        }
        let path = format!("producerKeys[{:?}]", &**id);
        problems.extend(own.into_iter().map(|problem| problem.within(&path)));
    }
    active
}

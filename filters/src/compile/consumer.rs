//! Consumers, compiled: by organization, and there by whatever credential a request may show.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::AHashMap;

use super::credentials::{OneOf, check_shared, check_username, mark};
use super::is_same;
use crate::auth::consumers::{Consumer, Consumers};
use crate::auth::networks::ClientNetworks;
use crate::auth::sha256;
use crate::auth::signature::SigningKey;
use crate::model::consumer::ConsumerCredential;
use crate::model::problem::join;
use crate::model::secret::Secret;
use crate::model::{self, Entry, Problem, Snapshot};
use crate::plan::ConsumerPlan;

/// The most credentials of one consumer, and the most integrations that it may be limited to.
const MOST_CREDENTIALS: usize = 100;
const MOST_INTEGRATIONS: usize = 1_000;

/// Compiles the consumers of `snapshot`, which are shared with `previous` if none has changed.
pub(super) fn compile(
    snapshot: &Snapshot,
    previous: Option<&Arc<ConsumerPlan>>,
    problems: &mut Vec<Problem>,
) -> Arc<ConsumerPlan> {
    let entries = &snapshot.consumers;
    if let Some(previous) = previous.filter(|previous| is_same(&previous.entries, entries)) {
        return Arc::clone(previous);
    }
    let mut by_organization: AHashMap<u64, Consumers> = AHashMap::new();
    for (id, entry) in entries {
        let mut own = Vec::new();
        let book = by_organization.entry(entry.value.org_id).or_default();
        add(book, id, &entry.value, &mut own);
        let path = format!("consumers[{:?}]", &**id);
        problems.extend(own.into_iter().map(|problem| problem.within(&path)));
    }
    Arc::new(ConsumerPlan {
        entries: BTreeMap::<Arc<str>, Entry<model::Consumer>>::clone(entries),
        by_organization,
    })
}

/// Adds a consumer to those of its organization.
fn add(book: &mut Consumers, id: &Arc<str>, source: &Arc<model::Consumer>, problems: &mut Vec<Problem>) {
    for (field, count, most) in [
        ("credentials", source.credentials.len(), MOST_CREDENTIALS),
        ("integrations", source.integrations.len(), MOST_INTEGRATIONS),
    ] {
        if count > most {
            let message = format!("holds {count} entries; at most {most} are allowed");
            problems.push(Problem::new(field, message));
        }
    }
    let networks = source.client_networks.as_ref();
    let consumer = Arc::new(Consumer {
        id: Arc::clone(id),
        name: source.name.as_str().into(),
        source: Arc::clone(source),
        integrations: source.integrations.iter().map(|id| id.as_str().into()).collect(),
        networks: networks.and_then(|lists| ClientNetworks::compile(lists, "clientNetworks", problems)),
    });
    for (index, credential) in source.credentials.iter().enumerate() {
        let path = format!("credentials[{index}]");
        if !add_credential(book, &consumer, credential, &path, problems) {
            let message = "is the same credential as another one in this organization";
            problems.push(Problem::new(path, message));
        }
    }
}

/// Adds a credential, if it and its consumer are active. False if it is there already.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of credential")]
fn add_credential(
    book: &mut Consumers,
    consumer: &Arc<Consumer>,
    credential: &ConsumerCredential,
    path: &str,
    problems: &mut Vec<Problem>,
) -> bool {
    let owner = Arc::clone(consumer);
    let counts = |is_active: &bool| *is_active && consumer.source.is_active;
    match credential {
        ConsumerCredential::ApiKey {
            hash, value, is_active, ..
        } => {
            let digest = digest(hash.as_ref(), value.as_ref(), path, problems);
            digest
                .filter(|_| counts(is_active))
                .is_none_or(|digest| put(&mut book.api_keys, digest, owner))
        }
        ConsumerCredential::Bearer {
            hash, value, is_active, ..
        } => {
            let digest = digest(hash.as_ref(), value.as_ref(), path, problems);
            digest
                .filter(|_| counts(is_active))
                .is_none_or(|digest| put(&mut book.tokens, digest, owner))
        }
        ConsumerCredential::Basic {
            username,
            password_hash,
            password,
            is_active,
        } => {
            check_username(username, &join(path, "username"), problems);
            let secret = OneOf {
                hash: (password_hash.as_ref(), "passwordHash"),
                clear: (password.as_ref(), "password"),
            };
            let digest = secret.digest(path, problems).filter(|_| counts(is_active));
            digest.is_none_or(|digest| put(&mut book.users, sha256(username.as_bytes()), (owner, digest)))
        }
        ConsumerCredential::Jwt {
            issuer,
            subject,
            is_active,
            ..
        } => {
            if subject.is_empty() {
                problems.push(Problem::new(join(path, "subject"), "must not be empty"));
            }
            let key = (issuer.as_deref().unwrap_or_default().into(), subject.as_str().into());
            !counts(is_active) || put(&mut book.subjects, key, owner)
        }
        ConsumerCredential::Hmac { name, value, is_active } => {
            check_shared(value, join(path, "value"), problems);
            let key = SigningKey::new(value.expose().as_bytes());
            !counts(is_active) || put(&mut book.signing, name.as_str().into(), (owner, key))
        }
        ConsumerCredential::ClientCertificate {
            fingerprint,
            san,
            is_active,
            ..
        } => {
            let mark = mark(fingerprint.as_deref(), san.as_deref(), path, problems);
            mark.filter(|_| counts(is_active))
                .is_none_or(|mark| book.certificates.add(mark, owner))
        }
    }
}

fn digest(hash: Option<&Secret>, value: Option<&Secret>, path: &str, problems: &mut Vec<Problem>) -> Option<[u8; 32]> {
    let secret = OneOf {
        hash: (hash, "hash"),
        clear: (value, "value"),
    };
    secret.digest(path, problems)
}

/// False if the key is there already.
fn put<K: std::hash::Hash + Eq, V>(map: &mut AHashMap<K, V>, key: K, value: V) -> bool {
    match map.entry(key) {
        std::collections::hash_map::Entry::Occupied(_) => false,
        std::collections::hash_map::Entry::Vacant(place) => {
            place.insert(value);
            true
        }
    }
}

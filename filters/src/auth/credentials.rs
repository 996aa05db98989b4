//! Keys, tokens and passwords, by their hashes.

use std::sync::Arc;

use ahash::AHashMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use super::consumers::{Consumer, Consumers};
use super::{AuthRefusal, sha256};

/// Accepted credentials of one way in: by the SHA-256 of the key, of the token, or of the user name for `Basic`.
#[derive(Debug, Default)]
pub struct Credentials {
    by_digest: AHashMap<[u8; 32], Entry>,
    /// True accepts those of the organization's consumers, too.
    consumers: bool,
}

#[derive(Debug)]
struct Entry {
    /// Index of its name.
    index: usize,
    /// Of the password; `None` where the digest that found the entry is all there is.
    password: Option<[u8; 32]>,
}

/// Whose credential it is.
#[derive(Debug)]
pub(crate) enum Found {
    /// One of the integration's own, by the index of its name.
    Own(usize),
    /// That of a consumer.
    Consumer(Arc<Consumer>),
}

impl Credentials {
    /// None yet; `consumers` accepts those of the organization's consumers, too.
    pub(crate) fn new(consumers: bool) -> Self {
        Self {
            by_digest: AHashMap::new(),
            consumers,
        }
    }

    /// Adds a key or token by its digest. False if it is there already.
    pub(crate) fn add(&mut self, index: usize, digest: [u8; 32]) -> bool {
        self.insert(index, digest, None)
    }

    /// Adds a user. False if the name is there already.
    pub(crate) fn add_user(&mut self, index: usize, name: &str, password: [u8; 32]) -> bool {
        self.insert(index, sha256(name.as_bytes()), Some(password))
    }

    fn insert(&mut self, index: usize, digest: [u8; 32], password: Option<[u8; 32]>) -> bool {
        match self.by_digest.entry(digest) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(Entry { index, password });
                true
            }
        }
    }

    /// Whose key or token `secret` is; `book` says where consumers have theirs.
    pub(crate) fn find(
        &self,
        secret: &[u8],
        consumers: Option<&Consumers>,
        book: impl FnOnce(&Consumers) -> &AHashMap<[u8; 32], Arc<Consumer>>,
    ) -> Result<Found, AuthRefusal> {
        let digest = sha256(secret);
        if let Some(entry) = self.by_digest.get(&digest) {
            return Ok(Found::Own(entry.index));
        }
        let consumers = consumers.filter(|_| self.consumers).ok_or(AuthRefusal::Invalid)?;
        let consumer = book(consumers).get(&digest).ok_or(AuthRefusal::Invalid)?;
        Ok(Found::Consumer(Arc::clone(consumer)))
    }

    /// Whose name and password these are.
    pub(crate) fn find_user(
        &self,
        name: &[u8],
        password: &[u8],
        consumers: Option<&Consumers>,
    ) -> Result<Found, AuthRefusal> {
        let given = sha256(password);
        let digest = sha256(name);
        let own = self.by_digest.get(&digest);
        let of_consumer = consumers
            .filter(|_| self.consumers && own.is_none())
            .and_then(|consumers| consumers.users.get(&digest));
        let expected = own.and_then(|entry| entry.password);
        let expected = expected.or_else(|| of_consumer.map(|(_, password)| *password));
        // The comparison runs for unknown users too, so that its time does not tell them from known ones.
        let same = bool::from(expected.unwrap_or_default().ct_eq(&given));
        match (own, of_consumer) {
            (Some(entry), _) if same => Ok(Found::Own(entry.index)),
            (None, Some((consumer, _))) if same => Ok(Found::Consumer(Arc::clone(consumer))),
            _ => Err(AuthRefusal::Invalid),
        }
    }
}

/// User name and password of `Basic`, with the colon between them.
pub(super) fn decoded_basic(text: &str) -> Result<Vec<u8>, AuthRefusal> {
    STANDARD.decode(text).map_err(|_| AuthRefusal::Malformed)
}

//! Consumers of one organization: client systems, found by whichever of their credentials a request shows.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ahash::AHashMap;
use serde_json::Value;

use super::certificate::Certificates;
use super::claims;
use super::networks::ClientNetworks;
use super::signature::SigningKey;
use crate::model;

/// A client system.
#[derive(Debug)]
pub struct Consumer {
    /// Identifier.
    pub id: Arc<str>,
    /// Name; appears in logs and limits.
    pub name: Arc<str>,
    /// The consumer as data.
    pub source: Arc<model::Consumer>,
    pub(crate) integrations: BTreeSet<Box<str>>,
    pub(crate) networks: Option<ClientNetworks>,
}

impl Consumer {
    /// True if it may call this integration from this address.
    pub fn may_call(&self, integration: &str, client: Option<IpAddr>) -> bool {
        let is_named = self.integrations.is_empty() || self.integrations.contains(integration);
        is_named && self.networks.as_ref().is_none_or(|networks| networks.admits(client))
    }
}

/// The active consumers of one organization, by their credentials.
#[derive(Debug, Default)]
pub struct Consumers {
    pub(crate) api_keys: AHashMap<[u8; 32], Arc<Consumer>>,
    pub(crate) tokens: AHashMap<[u8; 32], Arc<Consumer>>,
    /// By the SHA-256 of the user name, with that of the password.
    pub(crate) users: AHashMap<[u8; 32], (Arc<Consumer>, [u8; 32])>,
    /// By issuer (empty for any) and subject.
    pub(crate) subjects: AHashMap<(Box<str>, Box<str>), Arc<Consumer>>,
    pub(crate) signing: AHashMap<Box<str>, (Arc<Consumer>, SigningKey)>,
    pub(crate) certificates: Certificates<Arc<Consumer>>,
}

impl Consumers {
    /// The consumer that the claim `path` names in a token of `issuer`.
    pub(crate) fn of_claim(&self, issuer: &str, claims: &Value, path: &str) -> Option<&Arc<Consumer>> {
        let subject = claims::text(claims, path)?;
        let of = |issuer: &str| self.subjects.get(&(issuer.into(), subject.as_ref().into()));
        of(issuer).or_else(|| of(""))
    }
}

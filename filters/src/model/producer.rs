//! Producer keys: how a product backend shows whose events it hands over.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::{MASK, Secret};

/// A key that may hand over events of one organization. It is kept as a hash and shown once, when it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProducerKey {
    /// Identifier; made by the control plane when left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Organization whose events it may hand over.
    pub org_id: u64,
    /// Name of the producer; appears in logs and audits. Unique in its organization.
    pub name: String,
    /// `sha256:` and 64 hexadecimal digits of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Secret>,
    /// The key in clear, instead of `hash`; it is hashed when it is saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Secret>,
    /// False keeps the key but refuses it.
    #[serde(default = "yes")]
    pub is_active: bool,
    /// When it was made (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it was changed last (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

impl ProducerKey {
    /// A copy for people and logs, with the mask in the place of the key and its hash.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mut shown = self.clone();
        for secret in [&mut shown.hash, &mut shown.value].into_iter().flatten() {
            *secret = Secret::new(MASK);
        }
        shown
    }

    /// Puts the hash of the stored `previous` version back where this one carries the mask.
    pub fn restore_secrets(&mut self, previous: &Self) {
        if self.hash.as_ref().is_some_and(|hash| hash.expose() == MASK) {
            self.hash.clone_from(&previous.hash);
        }
    }
}

fn yes() -> bool {
    true
}

//! Certificates that listeners show to clients.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::{self, Secret};

/// A certificate chain with its private key, of one organization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Certificate {
    /// Identifier; made by the control plane when left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Organization that it belongs to.
    pub org_id: u64,
    /// Name for people. Unique in its organization.
    pub name: String,
    /// False keeps the certificate but shows it to nobody.
    #[serde(default = "yes")]
    pub is_active: bool,
    /// The chain as PEM, the server's own certificate first.
    pub certificate: String,
    /// The private key as PEM.
    pub private_key: Secret,
    /// When it was made (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it was changed last (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

impl Certificate {
    /// A copy for people and logs, with the mask in the place of the private key.
    #[must_use]
    pub fn masked(&self) -> Self {
        secret::masked(self)
    }

    /// Puts the private key of the stored `previous` version back where this one carries the mask.
    pub fn restore_secrets(&mut self, previous: &Self) {
        secret::restore_in(self, previous);
    }
}

fn yes() -> bool {
    true
}

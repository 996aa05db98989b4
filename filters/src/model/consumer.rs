//! Consumers: client systems with credentials and limits of their own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret;

/// A client system of one organization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Consumer {
    /// Identifier; made by the control plane when left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Organization whose integrations it calls.
    pub org_id: u64,
    /// Name of the client system; appears in logs and limits. Unique in its organization.
    pub name: String,
    /// False keeps the consumer but refuses its credentials.
    #[serde(default = "yes")]
    pub is_active: bool,
    /// When it was made (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it was changed last (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

impl Consumer {
    /// A copy for people and logs, with the mask in the place of each secret.
    #[must_use]
    pub fn masked(&self) -> Self {
        secret::masked(self)
    }

    /// Puts the secrets of the stored `previous` version back where this one carries the mask.
    pub fn restore_secrets(&mut self, previous: &Self) {
        secret::restore_in(self, previous);
    }
}

fn yes() -> bool {
    true
}

//! Consumers: client systems with credentials and limits of their own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client_networks::ClientNetworks;
use super::limits::Limit;
use super::secret::{self, Secret};

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
    /// Identifiers of the integrations that it may call; all of its organization's if empty. An integration takes the
    /// credentials of consumers only where its `inboundAuthConfig` says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub integrations: Vec<String>,
    /// Where it may call from; from anywhere if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_networks: Option<ClientNetworks>,
    /// What it shows to say who it is; several may be active at a time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<ConsumerCredential>,
    /// Limit of all its requests together, whichever integration it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<Limit>,
    /// When it was made (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it was changed last (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

/// A credential of a consumer, of the kind that an integration asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "SCREAMING_SNAKE_CASE",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum ConsumerCredential {
    /// A key; see [`ApiKeyAuth`](super::auth::ApiKeyAuth).
    ApiKey {
        /// Tells it from the consumer's other credentials.
        name: String,
        /// `sha256:` and 64 hexadecimal digits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<Secret>,
        /// The key in clear, instead of `hash`; it is hashed when it is saved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Secret>,
        /// False keeps the credential but refuses it.
        #[serde(default = "yes")]
        is_active: bool,
    },
    /// A fixed token; see [`BearerAuth`](super::auth::BearerAuth).
    Bearer {
        /// Tells it from the consumer's other credentials.
        name: String,
        /// `sha256:` and 64 hexadecimal digits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<Secret>,
        /// The token in clear, instead of `hash`; it is hashed when it is saved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Secret>,
        /// False keeps the credential but refuses it.
        #[serde(default = "yes")]
        is_active: bool,
    },
    /// User name and password; see [`BasicAuth`](super::auth::BasicAuth).
    Basic {
        /// User name, unique in the organization; without a colon.
        username: String,
        /// `sha256:` and 64 hexadecimal digits of the password.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password_hash: Option<Secret>,
        /// The password in clear, instead of `passwordHash`; it is hashed when it is saved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<Secret>,
        /// False keeps the credential but refuses it.
        #[serde(default = "yes")]
        is_active: bool,
    },
    /// Tokens that name the consumer, where `consumerClaim` says in which claim.
    Jwt {
        /// Tells it from the consumer's other credentials.
        name: String,
        /// Issuer of the tokens, as the integration has it; any if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<String>,
        /// What the claim says.
        subject: String,
        /// False keeps the credential but refuses it.
        #[serde(default = "yes")]
        is_active: bool,
    },
    /// A key that requests are signed with; see [`HmacAuth`](super::auth::HmacAuth).
    Hmac {
        /// Name of the key as requests carry it; unique in the organization.
        name: String,
        /// The secret; at least 16 bytes.
        value: Secret,
        /// False keeps the credential but refuses it.
        #[serde(default = "yes")]
        is_active: bool,
    },
    /// A certificate: exactly one of `fingerprint` and `san`, as of
    /// [`KnownCertificate`](super::auth::KnownCertificate).
    ClientCertificate {
        /// Tells it from the consumer's other credentials.
        name: String,
        /// `sha256:` and 64 hexadecimal digits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
        /// A subject alternative name, as `dns:client.example`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        san: Option<String>,
        /// False keeps the credential but refuses it.
        #[serde(default = "yes")]
        is_active: bool,
    },
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

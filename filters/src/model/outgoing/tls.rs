//! `outgoingTls`: how the gateway and a partner know each other over TLS.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::secret::Secret;

/// TLS with the partner, where the usual is not enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutgoingTls {
    /// Certificates of the authorities that may vouch for the partner, as PEM. They take the place of those that the
    /// gateway trusts otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<String>,
    /// The gateway's certificate chain for this partner as PEM, its own certificate first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// The private key of that certificate as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Secret>,
    /// Name that the partner is asked for (SNI) and that its certificate must have; the host of the address if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

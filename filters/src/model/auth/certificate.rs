//! Inbound `CLIENT_CERTIFICATE`: clients that show a certificate in the TLS handshake.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Inbound `CLIENT_CERTIFICATE`: the certificates that open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateAuth {
    /// Certificates that are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<KnownCertificate>,
    /// True accepts the certificates of the organization's consumers, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub consumers: bool,
}

/// A certificate, named by itself or by whom it is for: exactly one of `fingerprint` and `san`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KnownCertificate {
    /// Whose it is; appears in logs and limits.
    pub name: String,
    /// `sha256:` and the 64 hexadecimal digits of the SHA-256 of the certificate (DER).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// A subject alternative name: `dns:client.example`, `uri:spiffe://example/client`, `email:ops@example.org` or
    /// `ip:192.0.2.7`. Counts only if an authority that the gateway trusts vouches for the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub san: Option<String>,
    /// False keeps the entry but refuses it.
    #[serde(default = "super::yes")]
    pub is_active: bool,
}

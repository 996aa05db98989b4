//! Outgoing `OAUTH2`: tokens that the gateway fetches from a token endpoint.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tls::OutgoingTls;
use crate::model::secret::Secret;

/// Outgoing `OAUTH2`. Tokens go out as `Authorization: Bearer`; integrations of an organization with the same
/// configuration share them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutgoingOauth2 {
    /// Address of the token endpoint.
    pub token_url: String,
    /// How tokens are asked for.
    #[serde(default)]
    pub grant_type: GrantType,
    /// Who the gateway is at the token endpoint.
    pub client_id: String,
    /// How it shows that it is.
    #[serde(default)]
    pub client_authentication: ClientAuthentication,
    /// The token of `refresh_token` to begin with. What the token endpoint gives in its place is kept by the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret>,
    /// Secret of `client_secret_basic` and `client_secret_post`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// Key of `private_key_jwt` as PEM: PKCS#8, or PKCS#1 for RSA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Secret>,
    /// Identifier of that key (`kid`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Algorithm of `private_key_jwt`; `RS256`, `ES256`, `ES384` or `EdDSA` by the kind of the key if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<AssertionAlgorithm>,
    /// Whom the assertion of `private_key_jwt` is for (`aud`); `tokenUrl` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion_audience: Option<String>,
    /// Scopes, separated by spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whom the token is for, where the token endpoint asks for it under this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// What the token is for (RFC 8707): absolute addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource: Vec<String>,
    /// TLS with the token endpoint, where the usual is not enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<OutgoingTls>,
    /// Further parameters of the token request. All of their values are secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Secret>,
}

/// How tokens are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// With the client's own credential (RFC 6749 section 4.4).
    #[default]
    ClientCredentials,
    /// With a token that somebody got by signing in at the partner (RFC 6749 section 6).
    RefreshToken,
}

impl GrantType {
    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken => "refresh_token",
        }
    }
}

/// How a client shows who it is at a token endpoint, by the registered names (RFC 7591 section 2, RFC 8705).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// By its secret, in `Authorization: Basic`.
    #[default]
    ClientSecretBasic,
    /// By its secret, in the body of the request.
    ClientSecretPost,
    /// By a signed assertion (RFC 7523).
    PrivateKeyJwt,
    /// By the certificate that it shows, as in `tls` (RFC 8705 section 2).
    TlsClientAuth,
    /// Not at all, as clients without a secret; for `grantType: refresh_token` only.
    None,
}

impl ClientAuthentication {
    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::None => "none",
        }
    }
}

/// Algorithms of signed assertions (RFC 7518 section 3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum AssertionAlgorithm {
    /// RSA with SHA-256.
    Rs256,
    /// RSA with SHA-384.
    Rs384,
    /// RSA with SHA-512.
    Rs512,
    /// RSA-PSS with SHA-256.
    Ps256,
    /// RSA-PSS with SHA-384.
    Ps384,
    /// RSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl AssertionAlgorithm {
    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

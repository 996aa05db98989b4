//! Inbound `JWT`: signed tokens of an identity provider.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SharedSecret;

/// Inbound `JWT`: tokens (RFC 7519) that are signed (RFC 7515) by a key of the issuer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JwtAuth {
    /// Header that carries the bare token; `Authorization: Bearer` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_name: Option<String>,
    /// What `iss` must be.
    pub issuer: String,
    /// `aud` must name at least one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// True takes tokens for whatever audience, instead of `audiences`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_audience: bool,
    /// Algorithms that tokens may be signed with; nothing that a token says of itself widens them.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Where the issuer publishes its public keys as a JWK set (RFC 7517).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// The public keys themselves as a JWK set, instead of `jwksUrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Secrets that are shared with the issuer, for `HS256`, `HS384` and `HS512`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SharedSecret>,
    /// How far the issuer's clock may be off, in seconds; 30 if left out, at most 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leeway_seconds: Option<u32>,
    /// What the claims must be; a token that is good otherwise is answered with 403.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_claims: Vec<ClaimRule>,
    /// Claim that names the caller in logs and limits; `sub`, else `client_id` or `azp`, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_claim: Option<String>,
    /// Claim that must name a consumer, by the `subject` of one of its credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_claim: Option<String>,
}

/// Algorithms of signatures (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSA (PKCS #1 v1.5) with SHA-256.
    RS256,
    /// RSA (PKCS #1 v1.5) with SHA-384.
    RS384,
    /// RSA (PKCS #1 v1.5) with SHA-512.
    RS512,
    /// RSA-PSS with SHA-256.
    PS256,
    /// RSA-PSS with SHA-384.
    PS384,
    /// RSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// What one claim must be. Without `equals`, `oneOf` and `contains` it must be there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimRule {
    /// Name of the claim, or the way to one inside another: `realm_access.roles`.
    pub claim: String,
    /// It must have this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// It must have one of these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Value>>,
    /// It must hold all of these: a list of texts, or a text of words such as `scope`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<Vec<String>>,
}

//! Inbound `HMAC`: requests that are signed with a shared secret.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SharedSecret;

/// Inbound `HMAC`: the client signs method, address, time and body of each request. What is signed are `components`,
/// joined by line feeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HmacAuth {
    /// Header that carries the signature; `X-Signature` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_header: Option<String>,
    /// What stands before the signature in its header, such as `sha256=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_prefix: Option<String>,
    /// Header that names the key; `X-Key-Id` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id_header: Option<String>,
    /// Header that says when the request was signed, in seconds since 1970 or as RFC 3339; `X-Timestamp` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<String>,
    /// Header with a text that is different in each request; without it, two equal requests in a second are one too many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce_header: Option<String>,
    /// Header that carries the SHA-256 of the body, as `sha-256=:base64:` (RFC 9530), as base64 or as hexadecimal digits;
    /// `Content-Digest` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_header: Option<String>,
    /// What is signed, in this order: `method`, `host`, `path`, `query`, `keyId`, `timestamp`, `nonce`, `contentDigest`
    /// (hexadecimal SHA-256 of the body), or `header:name`. If left out, `method`, `path`, `query`, `timestamp`, `nonce`
    /// (if it has a header) and `contentDigest`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Hash of the signature.
    #[serde(default)]
    pub algorithm: HmacAlgorithm,
    /// How the signature is written.
    #[serde(default)]
    pub encoding: SignatureEncoding,
    /// How far the client's clock may be off, in seconds; 300 if left out, 1 to 3,600. For that long a signature is
    /// remembered, so that it is taken once only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_seconds: Option<u32>,
    /// Keys that are accepted; `keyIdHeader` carries the name of one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<SharedSecret>,
    /// True accepts the keys of the organization's consumers, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub consumers: bool,
}

/// Hashes of HMAC signatures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HmacAlgorithm {
    /// SHA-256.
    #[default]
    #[serde(rename = "SHA256")]
    Sha256,
    /// SHA-512.
    #[serde(rename = "SHA512")]
    Sha512,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SignatureEncoding {
    /// Hexadecimal digits.
    #[default]
    Hex,
    /// Base64 with padding (RFC 4648 section 4).
    Base64,
}

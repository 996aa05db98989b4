//! Outgoing `HMAC` and `AWS_SIGV4`: requests that are signed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::auth::{HmacAlgorithm, SignatureEncoding};
use crate::model::secret::Secret;

/// Outgoing `HMAC`: a signature over parts of the request, by a secret that the partner has, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutgoingHmac {
    /// The secret; its own bytes are the key.
    pub secret: Secret,
    /// Name of the key, for `{keyId}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Hash of the signature and of `{bodyHash}`.
    #[serde(default)]
    pub algorithm: HmacAlgorithm,
    /// How the signature is written.
    #[serde(default)]
    pub encoding: SignatureEncoding,
    /// What is signed, with `{method}`, `{host}`, `{path}`, `{query}`, `{timestamp}`, `{nonce}`, `{keyId}`, `{body}`,
    /// `{bodyHash}` (hexadecimal) and `{header:NAME}` in it.
    #[serde(default = "usual_canonical")]
    pub canonical: String,
    /// Header that carries the signature.
    #[serde(default = "signature_header")]
    pub signature_header: String,
    /// Its value, with `{signature}`, `{keyId}`, `{timestamp}` and `{nonce}` in it.
    #[serde(default = "bare_signature")]
    pub signature_format: String,
    /// Header that carries the time.
    #[serde(default = "timestamp_header")]
    pub timestamp_header: String,
    /// How the time is written.
    #[serde(default)]
    pub timestamp_format: TimestampFormat,
    /// Header that carries another number each time; none if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce_header: Option<String>,
    /// Header that carries the hash of the body, hexadecimal; none if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_hash_header: Option<String>,
}

/// How the time of a signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TimestampFormat {
    /// Seconds since 1970.
    #[default]
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// As `2026-11-20T16:00:00Z`.
    Rfc3339,
}

/// Outgoing `AWS_SIGV4`: AWS Signature Version 4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutgoingSigv4 {
    /// Name of the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// Token of temporary keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Secret>,
    /// Region, as `eu-central-1`.
    pub region: String,
    /// Service, as `execute-api` or `s3`.
    pub service: String,
}

fn usual_canonical() -> String {
    "{method}\n{path}\n{query}\n{timestamp}\n{bodyHash}".to_owned()
}

fn signature_header() -> String {
    "X-Signature".to_owned()
}

fn bare_signature() -> String {
    "{signature}".to_owned()
}

fn timestamp_header() -> String {
    "X-Timestamp".to_owned()
}

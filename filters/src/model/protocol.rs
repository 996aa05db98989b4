//! Which protocols an integration speaks with its clients and its partner.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is demanded of requests that come without TLS, and what clients are told about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpsRule {
    /// What a request without TLS gets.
    #[serde(default)]
    pub on_plain: OnPlain,
    /// Tells browsers to come over TLS only (RFC 6797); they are not told if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hsts: Option<Hsts>,
}

/// What a request without TLS gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnPlain {
    /// A redirect to the same address with `https` (308, so that method and body stay).
    #[default]
    Redirect,
    /// A refusal (403). For callers that are programs: they notice that a credential crossed the network in clear.
    Refuse,
    /// What it asked for.
    Serve,
}

/// The `Strict-Transport-Security` of answers over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hsts {
    /// Seconds that a browser remembers it; 0 makes it forget.
    pub max_age_seconds: u64,
    /// True includes the names below the host's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub include_subdomains: bool,
}

/// The protocol that is spoken with the partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TargetProtocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: with TLS as agreed in its handshake, without it by knowing. gRPC needs it.
    Http2,
}

impl TargetProtocol {
    /// True for the protocol that is spoken if nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

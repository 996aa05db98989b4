//! Inbound `INTROSPECTION`: tokens that their issuer is asked about.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::secret::Secret;
use super::ClaimRule;

/// Inbound `INTROSPECTION`: bearer tokens that the authorization server is asked about (RFC 7662).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IntrospectionAuth {
    /// Header that carries the bare token; `Authorization: Bearer` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_name: Option<String>,
    /// Address of the introspection endpoint.
    pub introspection_url: String,
    /// Who the gateway is at the authorization server.
    pub client_id: String,
    /// What it proves that with, by HTTP Basic.
    pub client_secret: Secret,
    /// What `iss` must be, if the server says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// `aud` must name at least one of these; whatever audience if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// What the claims must be; a token that is good otherwise is answered with 403.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_claims: Vec<ClaimRule>,
    /// Claim that names the caller in logs and limits; `sub`, else `client_id` or `username`, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_claim: Option<String>,
    /// Claim that must name a consumer, by the `subject` of one of its credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_claim: Option<String>,
    /// How long an answer counts, in seconds, so also how long a revoked token still opens; 60 if left out, at most 3,600.
    /// 0 asks for each request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_seconds: Option<u32>,
}

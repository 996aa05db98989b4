//! How a client shows who it is.
//!
//! In a document the kind and its configuration stand side by side, as in the product's source documents:
//! `"inboundAuthType": "API_KEY", "inboundAuthConfig": {"keys": [...]}`. How the gateway signs in to a partner is in
//! [`super::outgoing`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decode;
use super::problem::Problem;
use super::secret::Secret;

/// Kinds of inbound authentication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InboundAuthType {
    /// Anybody may call.
    #[default]
    None,
    /// A key in a header or in the query; see [`ApiKeyAuth`].
    ApiKey,
    /// A fixed token in `Authorization: Bearer`; see [`BearerAuth`].
    Bearer,
    /// User name and password in `Authorization: Basic` (RFC 7617); see [`BasicAuth`].
    Basic,
}

/// Inbound authentication, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboundAuth {
    /// Anybody may call.
    None,
    /// A key in a header or in the query.
    ApiKey(ApiKeyAuth),
    /// A fixed bearer token.
    Bearer(BearerAuth),
    /// User name and password.
    Basic(BasicAuth),
}

impl InboundAuth {
    /// Reads `config` as the configuration of `kind`; problems carry paths below `inboundAuthConfig`.
    pub fn read(kind: InboundAuthType, config: Option<&Value>, problems: &mut Vec<Problem>) -> Option<Self> {
        const PATH: &str = "inboundAuthConfig";
        match kind {
            InboundAuthType::None => nothing_expected(config, PATH, problems).then_some(Self::None),
            InboundAuthType::ApiKey => decode::from_value(config?, PATH, problems).map(Self::ApiKey),
            InboundAuthType::Bearer => decode::from_value(config?, PATH, problems).map(Self::Bearer),
            InboundAuthType::Basic => decode::from_value(config?, PATH, problems).map(Self::Basic),
        }
    }
}

pub(super) fn nothing_expected(config: Option<&Value>, path: &str, problems: &mut Vec<Problem>) -> bool {
    let empty = match config {
        None | Some(Value::Null) => true,
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(_) => false,
    };
    if !empty {
        problems.push(Problem::new(path, "must be left out when the auth type is NONE"));
    }
    empty
}

/// Inbound `API_KEY`: a key in a header, in the query, or in either of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKeyAuth {
    /// Header that carries the key; `X-API-Key` if neither a header nor a query name is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_name: Option<String>,
    /// Query parameter that carries the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_name: Option<String>,
    /// Keys that are accepted; several may be active at a time, so that they can be rotated.
    pub keys: Vec<Credential>,
}

/// Inbound `BEARER`: fixed tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BearerAuth {
    /// Tokens that are accepted.
    pub tokens: Vec<Credential>,
}

/// Inbound `BASIC`: users with passwords that a machine made (they are stored as plain SHA-256).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasicAuth {
    /// Users that are accepted.
    pub users: Vec<BasicUser>,
}

/// A key or a token. It is kept as a hash; a `value` given in clear is hashed when it is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credential {
    /// Whose it is; appears in logs and limits. Unique within its list.
    pub name: String,
    /// `sha256:` and 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Secret>,
    /// The key in clear, instead of `hash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Secret>,
    /// False keeps the entry but refuses it.
    #[serde(default = "yes")]
    pub is_active: bool,
}

/// A user of inbound `BASIC`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasicUser {
    /// User name; without a colon (RFC 7617).
    pub username: String,
    /// `sha256:` and 64 hexadecimal digits of the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<Secret>,
    /// The password in clear, instead of `passwordHash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// False keeps the entry but refuses it.
    #[serde(default = "yes")]
    pub is_active: bool,
}

fn yes() -> bool {
    true
}

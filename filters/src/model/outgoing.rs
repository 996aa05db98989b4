//! How the gateway signs in to a partner.
//!
//! In a document the kind and its configuration stand side by side, as in the product's source documents:
//! `"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "..."}`.

mod oauth2;
mod signature;
mod tls;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::auth::nothing_expected;
use super::decode;
use super::problem::Problem;
use super::secret::Secret;
pub use oauth2::{AssertionAlgorithm, ClientAuthentication, GrantType, OutgoingOauth2};
pub use signature::{OutgoingHmac, OutgoingSigv4, TimestampFormat};
pub use tls::OutgoingTls;

/// Kinds of outgoing authentication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutgoingAuthType {
    /// The partner asks for nothing.
    #[default]
    None,
    /// A key in a header or in the query; see [`OutgoingApiKey`].
    ApiKey,
    /// A fixed token in `Authorization: Bearer`; see [`OutgoingBearer`].
    Bearer,
    /// User name and password (RFC 7617); see [`OutgoingBasic`].
    Basic,
    /// Tokens of an OAuth2 token endpoint; see [`OutgoingOauth2`].
    Oauth2,
    /// Any headers; see [`OutgoingHeaders`].
    CustomHeaders,
    /// A signature by a shared secret; see [`OutgoingHmac`].
    Hmac,
    /// AWS Signature Version 4; see [`OutgoingSigv4`].
    AwsSigv4,
}

/// Outgoing authentication, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutgoingAuth {
    /// The partner asks for nothing.
    None,
    /// A key in a header or in the query.
    ApiKey(OutgoingApiKey),
    /// A fixed bearer token.
    Bearer(OutgoingBearer),
    /// User name and password.
    Basic(OutgoingBasic),
    /// Tokens of a token endpoint.
    Oauth2(Box<OutgoingOauth2>),
    /// Any headers.
    CustomHeaders(OutgoingHeaders),
    /// A signature by a shared secret.
    Hmac(Box<OutgoingHmac>),
    /// AWS Signature Version 4.
    AwsSigv4(Box<OutgoingSigv4>),
}

impl OutgoingAuth {
    /// Reads `config` as the configuration of `kind`; problems carry paths below `outgoingAuthConfig`.
    pub fn read(kind: OutgoingAuthType, config: Option<&Value>, problems: &mut Vec<Problem>) -> Option<Self> {
        const PATH: &str = "outgoingAuthConfig";
        match kind {
            OutgoingAuthType::None => nothing_expected(config, PATH, problems).then_some(Self::None),
            OutgoingAuthType::ApiKey => decode::from_value(config?, PATH, problems).map(Self::ApiKey),
            OutgoingAuthType::Bearer => decode::from_value(config?, PATH, problems).map(Self::Bearer),
            OutgoingAuthType::Basic => decode::from_value(config?, PATH, problems).map(Self::Basic),
            OutgoingAuthType::CustomHeaders => decode::from_value(config?, PATH, problems).map(Self::CustomHeaders),
            OutgoingAuthType::Hmac => {
                decode::from_value(config?, PATH, problems).map(|auth| Self::Hmac(Box::new(auth)))
            }
            OutgoingAuthType::AwsSigv4 => {
                decode::from_value(config?, PATH, problems).map(|auth| Self::AwsSigv4(Box::new(auth)))
            }
            OutgoingAuthType::Oauth2 => {
                decode::from_value(config?, PATH, problems).map(|auth| Self::Oauth2(Box::new(auth)))
            }
        }
    }
}

/// Outgoing `API_KEY`: exactly one of `headerName` and `queryName`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutgoingApiKey {
    /// Header to send the key in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_name: Option<String>,
    /// Query parameter to send the key in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_name: Option<String>,
    /// The key.
    pub api_key: Secret,
}

/// Outgoing `BEARER`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutgoingBearer {
    /// The token, without `Bearer `.
    pub token: Secret,
}

/// Outgoing `BASIC`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutgoingBasic {
    /// User name; without a colon (RFC 7617).
    pub username: String,
    /// Password.
    pub password: Secret,
}

/// Outgoing `CUSTOM_HEADERS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutgoingHeaders {
    /// Headers to send, by name.
    pub headers: BTreeMap<String, Secret>,
}

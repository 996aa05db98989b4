//! How a client shows who it is.
//!
//! In a document the kind and its configuration stand side by side, as in the product's source documents:
//! `"inboundAuthType": "API_KEY", "inboundAuthConfig": {"keys": [...]}`. How the gateway signs in to a partner is in
//! [`super::outgoing`].

pub mod certificate;
pub mod hmac;
pub mod introspection;
pub mod jwt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decode;
use super::problem::{Problem, join};
use super::secret::Secret;
pub use certificate::{CertificateAuth, KnownCertificate};
pub use hmac::{HmacAlgorithm, HmacAuth, SignatureEncoding};
pub use introspection::IntrospectionAuth;
pub use jwt::{ClaimRule, JwtAlgorithm, JwtAuth};

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
    /// A signed token of an identity provider; see [`JwtAuth`].
    Jwt,
    /// A token that its issuer is asked about; see [`IntrospectionAuth`].
    Introspection,
    /// A signature of the request; see [`HmacAuth`].
    Hmac,
    /// A certificate shown in the TLS handshake; see [`CertificateAuth`].
    ClientCertificate,
    /// One of several of these; see [`AnyOfAuth`].
    AnyOf,
}

/// Inbound authentication, read.
#[derive(Clone, Debug, PartialEq)]
pub enum InboundAuth {
    /// Anybody may call.
    None,
    /// A key in a header or in the query.
    ApiKey(ApiKeyAuth),
    /// A fixed bearer token.
    Bearer(BearerAuth),
    /// User name and password.
    Basic(BasicAuth),
    /// A signed token.
    Jwt(Box<JwtAuth>),
    /// A token that its issuer is asked about.
    Introspection(Box<IntrospectionAuth>),
    /// A signature of the request.
    Hmac(Box<HmacAuth>),
    /// A client certificate.
    ClientCertificate(CertificateAuth),
    /// One of several.
    AnyOf(AnyOfAuth),
}

impl InboundAuth {
    /// Reads `config` as the configuration of `kind`; problems carry paths below `inboundAuthConfig`.
    pub fn read(kind: InboundAuthType, config: Option<&Value>, problems: &mut Vec<Problem>) -> Option<Self> {
        Self::read_at("inboundAuthConfig", kind, config, problems)
    }

    /// The same for a configuration that stands at `path`.
    pub fn read_at(
        path: &str,
        kind: InboundAuthType,
        config: Option<&Value>,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        match kind {
            InboundAuthType::None => nothing_expected(config, path, problems).then_some(Self::None),
            InboundAuthType::ApiKey => decode::from_value(config?, path, problems).map(Self::ApiKey),
            InboundAuthType::Bearer => decode::from_value(config?, path, problems).map(Self::Bearer),
            InboundAuthType::Basic => decode::from_value(config?, path, problems).map(Self::Basic),
            InboundAuthType::Jwt => decode::from_value(config?, path, problems).map(Self::Jwt),
            InboundAuthType::Introspection => decode::from_value(config?, path, problems).map(Self::Introspection),
            InboundAuthType::Hmac => decode::from_value(config?, path, problems).map(Self::Hmac),
            InboundAuthType::ClientCertificate => {
                decode::from_value(config?, path, problems).map(Self::ClientCertificate)
            }
            InboundAuthType::AnyOf => decode::from_value(config?, path, problems).map(Self::AnyOf),
        }
    }
}

/// Inbound `ANY_OF`: a client opens with any one of several kinds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnyOfAuth {
    /// The ways in, 2 to 8; the first that a request's credential is good for.
    pub any_of: Vec<Alternative>,
}

/// One way in of `ANY_OF`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alternative {
    /// Tells it from another one of the same kind, and needed only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its kind; neither `NONE` nor `ANY_OF`.
    pub inbound_auth_type: InboundAuthType,
    /// Configuration of that kind.
    pub inbound_auth_config: Value,
}

impl AnyOfAuth {
    /// Reads the alternatives, each with where it stands below `path`.
    pub fn read_all(&self, path: &str, problems: &mut Vec<Problem>) -> Vec<(String, InboundAuth)> {
        let mut read = Vec::with_capacity(self.any_of.len());
        for (index, way) in self.any_of.iter().enumerate() {
            let place = join(path, &format!("anyOf[{index}].inboundAuthConfig"));
            let config = Some(&way.inbound_auth_config);
            if let Some(auth) = InboundAuth::read_at(&place, way.inbound_auth_type, config, problems) {
                read.push((place, auth));
            }
        }
        read
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Credential>,
    /// True accepts the keys of the organization's consumers, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub consumers: bool,
}

/// Inbound `BEARER`: fixed tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BearerAuth {
    /// Tokens that are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<Credential>,
    /// True accepts the tokens of the organization's consumers, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub consumers: bool,
}

/// Inbound `BASIC`: users with passwords that a machine made (they are stored as plain SHA-256).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasicAuth {
    /// Users that are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<BasicUser>,
    /// True accepts the users of the organization's consumers, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub consumers: bool,
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

/// A secret that both sides have. It is kept as it is, encrypted: a hash could check no signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SharedSecret {
    /// Whose it is; appears in logs and limits, and names the key in requests. Unique within its list.
    pub name: String,
    /// The secret; at least 16 bytes.
    pub value: Secret,
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

//! What a token endpoint's answer means (RFC 6749 sections 5.1 and 5.2). Nothing of its body gets into an error: it may
//! repeat the credential.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::model::secret::Secret;

/// A token, as the token endpoint gave it.
#[derive(Debug)]
pub struct Granted {
    /// The value of `Authorization`.
    pub authorization: HeaderValue,
    /// How long the token is good; `None` if the endpoint does not say.
    pub lifetime: Option<Duration>,
    /// What to ask with the next time, if the endpoint gave it.
    pub refresh_token: Option<Secret>,
}

/// Why an answer holds no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// The endpoint refused.
    #[error("answered with status {status}{}", told(*.error))]
    Status {
        /// The status.
        status: u16,
        /// Why, where the answer says it in the words of the standard.
        error: Option<OauthError>,
    },
    /// What came is not the answer of a token endpoint.
    #[error("answered with something else than a JSON object with an `access_token`")]
    NoToken,
    /// The token has characters that no token has.
    #[error("gave a token that a header cannot carry")]
    BadToken,
    /// The token is to be used in another way than as a bearer token.
    #[error("gave a token of another type than Bearer")]
    TokenType,
}

/// Errors of a token endpoint (RFC 6749 section 5.2, RFC 8707 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OauthError {
    /// A parameter is missing, unknown or repeated.
    InvalidRequest,
    /// The client is not known, or its authentication failed.
    InvalidClient,
    /// What was shown for the token is no longer good.
    InvalidGrant,
    /// The client may not use this grant.
    UnauthorizedClient,
    /// The endpoint does not know this grant.
    UnsupportedGrantType,
    /// The scope is unknown or more than the client may have.
    InvalidScope,
    /// The resource is unknown or none of the client's.
    InvalidTarget,
    /// The endpoint is busy.
    TemporarilyUnavailable,
}

impl OauthError {
    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }
}

impl TokenRefusal {
    /// True if the credential itself was refused, so that asking again changes nothing until somebody mends it.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 400 | 401 | 403),
            Self::NoToken | Self::BadToken | Self::TokenType => false,
        }
    }
}

/// Reads an answer.
///
/// # Errors
/// Why there is no token in it.
pub fn read(status: StatusCode, body: &[u8]) -> Result<Granted, TokenRefusal> {
    if status != StatusCode::OK {
        let error = serde_json::from_slice::<Refused>(body)
            .ok()
            .map(|refused| refused.error);
        return Err(TokenRefusal::Status {
            status: status.as_u16(),
            error,
        });
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|_| TokenRefusal::NoToken)?;
    let kind = answer.token_type.as_deref().unwrap_or("bearer");
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(TokenRefusal::TokenType);
    }
    let token = answer.access_token.expose();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TokenRefusal::BadToken);
    }
    let mut authorization = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| TokenRefusal::BadToken)?;
    authorization.set_sensitive(true);
    Ok(Granted {
        authorization,
        lifetime: answer.expires_in.as_ref().and_then(seconds),
        refresh_token: answer.refresh_token.filter(|token| !token.expose().is_empty()),
    })
}

#[derive(Deserialize)]
struct Answer {
    access_token: Secret,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<Value>,
    #[serde(default)]
    refresh_token: Option<Secret>,
}

#[derive(Deserialize)]
struct Refused {
    error: OauthError,
}

/// Some endpoints write the number as text, or with a fraction.
fn seconds(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(LONGEST_LIFETIME_S)))
}

fn told(error: Option<OauthError>) -> String {
    error.map(|error| format!(" ({})", error.as_str())).unwrap_or_default()
}

/// However long a token is said to be good, a new one is fetched after a day.
const LONGEST_LIFETIME_S: f64 = 86_400.0;

//! Tokens that their issuer is asked about (RFC 7662): the question and what its answer means.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::claims::{ClaimCheck, Issuer};
use super::consumers::Consumers;
use super::{AuthRefusal, Identity, token};
use crate::target::TargetUrl;

/// The longest token that is asked about, in bytes.
const LONGEST_TOKEN: usize = 8 * 1024;

/// Asks about tokens.
#[derive(Debug)]
pub struct IntrospectionCheck {
    pub(crate) header: HeaderName,
    pub(crate) url: TargetUrl,
    /// What the gateway signs in to the server with.
    pub(crate) authorization: HeaderValue,
    /// How long an answer counts, in seconds.
    pub(crate) cache_s: u32,
    pub(crate) claims: ClaimCheck,
}

/// What the server says of a token.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// It is good, at most until this time (seconds since 1970) if that is said, and these are its claims.
    Active(Arc<Value>, Option<i64>),
    /// It is not.
    Inactive,
}

impl IntrospectionCheck {
    /// Where tokens are asked about.
    pub fn url(&self) -> &TargetUrl {
        &self.url
    }

    /// `Authorization` of the question.
    pub fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    /// How long an answer counts, in seconds; 0 asks for each request.
    pub fn cache_seconds(&self) -> u32 {
        self.cache_s
    }

    pub(crate) fn header(&self) -> &HeaderName {
        &self.header
    }

    pub(crate) fn read<'h>(&self, headers: &'h HeaderMap) -> Result<&'h str, AuthRefusal> {
        let token = token(headers, &self.header)?;
        // What RFC 6750 allows in a token, so that the question holds nothing else.
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if token.is_empty() || token.len() > LONGEST_TOKEN || !token.bytes().all(is_token) {
            return Err(AuthRefusal::Malformed);
        }
        Ok(token)
    }

    /// The body of the question, as a form.
    pub fn question(token: &str) -> String {
        form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token)
            .append_pair("token_type_hint", "access_token")
            .finish()
    }

    /// Who the bearer of a token is that the server said this of.
    ///
    /// # Errors
    /// [`AuthRefusal`] if it is not good, or not for this integration.
    pub fn identity(
        &self,
        standing: &Standing,
        consumers: Option<&Consumers>,
        now_s: i64,
    ) -> Result<Identity, AuthRefusal> {
        match standing {
            Standing::Inactive => Err(AuthRefusal::Invalid),
            Standing::Active(_, Some(until)) if *until <= now_s => Err(AuthRefusal::Expired),
            Standing::Active(claims, _) => self.claims.identity(Arc::clone(claims), Issuer::IfThere, consumers),
        }
    }
}

impl Standing {
    /// Reads the server's answer; `None` if it is not one.
    pub fn read(body: &[u8]) -> Option<Self> {
        let claims: Value = serde_json::from_slice(body).ok()?;
        match claims.get("active")? {
            Value::Bool(true) => {
                let until = match claims.get("exp") {
                    None | Some(Value::Null) => None,
                    Some(said) => Some(super::jwt::seconds(said)?),
                };
                Some(Self::Active(Arc::new(claims), until))
            }
            Value::Bool(false) => Some(Self::Inactive),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        let read = |value: Value| Standing::read(value.to_string().as_bytes());
        let yes = json!({"active": true, "sub": "ana", "exp": 1_900_000_000});
        assert_eq!(
            read(yes.clone()),
            Some(Standing::Active(Arc::new(yes), Some(1_900_000_000)))
        );
        assert_eq!(read(json!({"active": false, "sub": "ana"})), Some(Standing::Inactive));
        for unclear in [
            json!({}),
            json!({"active": "true"}),
            json!([]),
            json!({"active": true, "exp": "never"}),
        ] {
            assert_eq!(read(unclear.clone()), None, "{unclear}");
        }
    }

    #[test]
    fn a_token_is_one_field_of_the_question() {
        assert_eq!(
            IntrospectionCheck::question("a+b/c="),
            "token=a%2Bb%2Fc%3D&token_type_hint=access_token"
        );
    }
}

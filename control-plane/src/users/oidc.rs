//! Signing in at an identity provider (OpenID Connect, authorization code with PKCE).
//!
//! `begin` sends the browser to the provider and gives it a sealed cookie to come back with; `end` takes the code that it
//! comes back with to the provider (`provider.rs`), checks the token that it gets, and makes of its claims who somebody is
//! (`person.rs`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::sign_in::{Origin, SignedIn};
use super::{Users, UsersError};
use crate::config::oidc::OidcConfig;
use crate::seal::Sealer;

mod person;
mod provider;

pub(super) use provider::Provider;
pub(crate) use provider::ProviderError;

/// Where a browser goes, and what it keeps until it comes back.
#[derive(Debug)]
pub(crate) struct Departure {
    pub(crate) location: String,
    /// Sealed: nobody can read or change it.
    pub(crate) cookie: String,
}

/// What a browser comes back with.
#[derive(Debug, Default)]
pub(crate) struct Return<'a> {
    pub(crate) code: Option<&'a str>,
    pub(crate) state: Option<&'a str>,
    /// What the provider says went wrong.
    pub(crate) error: Option<&'a str>,
    pub(crate) cookie: Option<&'a str>,
}

/// Why somebody who was at the provider does not come in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OidcError {
    /// No provider is configured.
    #[error("no identity provider is configured (setting `auth.oidc`)")]
    None,
    /// The browser did not begin here, or too long ago.
    #[error(
        "this sign-in was not begun in this browser, or more than ten minutes ago; begin again at /api/v1/auth/oidc/login"
    )]
    NotBegun,
    /// The provider refused.
    #[error("the identity provider answered: {0}")]
    Refused(String),
    /// The person has no role here.
    #[error("the identity provider gives this person no role here: claim `{0}`")]
    NoRole(String),
    /// The person is known, but not by what the provider says.
    #[error("{0}")]
    Person(String),
    /// The provider's answer is not good.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// As with any account.
    #[error(transparent)]
    Users(#[from] UsersError),
}

/// What is remembered of a sign-in that was begun, by the browser.
#[derive(Serialize, Deserialize)]
struct Begun {
    state: String,
    nonce: String,
    verifier: String,
    /// Seconds since 1970.
    until: i64,
}

impl Users {
    /// Sends somebody to the provider.
    ///
    /// # Errors
    /// If there is none, or it does not answer.
    pub(crate) async fn begin_oidc(&self, now: Timestamp) -> Result<Departure, OidcError> {
        let provider = self.provider.as_ref().ok_or(OidcError::None)?;
        let endpoint = provider.authorization_endpoint().await?;
        let begun = Begun {
            state: random(),
            nonce: random(),
            verifier: random(),
            until: now.as_second() + LONGEST_SECONDS,
        };
        Ok(Departure {
            location: location(&endpoint, provider.config(), &begun),
            cookie: begun.seal(&self.sealer),
        })
    }

    /// Signs in somebody who comes back from the provider.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn end_oidc(
        &self,
        back: &Return<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<SignedIn, OidcError> {
        let provider = self.provider.as_ref().ok_or(OidcError::None)?;
        let begun = Begun::open(back.cookie.unwrap_or_default(), &self.sealer, now).ok_or(OidcError::NotBegun)?;
        let state = back.state.unwrap_or_default().as_bytes();
        if !bool::from(begun.state.as_bytes().ct_eq(state)) {
            return Err(OidcError::NotBegun);
        }
        if let Some(error) = back.error {
            return Err(OidcError::Refused(error.chars().take(MOST_SHOWN).collect()));
        }
        let code = back.code.ok_or(OidcError::NotBegun)?;
        let claims = provider.claims(code, &begun.verifier, &begun.nonce, now).await?;
        let known = person::Known::read(&claims, provider.config())?;
        self.sign_in_known(known, origin, now).await
    }

    /// True if browsers come by TLS.
    pub(crate) fn is_oidc_secure(&self) -> bool {
        let provider = self.provider.as_ref();
        provider.is_some_and(|provider| provider.config().redirect_url.starts_with("https://"))
    }

    /// Where people are sent on to when they came in.
    pub(crate) fn return_to(&self) -> Option<&str> {
        self.provider.as_ref()?.config().return_to.as_deref()
    }
}

impl Begun {
    fn seal(&self, sealer: &Sealer) -> String {
        let text = serde_json::to_string(self).expect("texts and numbers serialize without fail");
        // Of what is sealed, only some characters may not stand in a cookie.
        URL_SAFE_NO_PAD.encode(sealer.seal(&text, PURPOSE))
    }

    fn open(cookie: &str, sealer: &Sealer, now: Timestamp) -> Option<Self> {
        if cookie.len() > LONGEST_COOKIE {
            return None;
        }
        let sealed = String::from_utf8(URL_SAFE_NO_PAD.decode(cookie).ok()?).ok()?;
        let text = sealer.open(&sealed, PURPOSE).ok()?;
        let begun: Self = serde_json::from_str(&text).ok()?;
        (now.as_second() < begun.until).then_some(begun)
    }
}

fn location(endpoint: &str, config: &OidcConfig, begun: &Begun) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(begun.verifier.as_bytes()));
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", &config.client_id)
        .append_pair("redirect_uri", &config.redirect_url)
        .append_pair("scope", &config.scopes.join(" "))
        .append_pair("state", &begun.state)
        .append_pair("nonce", &begun.nonce)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .finish();
    let joint = if endpoint.contains('?') { '&' } else { '?' };
    format!("{endpoint}{joint}{query}")
}

/// 256 random bits.
fn random() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Name of the cookie with which a browser comes back.
pub(crate) const COOKIE: &str = "ig_sign_in";
/// How long somebody may stay at the provider.
pub(crate) const LONGEST_SECONDS: i64 = 600;
const PURPOSE: &str = "sign-in at the identity provider";
const LONGEST_COOKIE: usize = 2_048;
const MOST_SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_read_by_us_in_its_time() {
        let sealer = Sealer::new(&[7; 32]);
        let at = |second| Timestamp::from_second(second).unwrap();
        let begun = Begun {
            state: "s".to_owned(),
            nonce: "n".to_owned(),
            verifier: "v".to_owned(),
            until: 1_000,
        };
        let cookie = begun.seal(&sealer);
        assert_eq!(Begun::open(&cookie, &sealer, at(999)).unwrap().verifier, "v");
        assert!(Begun::open(&cookie, &sealer, at(1_000)).is_none());
        assert!(Begun::open(&cookie, &Sealer::new(&[8; 32]), at(1)).is_none());
        assert!(Begun::open("", &sealer, at(1)).is_none());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        assert!(cookie.bytes().all(plain), "{cookie}");
    }
}

//! Signed tokens (RFC 7519), by the rules of RFC 8725: the algorithms are the integration's and not the token's, nothing
//! of a token is believed before its signature was checked, and a claim of the wrong kind is no claim that is left out.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::claims::{ClaimCheck, Issuer};
use super::consumers::Consumers;
use super::jwk::{KeySet, Tried, algorithm};
use super::{AuthRefusal, Identity, token};
use crate::model::auth::JwtAlgorithm;
use crate::target::TargetUrl;

/// The longest token that is looked at, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;
/// The longest name of a key, in bytes.
const LONGEST_KEY_ID: usize = 512;

/// Checks signed tokens.
#[derive(Debug)]
pub struct JwtCheck {
    pub(crate) header: HeaderName,
    pub(crate) algorithms: Vec<JwtAlgorithm>,
    pub(crate) keys: Keys,
    /// How far the issuer's clock may be off, in seconds.
    pub(crate) leeway_s: i64,
    pub(crate) claims: ClaimCheck,
}

/// Where the keys are.
#[derive(Debug)]
pub enum Keys {
    /// Here.
    Fixed(KeySet),
    /// At the issuer.
    Fetched(TargetUrl),
}

/// A token of which nothing is believed yet.
#[derive(Debug)]
pub struct Token<'t> {
    /// Header and claims, as they were signed.
    signed: &'t str,
    claims: &'t str,
    signature: Vec<u8>,
    algorithm: JwtAlgorithm,
    key_id: Option<String>,
}

/// Why a token does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It is not good.
    Refused(AuthRefusal),
    /// It was signed by a key that is not in the set: it may be newer than the set is.
    NoSuchKey,
}

impl From<AuthRefusal> for Failed {
    fn from(refusal: AuthRefusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The parts of a token's header that say how to check it.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood, and none is (RFC 7515 section 4.1.11).
    crit: Option<IgnoredAny>,
}

impl JwtCheck {
    /// Where the keys are.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn header(&self) -> &HeaderName {
        &self.header
    }

    pub(crate) fn read<'h>(&self, headers: &'h HeaderMap) -> Result<Token<'h>, AuthRefusal> {
        Token::parse(token(headers, &self.header)?)
    }

    /// Who the bearer of `token` is, if one of `keys` signed it.
    ///
    /// # Errors
    /// Why it does not open.
    pub fn verify(
        &self,
        token: &Token<'_>,
        keys: &KeySet,
        consumers: Option<&Consumers>,
        now_s: i64,
    ) -> Result<Identity, Failed> {
        let claims = token.opened(keys, &self.algorithms, self.leeway_s, now_s)?;
        Ok(self.claims.identity(Arc::new(claims), Issuer::Required, consumers)?)
    }
}

/// The claims of the token `text`, if one of `keys` signed it by one of `algorithms` and its time has begun and is not over.
/// Who made it, for whom and what for is for the caller to look at.
///
/// # Errors
/// Why it does not open.
pub fn open(
    text: &str,
    keys: &KeySet,
    algorithms: &[JwtAlgorithm],
    leeway_s: i64,
    now_s: i64,
) -> Result<Value, Failed> {
    Token::parse(text)?.opened(keys, algorithms, leeway_s, now_s)
}

impl<'t> Token<'t> {
    fn parse(text: &'t str) -> Result<Self, AuthRefusal> {
        if text.len() > LONGEST_TOKEN {
            return Err(AuthRefusal::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(AuthRefusal::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(AuthRefusal::Malformed)?;
        if claims.contains('.') {
            return Err(AuthRefusal::Malformed);
        }
        let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| AuthRefusal::Malformed)?;
        if header.crit.is_some() || header.kid.as_ref().is_some_and(|id| id.len() > LONGEST_KEY_ID) {
            return Err(AuthRefusal::Malformed);
        }
        Ok(Self {
            signed,
            claims,
            signature: decoded(signature)?,
            algorithm: algorithm(&header.alg).ok_or(AuthRefusal::Invalid)?,
            key_id: header.kid,
        })
    }

    /// Its claims, if the signature and the time are good.
    fn opened(&self, keys: &KeySet, algorithms: &[JwtAlgorithm], leeway_s: i64, now_s: i64) -> Result<Value, Failed> {
        if !algorithms.contains(&self.algorithm) {
            return Err(AuthRefusal::Invalid.into());
        }
        match keys.check(
            self.algorithm,
            self.key_id.as_deref(),
            self.signed.as_bytes(),
            &self.signature,
        ) {
            Tried::Good => {}
            Tried::Bad => return Err(AuthRefusal::Invalid.into()),
            Tried::NoSuchKey => return Err(Failed::NoSuchKey),
        }
        let claims = self.claims()?;
        check_time(&claims, leeway_s, now_s)?;
        Ok(claims)
    }

    fn claims(&self) -> Result<Value, AuthRefusal> {
        let claims: Value = serde_json::from_slice(&decoded(self.claims)?).map_err(|_| AuthRefusal::Malformed)?;
        if claims.is_object() {
            Ok(claims)
        } else {
            Err(AuthRefusal::Malformed)
        }
    }
}

fn check_time(claims: &Value, leeway_s: i64, now_s: i64) -> Result<(), AuthRefusal> {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(said) => seconds(said).map(Some).ok_or(AuthRefusal::Invalid),
    };
    let ends = time("exp")?.ok_or(AuthRefusal::Invalid)?;
    if now_s >= ends.saturating_add(leeway_s) {
        return Err(AuthRefusal::Expired);
    }
    match time("nbf")? {
        Some(begins) if begins > now_s.saturating_add(leeway_s) => Err(AuthRefusal::Invalid),
        _ => Ok(()),
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, AuthRefusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| AuthRefusal::Malformed)
}

/// A time of a token: seconds since 1970, fractions allowed (RFC 7519 section 2).
pub(super) fn seconds(said: &Value) -> Option<i64> {
    if let Some(whole) = said.as_i64() {
        return Some(whole);
    }
    let fraction = said.as_f64()?;
    (fraction.abs() < 1e15).then_some(fraction.floor() as i64)
}

#[cfg(test)]
mod tests;

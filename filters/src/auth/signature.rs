//! Signed requests: what is signed, by whom, when, and over which body.

use std::sync::Arc;

use ahash::AHashMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, header};
use ring::hmac;

use super::credentials::Found;
use super::{AuthRefusal, Presented, Signed, sha256, single, text};
use crate::model::auth::{HmacAlgorithm, SignatureEncoding};

/// Checks signatures of requests.
#[derive(Debug)]
pub struct SignatureCheck {
    pub(crate) signature: HeaderName,
    pub(crate) prefix: Box<str>,
    pub(crate) key_id: HeaderName,
    pub(crate) timestamp: HeaderName,
    pub(crate) nonce: Option<HeaderName>,
    pub(crate) digest: HeaderName,
    pub(crate) components: Vec<Component>,
    pub(crate) algorithm: HmacAlgorithm,
    pub(crate) encoding: SignatureEncoding,
    pub(crate) skew_s: i64,
    pub(crate) keys: AHashMap<Box<str>, (usize, SigningKey)>,
    /// True accepts the keys of the organization's consumers, too.
    pub(crate) consumers: bool,
}

/// A part of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Component {
    Method,
    Host,
    Path,
    Query,
    KeyId,
    Timestamp,
    Nonce,
    ContentDigest,
    Header(HeaderName),
}

/// A key in the form for each hash.
#[derive(Clone, Debug)]
pub(crate) struct SigningKey {
    sha256: hmac::Key,
    sha512: hmac::Key,
}

impl SigningKey {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self {
            sha256: hmac::Key::new(hmac::HMAC_SHA256, secret),
            sha512: hmac::Key::new(hmac::HMAC_SHA512, secret),
        }
    }

    fn of(&self, algorithm: HmacAlgorithm) -> &hmac::Key {
        match algorithm {
            HmacAlgorithm::Sha256 => &self.sha256,
            HmacAlgorithm::Sha512 => &self.sha512,
        }
    }
}

impl Component {
    /// Reads the name of a component.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "method" => Self::Method,
            "host" => Self::Host,
            "path" => Self::Path,
            "query" => Self::Query,
            "keyId" => Self::KeyId,
            "timestamp" => Self::Timestamp,
            "nonce" => Self::Nonce,
            "contentDigest" => Self::ContentDigest,
            other => Self::Header(HeaderName::try_from(other.strip_prefix("header:")?).ok()?),
        })
    }

    /// What is signed unless the integration says otherwise.
    pub(crate) fn usual(with_nonce: bool) -> Vec<Self> {
        let nonce = with_nonce.then_some(Self::Nonce);
        let before = [Self::Method, Self::Path, Self::Query, Self::Timestamp];
        before.into_iter().chain(nonce).chain([Self::ContentDigest]).collect()
    }
}

impl SignatureCheck {
    /// For how many seconds a signature would pass again, clocks that are ahead included.
    pub fn window_seconds(&self) -> u64 {
        self.skew_s.unsigned_abs() * 2
    }

    pub(crate) fn covers_body(&self) -> bool {
        self.components.contains(&Component::ContentDigest)
    }

    /// Headers that carry the signature, and what it is made of.
    pub(crate) fn headers(&self) -> Vec<&HeaderName> {
        let own = [&self.signature, &self.key_id, &self.timestamp];
        own.into_iter().chain(&self.nonce).collect()
    }

    /// Whose signature the request carries, and what it still has to prove.
    pub(crate) fn check(&self, request: &Presented<'_>) -> Result<(Found, Signed), AuthRefusal> {
        let given = text(request.headers, &self.signature)?;
        let given = given.strip_prefix(&*self.prefix).ok_or(AuthRefusal::Malformed)?;
        let given = self.decoded(given)?;
        let key_id = text(request.headers, &self.key_id)?;
        let timestamp = text(request.headers, &self.timestamp)?;
        let at = seconds(timestamp).ok_or(AuthRefusal::Malformed)?;
        let body = self.covers_body().then(|| self.digest(request.headers)).transpose()?;
        let canonical = self.canonical(request, key_id, timestamp, body)?;
        let (found, key) = self.key(key_id, request)?;
        let key = key.of(self.algorithm);
        hmac::verify(key, canonical.as_bytes(), &given).map_err(|_| AuthRefusal::Invalid)?;
        // Only now, as nobody else is to learn the gateway's time or what it remembers.
        let now_s = (request.now_s)();
        if (now_s - at).abs() > self.skew_s {
            return Err(AuthRefusal::Skewed);
        }
        let mut once = [0; 16];
        once.copy_from_slice(&sha256(&given)[..16]);
        Ok((found, Signed { body, once }))
    }

    fn key<'k>(&'k self, id: &str, request: &Presented<'k>) -> Result<(Found, &'k SigningKey), AuthRefusal> {
        if let Some((index, key)) = self.keys.get(id) {
            return Ok((Found::Own(*index), key));
        }
        let consumers = request.consumers.filter(|_| self.consumers);
        let consumers = consumers.ok_or(AuthRefusal::Invalid)?;
        let (consumer, key) = consumers.signing.get(id).ok_or(AuthRefusal::Invalid)?;
        Ok((Found::Consumer(Arc::clone(consumer)), key))
    }

    fn decoded(&self, text: &str) -> Result<Vec<u8>, AuthRefusal> {
        let decoded = match self.encoding {
            SignatureEncoding::Hex => hex::decode(text).ok(),
            SignatureEncoding::Base64 => STANDARD.decode(text).ok(),
        };
        decoded.ok_or(AuthRefusal::Malformed)
    }

    /// The digest that the client says its body has; that of nothing if it has none and says none.
    fn digest(&self, headers: &HeaderMap) -> Result<[u8; 32], AuthRefusal> {
        let Some(said) = single(headers, &self.digest)? else {
            let length = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
            let has_body = length || headers.contains_key(header::TRANSFER_ENCODING);
            // A body that comes nonetheless, as it may over HTTP/2, has another digest.
            return if has_body {
                Err(AuthRefusal::Missing)
            } else {
                Ok(sha256(b""))
            };
        };
        let said = said.to_str().map_err(|_| AuthRefusal::Malformed)?;
        read_digest(said).ok_or(AuthRefusal::Malformed)
    }

    fn canonical(
        &self,
        request: &Presented<'_>,
        key_id: &str,
        timestamp: &str,
        body: Option<[u8; 32]>,
    ) -> Result<String, AuthRefusal> {
        let mut whole = String::with_capacity(256);
        for (index, component) in self.components.iter().enumerate() {
            if index > 0 {
                whole.push('\n');
            }
            match component {
                Component::Method => whole.push_str(request.method.as_str()),
                Component::Host => whole.push_str(text(request.headers, &header::HOST)?),
                Component::Path => whole.push_str(request.uri.path()),
                Component::Query => whole.push_str(request.uri.query().unwrap_or_default()),
                Component::KeyId => whole.push_str(key_id),
                Component::Timestamp => whole.push_str(timestamp),
                Component::Nonce => {
                    let name = self.nonce.as_ref().ok_or(AuthRefusal::Malformed)?;
                    whole.push_str(text(request.headers, name)?);
                }
                Component::ContentDigest => whole.push_str(&hex::encode(body.unwrap_or_default())),
                Component::Header(name) => whole.push_str(text(request.headers, name)?),
            }
        }
        Ok(whole)
    }
}

/// A time in seconds since 1970, or as RFC 3339.
fn seconds(text: &str) -> Option<i64> {
    // Beyond it are milliseconds, which would be a time in the far future.
    const LAST: i64 = 100_000_000_000;
    match text.parse::<i64>() {
        Ok(seconds) => (0..LAST).contains(&seconds).then_some(seconds),
        Err(_) => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second),
    }
}

/// SHA-256 of a body as `sha-256=:base64:` (RFC 9530), base64 or hexadecimal digits.
fn read_digest(text: &str) -> Option<[u8; 32]> {
    let bytes = if text.len() == 64 && !text.contains('=') {
        hex::decode(text).ok()?
    } else {
        let member = text
            .split(',')
            .map(str::trim)
            .find_map(|member| member.strip_prefix("sha-256="));
        let encoded = match member {
            Some(member) => member.strip_prefix(':')?.strip_suffix(':')?,
            None => text,
        };
        STANDARD.decode(encoded).ok()?
    };
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests;

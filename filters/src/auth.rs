//! Who is calling: the inbound checks, compiled.
//!
//! Keys and tokens are looked up by their SHA-256, so neither the time of the lookup nor a stolen plan reveals one.

pub mod networks;

use std::borrow::Cow;
use std::sync::Arc;

use ahash::AHashMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

/// An inbound check. `check` says whose credential it is.
#[derive(Debug)]
pub enum InboundCheck {
    /// Anybody may call.
    None,
    /// A key in a header or in the query.
    ApiKey {
        /// Header that carries it.
        header: Option<HeaderName>,
        /// Query parameter that carries it.
        query: Option<String>,
        /// Accepted keys.
        keys: Credentials,
    },
    /// `Authorization: Bearer`.
    Bearer(Credentials),
    /// `Authorization: Basic`.
    Basic(Credentials),
}

/// Accepted credentials: by the SHA-256 of the key, of the token, or of the user name for `Basic`.
#[derive(Debug, Default)]
pub struct Credentials {
    by_digest: AHashMap<[u8; 32], Entry>,
    /// Whose they are, by the index that a check returns.
    pub names: Vec<Arc<str>>,
}

#[derive(Debug)]
struct Entry {
    index: usize,
    /// Of the password; `None` where the digest that found the entry is all there is.
    password: Option<[u8; 32]>,
}

/// Why a caller is refused. The answer to all of them is 401, and none says which part was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuthRefusal {
    /// No credential was sent.
    #[error("a credential is required")]
    Missing,
    /// The credential was not in the form that the check expects.
    #[error("the credential is malformed")]
    Malformed,
    /// The credential is unknown or not active.
    #[error("the credential is not valid")]
    Invalid,
}

impl InboundCheck {
    /// The index of the credential that the request carries; `None` where none is asked for.
    ///
    /// # Errors
    /// [`AuthRefusal`] where one is asked for and not carried.
    pub fn check(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Option<usize>, AuthRefusal> {
        match self {
            Self::None => Ok(None),
            Self::ApiKey {
                header,
                query: parameter,
                keys,
            } => {
                if let Some(value) = header.as_ref().map(|name| single(headers, name)).transpose()?.flatten() {
                    return keys.find(value.as_bytes()).map(Some);
                }
                match parameter.as_deref().and_then(|name| query_value(query?, name)) {
                    Some(value) => keys.find(value.as_bytes()).map(Some),
                    None => Err(AuthRefusal::Missing),
                }
            }
            Self::Bearer(tokens) => tokens.find(scheme(headers, "bearer")?.as_bytes()).map(Some),
            Self::Basic(users) => {
                let decoded = STANDARD
                    .decode(scheme(headers, "basic")?)
                    .map_err(|_| AuthRefusal::Malformed)?;
                let colon = memchr::memchr(b':', &decoded).ok_or(AuthRefusal::Malformed)?;
                users.find_user(&decoded[..colon], &decoded[colon + 1..]).map(Some)
            }
        }
    }

    /// Header that carries the credential, to be stripped before the partner.
    pub fn header(&self) -> Option<&HeaderName> {
        match self {
            Self::None => None,
            Self::ApiKey { header, .. } => header.as_ref(),
            Self::Bearer(_) | Self::Basic(_) => Some(&header::AUTHORIZATION),
        }
    }

    /// Query parameter that carries the credential, to be stripped before the partner.
    pub fn query_parameter(&self) -> Option<&str> {
        match self {
            Self::ApiKey { query, .. } => query.as_deref(),
            Self::None | Self::Bearer(_) | Self::Basic(_) => None,
        }
    }

    /// Names of the credentials, by the index that [`Self::check`] returns.
    pub fn names(&self) -> &[Arc<str>] {
        match self {
            Self::None => &[],
            Self::ApiKey { keys, .. } => &keys.names,
            Self::Bearer(credentials) | Self::Basic(credentials) => &credentials.names,
        }
    }

    /// What a 401 says in `WWW-Authenticate` (RFC 9110 section 11.6.1).
    pub fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::None | Self::ApiKey { .. } => "ApiKey realm=\"gateway\"",
            Self::Bearer(_) => "Bearer realm=\"gateway\"",
            Self::Basic(_) => "Basic realm=\"gateway\", charset=\"UTF-8\"",
        })
    }
}

impl Credentials {
    /// Adds a key or token by its digest. False if it is there already.
    pub(crate) fn add(&mut self, name: &str, digest: [u8; 32]) -> bool {
        self.insert(name, digest, None)
    }

    /// Adds a user. False if the name is there already.
    pub(crate) fn add_user(&mut self, name: &str, password: [u8; 32]) -> bool {
        self.insert(name, sha256(name.as_bytes()), Some(password))
    }

    fn insert(&mut self, name: &str, digest: [u8; 32], password: Option<[u8; 32]>) -> bool {
        let index = self.names.len();
        match self.by_digest.entry(digest) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(Entry { index, password });
                self.names.push(name.into());
                true
            }
        }
    }

    fn find(&self, secret: &[u8]) -> Result<usize, AuthRefusal> {
        match self.by_digest.get(&sha256(secret)) {
            Some(entry) => Ok(entry.index),
            None => Err(AuthRefusal::Invalid),
        }
    }

    fn find_user(&self, name: &[u8], password: &[u8]) -> Result<usize, AuthRefusal> {
        let given = sha256(password);
        let entry = self.by_digest.get(&sha256(name));
        let expected = entry.and_then(|entry| entry.password).unwrap_or_default();
        // The comparison runs for unknown users too, so that its time does not tell them from known ones.
        let same = bool::from(expected.ct_eq(&given));
        match entry {
            Some(entry) if same => Ok(entry.index),
            _ => Err(AuthRefusal::Invalid),
        }
    }
}

/// The key that a request carries in `X-API-Key` or, without that, as `Authorization: Bearer`.
///
/// # Errors
/// [`AuthRefusal`] if it carries none, or several.
pub fn key_or_token(headers: &HeaderMap) -> Result<&[u8], AuthRefusal> {
    match single(headers, &X_API_KEY)? {
        Some(key) if key.is_empty() => Err(AuthRefusal::Malformed),
        Some(key) => Ok(key.as_bytes()),
        None => scheme(headers, "bearer").map(str::as_bytes),
    }
}

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The value of a query parameter, decoded; the first one if it is there more than once.
pub fn query_value<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

/// `query` without the parameter `name`; the rest stays as it was written.
pub fn without_parameter(query: &str, name: &str) -> String {
    query
        .split('&')
        .filter(|pair| {
            form_urlencoded::parse(pair.as_bytes())
                .next()
                .is_none_or(|(key, _)| key != name)
        })
        .collect::<Vec<_>>()
        .join("&")
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, AuthRefusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(AuthRefusal::Malformed),
    }
}

fn scheme<'h>(headers: &'h HeaderMap, expected: &str) -> Result<&'h str, AuthRefusal> {
    let value = single(headers, &header::AUTHORIZATION)?.ok_or(AuthRefusal::Missing)?;
    let text = value.to_str().map_err(|_| AuthRefusal::Malformed)?;
    let (scheme, credential) = text.split_once(' ').ok_or(AuthRefusal::Malformed)?;
    let credential = credential.trim_matches(' ');
    if scheme.eq_ignore_ascii_case(expected) && !credential.is_empty() {
        Ok(credential)
    } else {
        Err(AuthRefusal::Malformed)
    }
}

#[cfg(test)]
mod tests;

//! Who is calling: the inbound checks, compiled.
//!
//! Keys and tokens are looked up by their SHA-256, so neither the time of the lookup nor a stolen plan reveals one. What a
//! check cannot decide by itself (keys that have to be fetched, a token that its issuer knows) it hands back as a question.

pub mod certificate;
pub mod claims;
pub mod consumers;
mod credentials;
pub mod introspection;
pub mod jwk;
pub mod jwt;
pub mod networks;
pub mod signature;

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use certificate::{CertificateCheck, PeerCertificate};
use consumers::{Consumer, Consumers};
pub use credentials::Credentials;
use introspection::IntrospectionCheck;
use jwt::{JwtCheck, Token};
use signature::SignatureCheck;

/// The ways in to an integration. Without any, anybody may call.
#[derive(Debug, Default)]
pub struct InboundCheck {
    pub(crate) ways: Vec<Way>,
    pub(crate) names: Vec<Arc<str>>,
}

/// One way in.
#[derive(Debug)]
pub enum Way {
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
    /// A signed token.
    Jwt(Box<JwtCheck>),
    /// A token that its issuer is asked about.
    Introspection(Box<IntrospectionCheck>),
    /// A signature of the request.
    Signature(Box<SignatureCheck>),
    /// A client certificate.
    Certificate(CertificateCheck),
}

/// What a request shows.
#[derive(Clone, Copy)]
pub struct Presented<'r> {
    /// Its method.
    pub method: &'r Method,
    /// Path and query as they were sent.
    pub uri: &'r Uri,
    /// Its header fields.
    pub headers: &'r HeaderMap,
    /// The certificate that the client showed in the TLS handshake.
    pub certificate: Option<&'r PeerCertificate>,
    /// The consumers of the integration's organization.
    pub consumers: Option<&'r Consumers>,
    /// Seconds since 1970; asked for where a credential has a time.
    pub now_s: fn() -> i64,
}

/// What a way in makes of a request.
#[derive(Debug)]
pub enum Checked<'r> {
    /// It is known who it is.
    Known(Identity),
    /// A token whose signature has to be checked with the keys that [`JwtCheck::keys`] names.
    Token(Box<Token<'r>>),
    /// A token that has to be asked about.
    Opaque(&'r str),
}

/// Who is calling.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// Index of the credential in [`InboundCheck::names`]; `None` if it is not one of the integration's own.
    pub credential: Option<usize>,
    /// Whose credential it is.
    pub name: Option<Arc<str>>,
    /// What the token says of its bearer.
    pub claims: Option<Arc<Value>>,
    /// The client system, where credentials are those of consumers.
    pub consumer: Option<Arc<Consumer>>,
    /// What the request itself still has to prove, where it is signed.
    pub signed: Option<Signed>,
}

/// What remains to be checked of a signed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// SHA-256 that the body must have, if the signature covers the body.
    pub body: Option<[u8; 32]>,
    /// The signature, which must not have come before.
    pub once: [u8; 16],
}

/// Why a caller is refused. None of the messages says which part of a secret was wrong. The order is that of how much a
/// refusal says, so that of several ways in the one that got furthest speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
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
    /// A token that was good once.
    #[error("the token has expired")]
    Expired,
    /// The time of a signature is too far from now.
    #[error("the signature's time is too far from the gateway's; check the client's clock")]
    Skewed,
    /// The same signature was there before.
    #[error("the signed request was received before; sign each request anew")]
    Replayed,
    /// The body is not the one that was signed.
    #[error("the body is not the one whose digest was signed")]
    OtherBody,
    /// It is known who calls, and that may not.
    #[error("the credential is good, but may not call this integration")]
    NotAllowed,
}

impl AuthRefusal {
    /// True for a caller that is known and may not call (403 rather than 401).
    pub fn is_known(self) -> bool {
        self == Self::NotAllowed
    }
}

impl InboundCheck {
    /// True if anybody may call.
    pub fn is_open(&self) -> bool {
        self.ways.is_empty()
    }

    /// True if every way in can be judged at once: nothing has to be fetched or remembered.
    pub fn is_plain(&self) -> bool {
        self.ways.iter().all(|way| match way {
            Way::ApiKey { .. } | Way::Bearer(_) | Way::Basic(_) | Way::Certificate(_) => true,
            Way::Jwt(_) | Way::Introspection(_) | Way::Signature(_) => false,
        })
    }

    /// The ways in, in the order to try them.
    pub fn ways(&self) -> &[Way] {
        &self.ways
    }

    /// Names of the integration's own credentials, by [`Identity::credential`].
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// True if the header carries a credential or a part of one: it is kept from partners and scripts.
    pub fn carries(&self, name: &HeaderName) -> bool {
        self.ways.iter().any(|way| way.headers().contains(&name))
    }

    /// Headers that carry a credential or a part of one.
    pub fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.ways.iter().flat_map(Way::headers)
    }

    /// Query parameters that carry a credential.
    pub fn query_parameters(&self) -> impl Iterator<Item = &str> {
        self.ways.iter().filter_map(|way| match way {
            Way::ApiKey { query, .. } => query.as_deref(),
            _ => None,
        })
    }

    /// True if a signature covers bodies, so that they have to be read before they are passed on.
    pub fn reads_bodies(&self) -> bool {
        let covers = |way: &Way| matches!(way, Way::Signature(check) if check.covers_body());
        self.ways.iter().any(covers)
    }

    /// What a 401 says in `WWW-Authenticate` (RFC 9110 section 11.6.1), a value for each kind.
    pub fn challenges(&self) -> Vec<HeaderValue> {
        let mut challenges: Vec<HeaderValue> = Vec::with_capacity(self.ways.len());
        for way in &self.ways {
            let challenge = HeaderValue::from_static(way.challenge());
            if !challenges.contains(&challenge) {
                challenges.push(challenge);
            }
        }
        challenges
    }

    /// The identity with the name that belongs to its credential.
    pub(crate) fn named(&self, index: usize) -> Identity {
        Identity {
            credential: Some(index),
            name: self.names.get(index).map(Arc::clone),
            ..Identity::default()
        }
    }

    /// What the way with this index makes of the request.
    ///
    /// # Errors
    /// [`AuthRefusal`] if it does not open.
    pub fn check<'r>(&self, way: &Way, request: &Presented<'r>) -> Result<Checked<'r>, AuthRefusal> {
        let found = match way {
            Way::ApiKey { header, query, keys } => {
                let key = api_key(request, header.as_ref(), query.as_deref())?;
                keys.find(&key, request.consumers, |consumers| &consumers.api_keys)?
            }
            Way::Bearer(tokens) => {
                let token = scheme(request.headers, "bearer")?.as_bytes();
                tokens.find(token, request.consumers, |consumers| &consumers.tokens)?
            }
            Way::Basic(users) => {
                let decoded = credentials::decoded_basic(scheme(request.headers, "basic")?)?;
                let colon = memchr::memchr(b':', &decoded).ok_or(AuthRefusal::Malformed)?;
                users.find_user(&decoded[..colon], &decoded[colon + 1..], request.consumers)?
            }
            Way::Certificate(check) => check.find(request.certificate, request.consumers)?,
            Way::Signature(check) => {
                let (found, signed) = check.check(request)?;
                let mut identity = self.identity(found);
                identity.signed = Some(signed);
                return Ok(Checked::Known(identity));
            }
            Way::Jwt(check) => return check.read(request.headers).map(|token| Checked::Token(Box::new(token))),
            Way::Introspection(check) => return check.read(request.headers).map(Checked::Opaque),
        };
        Ok(Checked::Known(self.identity(found)))
    }

    fn identity(&self, found: credentials::Found) -> Identity {
        match found {
            credentials::Found::Own(index) => self.named(index),
            credentials::Found::Consumer(consumer) => Identity::of_consumer(consumer),
        }
    }
}

impl Identity {
    pub(crate) fn of_consumer(consumer: Arc<Consumer>) -> Self {
        Self {
            name: Some(Arc::clone(&consumer.name)),
            consumer: Some(consumer),
            ..Self::default()
        }
    }
}

impl Way {
    /// Headers that carry its credential.
    fn headers(&self) -> Vec<&HeaderName> {
        match self {
            Self::ApiKey { header, .. } => header.iter().collect(),
            Self::Bearer(_) | Self::Basic(_) => vec![&header::AUTHORIZATION],
            Self::Jwt(check) => vec![check.header()],
            Self::Introspection(check) => vec![check.header()],
            Self::Signature(check) => check.headers(),
            Self::Certificate(_) => Vec::new(),
        }
    }

    const fn challenge(&self) -> &'static str {
        match self {
            Self::ApiKey { .. } => "ApiKey realm=\"gateway\"",
            Self::Bearer(_) | Self::Jwt(_) | Self::Introspection(_) => "Bearer realm=\"gateway\"",
            Self::Basic(_) => "Basic realm=\"gateway\", charset=\"UTF-8\"",
            Self::Signature(_) => "HMAC realm=\"gateway\"",
            Self::Certificate(_) => "Certificate realm=\"gateway\"",
        }
    }
}

fn api_key<'r>(
    request: &Presented<'r>,
    header: Option<&HeaderName>,
    query: Option<&str>,
) -> Result<Cow<'r, [u8]>, AuthRefusal> {
    let in_header = header.map(|name| single(request.headers, name)).transpose()?.flatten();
    if let Some(value) = in_header {
        return Ok(Cow::Borrowed(value.as_bytes()));
    }
    let in_query = query.and_then(|name| query_value(request.uri.query()?, name));
    match in_query.ok_or(AuthRefusal::Missing)? {
        Cow::Borrowed(value) => Ok(Cow::Borrowed(value.as_bytes())),
        Cow::Owned(value) => Ok(Cow::Owned(value.into_bytes())),
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

/// The one value of a header, if it is there.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, AuthRefusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(AuthRefusal::Malformed),
    }
}

/// The one value of a header that must be there, as text.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h str, AuthRefusal> {
    let value = single(headers, name)?.ok_or(AuthRefusal::Missing)?;
    value.to_str().map_err(|_| AuthRefusal::Malformed)
}

/// A token: bare in a header of its own, or as `Authorization: Bearer`.
fn token<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h str, AuthRefusal> {
    if *name == header::AUTHORIZATION {
        scheme(headers, "bearer")
    } else {
        text(headers, name)
    }
}

fn scheme<'h>(headers: &'h HeaderMap, expected: &str) -> Result<&'h str, AuthRefusal> {
    let text = text(headers, &header::AUTHORIZATION)?;
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

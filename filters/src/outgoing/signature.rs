//! Signatures of requests to partners, made for each attempt from the request as it goes out.

mod hmac;
mod sigv4;

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::model::Problem;
use crate::model::outgoing::{OutgoingHmac, OutgoingSigv4};
use hmac::HmacScheme;
use sigv4::Sigv4;

/// Signs requests.
pub struct RequestSigner(Scheme);

enum Scheme {
    Hmac(Box<HmacScheme>),
    Sigv4(Box<Sigv4>),
}

/// What is signed, but for the body.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Method.
    pub method: &'a Method,
    /// Value of `Host`.
    pub host: &'a str,
    /// Path, as on the request line.
    pub path: &'a str,
    /// Query without the `?`.
    pub query: Option<&'a str>,
    /// Fields of the request, all but those of the signature.
    pub headers: &'a HeaderMap,
    /// The time, in milliseconds since the epoch.
    pub now_ms: i64,
    /// Another text each time.
    pub nonce: &'a str,
}

/// Why a request cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault<E> {
    /// A header that is to be signed is missing or no text.
    #[error("the header `{0}`, which is to be signed, is missing or no text")]
    Header(HeaderName),
    /// What came out cannot be carried by a header.
    #[error("the value of the header `{0}` holds a character that a header cannot carry")]
    Value(HeaderName),
    /// The time cannot be written as a date.
    #[error("the time of the signature is no date")]
    Time,
    /// The body could not be read.
    #[error("the body could not be read: {0}")]
    Body(E),
}

/// Fields of a signature.
pub type SignatureFields = Vec<(HeaderName, HeaderValue)>;

impl RequestSigner {
    pub(super) fn hmac(config: &OutgoingHmac, problems: &mut Vec<Problem>) -> Option<Self> {
        HmacScheme::compile(config, problems).map(|scheme| Self(Scheme::Hmac(Box::new(scheme))))
    }

    pub(super) fn sigv4(config: &OutgoingSigv4, problems: &mut Vec<Problem>) -> Option<Self> {
        Sigv4::compile(config, problems).map(|scheme| Self(Scheme::Sigv4(Box::new(scheme))))
    }

    /// The fields that sign a request. `body` hands its pieces to whom it is given, as often as it is asked to.
    ///
    /// # Errors
    /// If a part of what is signed is missing, or the body cannot be read.
    pub fn sign<E>(
        &self,
        subject: &Subject<'_>,
        mut body: impl FnMut(&mut dyn FnMut(&[u8])) -> Result<(), E>,
    ) -> Result<SignatureFields, SignatureFault<E>> {
        match &self.0 {
            Scheme::Hmac(scheme) => scheme.sign(subject, &mut body),
            Scheme::Sigv4(scheme) => scheme.sign(subject, &mut body),
        }
    }
}

impl fmt::Debug for RequestSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestSigner(***)")
    }
}

/// Hands the pieces of a body to whom it is given.
type Pieces<'a, E> = &'a mut dyn FnMut(&mut dyn FnMut(&[u8])) -> Result<(), E>;

fn field<E>(name: &HeaderName, text: &str, is_secret: bool) -> Result<(HeaderName, HeaderValue), SignatureFault<E>> {
    let mut value = HeaderValue::from_str(text).map_err(|_| SignatureFault::Value(name.clone()))?;
    value.set_sensitive(is_secret);
    Ok((name.clone(), value))
}

fn header<'a, E>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, SignatureFault<E>> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.ok_or_else(|| SignatureFault::Header(name.clone()))
}

const PATH: &str = "outgoingAuthConfig";

fn at(field: &str) -> String {
    format!("{PATH}.{field}")
}

#[cfg(test)]
mod tests;

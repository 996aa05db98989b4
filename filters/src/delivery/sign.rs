//! How a delivery is signed. Keys are made once, at compile time; a signature is made from each attempt's own bytes.

mod key;

use std::fmt::Write as _;

use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use ring::hmac;

use crate::model::Problem;
use crate::model::outbound::signing::{HmacSigning, Signing, SigningSecrets};
use crate::model::problem::join;
use crate::outgoing::header_name;
use key::{Encoding, Key, read_keys};

/// What is signed beside the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Identifier of the delivery, the same in each attempt.
    pub id: &'a str,
    /// Time of this attempt in seconds since the epoch.
    pub timestamp_s: i64,
    /// When the event was accepted, in milliseconds since the epoch.
    pub accepted_ms: i64,
}

/// Why a delivery cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignFault {
    /// The parts of what is signed are joined by dots, so that an identifier with one would be ambiguous.
    #[error("the delivery's identifier must be visible ASCII without a dot")]
    Id,
    /// ed25519 reads the body twice.
    #[error("an ed25519 key can sign a whole body only")]
    NeedsWholeBody,
}

/// Signs deliveries of one subscription.
#[derive(Clone)]
pub struct Signer {
    scheme: Scheme,
    keys: Vec<Key>,
    name: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Scheme {
    None,
    StandardWebhooks,
    Hmac(HeaderName),
    Github,
    Stripe,
    Shopify,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("scheme", &self.scheme)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// Checks `signing`, which stands at `path`, and makes its keys.
    pub fn compile(signing: &Signing, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let (scheme, mut keys, signing_keys) = match signing {
            Signing::None => (Scheme::None, Vec::new(), 0),
            Signing::StandardWebhooks(SigningSecrets { secrets }) => {
                let keys = read_keys(secrets, Encoding::StandardWebhooks, path, problems);
                (Scheme::StandardWebhooks, keys, usize::MAX)
            }
            Signing::Stripe(SigningSecrets { secrets }) => {
                let keys = read_keys(secrets, Encoding::Text, path, problems);
                (Scheme::Stripe, keys, usize::MAX)
            }
            Signing::Github(SigningSecrets { secrets }) => {
                (Scheme::Github, read_keys(secrets, Encoding::Text, path, problems), 1)
            }
            Signing::Shopify(SigningSecrets { secrets }) => {
                (Scheme::Shopify, read_keys(secrets, Encoding::Text, path, problems), 1)
            }
            Signing::HmacSha256(HmacSigning {
                header_name: name,
                secrets,
            }) => {
                let keys = read_keys(secrets, Encoding::Text, path, problems);
                let header = match name {
                    None => Some(HMAC_HEADER),
                    Some(name) => header_name(name, &join(path, "headerName"), problems),
                };
                (Scheme::Hmac(header.unwrap_or(HMAC_HEADER)), keys, 1)
            }
        };
        keys.truncate(signing_keys);
        let names: Vec<&str> = keys.iter().map(Key::name).collect();
        let name = (!names.is_empty()).then(|| names.join(", ").into());
        (problems.len() == before).then_some(Self { scheme, keys, name })
    }

    /// Names of the secrets that sign, for records; `None` if nothing is signed.
    pub fn key_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// True if it cannot sign a body that is streamed ([`Self::begin`]).
    pub fn needs_whole_body(&self) -> bool {
        self.keys.iter().any(|key| matches!(key, Key::Ed25519 { .. }))
    }

    /// The headers that sign `body`. Values of signatures are marked as sensitive.
    ///
    /// # Errors
    /// The identifier cannot be signed.
    pub fn sign(&self, message: Message<'_>, body: &[u8]) -> Result<Vec<(HeaderName, HeaderValue)>, SignFault> {
        if !self.needs_whole_body() {
            let mut running = self.begin(message)?;
            running.update(body);
            return Ok(running.finish());
        }
        let id = self.checked_id(message.id)?;
        let prefix = self.prefix(message);
        let mut text = String::new();
        for key in &self.keys {
            separate(&mut text, ' ');
            match key {
                Key::Hmac { key, .. } => {
                    let mut context = hmac::Context::with_key(key);
                    context.update(prefix.as_bytes());
                    context.update(body);
                    add_base64(&mut text, "v1,", context.sign().as_ref());
                }
                Key::Ed25519 { pair, .. } => {
                    let signed = [prefix.as_bytes(), body].concat();
                    add_base64(&mut text, "v1a,", pair.sign(&signed).as_ref());
                }
            }
        }
        Ok(standard_headers(id, message.timestamp_s, &text))
    }

    /// Begins a signature of a body that comes in pieces.
    ///
    /// # Errors
    /// The identifier cannot be signed, or a key needs the whole body.
    pub fn begin(&self, message: Message<'_>) -> Result<Running<'_>, SignFault> {
        if self.needs_whole_body() {
            return Err(SignFault::NeedsWholeBody);
        }
        let id = self.checked_id(message.id)?;
        let prefix = self.prefix(message);
        let contexts = self.keys.iter().filter_map(|key| match key {
            Key::Hmac { key, .. } => {
                let mut context = hmac::Context::with_key(key);
                context.update(prefix.as_bytes());
                Some(context)
            }
            Key::Ed25519 { .. } => None,
        });
        Ok(Running {
            scheme: &self.scheme,
            id,
            timestamp_s: message.timestamp_s,
            accepted_ms: message.accepted_ms,
            contexts: contexts.collect(),
        })
    }

    fn checked_id(&self, id: &str) -> Result<HeaderValue, SignFault> {
        let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.');
        if self.scheme == Scheme::StandardWebhooks && !is_plain {
            return Err(SignFault::Id);
        }
        HeaderValue::from_str(id).map_err(|_| SignFault::Id)
    }

    /// What is signed before the body.
    fn prefix(&self, message: Message<'_>) -> String {
        match self.scheme {
            Scheme::StandardWebhooks => format!("{}.{}.", message.id, message.timestamp_s),
            Scheme::Stripe => format!("{}.", message.timestamp_s),
            Scheme::None | Scheme::Hmac(_) | Scheme::Github | Scheme::Shopify => String::new(),
        }
    }
}

/// A signature of a body that comes in pieces.
pub struct Running<'a> {
    scheme: &'a Scheme,
    id: HeaderValue,
    timestamp_s: i64,
    accepted_ms: i64,
    contexts: Vec<hmac::Context>,
}

impl std::fmt::Debug for Running<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("scheme", self.scheme)
            .finish_non_exhaustive()
    }
}

impl Running<'_> {
    /// Takes in the next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        self.contexts.iter_mut().for_each(|context| context.update(piece));
    }

    /// The headers that sign the body.
    pub fn finish(self) -> Vec<(HeaderName, HeaderValue)> {
        let tags: Vec<hmac::Tag> = self.contexts.into_iter().map(hmac::Context::sign).collect();
        let first = tags.first().map_or(&[][..], AsRef::as_ref);
        match self.scheme {
            Scheme::None => Vec::new(),
            Scheme::StandardWebhooks => {
                let mut text = String::with_capacity(tags.len() * 48);
                for tag in &tags {
                    separate(&mut text, ' ');
                    add_base64(&mut text, "v1,", tag.as_ref());
                }
                standard_headers(self.id, self.timestamp_s, &text)
            }
            Scheme::Hmac(header) => vec![(header.clone(), sensitive(&hex::encode(first)))],
            Scheme::Github => vec![
                (GITHUB_SIGNATURE, sensitive(&format!("sha256={}", hex::encode(first)))),
                (GITHUB_DELIVERY, self.id),
            ],
            Scheme::Stripe => {
                let mut text = format!("t={}", self.timestamp_s);
                for tag in &tags {
                    text.push_str(",v1=");
                    text.push_str(&hex::encode(tag));
                }
                vec![(STRIPE_SIGNATURE, sensitive(&text))]
            }
            Scheme::Shopify => {
                let mut text = String::with_capacity(44);
                add_base64(&mut text, "", first);
                let mut headers = vec![(SHOPIFY_SIGNATURE, sensitive(&text))];
                let triggered = Timestamp::from_millisecond(self.accepted_ms).ok();
                let shown = triggered.and_then(|triggered| HeaderValue::from_str(&format!("{triggered:.3}")).ok());
                headers.extend(shown.map(|value| (SHOPIFY_TRIGGERED, value)));
                headers
            }
        }
    }
}

fn standard_headers(id: HeaderValue, timestamp_s: i64, signatures: &str) -> Vec<(HeaderName, HeaderValue)> {
    vec![
        (WEBHOOK_ID, id),
        (WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp_s)),
        (WEBHOOK_SIGNATURE, sensitive(signatures)),
    ]
}

fn separate(text: &mut String, separator: char) {
    if !text.is_empty() {
        text.push(separator);
    }
}

fn add_base64(text: &mut String, version: &str, signature: &[u8]) {
    use base64::display::Base64Display;
    use base64::engine::general_purpose::STANDARD;
    let encoded = Base64Display::new(signature, &STANDARD);
    // Writing to a string does not fail.
    let _ = write!(text, "{version}{encoded}");
}

fn sensitive(text: &str) -> HeaderValue {
    // Signatures are made of hexadecimal digits, base64 and the letters of their schemes, all of which a header can carry.
    let mut value = HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const HMAC_HEADER: HeaderName = HeaderName::from_static("x-webhook-signature");
const GITHUB_SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");
const GITHUB_DELIVERY: HeaderName = HeaderName::from_static("x-github-delivery");
const STRIPE_SIGNATURE: HeaderName = HeaderName::from_static("stripe-signature");
const SHOPIFY_SIGNATURE: HeaderName = HeaderName::from_static("x-shopify-hmac-sha256");
const SHOPIFY_TRIGGERED: HeaderName = HeaderName::from_static("x-shopify-triggered-at");

#[cfg(test)]
mod tests;

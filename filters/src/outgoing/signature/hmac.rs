//! HMAC signatures over a text that the operator composes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use jiff::Timestamp;
use ring::{digest, hmac};

use super::{Pieces, SignatureFault, SignatureFields, Subject, at, field, header};
use crate::model::Problem;
use crate::model::auth::{HmacAlgorithm, SignatureEncoding};
use crate::model::outgoing::{OutgoingHmac, TimestampFormat};
use crate::outgoing::header_name;

pub(super) struct HmacScheme {
    key: hmac::Key,
    key_id: Box<str>,
    hash: &'static digest::Algorithm,
    encoding: SignatureEncoding,
    canonical: Vec<Part>,
    format: Vec<Part>,
    signature: HeaderName,
    timestamp: HeaderName,
    timestamp_format: TimestampFormat,
    nonce: Option<HeaderName>,
    body_hash: Option<HeaderName>,
}

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Method,
    Host,
    Path,
    Query,
    Timestamp,
    Nonce,
    KeyId,
    Body,
    BodyHash,
    Header(HeaderName),
    Signature,
}

impl HmacScheme {
    pub(super) fn compile(config: &OutgoingHmac, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        if config.secret.expose().len() < SHORTEST_SECRET {
            let message = format!("must be at least {SHORTEST_SECRET} bytes long");
            problems.push(Problem::new(at("secret"), message));
        }
        let canonical = template(&config.canonical, "canonical", problems);
        let format = template(&config.signature_format, "signatureFormat", problems);
        if canonical.contains(&Part::Signature) {
            problems.push(Problem::new(
                at("canonical"),
                "cannot hold `{signature}`, which is made of it",
            ));
        }
        let in_format = |part: &Part| {
            matches!(
                part,
                Part::Text(_) | Part::Signature | Part::KeyId | Part::Timestamp | Part::Nonce
            )
        };
        if !format.contains(&Part::Signature) || !format.iter().all(in_format) {
            let message = "must hold `{signature}`, and beside it only `{keyId}`, `{timestamp}` and `{nonce}`";
            problems.push(Problem::new(at("signatureFormat"), message));
        }
        let uses = |part: &Part| canonical.contains(part) || format.contains(part);
        if uses(&Part::KeyId) && config.key_id.as_deref().is_none_or(str::is_empty) {
            problems.push(Problem::new(
                at("keyId"),
                "is needed, as `{keyId}` stands in a template",
            ));
        }
        if uses(&Part::Nonce) && config.nonce_header.is_none() && !format.contains(&Part::Nonce) {
            let message = "is needed, as `{nonce}` is signed and the partner has to know it";
            problems.push(Problem::new(at("nonceHeader"), message));
        }
        let mut name = |text: &str, field: &str| header_name(text, &at(field), problems);
        let signature = name(&config.signature_header, "signatureHeader");
        let timestamp = name(&config.timestamp_header, "timestampHeader");
        let nonce = config.nonce_header.as_deref().map(|text| name(text, "nonceHeader"));
        let body_hash = config
            .body_hash_header
            .as_deref()
            .map(|text| name(text, "bodyHashHeader"));
        let (algorithm, hash) = match config.algorithm {
            HmacAlgorithm::Sha256 => (hmac::HMAC_SHA256, &digest::SHA256),
            HmacAlgorithm::Sha512 => (hmac::HMAC_SHA512, &digest::SHA512),
        };
        (problems.len() == before).then_some(())?;
        Some(Self {
            key: hmac::Key::new(algorithm, config.secret.expose().as_bytes()),
            key_id: config.key_id.as_deref().unwrap_or_default().into(),
            hash,
            encoding: config.encoding,
            canonical,
            format,
            signature: signature?,
            timestamp: timestamp?,
            timestamp_format: config.timestamp_format,
            nonce: nonce.flatten(),
            body_hash: body_hash.flatten(),
        })
    }

    pub(super) fn sign<E>(
        &self,
        subject: &Subject<'_>,
        body: Pieces<'_, E>,
    ) -> Result<SignatureFields, SignatureFault<E>> {
        let timestamp = self.timestamp(subject.now_ms).ok_or(SignatureFault::Time)?;
        let hash = if self.canonical.contains(&Part::BodyHash) || self.body_hash.is_some() {
            let mut context = digest::Context::new(self.hash);
            body(&mut |piece| context.update(piece)).map_err(SignatureFault::Body)?;
            hex::encode(context.finish())
        } else {
            String::new()
        };
        let mut context = hmac::Context::with_key(&self.key);
        for part in &self.canonical {
            let text = match part {
                Part::Body => {
                    body(&mut |piece| context.update(piece)).map_err(SignatureFault::Body)?;
                    continue;
                }
                Part::Text(text) => text,
                Part::Method => subject.method.as_str(),
                Part::Host => subject.host,
                Part::Path => subject.path,
                Part::Query => subject.query.unwrap_or_default(),
                Part::Timestamp => &timestamp,
                Part::Nonce => subject.nonce,
                Part::KeyId => &self.key_id,
                Part::BodyHash => &hash,
                Part::Header(name) => header(subject.headers, name)?,
                Part::Signature => "",
            };
            context.update(text.as_bytes());
        }
        let signature = self.encoded(context.sign().as_ref());
        let shown = self.format.iter().map(|part| match part {
            Part::Text(text) => &**text,
            Part::Signature => &signature,
            Part::KeyId => &self.key_id,
            Part::Timestamp => &timestamp,
            Part::Nonce => subject.nonce,
            _ => "",
        });
        let shown: String = shown.collect();
        let mut fields = vec![
            field(&self.timestamp, &timestamp, false)?,
            field(&self.signature, &shown, true)?,
        ];
        if let Some(name) = &self.nonce {
            fields.push(field(name, subject.nonce, false)?);
        }
        if let Some(name) = &self.body_hash {
            fields.push(field(name, &hash, false)?);
        }
        Ok(fields)
    }

    fn timestamp(&self, now_ms: i64) -> Option<String> {
        Some(match self.timestamp_format {
            TimestampFormat::Seconds => now_ms.div_euclid(1_000).to_string(),
            TimestampFormat::Milliseconds => now_ms.to_string(),
            TimestampFormat::Rfc3339 => Timestamp::from_second(now_ms.div_euclid(1_000)).ok()?.to_string(),
        })
    }

    fn encoded(&self, signature: &[u8]) -> String {
        match self.encoding {
            SignatureEncoding::Hex => hex::encode(signature),
            SignatureEncoding::Base64 => STANDARD.encode(signature),
        }
    }
}

/// Takes a template apart.
fn template(text: &str, name: &str, problems: &mut Vec<Problem>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        if !before.is_empty() {
            parts.push(Part::Text(before.into()));
        }
        let Some((word, after)) = after.split_once('}') else {
            problems.push(Problem::new(at(name), "has a `{` without a `}` behind it"));
            return parts;
        };
        match placeholder(word) {
            Some(part) => parts.push(part),
            None => problems.push(Problem::new(
                at(name),
                format!("has `{{{word}}}` in it, which stands for nothing"),
            )),
        }
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.into()));
    }
    parts
}

fn placeholder(word: &str) -> Option<Part> {
    Some(match word {
        "method" => Part::Method,
        "host" => Part::Host,
        "path" => Part::Path,
        "query" => Part::Query,
        "timestamp" => Part::Timestamp,
        "nonce" => Part::Nonce,
        "keyId" => Part::KeyId,
        "body" => Part::Body,
        "bodyHash" => Part::BodyHash,
        "signature" => Part::Signature,
        other => Part::Header(HeaderName::try_from(other.strip_prefix("header:")?).ok()?),
    })
}

const SHORTEST_SECRET: usize = 8;

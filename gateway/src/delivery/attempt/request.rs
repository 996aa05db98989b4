//! The request of an attempt: the payload with its headers, signed.

use std::fmt::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use egress::{Body, Part, READ, Token};
use filters::delivery::Message;
use filters::model::EventHead;
use filters::model::delivery::ErrorCategory;
use filters::outgoing::RequestSigner;
use filters::outgoing::signature::Subject;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;
use tokio::task::spawn_blocking;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::content::Content;
use super::fault::Fault;
use super::payload::Prepared;
use crate::clock::now_ms;
use crate::delivery::Job;
use crate::live::subscription::{CallRuntime, SubscriptionRuntime};
use crate::trace::TRACEPARENT;

/// What the headers of one attempt are made from.
pub(super) struct Draft<'a> {
    pub(super) job: &'a Job,
    pub(super) subscription: &'a Arc<SubscriptionRuntime>,
    pub(super) call: &'a CallRuntime,
    /// Identifier of the delivery, as the endpoint sees it.
    pub(super) id: Uuid,
    /// When the attempt began, in milliseconds since the epoch.
    pub(super) started_ms: i64,
    pub(super) trace: &'a Trace,
}

impl Draft<'_> {
    /// The request with `prepared` as its body, signed in with `token` where the call needs one.
    pub(super) async fn request(&self, prepared: &Prepared, token: Option<&Token>) -> Result<Request<Body>, Fault> {
        let mut request = self.without_token(prepared).await?;
        if let Some(token) = token {
            let headers = request.headers_mut();
            headers.insert(header::AUTHORIZATION, token.authorization().clone());
        }
        if let Some(signer) = &self.call.request_signer {
            self.sign(&mut request, prepared, signer).await?;
        }
        Ok(request)
    }

    /// Adds the signature of the sign-in, which covers all that goes out.
    async fn sign(
        &self,
        request: &mut Request<Body>,
        prepared: &Prepared,
        signer: &Arc<RequestSigner>,
    ) -> Result<(), Fault> {
        let (parts, is_large): (Arc<[Part]>, _) = match &prepared.content {
            Content::Whole(body) => ([Part::Bytes(body.clone())].into(), false),
            Content::Pieces { parts, .. } => (Arc::clone(parts), true),
        };
        let (method, uri, headers) = (
            request.method().clone(),
            request.uri().clone(),
            request.headers().clone(),
        );
        let host = self.call.target.upstream.target().authority().clone();
        let signer = Arc::clone(signer);
        let sign = move || {
            let subject = Subject {
                method: &method,
                host: host.to_str().unwrap_or_default(),
                path: uri.path(),
                query: uri.query(),
                headers: &headers,
                now_ms: now_ms(),
                nonce: &Uuid::new_v4().to_string(),
            };
            signer.sign(&subject, |take| {
                parts.iter().try_for_each(|part| read(part, &mut *take))
            })
        };
        let signed = if is_large {
            let signed = spawn_blocking(sign).await;
            signed.map_err(|gone| Fault::ours(ErrorCategory::Internal, gone.to_string()))?
        } else {
            sign()
        };
        let fields = signed.map_err(|fault| Fault::ours(ErrorCategory::SignIn, fault.to_string()))?;
        for (name, value) in fields {
            request.headers_mut().insert(name, value);
        }
        Ok(())
    }

    async fn without_token(&self, prepared: &Prepared) -> Result<Request<Body>, Fault> {
        let Some(uri) = self.call.uri.clone() else {
            let message = "the endpoint's address and the parameter of the sign-in are too long together";
            return Err(Fault::ours(ErrorCategory::SignIn, message));
        };
        let mut headers = self.headers(prepared);
        let id = self.id.hyphenated();
        let mut text = [0; Hyphenated::LENGTH];
        let signature = match &prepared.content {
            Content::Whole(body) => {
                let message = self.message(id.encode_lower(&mut text));
                self.subscription.subscription.signer.sign(message, body)
            }
            Content::Pieces { .. } if self.subscription.subscription.signer.key_name().is_none() => Ok(Vec::new()),
            Content::Pieces { parts, .. } => return self.signed_in_pieces(prepared, parts, headers, uri).await,
        };
        let signature = signature.map_err(|fault| Fault::ours(ErrorCategory::Transformation, fault.to_string()))?;
        headers.extend(signature);
        Ok(self.assembled(prepared, headers, uri))
    }

    /// The headers of the attempt, those of its signature only where that costs nothing to make again.
    pub(super) fn shown_headers(&self, prepared: &Prepared) -> HeaderMap {
        let mut headers = self.headers(prepared);
        if let Content::Whole(body) = &prepared.content {
            let mut text = [0; Hyphenated::LENGTH];
            let message = self.message(self.id.hyphenated().encode_lower(&mut text));
            let signature = self.subscription.subscription.signer.sign(message, body);
            headers.extend(signature.unwrap_or_default());
        }
        self.add_sign_in(&mut headers);
        if self.call.token.is_some() {
            // Records show that it was there, and nothing of it.
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer"));
        }
        headers
    }

    async fn signed_in_pieces(
        &self,
        prepared: &Prepared,
        parts: &Arc<[Part]>,
        mut headers: HeaderMap,
        uri: http::Uri,
    ) -> Result<Request<Body>, Fault> {
        let parts = Arc::clone(parts);
        let subscription = Arc::clone(self.subscription);
        let id = self.id.hyphenated().to_string();
        let (timestamp_s, accepted_ms) = (self.message("").timestamp_s, self.job.accepted_ms);
        let signed = spawn_blocking(move || {
            let message = Message {
                id: &id,
                timestamp_s,
                accepted_ms,
            };
            let signer = &subscription.subscription.signer;
            let mut running = signer
                .begin(message)
                .map_err(|fault| Fault::ours(ErrorCategory::Transformation, fault.to_string()))?;
            let unreadable =
                |error: std::io::Error| Fault::ours(ErrorCategory::Internal, format!("a temporary file: {error}"));
            for part in parts.iter() {
                read(part, |piece| running.update(piece)).map_err(unreadable)?;
            }
            Ok(running.finish())
        });
        let signature = signed
            .await
            .unwrap_or_else(|gone| Err(Fault::ours(ErrorCategory::Internal, gone.to_string())))?;
        headers.extend(signature);
        Ok(self.assembled(prepared, headers, uri))
    }

    fn assembled(&self, prepared: &Prepared, mut headers: HeaderMap, uri: http::Uri) -> Request<Body> {
        self.add_sign_in(&mut headers);
        let mut request = Request::new(prepared.content.body());
        *request.method_mut() = self.call.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request
    }

    fn add_sign_in(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.call.sign_in {
            headers.insert(name, value.clone());
        }
    }

    /// All but the signature and the sign-in.
    fn headers(&self, prepared: &Prepared) -> HeaderMap {
        let head = &self.job.event.head;
        let mut headers = HeaderMap::with_capacity(self.call.headers.len() + self.call.sign_in.len() + 16);
        for (name, value) in &self.call.headers {
            headers.insert(name, value.clone());
        }
        for (name, value) in &prepared.edits.headers {
            match value {
                Some(value) => drop(headers.insert(name, value.clone())),
                None => drop(headers.remove(name)),
            }
        }
        headers.insert(header::CONTENT_TYPE, prepared.media_type.clone());
        headers.insert(IDEMPOTENCY_KEY, id_value(self.id));
        add_event(&mut headers, head);
        self.trace.add_to(&mut headers);
        headers
    }

    fn message<'b>(&self, id: &'b str) -> Message<'b> {
        Message {
            id,
            timestamp_s: self.started_ms.div_euclid(1_000),
            accepted_ms: self.job.accepted_ms,
        }
    }
}

/// An attempt's place in its event's trace.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    parent: Option<HeaderValue>,
    correlation: HeaderValue,
}

impl Trace {
    /// A new span in the trace of an event.
    pub(super) fn of(head: &EventHead) -> Self {
        let is_trace = head.trace_id.len() == 32 && head.trace_id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let parent = is_trace.then(|| {
            let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
            text[3..35].copy_from_slice(head.trace_id.as_bytes());
            let span: std::num::NonZeroU64 = rand::random();
            // Each byte has its two places, so that this cannot fail.
            let _ = hex::encode_to_slice(span.get().to_be_bytes(), &mut text[36..52]);
            HeaderValue::from_bytes(&text).ok()
        });
        Self {
            parent: parent.flatten(),
            correlation: value(head.correlation_id.as_deref().unwrap_or(&head.id)),
        }
    }

    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        if let Some(parent) = &self.parent {
            headers.insert(TRACEPARENT.clone(), parent.clone());
        }
        headers.insert(CORRELATION_ID, self.correlation.clone());
    }
}

/// The event's attributes, as CloudEvents 1.0 writes them beside a body in binary mode.
fn add_event(headers: &mut HeaderMap, head: &EventHead) {
    headers.insert(CE_ID, value(&head.id));
    headers.insert(CE_SOURCE, value(&head.source));
    headers.insert(CE_TYPE, value(&head.event_type));
    if let Some(time) = &head.time {
        headers.insert(CE_TIME, value(time));
    }
    if let Some(subject) = &head.subject {
        headers.insert(CE_SUBJECT, value(subject));
    }
    for (name, attribute) in &head.extensions {
        let mut field = String::with_capacity(3 + name.len());
        // Writing to a String cannot fail.
        let _ = write!(field, "ce-{name}");
        let Ok(field) = HeaderName::try_from(field) else {
            continue;
        };
        let attribute = match attribute {
            Value::String(text) => value(text),
            other => value(&other.to_string()),
        };
        headers.insert(field, attribute);
    }
}

/// `text` as the value of an attribute: what is not visible ASCII is percent-encoded, and so are `"` and `%` (HTTP protocol
/// binding of CloudEvents 1.0.2, section 3.1.3.2).
fn value(text: &str) -> HeaderValue {
    let is_plain = text
        .bytes()
        .all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'"' && byte != b'%');
    let made = if is_plain {
        HeaderValue::from_str(text)
    } else {
        HeaderValue::try_from(utf8_percent_encode(text, ENCODED).to_string())
    };
    // Both forms are visible ASCII.
    made.unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn id_value(id: Uuid) -> HeaderValue {
    let mut text = [0; Hyphenated::LENGTH];
    id.hyphenated().encode_lower(&mut text);
    // Hexadecimal digits and dashes are visible ASCII.
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Gives `take` one piece after the other of `part`.
fn read(part: &Part, mut take: impl FnMut(&[u8])) -> std::io::Result<()> {
    match part {
        Part::Bytes(bytes) => take(bytes),
        Part::File { file, length } => {
            let mut buffer = vec![0; READ];
            let mut from = 0;
            while from < *length {
                let most = usize::try_from(length - from).unwrap_or(READ).min(READ);
                file.read_exact_at(&mut buffer[..most], from)?;
                take(&buffer[..most]);
                from += most as u64;
            }
        }
    }
    Ok(())
}

const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const CE_ID: HeaderName = HeaderName::from_static("ce-id");
const CE_SOURCE: HeaderName = HeaderName::from_static("ce-source");
const CE_TYPE: HeaderName = HeaderName::from_static("ce-type");
const CE_TIME: HeaderName = HeaderName::from_static("ce-time");
const CE_SUBJECT: HeaderName = HeaderName::from_static("ce-subject");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_visible_ascii() {
        assert_eq!(value("bill.generated"), "bill.generated");
        assert_eq!(
            value("Euro € 50% \"x\"\r\n"),
            "Euro%20%E2%82%AC%2050%25%20%22x%22%0D%0A"
        );
        assert_eq!(value(""), "");
    }

    #[test]
    fn a_trace_that_is_none_is_left_out() {
        let mut head: EventHead = serde_json::from_value(serde_json::json!({
            "orgId": 1, "id": "e", "source": "s", "eventType": "t", "traceId": "0123456789abcdef0123456789abcdef"
        }))
        .unwrap();
        let mut headers = HeaderMap::new();
        Trace::of(&head).add_to(&mut headers);
        let parent = headers["traceparent"].to_str().unwrap();
        assert!(parent.starts_with("00-0123456789abcdef0123456789abcdef-") && parent.len() == 55);
        assert!(!parent.contains("-0000000000000000-"));
        assert_eq!(headers["x-correlation-id"], "e");
        head.trace_id = "?".to_owned();
        head.correlation_id = Some("c 1".to_owned());
        let mut headers = HeaderMap::new();
        Trace::of(&head).add_to(&mut headers);
        assert!(!headers.contains_key("traceparent"));
        assert_eq!(headers["x-correlation-id"], "c%201");
    }
}

//! Who a request is in logs and traces: its request id and its W3C trace context.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::time::{SystemTime, UNIX_EPOCH};

use arrayvec::ArrayString;
use http::{HeaderMap, HeaderName, HeaderValue};
use rand::{Rng, RngCore as _};
use uuid::fmt::Hyphenated;

/// Carries a [`RequestId`].
pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Carries a [`TraceContext`].
pub static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Carries what tracing systems add to a [`TraceContext`]; see [`TraceContext::is_continued`].
pub static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Identifier of a request, the client's or ours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    text: ArrayString<{ Self::MAX_LENGTH }>,
}

impl RequestId {
    /// The most characters of an identifier that is taken from a client.
    pub const MAX_LENGTH: usize = 128;

    /// The client's identifier if it sent exactly one and that is safe to repeat, else a new one.
    ///
    /// Safe are 1 to 128 letters, digits and `-._~:/+=@`: nothing that could mean anything in a log, a shell, a page
    /// or a query. `now` goes into a new identifier.
    pub fn of(headers: &HeaderMap, now: SystemTime) -> Self {
        only(headers, &X_REQUEST_ID)
            .and_then(Self::taken)
            .unwrap_or_else(|| Self::made(now))
    }

    /// A new identifier: a version 7 UUID (RFC 9562) as text.
    pub fn made(now: SystemTime) -> Self {
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        let mut random = [0; 10];
        rand::rng().fill_bytes(&mut random);
        let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        let mut text = [0; Hyphenated::LENGTH];
        let text = uuid.hyphenated().encode_lower(&mut text);
        Self {
            text: ArrayString::from(text).expect("a UUID is shorter than the longest identifier"),
        }
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Value of the `X-Request-Id` field.
    pub fn value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.text).expect("only visible ASCII gets in")
    }

    fn taken(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/+=@".contains(&byte);
        if text.is_empty() || !text.bytes().all(safe) {
            return None;
        }
        Some(Self {
            text: ArrayString::from(text).ok()?,
        })
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

/// Our place in a trace (W3C Trace Context).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    parent: Option<[u8; 8]>,
    span_id: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// Continues the client's trace if it sent exactly one valid `traceparent`, else starts a trace.
    ///
    /// Either way we are a new span in it. The client's flags `sampled` and `random` are kept, the reserved ones
    /// dropped. A trace that starts here is not sampled: the gateway does not know who could record it, so those who
    /// record decide for themselves.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut rng = rand::rng();
        let span_id = rng.random::<NonZeroU64>().get().to_be_bytes();
        match only(headers, &TRACEPARENT).and_then(|value| Parent::parse(value.as_bytes())) {
            Some(parent) => Self {
                trace_id: parent.trace_id,
                parent: Some(parent.span_id),
                span_id,
                flags: parent.flags & (SAMPLED | RANDOM),
            },
            None => Self {
                trace_id: rng.random::<NonZeroU128>().get().to_be_bytes(),
                parent: None,
                span_id,
                flags: 0,
            },
        }
    }

    /// The same context, recorded from here on if `takes` says so of a trace that begins here.
    #[must_use]
    pub fn sampled_by(mut self, takes: impl FnOnce([u8; 16]) -> bool) -> Self {
        if self.parent.is_none() && takes(self.trace_id) {
            self.flags |= SAMPLED;
        }
        self
    }

    /// Identifier of the trace, the same for everyone who takes part; never zero.
    pub const fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// Identifier of our own span; never zero.
    pub const fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// The client's span, if it sent one.
    pub const fn parent(&self) -> Option<[u8; 8]> {
        self.parent
    }

    /// True if someone before us records the trace.
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// True if the trace is the client's. Only then its `tracestate` may be passed on, untouched; it must be removed
    /// otherwise, as it belongs to a trace that ends here.
    pub const fn is_continued(&self) -> bool {
        self.parent.is_some()
    }

    /// Value of the `traceparent` field for the partner and for the answer.
    pub fn value(&self) -> HeaderValue {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        for (place, bytes) in [
            (3..35, self.trace_id.as_slice()),
            (36..52, &self.span_id),
            (53..55, &[self.flags]),
        ] {
            hex::encode_to_slice(bytes, &mut text[place]).expect("each place has two digits for a byte");
        }
        HeaderValue::from_bytes(&text).expect("hexadecimal digits and dashes are visible ASCII")
    }
}

/// A client's `traceparent`.
struct Parent {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

impl Parent {
    /// Reads version 00; of a later version the part that is laid out like version 00, as the specification asks for.
    fn parse(text: &[u8]) -> Option<Self> {
        let (known, rest) = text.split_at_checked(VERSION_00_LENGTH)?;
        let dashes_in_place = [2, 35, 52].into_iter().all(|at| known[at] == b'-');
        if !dashes_in_place || known.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let [version] = digits(&known[..2])?;
        let length_fits = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest[0] == b'-',
        };
        let [flags] = digits(&known[53..])?;
        let parent = Self {
            trace_id: digits(&known[3..35])?,
            span_id: digits(&known[36..52])?,
            flags,
        };
        (length_fits && parent.trace_id != [0; 16] && parent.span_id != [0; 8]).then_some(parent)
    }
}

fn digits<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

/// The field's value if it is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

const VERSION_00_LENGTH: usize = 55;
const SAMPLED: u8 = 0x01;
const RANDOM: u8 = 0x02;

#[cfg(test)]
mod tests;

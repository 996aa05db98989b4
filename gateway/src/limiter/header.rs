//! The `RateLimit` fields of draft-ietf-httpapi-ratelimit-headers.

use filters::model::limits::RateLimit;
use http::{HeaderName, HeaderValue};

use super::bucket::{Decision, Scope};

/// What is left of the limit: `"key";r=99;t=12`, where `t` is the time in seconds until all of it is back.
pub static RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The limit: `"key";q=100;w=60`.
pub static RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

pub(super) fn policy_value(scope: Scope, limit: RateLimit) -> HeaderValue {
    value(scope, b'q', limit.max_requests, b'w', limit.window_seconds)
}

pub(super) fn limit_value(scope: Scope, decision: &Decision) -> HeaderValue {
    value(scope, b'r', decision.remaining, b't', decision.reset_seconds)
}

fn value(scope: Scope, first: u8, first_value: u32, second: u8, second_value: u32) -> HeaderValue {
    let mut text = Vec::with_capacity(LONGEST);
    text.push(b'"');
    text.extend_from_slice(scope.name().as_bytes());
    text.push(b'"');
    for (parameter, number) in [(first, first_value), (second, second_value)] {
        text.extend_from_slice(&[b';', parameter, b'=']);
        text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).expect("names, digits and punctuation are visible ASCII")
}

const LONGEST: usize = r#""organization";r=4294967295;t=4294967295"#.len();

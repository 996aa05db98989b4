//! The `RateLimit` fields of draft-ietf-httpapi-ratelimit-headers: lists with an item for each limit that applies.

use http::{HeaderName, HeaderValue};

use super::scope::{Kind, Scope};
use super::standing::Standing;

/// What is left of each limit: `"key";r=99;t=12`, where `t` is the time in seconds until all of it is back.
pub static RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Each limit: `"key";q=100;w=60`.
pub static RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Both fields of an answer, written limit by limit.
#[derive(Debug, Default)]
pub(super) struct Fields {
    policy: Vec<u8>,
    limit: Vec<u8>,
}

impl Fields {
    /// Adds the limits of one scope: its policies, as [`policies`] wrote them, and what is left.
    pub(super) fn add(&mut self, scope: Scope, policies: &str, standing: &Standing) {
        separate(&mut self.policy);
        self.policy.extend_from_slice(policies.as_bytes());
        for (kind, left) in standing.of_each() {
            separate(&mut self.limit);
            name(&mut self.limit, scope, kind);
            parameter(&mut self.limit, b'r', left.remaining);
            if kind != Kind::Concurrent {
                parameter(&mut self.limit, b't', left.reset_seconds.into());
            }
        }
    }

    /// `RateLimit-Policy` and `RateLimit`; `None` if nothing is limited.
    pub(super) fn values(self) -> Option<(HeaderValue, HeaderValue)> {
        let value = |text: Vec<u8>| {
            HeaderValue::from_maybe_shared(bytes::Bytes::from(text))
                .expect("names, digits and punctuation are visible ASCII")
        };
        (!self.policy.is_empty()).then(|| (value(self.policy), value(self.limit)))
    }
}

/// The policies of one scope, as one list.
pub(super) fn policies(scope: Scope, limits: impl IntoIterator<Item = (Kind, u64, u32)>) -> Box<str> {
    let mut text = Vec::new();
    for (kind, most, window_seconds) in limits {
        separate(&mut text);
        name(&mut text, scope, kind);
        parameter(&mut text, b'q', most);
        if kind == Kind::Concurrent {
            text.extend_from_slice(b";qu=\"concurrent-requests\"");
        } else {
            parameter(&mut text, b'w', window_seconds.into());
        }
    }
    String::from_utf8_lossy(&text).into()
}

fn separate(list: &mut Vec<u8>) {
    if !list.is_empty() {
        list.extend_from_slice(b", ");
    }
}

fn name(text: &mut Vec<u8>, scope: Scope, kind: Kind) {
    text.push(b'"');
    text.extend_from_slice(scope.name().as_bytes());
    text.extend_from_slice(kind.suffix().as_bytes());
    text.push(b'"');
}

fn parameter(text: &mut Vec<u8>, name: u8, number: u64) {
    text.extend_from_slice(&[b';', name, b'=']);
    text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

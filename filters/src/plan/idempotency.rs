//! What an integration does about idempotency keys, compiled, and what may be kept under one.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::route::MethodSet;

/// Fields that carry a key, the first before the second.
pub static KEY_FIELDS: [HeaderName; 2] = [
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("x-idempotency-key"),
];

/// What an integration does about keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyPlan {
    pub(crate) methods: MethodSet,
    pub(crate) is_required: bool,
    /// For how long an answer is kept.
    pub keep: Duration,
}

/// What is wrong with the key of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// There is none, and there must be one.
    #[error("must be there, with a value that is another one for each request and the same for its repeats")]
    Missing,
    /// It is empty, too long, or not of visible ASCII.
    #[error("must be 1 to 255 visible ASCII characters")]
    Malformed,
    /// There are several that differ.
    #[error("is there more than once, with different values")]
    Ambiguous,
}

impl IdempotencyPlan {
    /// The key of a request; `None` if none holds for it.
    ///
    /// # Errors
    /// If it is missing where it must be there, or cannot be used.
    pub fn key<'h>(&self, method: &Method, headers: &'h HeaderMap) -> Result<Option<&'h str>, KeyFault> {
        if !self.methods.contains(method) {
            return Ok(None);
        }
        let mut values = KEY_FIELDS.iter().flat_map(|name| headers.get_all(name));
        let Some(first) = values.next() else {
            return if self.is_required {
                Err(KeyFault::Missing)
            } else {
                Ok(None)
            };
        };
        if values.any(|other| other != first) {
            return Err(KeyFault::Ambiguous);
        }
        read(first).map(Some)
    }
}

/// True for an answer that stands for all repeats of its request. One that asks to come back, or that says more of the way
/// than of the request, does not.
pub fn is_final(status: StatusCode) -> bool {
    let passing = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::CONFLICT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    (200..500).contains(&status.as_u16()) && !passing.contains(&status)
}

fn read(value: &HeaderValue) -> Result<&str, KeyFault> {
    let text = value.to_str().map_err(|_| KeyFault::Malformed)?;
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > LONGEST_KEY || !is_visible {
        return Err(KeyFault::Malformed);
    }
    Ok(text)
}

const LONGEST_KEY: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::route::HttpMethod;

    fn plan(is_required: bool) -> IdempotencyPlan {
        IdempotencyPlan {
            methods: MethodSet::of(&[HttpMethod::Post]),
            is_required,
            keep: Duration::from_secs(60),
        }
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn either_field_carries_the_key() {
        for name in ["idempotency-key", "x-idempotency-key"] {
            let headers = headers(&[(name, "a-1")]);
            assert_eq!(plan(true).key(&Method::POST, &headers), Ok(Some("a-1")));
            assert_eq!(plan(true).key(&Method::GET, &headers), Ok(None));
        }
        let same = headers(&[("idempotency-key", "a"), ("x-idempotency-key", "a")]);
        assert_eq!(plan(false).key(&Method::POST, &same), Ok(Some("a")));
    }

    #[test]
    fn a_key_that_cannot_be_used_is_refused() {
        let without = HeaderMap::new();
        assert_eq!(plan(false).key(&Method::POST, &without), Ok(None));
        assert_eq!(plan(true).key(&Method::POST, &without), Err(KeyFault::Missing));
        let two = headers(&[("idempotency-key", "a"), ("x-idempotency-key", "b")]);
        assert_eq!(plan(false).key(&Method::POST, &two), Err(KeyFault::Ambiguous));
        for bad in ["", "a b", &"x".repeat(256)] {
            let headers = headers(&[("idempotency-key", bad)]);
            assert_eq!(
                plan(false).key(&Method::POST, &headers),
                Err(KeyFault::Malformed),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn answers_that_ask_to_come_back_are_not_final() {
        let is_final = |status: u16| is_final(StatusCode::from_u16(status).unwrap());
        assert!([200, 201, 204, 302, 400, 404, 422].into_iter().all(is_final));
        assert!(
            ![401, 403, 408, 409, 425, 429, 500, 502, 503, 504]
                .into_iter()
                .any(is_final)
        );
    }
}

//! The edge of HTTP/2: what the guard is to a connection of HTTP/1, in three pieces.
//!
//! `wire` looks at the frames before the library does: a head that drips, a client that takes nothing, and floods of
//! frames that cost the server more than the client end the connection. `examine` checks the head of each request as
//! strictly as that of HTTP/1, and makes it look like one, so that nothing behind it has to know the difference.
//! `stream` is the request towards pingora, with the deadlines that pingora's own has not.

mod meter;
pub mod stream;
pub mod wire;

use filters::route::host;
use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, request};
use pingora_http::RequestHeader;

use super::head::HeadLimits;
use super::refusal::Refusal;

/// Checks a head and gives it the form that HTTP/1 has: `Host`, and a target in origin form.
///
/// # Errors
/// Why the request is refused.
pub fn examine(head: &mut RequestHeader, limits: &HeadLimits) -> Result<(), Refusal> {
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::Method);
    }
    if head.headers.len() > limits.headers {
        return Err(Refusal::TooManyHeaders(limits.headers));
    }
    let target = head.uri.path_and_query().cloned();
    let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
    check_target(target.as_str(), limits)?;
    let authority = authority(head)?;
    if head
        .headers
        .get(EXPECT)
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(Refusal::Expectation);
    }
    let nothing = RequestHeader::from(Request::new(()).into_parts().0);
    let mut parts = request::Parts::from(std::mem::replace(head, nothing));
    parts.uri = Uri::from(target);
    parts.headers.insert(HOST, authority);
    // Nobody has to be told to go on: what is sent early waits at the client, by flow control.
    parts.headers.remove(EXPECT);
    join_cookies(&mut parts.headers);
    one_length(&mut parts.headers);
    *head = RequestHeader::from(parts);
    Ok(())
}

fn check_target(target: &str, limits: &HeadLimits) -> Result<(), Refusal> {
    if target.len() > limits.target_bytes {
        return Err(Refusal::TargetTooLong(limits.target_bytes));
    }
    if !target.starts_with('/') {
        return Err(Refusal::Malformed("the request target is not a path"));
    }
    match target.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'#') {
        true => Ok(()),
        false => Err(Refusal::Malformed(
            "the request target holds a byte that must be percent-encoded",
        )),
    }
}

/// The one host that the request names. That `:authority` and `Host` agree was seen to before.
fn authority(head: &RequestHeader) -> Result<HeaderValue, Refusal> {
    let missing = Refusal::Malformed("the request names no host");
    let authority = match head.uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).map_err(|_| missing)?,
        None => head.headers.get(HOST).cloned().ok_or(missing)?,
    };
    let named = authority.to_str().ok().and_then(host::of_authority);
    match named {
        Some(_) => Ok(authority),
        None => Err(Refusal::Malformed("the Host header is no host")),
    }
}

/// Cookies may come in crumbs (RFC 9113 section 8.2.3), which HTTP/1 does not know.
fn join_cookies(fields: &mut HeaderMap) {
    let mut crumbs = fields.get_all(COOKIE).iter();
    if crumbs.next().is_none() || crumbs.next().is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        fields.insert(COOKIE, whole);
    }
}

/// Equal lengths were let through before; one is enough.
fn one_length(fields: &mut HeaderMap) {
    let mut lengths = fields.get_all(CONTENT_LENGTH).iter();
    if let (Some(length), Some(_)) = (lengths.next().cloned(), lengths.next()) {
        fields.insert(CONTENT_LENGTH, length);
    }
}

#[cfg(test)]
mod tests;

//! The header fields that cross the gateway, in both directions.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::call::{Identity, Route};
use super::{claims, web};
use crate::address_text::AddressText;
use crate::trace::{TRACEPARENT, TRACESTATE, X_REQUEST_ID};

/// Names where the client is, as seen from here.
pub(super) static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Names the protocol that the client used.
pub(super) static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Names the host that the client asked for.
pub(super) static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Edits the fields of a request for the partner: takes out what is the client's, puts in what is ours. Credentials are
/// written here and nowhere else, so that nothing that a client sends can take them out again.
pub(super) fn to_partner(
    fields: &mut HeaderMap,
    route: &Route,
    authority: &HeaderValue,
    identity: &Identity,
    seen: Seen,
) {
    let integration = &*route.integration;
    for name in &integration.strip_headers {
        fields.remove(name);
    }
    web::edit_request(fields, route);
    fields.insert(&header::HOST, authority.clone());
    fields.insert(&X_REQUEST_ID, identity.request_id_field.clone());
    fields.insert(&TRACEPARENT, identity.trace_field.clone());
    if !identity.trace.is_continued() {
        fields.remove(&TRACESTATE);
    }
    // What a client says of its own way here is not passed on under any name.
    fields.remove(&header::FORWARDED);
    let proto = if seen.is_secure { "https" } else { "http" };
    fields.insert(&X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    match seen.host {
        Some(host) => drop(fields.insert(&X_FORWARDED_HOST, host)),
        None => drop(fields.remove(&X_FORWARDED_HOST)),
    }
    match seen.forwarded_for {
        Some(value) => drop(fields.insert(&X_FORWARDED_FOR, value)),
        None => drop(fields.remove(&X_FORWARDED_FOR)),
    }
    for (name, value) in &integration.outgoing.headers {
        fields.insert(name, value.clone());
    }
    claims::drop_doubles(fields);
}

/// What the partner is told of the client.
#[derive(Clone)]
pub(super) struct Seen {
    /// The host that it asked for.
    pub(super) host: Option<HeaderValue>,
    /// The way that it came.
    pub(super) forwarded_for: Option<HeaderValue>,
    /// True if it spoke TLS.
    pub(super) is_secure: bool,
}

impl Seen {
    /// Reads the client's request. `trusted` says that it came through a proxy whose word is taken.
    pub(super) fn of(headers: &HeaderMap, peer: Option<IpAddr>, trusted: bool, is_secure: bool) -> Self {
        let forwarded_for = peer.and_then(|peer| {
            let address = AddressText::of(peer);
            if !trusted {
                return HeaderValue::from_bytes(address.as_bytes()).ok();
            }
            let before = headers.get_all(&X_FORWARDED_FOR).iter();
            let before = before.filter_map(|value| value.to_str().ok()).map(str::as_bytes);
            let hops: Vec<&[u8]> = before.chain([address.as_bytes()]).collect();
            HeaderValue::from_bytes(&hops.join(&b", "[..])).ok()
        });
        Self {
            host: headers.get(header::HOST).cloned(),
            forwarded_for,
            is_secure,
        }
    }
}

/// True where `X-Forwarded-Proto` says `https`; whoever says it has to be trusted.
pub(super) fn says_https(headers: &HeaderMap) -> bool {
    let said = headers.get(&X_FORWARDED_PROTO).map(HeaderValue::as_bytes);
    said.is_some_and(|said| said.eq_ignore_ascii_case(b"https"))
}

/// The hops of `X-Forwarded-For`, the nearest first. Its fields are one list, however many lines they stand on (RFC 9110
/// section 5.3): a proxy may add its own line below the client's.
pub(super) fn forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values: Vec<&str> = headers
        .get_all(&X_FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    values
        .into_iter()
        .rev()
        .flat_map(|value| value.rsplit(','))
        .map(str::trim)
}

/// The address of one hop: bare, or with the port that some proxies add (`192.0.2.7:4711`, `[2001:db8::7]:4711`).
pub(super) fn address_of(hop: &str) -> Option<IpAddr> {
    let bare = match hop.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            return is_port.then(|| address.parse().ok().map(IpAddr::V6)).flatten();
        }
        None => hop,
    };
    let address = match bare.split_once(':') {
        Some((address, port)) if is_port(port) && address.contains('.') => address,
        _ => bare,
    };
    address.parse().ok()
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

/// The fields of a head that must not cross: they belong to its connection, by their nature or because `Connection` names
/// them (RFC 9110 section 7.6.1).
pub(super) fn hop_by_hop(fields: &HeaderMap) -> Vec<HeaderName> {
    let mut found: Vec<HeaderName> = fields
        .keys()
        .filter(|name| is_hop_by_hop(name.as_str()))
        .cloned()
        .collect();
    if found.contains(&header::CONNECTION) {
        // Most heads name nothing beyond what is found already.
        let others = nominated(fields).filter(|name| !is_hop_by_hop(name));
        for name in others.filter_map(|name| name.parse::<HeaderName>().ok()) {
            // A client may name one ten thousand times.
            if fields.contains_key(&name) && !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

/// True for a head with a field that belongs to its connection.
pub(super) fn has_hop_by_hop(fields: &HeaderMap) -> bool {
    fields.keys().any(|name| is_hop_by_hop(name.as_str()))
}

/// True for the fields that belong to a connection by their nature; asked of each field of each request.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// The fields that `Connection` names.
fn nominated(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_is_read_with_and_without_its_port() {
        for (hop, address) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:4711", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ] {
            assert_eq!(address_of(hop), Some(address.parse().unwrap()), "{hop}");
        }
        for hop in [
            "",
            "unknown",
            "_hidden",
            "192.0.2.7:",
            "192.0.2.7:x",
            "[2001:db8::7",
            "[192.0.2.7]:1",
            "[2001:db8::7]4711",
        ] {
            assert_eq!(address_of(hop), None, "{hop}");
        }
    }
}

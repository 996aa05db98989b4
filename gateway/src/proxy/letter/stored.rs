//! The call itself, as the queue keeps it: all that making it again takes, but for its body and the client's credentials.

use std::net::IpAddr;
use std::sync::Arc;

use filters::auth::without_parameter;
use filters::model::dead_letter::CallBody;
use filters::plan::Integration;
use filters::plan::idempotency::KEY_FIELDS;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use pingora_http::RequestHeader;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::call::{Caller, Route};
use super::super::forward::{self, Seen};
use super::made::Facts;
use crate::trace::{TRACEPARENT, X_REQUEST_ID};

/// A call that can be made again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredCall {
    method: String,
    path: String,
    query: Option<String>,
    /// Bytes of the path that the integration's rule matched.
    matched: usize,
    params: Vec<(String, String)>,
    /// Each byte of a value is one character, whatever it is.
    headers: Vec<(String, String)>,
    host: Option<String>,
    forwarded_for: Option<String>,
    is_secure: bool,
    client: Option<IpAddr>,
    caller: Option<Arc<str>>,
    claims: Option<Arc<Value>>,
    body: CallBody,
}

impl StoredCall {
    /// The call of `facts`, with the idempotency key `key`.
    pub(super) fn of(facts: &Facts<'_>, key: &str, body: CallBody) -> Self {
        let (call, route) = (facts.call, facts.route);
        let request = facts.session.req_header();
        let seen = facts.proxy.seen(facts.session, call);
        let mut headers = own_fields(&request.headers, &route.integration);
        headers.extend([(KEY_FIELDS[0].as_str().to_owned(), key.to_owned())]);
        if let Some(identity) = &call.identity {
            let fields = [
                (&X_REQUEST_ID, &identity.request_id_field),
                (&TRACEPARENT, &identity.trace_field),
            ];
            headers.extend(fields.map(|(name, value)| (name.as_str().to_owned(), text(value))));
        }
        Self {
            method: request.method.as_str().to_owned(),
            path: route.path.as_deref().unwrap_or_else(|| request.uri.path()).to_owned(),
            query: own_query(request.uri.query(), route),
            matched: route.matched,
            params: route.params.clone(),
            headers,
            host: seen.host.as_ref().map(text),
            forwarded_for: seen.forwarded_for.as_ref().map(text),
            is_secure: seen.is_secure,
            client: call.client,
            caller: route.caller.name.clone(),
            claims: route.caller.claims.clone(),
            body,
        }
    }

    /// What [`Self`] was written as.
    ///
    /// # Errors
    /// If it is not there, or cannot be read.
    pub(super) fn read(text: Option<&str>) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text.unwrap_or_default())
    }

    /// The client's path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The client's query, as far as it is the partner's business.
    pub(super) fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Who called.
    pub(super) fn caller(&self) -> Option<&str> {
        self.caller.as_deref()
    }

    /// Where the client was.
    pub(super) const fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// Bytes of the path that were matched, and its parameters.
    pub(super) fn matched(&self) -> (usize, &[(String, String)]) {
        (self.matched, &self.params)
    }

    /// False if the body is missing that the call had.
    pub(super) const fn is_whole(&self) -> bool {
        self.body.is_whole()
    }

    /// The fields that are sent again.
    pub(super) fn headers(&self) -> HeaderMap {
        let fields = self.headers.iter().filter_map(|(name, value)| {
            let name: HeaderName = name.parse().ok()?;
            Some((name, field(value)?))
        });
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        headers.extend(fields);
        headers
    }

    /// The head of the request, for a body of `length` bytes.
    ///
    /// # Errors
    /// What keeps it from being one.
    pub(super) fn request(&self, length: usize) -> Result<RequestHeader, String> {
        let method: Method = self.method.parse().map_err(|_| "its method is not valid".to_owned())?;
        let address = match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        };
        let built = RequestHeader::build(method, address.as_bytes(), None);
        let mut request = built.map_err(|error| format!("its address is not valid: {error}"))?;
        let failed = |error: Box<pingora::Error>| format!("its head is not valid: {error}");
        for (name, value) in &self.headers() {
            request.append_header(name, value).map_err(failed)?;
        }
        if let Some(host) = self.host.as_deref().and_then(field) {
            request.insert_header(header::HOST, host).map_err(failed)?;
        }
        if length > 0 {
            let length = HeaderValue::from(length);
            request.insert_header(header::CONTENT_LENGTH, length).map_err(failed)?;
        }
        Ok(request)
    }

    /// What the partner is told of the client.
    pub(super) fn seen(&self) -> Seen {
        Seen {
            host: self.host.as_deref().and_then(field),
            forwarded_for: self.forwarded_for.as_deref().and_then(field),
            is_secure: self.is_secure,
        }
    }

    /// Who called, as mappings see it.
    pub(super) fn identity(&self) -> Caller {
        Caller {
            name: self.caller.clone(),
            claims: self.claims.clone(),
            ..Caller::default()
        }
    }
}

/// The client's fields without those of its connection and without credentials.
fn own_fields(headers: &HeaderMap, integration: &Integration) -> Vec<(String, String)> {
    let stays = forward::hop_by_hop(headers);
    let fields = headers.iter().filter(|(name, _)| {
        let is_ours = NOT_KEPT.contains(name) || KEY_FIELDS.contains(name);
        let is_credential = CREDENTIALS.contains(name) || integration.inbound.carries(name);
        !is_ours && !is_credential && !stays.contains(name)
    });
    let texts = fields.map(|(name, value)| (name.as_str().to_owned(), text(value)));
    texts.collect()
}

fn own_query(query: Option<&str>, route: &Route) -> Option<String> {
    let mut query = query?.to_owned();
    if route.by_runtime_address {
        query = without_parameter(&query, "orgId");
    }
    for name in route.integration.inbound.query_parameters() {
        query = without_parameter(&query, name);
    }
    Some(query).filter(|query| !query.is_empty())
}

fn text(value: &HeaderValue) -> String {
    value.as_bytes().iter().map(|byte| char::from(*byte)).collect()
}

fn field(text: &str) -> Option<HeaderValue> {
    let bytes: Option<Vec<u8>> = text.chars().map(|letter| u8::try_from(letter).ok()).collect();
    HeaderValue::from_bytes(&bytes?).ok()
}

/// Written anew, or of no use later.
static NOT_KEPT: [HeaderName; 6] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::FORWARDED,
    X_REQUEST_ID_FIELD,
    TRACEPARENT_FIELD,
];
const X_REQUEST_ID_FIELD: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT_FIELD: HeaderName = HeaderName::from_static("traceparent");
/// Credentials of the client, also where nobody asked for them.
static CREDENTIALS: [HeaderName; 3] = [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_field_survives() {
        let value = HeaderValue::from_bytes(b"a\xe9\xff\x80 b").unwrap();
        assert_eq!(field(&text(&value)).unwrap(), value);
        assert_eq!(field("€"), None);
        assert_eq!(field("a\r\nb: c"), None);
    }

    #[test]
    fn a_call_is_read_back_as_it_was_written() {
        let call = StoredCall {
            method: "POST".to_owned(),
            path: "/v1/orders/7".to_owned(),
            query: Some("a=1".to_owned()),
            matched: 3,
            params: vec![("id".to_owned(), "7".to_owned())],
            headers: vec![
                ("idempotency-key".to_owned(), "k-1".to_owned()),
                ("x-note".to_owned(), "one".to_owned()),
                ("x-note".to_owned(), "two".to_owned()),
            ],
            host: Some("orders.example".to_owned()),
            forwarded_for: None,
            is_secure: true,
            client: None,
            caller: None,
            claims: None,
            body: CallBody::Kept,
        };
        let written = serde_json::to_string(&call).unwrap();
        let read = StoredCall::read(Some(&written)).unwrap();
        let request = read.request(2).unwrap();
        assert_eq!(
            (request.method.as_str(), request.uri.to_string()),
            ("POST", "/v1/orders/7?a=1".to_owned())
        );
        assert_eq!(request.headers.get_all("x-note").iter().count(), 2);
        assert_eq!(
            (&request.headers["host"], &request.headers["content-length"]),
            (
                &HeaderValue::from_static("orders.example"),
                &HeaderValue::from_static("2"),
            )
        );
        assert!(read.is_whole());
        assert!(StoredCall::read(None).is_err());
    }
}

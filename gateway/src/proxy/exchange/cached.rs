//! Answers that are kept for the next request.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use egress::Answer;
use filters::cache::{Cache as Rules, Scope};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use pingora::proxy::Session;
use pingora_http::ResponseHeader;
use tokio::time::Instant;

use super::super::call::Call;
use super::super::fault::Fault;
use super::super::{Proxy, respond, stream, web};
use super::answer;
use crate::cache::{Entry, Filling, Looked};
use crate::metrics::CacheResult;

/// Answers with what is kept. True if there was something; false lets the request go to the partner, with the duty to hand
/// its answer over if it has one.
pub(super) async fn answered(proxy: &Proxy, session: &mut Session, call: &mut Call) -> Result<bool, Fault> {
    let (Some(route), Some(rules)) = (&call.route, rules(call)) else {
        return Ok(false);
    };
    let request = session.req_header();
    if !rules.is_for(&request.method, &request.headers) {
        web::passes_by(call, request);
        return Ok(false);
    }
    let host = request
        .headers
        .get(header::HOST)
        .map_or(&b""[..], HeaderValue::as_bytes);
    let address = request.uri.path_and_query().map_or("", |address| address.as_str());
    let scope = Scope {
        org_id: route.integration.source.org_id,
        integration: &route.integration.id,
        digest: &route.integration.digest,
        caller: &route.caller.marks(),
        claims: route.caller.claims.as_deref(),
        client: call.client,
    };
    let address = format!("{} {address}", String::from_utf8_lossy(host));
    let key = rules.key(scope, &address, &request.headers);
    let refresh = Rules::is_refresh(&request.headers);
    let looked = proxy.cache.look(key, refresh, Instant::now() + call.time_left()).await;
    route.runtime.metrics.cached(match &looked {
        Looked::Found(_) => CacheResult::Hit,
        Looked::Fill(_) => CacheResult::Miss,
        Looked::Pass => CacheResult::Bypass,
    });
    match looked {
        Looked::Found(entry) => {
            replay(proxy, session, call, &entry, HIT).await?;
            Ok(true)
        }
        Looked::Fill(filling) => {
            call.filling = Some(filling);
            Ok(false)
        }
        Looked::Pass => Ok(false),
    }
}

/// Answers with what is kept although its time is over, where the partner fails. True if there is something.
pub(super) async fn stands_in(
    proxy: &Proxy,
    session: &mut Session,
    call: &mut Call,
    outcome: &Result<Answer, Fault>,
) -> Result<bool, Fault> {
    let has_failed = match outcome {
        Ok(answer) => answer.status.is_server_error(),
        Err(Fault::Egress(_) | Fault::Stream(_) | Fault::Unavailable(_) | Fault::PartnerStatus(_)) => true,
        Err(_) => false,
    };
    let stale = call.filling.as_ref().and_then(|filling| filling.stale.clone());
    let Some(entry) = stale.filter(|_| has_failed) else {
        return Ok(false);
    };
    call.filling = None;
    if let Some(route) = &call.route {
        route.runtime.metrics.cached(CacheResult::Stale);
    }
    replay(proxy, session, call, &entry, STALE).await?;
    Ok(true)
}

/// An answer on its way into the cache.
pub(super) struct Saving {
    filling: Filling,
    head: ResponseHeader,
    body: BytesMut,
    most: usize,
    lifetime: Duration,
    stale: Duration,
}

impl Saving {
    /// Takes the duty up for an answer that may be kept.
    pub(super) fn of(call: &mut Call, answer: &Answer) -> Option<Self> {
        let filling = call.filling.take()?;
        let rules = rules(call)?;
        let too_long = answer.remaining().is_some_and(|length| length > rules.max_body as u64);
        let lifetime = rules.lifetime(answer.status, &answer.headers).filter(|_| !too_long);
        let Some(lifetime) = lifetime else {
            filling.pass();
            return None;
        };
        Some(Self {
            filling,
            head: answer::plain_head(answer),
            body: BytesMut::new(),
            most: rules.max_body,
            lifetime,
            stale: rules.stale_if_error,
        })
    }

    /// Adds a piece of the body. `None` once it is too long to be kept.
    pub(super) fn add(mut self, piece: &[u8]) -> Option<Self> {
        if self.body.len() + piece.len() > self.most {
            self.filling.pass();
            return None;
        }
        self.body.extend_from_slice(piece);
        Some(self)
    }

    /// The head, to be changed as the client's is.
    pub(super) fn with_head(mut self, change: impl FnOnce(ResponseHeader) -> ResponseHeader) -> Self {
        self.head = change(self.head);
        self
    }

    /// Keeps the answer, whose body is complete.
    pub(super) fn finish(self) {
        let now = Instant::now();
        let fresh_until = now + self.lifetime;
        if self.head.status != StatusCode::OK {
            return self.filling.pass();
        }
        self.filling.keep(Entry {
            headers: self.head.headers.clone(),
            body: self.body.freeze(),
            since: now,
            fresh_until,
            usable_until: fresh_until + self.stale,
        });
    }
}

async fn replay(
    proxy: &Proxy,
    session: &mut Session,
    call: &mut Call,
    entry: &Arc<Entry>,
    how: HeaderValue,
) -> Result<(), Fault> {
    proxy.close_if_stopping(session);
    let mut parts = Response::new(()).into_parts().0;
    parts.headers = entry.headers.clone();
    let before = age_of(&parts.headers);
    let age = entry.since.elapsed().as_secs() + before;
    parts.headers.insert(header::AGE, HeaderValue::from(age));
    parts.headers.insert(CACHE_STATUS, how);
    answer::own_fields(&mut parts.headers, call);
    let tag = parts.headers.get(header::ETAG);
    if tag.is_some_and(|tag| is_known(session, tag)) {
        parts.status = StatusCode::NOT_MODIFIED;
        let sent = respond::send(session, call, ResponseHeader::from(parts), Bytes::new()).await;
        return sent.map_err(|error| stream::client_fault(error, call));
    }
    answer::send_whole(session, call, ResponseHeader::from(parts), entry.body.clone()).await
}

/// True if the client has the answer with this tag already (RFC 9110 section 13.1.2).
fn is_known(session: &Session, tag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(tag) = tag.to_str().map(opaque) else {
        return false;
    };
    let known = session.req_header().headers.get_all(header::IF_NONE_MATCH);
    let mut tags = known
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tags.any(|known| known.trim() == "*" || opaque(known) == tag)
}

fn age_of(headers: &http::HeaderMap) -> u64 {
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok()?.parse().ok());
    age.unwrap_or(0)
}

fn rules(call: &Call) -> Option<&Rules> {
    web::of(call)?.cache.as_ref()
}

/// Says where the answer comes from (RFC 9211).
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const HIT: HeaderValue = HeaderValue::from_static("gateway; hit");
const STALE: HeaderValue = HeaderValue::from_static("gateway; hit; detail=stale-if-error");

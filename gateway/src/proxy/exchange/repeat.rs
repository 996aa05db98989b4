//! Repeats of a request, known by their idempotency key.

use bytes::Bytes;
use egress::EgressError;
use filters::plan::idempotency::is_final;
use http::{HeaderName, HeaderValue, Response, header};
use pingora::proxy::Session;
use pingora_http::ResponseHeader;
use tokio::time::Instant;

use super::super::call::Call;
use super::super::fault::{Fault, RepeatFault};
use super::super::{Proxy, respond, stream, web};
use crate::idempotency::{Entered, Kept, Scope, fingerprint};
use crate::limiter::{RATELIMIT, RATELIMIT_POLICY};
use crate::trace::{TRACEPARENT, X_REQUEST_ID};

/// Answers a repeat with what its first request got. True if it was one; false lets the request go to the partner, as the
/// first of its key if it has one.
pub(super) async fn answered(
    proxy: &Proxy,
    session: &mut Session,
    call: &mut Call,
    body: &Bytes,
) -> Result<bool, Fault> {
    let Some(route) = &call.route else { return Ok(false) };
    let Some(plan) = &route.integration.idempotency else {
        return Ok(false);
    };
    let request = session.req_header();
    let key = plan.key(&request.method, &request.headers);
    let Some(key) = key.map_err(|fault| Fault::Repeat(RepeatFault::Key(fault)))? else {
        return Ok(false);
    };
    let [consumer, token, issuer, name] = route.caller.marks();
    // Where nobody says who they are, the address has to tell.
    let address = call.client.filter(|_| name.is_empty()).map(|client| client.to_string());
    let scope = Scope {
        org_id: route.integration.source.org_id,
        integration: &route.integration.id,
        caller: [consumer, token, issuer, name, address.as_deref().unwrap_or_default()],
    };
    let path_and_query = request.uri.path_and_query().map_or("", |address| address.as_str());
    let print = fingerprint(&request.method, path_and_query, body);
    let deadline = Instant::now() + call.time_left();
    match proxy.answers.enter(scope, key, print, plan.keep, deadline).await {
        Entered::First(turn) => {
            call.turn = Some(turn);
            Ok(false)
        }
        Entered::Repeat(kept) => {
            proxy.metrics.idempotency_replays.inc();
            replay(proxy, session, call, &kept).await?;
            Ok(true)
        }
        Entered::NotKept => Err(Fault::Repeat(RepeatFault::NotKept)),
        Entered::Other => Err(Fault::Repeat(RepeatFault::Other)),
        Entered::UnderWay => Err(Fault::Repeat(RepeatFault::UnderWay)),
    }
}

/// Keeps an answer for repeats of its request, before it is written, as the client may be gone.
pub(super) fn keep(call: &mut Call, head: &ResponseHeader, body: &Bytes) {
    let Some(turn) = call.turn.take().filter(|_| is_final(head.status)) else {
        return;
    };
    let mut headers = head.headers.clone();
    for name in [&RATELIMIT, &RATELIMIT_POLICY, &X_REQUEST_ID, &TRACEPARENT] {
        headers.remove(name);
    }
    for name in [header::CONTENT_LENGTH, header::DATE] {
        headers.remove(name);
    }
    turn.keep(Some(Kept {
        status: head.status,
        headers,
        body: body.clone(),
    }));
}

/// Notes that the request was carried out although its answer cannot be kept.
pub(super) fn keep_nothing(call: &mut Call, error: &EgressError) {
    if matches!(error, EgressError::BodyTooLarge { .. })
        && let Some(turn) = call.turn.take()
    {
        turn.keep(None);
    }
}

async fn replay(proxy: &Proxy, session: &mut Session, call: &mut Call, kept: &Kept) -> Result<(), Fault> {
    proxy.close_if_stopping(session);
    let mut head = Response::new(()).into_parts().0;
    head.status = kept.status;
    head.headers = kept.headers.clone();
    if !respond::has_no_body(kept.status) {
        let length = HeaderValue::from(kept.body.len());
        head.headers.insert(header::CONTENT_LENGTH, length);
    }
    head.headers.insert(REPLAYED, HeaderValue::from_static("true"));
    respond::stamp(&mut head.headers, call.identity.as_ref());
    stream::add_limits(&mut head.headers, call);
    web::tell_browser(&mut head.headers, call);
    respond::send(session, call, ResponseHeader::from(head), kept.body.clone())
        .await
        .map_err(|error| stream::client_fault(error, call))
}

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

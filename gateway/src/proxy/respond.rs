//! Writes answers that the gateway makes itself.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use pingora::proxy::Session;
use pingora_http::ResponseHeader;

use super::call::{Call, Identity};
use super::fallback;
use super::fault::Fault;
use super::letter::Gathering;
use super::web;
use super::{grpc, secure};
use crate::trace::{TRACEPARENT, X_REQUEST_ID};

/// Answers with `fault` in the error shape, unless an answer is under way already. Returns the status, or 0 if none was
/// written.
pub(super) async fn fault(session: &mut Session, call: &mut Call, fault: Fault) -> u16 {
    let fallback = fallback::of(call, &fault);
    let status = fallback
        .as_ref()
        .map_or_else(|| fault.status(), |fallback| fallback.status.as_u16());
    let under_way = session
        .response_written()
        .is_some_and(|head| !head.status.is_informational());
    let gone = matches!(fault, Fault::ClientGone);
    let error = fault.body(call.request_id());
    let page = web::page(session.req_header(), call, &error);
    let (kind, body) = page.unwrap_or_else(|| (JSON, serde_json::to_vec(&error).unwrap_or_default()));
    let written = if under_way || gone {
        session.set_keepalive(None);
        if call.is_grpc && !gone {
            // What came of the call stands at its end; a client that is gone meanwhile does not read it.
            let trailers = grpc::status(&fault, call);
            let _ = session.downstream_session.write_response_trailers(trailers).await;
        }
        0
    } else {
        // What the client still sends was not asked for: after an early answer the connection is closed.
        if !session.is_body_done() {
            session.set_keepalive(None);
        }
        let written = match fallback {
            Some(fallback) => fallback::write(session, call, &fault, fallback).await,
            None => write(session, call, &fault, (kind, body)).await,
        };
        match written {
            Ok(()) => {
                drain(session, call).await;
                status
            }
            Err(_) => 0,
        }
    };
    call.fault = Some(fault);
    written
}

async fn write(
    session: &mut Session,
    call: &mut Call,
    fault: &Fault,
    (kind, body): (HeaderValue, Vec<u8>),
) -> pingora::Result<()> {
    if call.is_grpc {
        session
            .write_response_header(Box::new(grpc::answer(fault, call)), true)
            .await?;
        return session.downstream_session.finish_body().await;
    }
    let mut head = Response::new(()).into_parts().0;
    head.status = StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fields = &mut head.headers;
    fields.insert(header::CONTENT_TYPE, kind);
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    fields.extend(fault.headers());
    stamp(fields, call.identity.as_ref());
    secure::tell(fields, call);
    web::tell_browser(fields, call);
    let head = ResponseHeader::from(head);
    send(session, call, head, body.into()).await?;
    // The connection may be dropped next, and with it what is only buffered.
    session.downstream_session.finish_body().await
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// True once the head of an answer was written.
pub(super) fn is_under_way(session: &Session) -> bool {
    session
        .response_written()
        .is_some_and(|head| !head.status.is_informational())
}

/// Reads on for a while what the client still sends: closing a connection with unread bytes resets it, and the client
/// might never see its answer.
async fn drain(session: &mut Session, call: &mut Call) {
    if session.req_header().headers.contains_key(header::EXPECT) {
        // It waits to be told to go on, and was told otherwise.
        return;
    }
    let mut gathering = Gathering::of(call);
    let mut left = gathering.as_ref().map_or(0, Gathering::most).max(MOST_DRAINED);
    let rest = async {
        while left > 0 && !session.is_body_done() {
            match session.read_request_body().await {
                Ok(Some(chunk)) => {
                    left = left.saturating_sub(chunk.len());
                    if let Some(gathering) = &mut gathering {
                        gathering.add(&chunk);
                    }
                }
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        session.is_body_done()
    };
    // A client that goes on for longer is cut off.
    let is_whole = tokio::time::timeout(DRAIN_TIME, rest).await.unwrap_or(false);
    if let Some(gathering) = gathering {
        gathering.finish(call, is_whole);
    }
}

/// Bytes of a refused body that are still read, and for how long.
const MOST_DRAINED: usize = 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Writes a whole answer.
pub(super) async fn send(
    session: &mut Session,
    call: &mut Call,
    head: ResponseHeader,
    body: Bytes,
) -> pingora::Result<()> {
    let no_body = session.req_header().method == Method::HEAD || has_no_body(head.status) || body.is_empty();
    session.write_response_header(Box::new(head), no_body).await?;
    if !no_body {
        call.response_bytes += body.len() as u64;
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

/// Names the request in its answer.
pub(super) fn stamp(fields: &mut HeaderMap, identity: Option<&Identity>) {
    if let Some(identity) = identity {
        fields.insert(&X_REQUEST_ID, identity.request_id_field.clone());
        fields.insert(&TRACEPARENT, identity.trace_field.clone());
    }
}

/// True for answers that never have a body (RFC 9110 section 6.4.1).
pub(super) fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

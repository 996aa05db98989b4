//! The streaming path: pingora carries the bytes, this decides where to and what is edited on the way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::model::limits::Timeouts;
use filters::target::Scheme;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header, request, response};
use pingora::proxy::Session;
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora::{Error, ErrorSource, ErrorType};
use pingora_http::{RequestHeader, ResponseHeader};

use super::call::{Call, Identity, Route};
use super::fault::{Fault, StreamFailure};
use super::forward::{self, Seen};
use super::{Proxy, again};
use super::{claims, respond, secure, signed, web};
use crate::limiter::{RATELIMIT, RATELIMIT_POLICY};

/// Where pingora is to connect: an address that was resolved and checked, and nothing else.
pub(super) async fn peer(proxy: &Proxy, session: &mut Session, call: &mut Call) -> Result<Box<HttpPeer>, Fault> {
    // Boxed, as the rare cases must not make the future of every request larger.
    if let Some(next) = call.next.take() {
        Box::pin(again::take_up(session, call, next)).await?;
    }
    if let Some(source) = call.token_source() {
        Box::pin(signed::prepare(call, &source)).await?;
    }
    let now = Instant::now();
    let (address, now) = match call.aim()?.target.upstream.known_address(now.into()) {
        Some(address) => (address, now),
        None => (Box::pin(resolved(proxy, session, call)).await?, Instant::now()),
    };
    let Some(route) = &call.route else {
        return Err(Fault::Internal("no route on the streaming path".to_owned()));
    };
    let upstream = &route.aim()?.target.upstream;
    let timeouts = call.timeouts();
    let target = upstream.target();
    let tls = target.scheme() == Scheme::Https;
    let mut peer = HttpPeer::new(
        address,
        tls,
        if tls { upstream.host().to_owned() } else { String::new() },
    );
    peer.group_key = route.runtime.group_key;
    if let Some(own) = route.runtime.peer_tls.as_ref().filter(|_| tls) {
        own.apply(&mut peer);
    }
    let endless = call.is_grpc || may_be_endless(session, call);
    if route.integration.protocols.http2 && !call.is_upgrade {
        peer.options.set_http_version(2, 2);
        peer.options.max_h2_streams = MOST_STREAMS;
        peer.options.h2_ping_interval = Some(PING);
    }
    if !forward::has_hop_by_hop(&session.req_header().headers) {
        // pingora would look for each of them by its name.
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::preserve();
    }
    let left = call.time_left_at(now);
    let has_one_attempt = route.runtime.resilience.is_none() && route.runtime.token.is_none();
    let is_guarded = has_one_attempt && !endless && is_plain_http1(session, route);
    if let Some(guard) = &call.guard {
        // pingora's time is for one read, and a head may come in many; that for the whole head is kept by the guard.
        let first_byte = Duration::from_millis(timeouts.first_byte_ms);
        guard.answer_within(match (is_guarded, has_one_attempt) {
            (true, _) => first_byte.min(left),
            (false, true) => (Duration::from_millis(timeouts.connect_ms) + first_byte).min(left),
            // It runs from the first attempt on, and there may be several.
            (false, false) => left,
        });
    }
    limit(&mut peer, timeouts, left, endless);
    if is_guarded {
        // To keep the time of each read costs more than that of all together.
        peer.options.read_timeout = None;
    }
    call.upstream.is_guarded = is_guarded;
    call.upstream.address = Some(address);
    call.upstream.attempts += 1;
    call.upstream.called.get_or_insert(now);
    Ok(Box::new(peer))
}

/// True for a request without a body that is HTTP/1 on both sides: from here on its guard only waits for the answer.
fn is_plain_http1(session: &mut Session, route: &Route) -> bool {
    !route.integration.protocols.http2 && session.stream().is_some() && session.is_body_done()
}

/// Waits for the name of the target to be resolved. If it cannot be, another target may be tried.
async fn resolved(proxy: &Proxy, session: &mut Session, call: &mut Call) -> Result<SocketAddr, Fault> {
    loop {
        let upstream = Arc::clone(&call.aim()?.target.upstream);
        let limit = Duration::from_millis(call.timeouts().connect_ms).min(call.time_left());
        let fault = match tokio::time::timeout(limit, upstream.address()).await {
            Ok(Ok(address)) => return Ok(address),
            Ok(Err(error)) => Fault::Egress(error.into()),
            Err(_) => Fault::Stream(StreamFailure::ConnectTimeout),
        };
        call.upstream.attempts += 1;
        if !again::on_fault(proxy, session, call, &fault) {
            return Err(fault);
        }
        if let Some(next) = call.next.take() {
            again::take_up(session, call, next).await?;
        }
    }
}

fn limit(peer: &mut HttpPeer, timeouts: Timeouts, left: Duration, endless: bool) {
    let connect = Duration::from_millis(timeouts.connect_ms).min(left);
    let first_byte = Duration::from_millis(timeouts.first_byte_ms).min(left);
    let silence = if endless { LONGEST_SILENCE } else { first_byte };
    let options = &mut peer.options;
    options.connection_timeout = Some(connect);
    options.total_connection_timeout = Some(connect);
    options.read_timeout = Some(silence);
    options.write_timeout = Some(silence);
    options.idle_timeout = Some(IDLE);
}

/// True for a request whose answer may go on for as long as both sides like: another protocol, or a stream of events.
/// pingora takes one time for the head and for each wait after it, so it has to be known beforehand.
pub(super) fn may_be_endless(session: &Session, call: &Call) -> bool {
    let accepted = session.req_header().headers.get_all(header::ACCEPT).iter();
    let mut kinds = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    call.is_upgrade || kinds.any(is_events)
}

fn is_events(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("text/event-stream")
}

/// Requests at a time on one connection of HTTP/2 to a partner.
const MOST_STREAMS: usize = 100;
/// How often such a connection is asked whether anybody is there.
const PING: Duration = Duration::from_secs(30);
/// How long an endless answer may be silent.
const LONGEST_SILENCE: Duration = Duration::from_secs(300);
/// How long an unused connection to a partner is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Takes the case of its names off the client's head. pingora keeps it in a second map, copies that for the partner and
/// parses a name again at each edit; without it, names go out in the usual case. What the client claims of its way here
/// goes with it.
pub(super) fn clear_head(head: &mut RequestHeader, trusted: bool) {
    let mut parts = request_parts(head);
    claims::forget(&mut parts.headers, trusted);
    *head = RequestHeader::from(parts);
}

fn request_parts(head: &mut RequestHeader) -> request::Parts {
    let nothing = RequestHeader::from(Request::new(()).into_parts().0);
    request::Parts::from(std::mem::replace(head, nothing))
}

/// Fields that are added to a head, those of the integration aside.
const MOST_ADDED: usize = 6;

/// Makes the partner's request of the client's.
///
/// # Errors
/// If there is no target: a fault of ours.
pub(super) fn request(
    head: &mut RequestHeader,
    route: &Route,
    identity: &Identity,
    seen: Seen,
    is_grpc: bool,
) -> Result<(), Fault> {
    let aim = route.aim()?;
    let mut parts = request_parts(head);
    parts.uri = Uri::from(aim.path_and_query.clone());
    if let Some(method) = &route.integration.target_method {
        parts.method = method.clone();
    }
    parts
        .headers
        .reserve(MOST_ADDED + route.integration.outgoing.headers.len());
    parts.headers.remove(header::EXPECT);
    let authority = aim.target.upstream.target().authority();
    forward::to_partner(&mut parts.headers, route, authority, identity, seen);
    if is_grpc && route.integration.protocols.http2 {
        // Partners tell by it that nobody on the way drops trailers.
        parts.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    *head = RequestHeader::from(parts);
    Ok(())
}

/// Checks and edits the head of the partner's answer.
pub(super) fn response(session: &Session, head: &mut ResponseHeader, call: &mut Call) -> Result<(), Fault> {
    let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
    if switches && !call.is_upgrade {
        return Err(Fault::Stream(StreamFailure::Answer(
            "an unasked change of protocol".to_owned(),
        )));
    }
    if switches && !is_websocket(&head.headers) {
        // Whatever it is: the client was let in to speak WebSocket, and nothing looks into what comes after this.
        return Err(Fault::Stream(StreamFailure::Answer(
            "a change to another protocol than WebSocket".to_owned(),
        )));
    }
    web::check_replaced(session.req_header(), head.status, call)?;
    call.endless = switches || call.is_grpc || is_event_stream(head);
    if call.upstream.is_guarded && !head.status.is_informational() {
        limit_silence(call);
    }
    let status = call.route.as_ref().and_then(|route| {
        let statuses = route.integration.statuses.as_ref()?;
        Some(statuses.of(head.status)).filter(|status| *status != head.status)
    });
    let phrase = own_phrase(head).filter(|_| status.is_none());
    let nothing = ResponseHeader::from(Response::new(()).into_parts().0);
    // As plain parts, for the same reason as the request's head.
    let mut parts = response::Parts::from(std::mem::replace(head, nothing));
    if let Some(status) = status {
        parts.status = status;
    }
    tidy_length(parts.status, &mut parts.headers);
    if !switches {
        strip_hop_by_hop(&mut parts.headers);
    }
    parts.headers.remove(header::SERVER);
    respond::stamp(&mut parts.headers, call.identity.as_ref());
    add_limits(&mut parts.headers, call);
    secure::tell(&mut parts.headers, call);
    web::edit_answer(&mut parts.headers, call);
    web::tell_browser(&mut parts.headers, call);
    web::tell_caches(parts.status, &mut parts.headers, call);
    *head = ResponseHeader::from(parts);
    let kept = head.set_reason_phrase(phrase.as_deref());
    kept.map_err(|error| Fault::Internal(error.to_string()))
}

/// Has the guard end an answer that stays silent.
fn limit_silence(call: &Call) {
    let begun = call.upstream.called.zip(call.upstream.answered);
    let (Some(guard), Some((called, after))) = (&call.guard, begun) else {
        return;
    };
    let first_byte = Duration::from_millis(call.timeouts().first_byte_ms);
    guard.silent_within(if call.endless {
        LONGEST_SILENCE
    } else {
        first_byte.min(call.time_left_at(called + after))
    });
}

fn is_websocket(fields: &HeaderMap) -> bool {
    let mut named = fields.get_all(header::UPGRADE).iter();
    let is_named = named
        .next()
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    is_named && named.next().is_none()
}

/// The words beside the status, where they are not the usual ones.
fn own_phrase(head: &ResponseHeader) -> Option<String> {
    let usual = head.status.canonical_reason();
    let phrase = head.get_reason_phrase().filter(|phrase| Some(*phrase) != usual);
    phrase.map(str::to_owned)
}

/// Takes out a length that belongs to no body, and all but one of equal lengths (pingora refuses unequal ones).
fn tidy_length(status: StatusCode, fields: &mut HeaderMap) {
    if status == StatusCode::NO_CONTENT {
        fields.remove(header::CONTENT_LENGTH);
    }
    let mut lengths = fields.get_all(header::CONTENT_LENGTH).iter();
    if let (Some(length), Some(_)) = (lengths.next().cloned(), lengths.next()) {
        fields.insert(header::CONTENT_LENGTH, length);
    }
}

/// Takes out what belongs to the connection with the partner, except for the framing, which pingora sees to.
fn strip_hop_by_hop(fields: &mut HeaderMap) {
    let framing = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    for name in forward::hop_by_hop(fields) {
        if !framing.contains(&name) {
            fields.remove(name);
        }
    }
}

/// Adds the `RateLimit` fields of a limited route.
pub(super) fn add_limits(fields: &mut HeaderMap, call: &Call) {
    if let Some((policy, limit)) = call.route.as_ref().and_then(|route| route.limits.clone()) {
        fields.insert(&RATELIMIT_POLICY, policy);
        fields.insert(&RATELIMIT, limit);
    }
}

fn is_event_stream(head: &ResponseHeader) -> bool {
    let kind = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    kind.is_some_and(is_events)
}

/// What pingora's error means where only the client was spoken with.
pub(super) fn client_fault(mut error: Box<Error>, call: &Call) -> Fault {
    error.as_down();
    fault_of(&error, call)
}

/// What pingora's error means.
pub(super) fn fault_of(error: &Error, call: &Call) -> Fault {
    let what = || error.etype().as_str().to_owned();
    match (error.esource(), error.etype()) {
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => Fault::BodyTimeout,
        (ErrorSource::Downstream, ErrorType::InvalidHTTPHeader) => Fault::BadHeaders,
        (ErrorSource::Downstream, ErrorType::ReadError) => match io_kind(error) {
            Some(std::io::ErrorKind::TimedOut) if call.guard.as_ref().is_some_and(|guard| guard.awaits_answer()) => {
                Fault::Stream(StreamFailure::Timeout)
            }
            Some(std::io::ErrorKind::TimedOut) => Fault::BodyTimeout,
            Some(std::io::ErrorKind::InvalidData) => Fault::BodyBroken,
            _ => Fault::ClientGone,
        },
        (ErrorSource::Downstream, ErrorType::ConnectionClosed | ErrorType::WriteError | ErrorType::WriteTimedout) => {
            Fault::ClientGone
        }
        (ErrorSource::Downstream, _) => Fault::BodyBroken,
        (_, ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout) => {
            Fault::Stream(StreamFailure::ConnectTimeout)
        }
        (_, ErrorType::ReadTimedout | ErrorType::WriteTimedout) => Fault::Stream(StreamFailure::Timeout),
        (_, ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert) => Fault::Stream(StreamFailure::Tls(what())),
        (
            _,
            ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectError
            | ErrorType::SocketError
            | ErrorType::BindError,
        ) => Fault::Stream(StreamFailure::Connect(what())),
        (ErrorSource::Upstream, _) if call.time_left().is_zero() => Fault::Stream(StreamFailure::Timeout),
        (ErrorSource::Upstream, _) => Fault::Stream(StreamFailure::Answer(what())),
        (ErrorSource::Internal | ErrorSource::Unset, _) => Fault::Internal(error.to_string()),
    }
}

fn io_kind(error: &Error) -> Option<std::io::ErrorKind> {
    error
        .root_cause()
        .downcast_ref::<std::io::Error>()
        .map(std::io::Error::kind)
}

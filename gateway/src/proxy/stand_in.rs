//! While a version is on trial, the one before it stands in: a request that the new version fails is served as before, so
//! that no client pays for a bad version.
//!
//! A request is made again only where that is safe: nothing was written to the client, its body is at hand, and either no
//! partner can have got it or its method may be repeated. Each time counts as a failure of the new version.

use std::sync::Arc;

use bytes::Bytes;
use filters::resilience::Failure;
use http::StatusCode;
use pingora::proxy::Session;

use super::call::{Call, Upstream};
use super::fault::{Counted, Fault};
use super::{Proxy, admit, again, exchange, respond, stream};
use crate::limiter::Places;
use crate::live::Live;

/// What stands in for the version that serves a request.
#[derive(Default)]
pub(crate) struct StandIn {
    /// The version before the one on trial; `None` if none is, or it had its turn.
    before: Option<Arc<Live>>,
    /// The request's body, once it was read as a whole.
    body: Option<Bytes>,
    /// True once it answered the client.
    pub(super) served: bool,
}

impl StandIn {
    /// For a request that `live` serves.
    pub(super) fn of(live: &Live) -> Self {
        Self {
            before: live.before.clone(),
            ..Self::default()
        }
    }

    /// Notes the body, in case it is needed once more.
    pub(super) fn note_body(&mut self, body: &Bytes) {
        if self.before.is_some() {
            self.body = Some(body.clone());
        }
    }

    /// The body that was read already.
    pub(super) fn take_body(&mut self) -> Option<Bytes> {
        self.body.take()
    }
}

/// True if the version before can serve the request that failed by `fault`.
pub(super) fn can_take_over(session: &mut Session, call: &Call, fault: &Fault) -> bool {
    let is_ours = match fault.counted() {
        Counted::Aborted => false,
        Counted::Refused(reason) => !reason.is_of_load(),
        Counted::Failed(_) => true,
    };
    let was_sent = call.upstream.called.is_some()
        && (call.upstream.attempts > 1 || !matches!(again::of_fault(fault), Some(Failure::Unsent)));
    is_ours
        && call.stand_in.before.is_some()
        && !respond::is_under_way(session)
        && (!was_sent || session.req_header().method.is_idempotent())
        && can_be_exchanged(session, call)
        && has_body(session, call)
}

/// True if an answer with this status is a failure that the version before may not have.
pub(super) fn replaces(session: &mut Session, call: &Call, status: StatusCode) -> bool {
    is_failure(status.as_u16()) && can_take_over(session, call, &Fault::PartnerStatus(status.as_u16()))
}

/// True for a status that speaks against the version that it was answered under: those of decision about endpoints, and all
/// that say that the partner failed.
pub(super) fn is_failure(status: u16) -> bool {
    matches!(status, 401 | 403 | 404 | 405 | 408 | 500..)
}

/// Serves the request by the version before.
///
/// # Errors
/// Why that could not either; nothing was written then.
pub(super) async fn take_over(
    proxy: &Proxy,
    session: &mut Session,
    call: &mut Call,
    fault: Fault,
) -> Result<(), Fault> {
    let Some(before) = call.stand_in.before.take() else {
        return Err(fault);
    };
    proxy.metrics.tally.count(true);
    if let Some(runtime) = &call.runtime {
        runtime.tally.count(true);
    }
    tracing::debug!(%fault, version = before.plan.version, "the version before takes a request over");
    if call.stand_in.body.is_none() && call.request_bytes > 0 {
        call.stand_in.body = session.as_downstream().get_retry_buffer();
    }
    begin_anew(call);
    let Some(route) = admit::admit(&before, session.req_header(), call).await? else {
        return Err(fault);
    };
    if route.integration.protocols.http2 {
        // Partners of exchanges are spoken to in HTTP/1.1.
        return Err(fault);
    }
    call.route = Some(route);
    let seen = proxy.seen(session, call);
    exchange::run(proxy, session, call, &seen).await?;
    call.stand_in.served = true;
    Ok(())
}

/// Forgets what came of the request under the new version.
fn begin_anew(call: &mut Call) {
    if let Some(guard) = &call.guard {
        guard.answered();
    }
    call.runtime = None;
    call.route = None;
    call.grant = None;
    call.filling = None;
    call.fault = None;
    call.next = None;
    call.places = Places::default();
    call.turn = None;
    call.letter = None;
    call.signed_in = None;
    call.upstream = Upstream::default();
    call.room = None;
}

/// True if the request can be read and answered as a whole.
fn can_be_exchanged(session: &Session, call: &Call) -> bool {
    !call.is_grpc && call.events.is_none() && !stream::may_be_endless(session, call)
}

/// True if the body is at hand: it was kept, or none of it was read, or pingora still has all of it.
fn has_body(session: &mut Session, call: &Call) -> bool {
    call.stand_in.body.is_some()
        || call.request_bytes == 0
        || (session.is_body_done() && !session.as_downstream().retry_buffer_truncated())
}

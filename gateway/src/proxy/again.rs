//! Whether an attempt that failed is made again, where, and when.

use std::sync::Arc;
use std::time::Duration;

use egress::{Answer, EgressError};
use filters::delivery::Health;
use filters::delivery::classify::retry_after_ms;
use filters::resilience::{Failure, Subject, Verdict, health_of};
use http::{HeaderMap, StatusCode};
use pingora::proxy::Session;
use pingora::{Error, RetryType};
use pingora_http::RequestHeader;

use super::Proxy;
use super::call::{Call, Route};
use super::fault::{Fault, StreamFailure};
use super::{aim, respond, stream};
use crate::clock;
use crate::metrics::Retried;
use crate::upstream::{Attempt, Wanted};

/// The attempt after the one that failed.
#[derive(Debug)]
pub(crate) struct Next {
    to: To,
    wait: Duration,
}

#[derive(Debug)]
enum To {
    /// Where the last one went.
    Same,
    Chosen(Attempt),
}

impl Next {
    /// At once, and where the last one went: what failed was the connection or the credential, not the target.
    pub(crate) fn same_target() -> Self {
        Self {
            to: To::Same,
            wait: Duration::ZERO,
        }
    }
}

/// Decides after an attempt that ended in `failure`; true if there is to be another, which is in `call.next` then.
/// `is_whole` says that the request can be sent again from its beginning.
pub(super) fn after(proxy: &Proxy, call: &mut Call, request: &RequestHeader, failure: Failure, is_whole: bool) -> bool {
    let left = call.time_left();
    let Some(route) = &mut call.route else {
        return false;
    };
    let Some(resilience) = route.runtime.resilience.as_ref().map(Arc::clone) else {
        return false;
    };
    let Some(rules) = &resilience.rules().retry else {
        return false;
    };
    let method = route.integration.target_method.as_ref().unwrap_or(&request.method);
    let subject = Subject {
        may_repeat: rules.may_repeat(method, &request.headers),
        is_whole,
        attempts: call.upstream.attempts,
        left_ms: i64::try_from(left.as_millis()).unwrap_or(i64::MAX),
    };
    let (scheduled_ms, asked_ms) = match rules.judge(failure, subject, rand::random()) {
        Verdict::Again { scheduled_ms, asked_ms } => (scheduled_ms, asked_ms),
        Verdict::Final => return false,
        Verdict::Exhausted => return skipped(proxy, Retried::Exhausted),
        Verdict::NotRepeatable => return skipped(proxy, Retried::NotRepeatable),
        Verdict::BodyGone => return skipped(proxy, Retried::BodyGone),
        Verdict::Deadline => return skipped(proxy, Retried::Deadline),
    };
    let last = tried(route);
    call.upstream.tried.extend(last.clone());
    let wanted = Wanted {
        tried: &call.upstream.tried,
        ticket: call.ticket,
        key: call.upstream.key,
    };
    let Ok(attempt) = resilience.choose(wanted) else {
        return skipped(proxy, Retried::NoTarget);
    };
    let is_same = last.is_some_and(|last| Arc::ptr_eq(&last, attempt.endpoint()));
    let wait_ms = if is_same { scheduled_ms } else { asked_ms };
    if wait_ms >= subject.left_ms {
        return skipped(proxy, Retried::Deadline);
    }
    if !resilience.may_retry(clock::now_ms()) {
        return skipped(proxy, Retried::Budget);
    }
    proxy.metrics.retried(Retried::Again);
    call.next = Some(Next {
        to: To::Chosen(attempt),
        wait: Duration::from_millis(u64::try_from(wait_ms).unwrap_or_default()),
    });
    true
}

fn tried(route: &Route) -> Option<Arc<crate::upstream::Endpoint>> {
    let attempt = route.aim.as_ref()?.attempt.as_ref()?;
    Some(Arc::clone(attempt.endpoint()))
}

fn skipped(proxy: &Proxy, why: Retried) -> bool {
    proxy.metrics.retried(why);
    false
}

/// Waits until the next attempt is due, and aims it.
///
/// # Errors
/// If the client leaves meanwhile, or there is no path to ask for.
pub(super) async fn take_up(session: &mut Session, call: &mut Call, next: Next) -> Result<(), Fault> {
    let wait = tokio::time::sleep(next.wait);
    if session.is_body_done() {
        tokio::select! {
            biased;
            () = wait => {}
            left = session.downstream_session.read_body_or_idle(true) => return Err(match left {
                Ok(_) => Fault::ClientGone,
                Err(error) => stream::client_fault(error, call),
            }),
        }
    } else {
        wait.await;
    }
    match next.to {
        To::Same => Ok(()),
        To::Chosen(attempt) => aim::at(call, session.req_header(), attempt),
    }
}

/// The failure in an answer that came whole.
pub(super) fn of_status(status: StatusCode, headers: &HeaderMap) -> Failure {
    Failure::Status {
        status: status.as_u16(),
        retry_after_ms: retry_after_ms(headers, clock::now_ms()),
    }
}

/// The failure of an exchange; `None` if another attempt would come to the same.
pub(super) fn of_fault(fault: &Fault) -> Option<Failure> {
    match fault {
        Fault::Egress(EgressError::Refused { .. }) => None,
        Fault::Egress(error) if !error.may_have_been_sent() => Some(Failure::Unsent),
        Fault::Egress(EgressError::FirstByteTimeout { .. } | EgressError::Protocol { .. }) => Some(Failure::Unanswered),
        Fault::Stream(StreamFailure::Connect(_) | StreamFailure::ConnectTimeout | StreamFailure::Tls(_)) => {
            Some(Failure::Unsent)
        }
        Fault::Stream(StreamFailure::Timeout | StreamFailure::Answer(_)) => Some(Failure::Unanswered),
        _ => None,
    }
}

/// What a fault says of the target.
pub(super) fn health_of_fault(fault: &Fault) -> Health {
    match fault {
        Fault::Egress(EgressError::Refused { .. }) => Health::Unknown,
        Fault::Egress(_) | Fault::Stream(_) => Health::Bad,
        _ => Health::Unknown,
    }
}

/// Looks at the head of a streamed answer before anything of it is passed on; true if it is not to be, as the call is made
/// again.
///
/// # Errors
/// If the client is to get something else.
pub(super) fn on_answer(
    proxy: &Proxy,
    session: &Session,
    call: &mut Call,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<bool, Fault> {
    let has_rules = call
        .route
        .as_ref()
        .is_some_and(|route| route.runtime.resilience.is_some());
    let is_final = !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS;
    if !has_rules || !is_final {
        return Ok(false);
    }
    call.settle(health_of(status.as_u16()));
    let is_whole = !session.as_downstream().retry_buffer_truncated();
    if after(proxy, call, session.req_header(), of_status(status, headers), is_whole) {
        return Ok(true);
    }
    replaced(call, status)?;
    Ok(false)
}

/// Refuses an answer that the integration has a fallback for.
fn replaced(call: &Call, status: StatusCode) -> Result<(), Fault> {
    let fallback = call.route.as_ref().and_then(Route::fallback);
    if fallback.is_some_and(|fallback| fallback.replaces(status.as_u16())) {
        return Err(Fault::PartnerStatus(status.as_u16()));
    }
    Ok(())
}

/// Decides after a streamed attempt came to nothing before pingora could make it.
pub(super) fn on_fault(proxy: &Proxy, session: &Session, call: &mut Call, fault: &Fault) -> bool {
    call.settle(health_of_fault(fault));
    let is_whole = !session.as_downstream().retry_buffer_truncated();
    of_fault(fault).is_some_and(|failure| after(proxy, call, session.req_header(), failure, is_whole))
}

/// Looks at what came of an attempt on the exchange path; what the client gets, or `None` if the call is made again.
pub(super) fn on_exchanged(
    proxy: &Proxy,
    session: &Session,
    call: &mut Call,
    outcome: Result<Answer, Fault>,
) -> Option<Result<Answer, Fault>> {
    if call
        .route
        .as_ref()
        .is_none_or(|route| route.runtime.resilience.is_none())
    {
        return Some(outcome);
    }
    let failure = match &outcome {
        Ok(answer) => {
            call.settle(health_of(answer.status.as_u16()));
            Some(of_status(answer.status, &answer.headers))
        }
        Err(fault) => {
            call.settle(health_of_fault(fault));
            of_fault(fault)
        }
    };
    let again = failure.is_some_and(|failure| after(proxy, call, session.req_header(), failure, true));
    match outcome {
        Ok(answer) if again => {
            leave(answer);
            None
        }
        Err(_) if again => None,
        Ok(answer) => Some(match replaced(call, answer.status) {
            Ok(()) => Ok(answer),
            Err(fault) => {
                leave(answer);
                Err(fault)
            }
        }),
        Err(fault) => Some(Err(fault)),
    }
}

/// Reads the rest of an answer that nobody wants, if it is short: its connection can be used again then.
fn leave(answer: Answer) {
    if answer.remaining().is_some_and(|rest| rest <= MOST_LEFT as u64) {
        tokio::spawn(answer.collect(MOST_LEFT));
    }
}

const MOST_LEFT: usize = 16 * 1024;

/// Decides after pingora could not connect, or an attempt of its broke off. It asks for another peer then.
pub(super) fn on_error(proxy: &Proxy, session: &mut Session, call: &mut Call, error: &Error, reused: bool) -> bool {
    if call.next.is_some() {
        return true;
    }
    if call.fault.is_some() || respond::is_under_way(session) {
        return false;
    }
    let is_whole = !session.as_downstream().retry_buffer_truncated();
    if matches!(error.retry, RetryType::ReusedOnly) && reused && is_whole && !call.upstream.was_stale {
        // The partner closed an idle connection just when it was used. That says nothing of the partner.
        call.upstream.was_stale = true;
        if session.req_header().method.is_idempotent() {
            call.next = Some(Next::same_target());
            return true;
        }
    }
    let fault = stream::fault_of(error, call);
    if matches!(fault, Fault::Stream(StreamFailure::Timeout)) && !session.is_body_done() {
        // The partner waited for a body that the client did not send.
        return false;
    }
    call.settle(health_of_fault(&fault));
    of_fault(&fault).is_some_and(|failure| after(proxy, call, session.req_header(), failure, is_whole))
}

//! The call of the partner: the attempts that it takes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use egress::Answer;
use http::{Request, Uri};
use http_body_util::Full;
use pingora::proxy::Session;

use super::super::call::Call;
use super::super::fault::Fault;
use super::super::forward::{self, Seen};
use super::super::{Proxy, again, aim};
use super::request::Prepared;

/// Calls the partner, more than once if need be, unless the client goes away first.
pub(super) async fn call(
    proxy: &Proxy,
    session: &mut Session,
    call: &mut Call,
    prepared: &Prepared,
    seen: &Seen,
) -> Result<Answer, Fault> {
    aim::first(call, session.req_header())?;
    loop {
        let outcome = attempt(session, call, prepared, seen).await;
        if !again::on_exchanged(proxy, session, call, &outcome) {
            return outcome;
        }
        if let Ok(answer) = outcome {
            leave(answer);
        }
        if let Some(next) = call.next.take() {
            again::take_up(session, call, next).await?;
        }
    }
}

/// Reads the rest of an answer that nobody wants, if it is short: its connection can be used again then.
fn leave(answer: Answer) {
    if answer.remaining().is_some_and(|rest| rest <= MOST_LEFT as u64) {
        tokio::spawn(answer.collect(MOST_LEFT));
    }
}

const MOST_LEFT: usize = 16 * 1024;

/// One attempt.
async fn attempt(session: &mut Session, call: &mut Call, prepared: &Prepared, seen: &Seen) -> Result<Answer, Fault> {
    let request = request(call, prepared, seen)?;
    let timeouts = call.timeouts();
    let left = call.time_left();
    let Some(route) = &call.route else {
        return Err(Fault::Internal("no route on the exchange path".to_owned()));
    };
    let pool = route.aim()?.target.pool();
    let timeouts = egress::Timeouts {
        connect: Duration::from_millis(timeouts.connect_ms),
        first_byte: Duration::from_millis(timeouts.first_byte_ms),
        total: left,
    };
    call.upstream.attempts += 1;
    let called = *call.upstream.called.get_or_insert_with(Instant::now);
    let answer = tokio::select! {
        biased;
        answer = pool.send(request, timeouts) => answer.map_err(Fault::Egress)?,
        _ = session.downstream_session.read_body_or_idle(true) => return Err(Fault::ClientGone),
    };
    call.upstream.answered = Some(called.elapsed());
    Ok(answer)
}

/// The request of one attempt: with the target's name and the credentials for it.
fn request(call: &Call, prepared: &Prepared, seen: &Seen) -> Result<Request<Full<Bytes>>, Fault> {
    let (Some(route), Some(identity)) = (&call.route, &call.identity) else {
        return Err(Fault::Internal("no route on the exchange path".to_owned()));
    };
    let aim = route.aim()?;
    let mut headers = prepared.headers.clone();
    let authority = aim.target.upstream.target().authority();
    forward::to_partner(&mut headers, route, authority, identity, seen);
    let mut request = Request::new(Full::new(prepared.body.clone()));
    *request.method_mut() = prepared.method.clone();
    *request.uri_mut() = Uri::from(aim.path_and_query.clone());
    *request.headers_mut() = headers;
    Ok(request)
}

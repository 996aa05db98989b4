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
use super::request::Prepared;

/// Calls the partner, unless the client goes away first.
pub(super) async fn call(
    session: &mut Session,
    call: &mut Call,
    prepared: &Prepared,
    seen: &Seen,
) -> Result<Answer, Fault> {
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
    let called = *call.upstream.called.insert(Instant::now());
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
    forward::to_partner(&mut headers, &route.integration, authority, identity, seen);
    let mut request = Request::new(Full::new(prepared.body.clone()));
    *request.method_mut() = prepared.method.clone();
    *request.uri_mut() = Uri::from(aim.path_and_query.clone());
    *request.headers_mut() = headers;
    Ok(request)
}

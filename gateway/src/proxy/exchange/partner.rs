//! The call of the partner: the attempts that it takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use egress::{Answer, Pool, TokenSource};
use http::{Request, Uri};
use http_body_util::Full;
use pingora::proxy::Session;

use super::super::call::Call;
use super::super::fault::Fault;
use super::super::forward::{self, Seen};
use super::super::{Proxy, again, aim};
use super::request::Prepared;
use crate::sign_in::{self, CallFault};

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
        if let Some(settled) = again::on_exchanged(proxy, session, call, outcome) {
            return settled;
        }
        if let Some(next) = call.next.take() {
            again::take_up(session, call, next).await?;
        }
    }
}

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
    let token = route.runtime.token.as_ref();
    // A repeat is to find the answer, even if this client does not wait for it.
    let goes_on = call.turn.is_some();
    let answer = tokio::select! {
        biased;
        answer = send(pool, request, token, timeouts) => answer?,
        _ = session.downstream_session.read_body_or_idle(true), if !goes_on => return Err(Fault::ClientGone),
    };
    call.upstream.answered = Some(called.elapsed());
    call.upstream.connected = Some(answer.connected.into_std().saturating_duration_since(called));
    call.upstream.status = Some(answer.status);
    Ok(answer)
}

/// One attempt that no client waits for.
pub(in crate::proxy) async fn once(call: &mut Call, prepared: &Prepared, seen: &Seen) -> Result<Answer, Fault> {
    let request = request(call, prepared, seen)?;
    let timeouts = call.timeouts();
    let left = call.time_left();
    let Some(route) = &call.route else {
        return Err(Fault::Internal("no route on the exchange path".to_owned()));
    };
    let timeouts = egress::Timeouts {
        connect: Duration::from_millis(timeouts.connect_ms),
        first_byte: Duration::from_millis(timeouts.first_byte_ms),
        total: left,
    };
    call.upstream.attempts += 1;
    send(
        route.aim()?.target.pool(),
        request,
        route.runtime.token.as_ref(),
        timeouts,
    )
    .await
}

async fn send(
    pool: &Pool,
    request: Request<Full<Bytes>>,
    token: Option<&Arc<TokenSource>>,
    timeouts: egress::Timeouts,
) -> Result<Answer, Fault> {
    match token {
        None => pool.send(request, timeouts).await.map_err(Fault::Egress),
        Some(source) => {
            let sent = Box::pin(sign_in::send(pool, request.map(Into::into), source, timeouts));
            sent.await.map_err(|fault| match fault {
                CallFault::Token(error) => Fault::SignIn(error),
                CallFault::Egress(error) => Fault::Egress(error),
            })
        }
    }
}

/// The request of one attempt: with the target's name and the credentials for it.
fn request(call: &Call, prepared: &Prepared, seen: &Seen) -> Result<Request<Full<Bytes>>, Fault> {
    let (Some(route), Some(identity)) = (&call.route, &call.identity) else {
        return Err(Fault::Internal("no route on the exchange path".to_owned()));
    };
    let aim = route.aim()?;
    let mut headers = prepared.headers.clone();
    let authority = aim.target.upstream.target().authority();
    forward::to_partner(&mut headers, route, authority, identity, seen.clone());
    let mut request = Request::new(prepared.body.clone());
    *request.method_mut() = prepared.method.clone();
    *request.uri_mut() = Uri::from(aim.path_and_query.clone());
    *request.headers_mut() = headers;
    if let Some(signer) = &route.integration.outgoing.signature {
        sign_in::sign(signer, &mut request, authority).map_err(Fault::Unsigned)?;
    }
    Ok(request.map(Full::new))
}

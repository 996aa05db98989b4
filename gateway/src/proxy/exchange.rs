//! The exchange path: read the whole request, transform it, call the partner, transform the answer, send it.

mod answer;
mod cached;
pub(super) mod partner;
mod repeat;
pub(super) mod request;
mod side;

use pingora::proxy::Session;

use super::Proxy;
use super::admit::{credential, input};
use super::body;
use super::call::Call;
use super::fault::Fault;
use super::forward::Seen;
use super::kept;
use super::letter;
use super::stand_in;

/// Carries one request to its end.
///
/// # Errors
/// Why the client has to be told of a fault; nothing was written to it then.
pub(super) async fn run(proxy: &Proxy, session: &mut Session, call: &mut Call, seen: &Seen) -> Result<(), Fault> {
    let Some(route) = &call.route else {
        return Err(Fault::Internal("no route on the exchange path".to_owned()));
    };
    let most = route.integration.body_limits.request_bytes;
    if route.integration.web.is_some() && cached::answered(proxy, session, call).await? {
        return Ok(());
    }
    let mut room = proxy.shedding.room();
    let mut held = 0;
    let body = match call.stand_in.take_body() {
        Some(body) => body,
        None => {
            body::read(session, call, most, |bytes| {
                let more = bytes - std::mem::replace(&mut held, bytes);
                room.take(more).map_err(Fault::Shed)
            })
            .await?
        }
    };
    call.stand_in.note_body(&body);
    call.room = Some(room);
    kept::request(proxy, call, &session.req_header().headers, &body);
    if let Some(route) = &call.route {
        credential::check_body(route, &body)?;
        input::check_body(route, &session.req_header().headers, &body)?;
    }
    if repeat::answered(proxy, session, call, &body).await? {
        return Ok(());
    }
    letter::keep_body(call, session.req_header(), &body);
    let prepared = request::prepare(&proxy.scripts, session.req_header(), call, body).await?;
    let outcome = partner::call(proxy, session, call, &prepared, seen).await;
    if let Ok(answer) = &outcome
        && stand_in::replaces(session, call, answer.status)
    {
        return Err(Fault::PartnerStatus(answer.status.as_u16()));
    }
    if call.filling.is_some() && cached::stands_in(proxy, session, call, &outcome).await? {
        return Ok(());
    }
    answer::deliver(proxy, session, call, outcome?).await
}

//! What the client gets of the partner's answer.

use bytes::Bytes;
use egress::Answer;
use filters::plan::Mode;
use http::response;
use http::{HeaderMap, HeaderValue, Method, Response, Version, header};
use pingora::proxy::Session;
use pingora_http::ResponseHeader;

use super::super::admit::input;
use super::super::call::Call;
use super::super::compress::Encoder;
use super::super::fault::Fault;
use super::super::{Proxy, forward, kept, respond, secure, stream, web};
use super::cached::Saving;
use super::repeat;
use super::side::{self, Changed, Side, is_encoded};

/// Passes the answer on: transformed as a whole, or piece by piece as it comes.
#[expect(
    clippy::too_many_lines,
    reason = "each step of an answer in the order in which it is taken, and none can be left out"
)]
pub(super) async fn deliver(
    proxy: &Proxy,
    session: &mut Session,
    call: &mut Call,
    mut answer: Answer,
) -> Result<(), Fault> {
    let own_status = answer.status;
    if let Some(statuses) = call
        .route
        .as_ref()
        .and_then(|route| route.integration.statuses.as_ref())
    {
        answer.status = statuses.of(own_status);
    }
    web::check_replaced(session.req_header(), answer.status, call)?;
    let mut saving = Saving::of(call, &answer);
    let Some(route) = &call.route else {
        return Err(Fault::Internal("no route on the exchange path".to_owned()));
    };
    let integration = &*route.integration;
    let transform = match &integration.mode {
        Mode::Exchange {
            response: Some(transform),
            ..
        } if answer.status.is_success() || integration.transforms_errors => Some(transform),
        _ => None,
    };
    let no_body = session.req_header().method == Method::HEAD || respond::has_no_body(answer.status);
    let is_checked = !no_body && input::check_answer_head(route, own_status, &answer.headers)?;
    let is_whole = transform.is_some() || is_checked || call.turn.is_some();
    if !is_whole {
        return pass_on(proxy, session, call, answer, saving).await;
    }
    proxy.close_if_stopping(session);
    let mut head = answer_head(&answer, call);
    if no_body {
        repeat::keep(call, &head, &Bytes::new());
        return respond::send(session, call, head, Bytes::new())
            .await
            .map_err(|error| stream::client_fault(error, call));
    }
    let is_read = transform.is_some() || is_checked;
    if is_read && is_encoded(&answer.headers) {
        return Err(Fault::AnswerEncoded);
    }
    let side = transform.map(|transform| Side::response(&proxy.scripts, transform, route, &answer, own_status));
    let most = usize::try_from(integration.body_limits.response_bytes).unwrap_or(usize::MAX);
    let (is_success, fields) = (answer.status.is_success(), answer.headers.clone());
    let mut body = match answer.collect(most).await {
        Ok(body) => body,
        Err(error) => {
            repeat::keep_nothing(call, &error);
            return Err(Fault::Egress(error));
        }
    };
    kept::answer(proxy, call, &fields, &body);
    if is_checked {
        input::check_answer(route, own_status, &fields, &body)?;
    }
    if let Some(side) = side {
        match side.changed(&proxy.scripts, body.clone()).await {
            Ok(changed) => {
                head = rewritten(head, &changed);
                saving = saving.map(|saving| saving.with_head(|head| rewritten(head, &changed)));
                body = changed.body;
            }
            // Errors come in whatever form their maker has for them.
            Err(fault) if !is_success && side::is_unreadable(&fault) => {}
            Err(fault) => return Err(fault),
        }
    }
    repeat::keep(call, &head, &body);
    if let Some(saving) = saving.and_then(|saving| saving.add(&body)) {
        saving.finish();
    }
    send_whole(session, call, head, body).await
}

/// Sends an answer whose body is known.
pub(super) async fn send_whole(
    session: &mut Session,
    call: &mut Call,
    mut head: ResponseHeader,
    mut body: Bytes,
) -> Result<(), Fault> {
    if let Some(encoder) = Encoder::of(session, call, &mut head, Some(body.len() as u64))? {
        body = encoder.whole(&body)?;
    }
    head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(body.len()))
        .map_err(internal)?;
    respond::send(session, call, head, body)
        .await
        .map_err(|error| stream::client_fault(error, call))
}

async fn pass_on(
    proxy: &Proxy,
    session: &mut Session,
    call: &mut Call,
    mut answer: Answer,
    saving: Option<Saving>,
) -> Result<(), Fault> {
    proxy.close_if_stopping(session);
    let mut head = answer_head(&answer, call);
    let no_body = session.req_header().method == Method::HEAD || respond::has_no_body(answer.status);
    // Where both are there, the coding says where the body ends (RFC 9112 section 6.3).
    let is_chunked = answer.headers.contains_key(header::TRANSFER_ENCODING);
    let length = answer.remaining().filter(|_| !is_chunked);
    let mut encoder = match no_body {
        true => None,
        false => Encoder::of(session, call, &mut head, length)?,
    };
    if let Some(length) = answer
        .headers
        .get(header::CONTENT_LENGTH)
        .filter(|_| answer.status != 204 && !is_chunked && encoder.is_none())
    {
        head.insert_header(header::CONTENT_LENGTH, length.clone())
            .map_err(internal)?;
    } else if session.req_header().version == Version::HTTP_10 {
        // The end of the connection is the end of the body.
        session.set_keepalive(None);
    } else if !no_body {
        head.insert_header(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"))
            .map_err(internal)?;
    }
    session
        .write_response_header(Box::new(head), no_body)
        .await
        .map_err(|error| stream::client_fault(error, call))?;
    if no_body {
        return Ok(());
    }
    let mut copy = kept::wanted(proxy, call, &answer.headers);
    let passed = pieces(
        session,
        call,
        &mut answer,
        (copy.as_deref_mut(), saving),
        encoder.as_mut(),
    )
    .await;
    kept::keep_answer(call, copy);
    if let Some(saving) = passed? {
        saving.finish();
    }
    let rest = encoder.map(Encoder::end).transpose()?;
    session
        .write_response_body(rest, true)
        .await
        .map_err(|error| stream::client_fault(error, call))
}

/// Passes the pieces of a body on, and adds them to what is kept of it.
async fn pieces(
    session: &mut Session,
    call: &mut Call,
    answer: &mut Answer,
    (mut copy, mut saving): (Option<&mut kept::Piece>, Option<Saving>),
    mut encoder: Option<&mut Encoder>,
) -> Result<Option<Saving>, Fault> {
    while let Some(chunk) = answer.chunk().await {
        let chunk = chunk.map_err(Fault::Egress)?;
        if let Some(copy) = copy.as_deref_mut() {
            copy.add(&chunk);
        }
        saving = saving.and_then(|saving| saving.add(&chunk));
        let chunk = match encoder.as_deref_mut() {
            Some(encoder) if !chunk.is_empty() => encoder.piece(&chunk)?,
            _ => chunk,
        };
        call.response_bytes += chunk.len() as u64;
        let written = session.write_response_body(Some(chunk), false).await;
        written.map_err(|error| stream::client_fault(error, call))?;
    }
    Ok(saving)
}

/// The head of an answer whose body was transformed.
fn rewritten(head: ResponseHeader, changed: &Changed) -> ResponseHeader {
    let Changed {
        content_type, edits, ..
    } = changed;
    let mut parts = response::Parts::from(head);
    parts.headers.insert(header::CONTENT_TYPE, content_type.clone());
    if changed.is_new {
        side::forget_bytes(&mut parts.headers);
    }
    // What described the partner's bytes does not describe ours.
    for name in [header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES] {
        parts.headers.remove(&name);
    }
    side::edit(&mut parts.headers, edits);
    if let Some(status) = edits.status {
        parts.status = status;
    }
    ResponseHeader::from(parts)
}

fn internal(error: Box<pingora::Error>) -> Fault {
    Fault::Internal(error.to_string())
}

/// The head of the client's answer: the partner's fields, and what the gateway says of the request.
fn answer_head(answer: &Answer, call: &Call) -> ResponseHeader {
    let mut parts = response::Parts::from(plain_head(answer));
    own_fields(&mut parts.headers, call);
    ResponseHeader::from(parts)
}

/// The partner's fields without those of its connection.
pub(super) fn plain_head(answer: &Answer) -> ResponseHeader {
    let mut head = Response::new(()).into_parts().0;
    head.status = answer.status;
    head.headers.reserve(answer.headers.len() + 6);
    let drops = [header::CONTENT_LENGTH, header::SERVER];
    let stays = forward::hop_by_hop(&answer.headers);
    for (name, value) in &answer.headers {
        if !drops.contains(name) && !stays.contains(name) {
            head.headers.append(name, value.clone());
        }
    }
    ResponseHeader::from(head)
}

/// Adds what the gateway says of the request, and edits the fields.
pub(super) fn own_fields(fields: &mut HeaderMap, call: &Call) {
    respond::stamp(fields, call.identity.as_ref());
    stream::add_limits(fields, call);
    secure::tell(fields, call);
    web::edit_answer(fields, call);
    web::tell_browser(fields, call);
}

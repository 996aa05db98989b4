//! What the client gets of the partner's answer.

use bytes::Bytes;
use egress::Answer;
use filters::plan::Mode;
use filters::transform::Edits;
use http::response;
use http::{HeaderValue, Method, Response, Version, header};
use pingora::proxy::Session;
use pingora_http::ResponseHeader;

use super::super::admit::input;
use super::super::call::Call;
use super::super::compress::Encoder;
use super::super::fault::Fault;
use super::super::{Proxy, forward, kept, respond, secure, stream, web};
use super::repeat;
use super::side::{self, Side, is_encoded};

/// Passes the answer on: transformed as a whole, or piece by piece as it comes.
pub(super) async fn deliver(
    proxy: &Proxy,
    session: &mut Session,
    call: &mut Call,
    mut answer: Answer,
) -> Result<(), Fault> {
    let Some(route) = &call.route else {
        return Err(Fault::Internal("no route on the exchange path".to_owned()));
    };
    let integration = &*route.integration;
    let own_status = answer.status;
    if let Some(statuses) = &integration.statuses {
        answer.status = statuses.of(own_status);
    }
    web::check_replaced(session.req_header(), answer.status, call)?;
    let transform = match &integration.mode {
        Mode::Exchange {
            response: Some(transform),
            ..
        } if answer.status.is_success() || integration.transforms_errors => Some(transform),
        _ => None,
    };
    let no_body = session.req_header().method == Method::HEAD || respond::has_no_body(answer.status);
    let is_checked = !no_body && input::check_answer_head(route, own_status, &answer.headers)?;
    if transform.is_none() && !is_checked && call.turn.is_none() {
        return pass_on(proxy, session, call, answer).await;
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
    let side = transform.map(|transform| Side::response(proxy, transform, route, &answer, own_status));
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
        match side.changed(proxy, body.clone()).await {
            Ok(changed) => {
                body = changed.body;
                head = rewritten(head, changed.content_type, &changed.edits);
            }
            // Errors come in whatever form their maker has for them.
            Err(fault) if !is_success && side::is_unreadable(&fault) => {}
            Err(fault) => return Err(fault),
        }
    }
    head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(body.len()))
        .map_err(internal)?;
    repeat::keep(call, &head, &body);
    if let Some(encoder) = Encoder::of(session, call, &mut head, Some(body.len() as u64))? {
        body = encoder.whole(&body)?;
        head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(body.len()))
            .map_err(internal)?;
    }
    respond::send(session, call, head, body)
        .await
        .map_err(|error| stream::client_fault(error, call))
}

async fn pass_on(proxy: &Proxy, session: &mut Session, call: &mut Call, mut answer: Answer) -> Result<(), Fault> {
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
    let passed = pieces(session, call, &mut answer, copy.as_deref_mut(), encoder.as_mut()).await;
    kept::keep_answer(call, copy);
    passed?;
    let rest = encoder.map(Encoder::end).transpose()?;
    session
        .write_response_body(rest, true)
        .await
        .map_err(|error| stream::client_fault(error, call))
}

/// Passes the pieces of a body on, and adds them to `copy`.
async fn pieces(
    session: &mut Session,
    call: &mut Call,
    answer: &mut Answer,
    mut copy: Option<&mut kept::Piece>,
    mut encoder: Option<&mut Encoder>,
) -> Result<(), Fault> {
    while let Some(chunk) = answer.chunk().await {
        let chunk = chunk.map_err(Fault::Egress)?;
        if let Some(copy) = copy.as_deref_mut() {
            copy.add(&chunk);
        }
        let chunk = match encoder.as_deref_mut() {
            Some(encoder) if !chunk.is_empty() => encoder.piece(&chunk)?,
            _ => chunk,
        };
        call.response_bytes += chunk.len() as u64;
        let written = session.write_response_body(Some(chunk), false).await;
        written.map_err(|error| stream::client_fault(error, call))?;
    }
    Ok(())
}

/// The head of an answer whose body was transformed.
fn rewritten(head: ResponseHeader, content_type: HeaderValue, edits: &Edits) -> ResponseHeader {
    let mut parts = response::Parts::from(head);
    parts.headers.insert(header::CONTENT_TYPE, content_type);
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

/// The head of the client's answer: the partner's fields without those of its connection.
fn answer_head(answer: &Answer, call: &Call) -> ResponseHeader {
    let mut head = Response::new(()).into_parts().0;
    head.status = answer.status;
    head.headers.reserve(answer.headers.len() + 6);
    let drops = [header::CONTENT_LENGTH, header::SERVER];
    for (name, value) in &answer.headers {
        if !drops.contains(name) && !forward::is_hop_by_hop(name, &answer.headers) {
            head.headers.append(name, value.clone());
        }
    }
    respond::stamp(&mut head.headers, call.identity.as_ref());
    stream::add_limits(&mut head.headers, call);
    secure::tell(&mut head.headers, call);
    web::edit_answer(&mut head.headers, call);
    web::tell_browser(&mut head.headers, call);
    ResponseHeader::from(head)
}

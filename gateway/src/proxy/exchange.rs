//! The exchange path: read the whole request, transform it, call the partner, transform the answer, send it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use egress::Answer;
use filters::plan::{Integration, Mode, Transform};
use filters::script::ScriptContext;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version, header};
use http_body_util::Full;
use pingora::proxy::Session;
use pingora_http::ResponseHeader;

use super::Proxy;
use super::call::{Call, Route};
use super::fault::Fault;
use super::forward::{self, Seen};
use super::{body, respond, stream};

/// Carries one request to its end.
///
/// # Errors
/// Why the client has to be told of a fault; nothing was written to it then.
pub(super) async fn run(proxy: &Proxy, session: &mut Session, call: &mut Call, seen: &Seen) -> Result<(), Fault> {
    let Some(route) = &call.route else {
        return Err(Fault::Internal("no route on the exchange path".to_owned()));
    };
    let most = route.integration.body_limits.request_bytes;
    let body = body::read(session, call, most, |_| Ok(())).await?;
    let request = request(proxy, session, call, seen, body).await?;
    let answer = call_partner(session, call, request).await?;
    deliver(proxy, session, call, answer).await
}

/// Makes the partner's request.
async fn request(
    proxy: &Proxy,
    session: &Session,
    call: &Call,
    seen: &Seen,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, Fault> {
    let (Some(route), Some(identity)) = (&call.route, &call.identity) else {
        return Err(Fault::Internal("no route on the exchange path".to_owned()));
    };
    let integration = &*route.integration;
    let client = session.req_header();
    let method = integration
        .target_method
        .clone()
        .unwrap_or_else(|| client.method.clone());
    let mut headers = HeaderMap::with_capacity(client.headers.len() + 8);
    for (name, value) in &client.headers {
        let drops = [header::CONTENT_LENGTH, header::EXPECT];
        if !drops.contains(name) && !forward::is_hop_by_hop(name, &client.headers) {
            headers.append(name, value.clone());
        }
    }
    let Mode::Exchange { request, response } = &integration.mode else {
        return Err(Fault::Internal("a streaming route on the exchange path".to_owned()));
    };
    let has_body = !body.is_empty() || !matches!(method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS);
    let body = match request {
        Some(transform) if has_body => {
            if is_encoded(&headers) {
                return Err(Fault::BodyEncoded);
            }
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            transformed(
                proxy,
                transform,
                body,
                &Side::request(route, &client.headers, client.uri.query()),
            )
            .await?
        }
        _ => body,
    };
    if response.is_some() {
        // The answer has to be read here.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    let authority = route.target.upstream.target().authority();
    forward::to_partner(&mut headers, integration, authority, identity, seen);
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(route.path_and_query.clone());
    *request.headers_mut() = headers;
    Ok(request)
}

/// Calls the partner, unless the client goes away first.
async fn call_partner(session: &mut Session, call: &mut Call, request: Request<Full<Bytes>>) -> Result<Answer, Fault> {
    let timeouts = call.timeouts();
    let left = call.time_left();
    let Some(route) = &call.route else {
        return Err(Fault::Internal("no route on the exchange path".to_owned()));
    };
    let pool = route.target.pool();
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

/// Passes the answer on: transformed as a whole, or piece by piece as it comes.
async fn deliver(proxy: &Proxy, session: &mut Session, call: &mut Call, answer: Answer) -> Result<(), Fault> {
    let Some(route) = &call.route else {
        return Err(Fault::Internal("no route on the exchange path".to_owned()));
    };
    let integration = &*route.integration;
    let transform = match &integration.mode {
        Mode::Exchange {
            response: Some(transform),
            ..
        } if answer.status.is_success() => transform,
        _ => return pass_on(proxy, session, call, answer).await,
    };
    proxy.close_if_stopping(session);
    let mut head = answer_head(&answer, call);
    if session.req_header().method == Method::HEAD || respond::has_no_body(answer.status) {
        return respond::send(session, call, head, Bytes::new())
            .await
            .map_err(|error| stream::client_fault(error, call));
    }
    if is_encoded(&answer.headers) {
        return Err(Fault::AnswerEncoded);
    }
    let side = Side::response(route, &answer);
    let most = usize::try_from(integration.body_limits.response_bytes).unwrap_or(usize::MAX);
    let body = answer.collect(most).await.map_err(Fault::Egress)?;
    let body = transformed(proxy, transform, body, &side).await?;
    let typed = head
        .insert_header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .and_then(|()| head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(body.len())));
    typed.map_err(internal)?;
    // What described the partner's bytes does not describe ours.
    for name in [header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES] {
        head.remove_header(&name);
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
    if let Some(length) = answer
        .headers
        .get(header::CONTENT_LENGTH)
        .filter(|_| answer.status != 204 && !is_chunked)
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
    while let Some(chunk) = answer.chunk().await {
        let chunk = chunk.map_err(Fault::Egress)?;
        call.response_bytes += chunk.len() as u64;
        let written = session.write_response_body(Some(chunk), false).await;
        written.map_err(|error| stream::client_fault(error, call))?;
    }
    session
        .write_response_body(None, true)
        .await
        .map_err(|error| stream::client_fault(error, call))
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
    ResponseHeader::from(head)
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// One direction of a transformation.
struct Side {
    name: &'static str,
    context: ScriptContext,
    is_request: bool,
}

impl Side {
    fn request(route: &Route, headers: &HeaderMap, query: Option<&str>) -> Self {
        let integration = &*route.integration;
        let mut context = base_context(integration, route);
        context.headers = shown_headers(headers, integration);
        context.query = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .filter(|(name, _)| Some(name.as_ref()) != integration.inbound.query_parameter())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Self {
            name: "request",
            context,
            is_request: true,
        }
    }

    fn response(route: &Route, answer: &Answer) -> Self {
        let integration = &*route.integration;
        let mut context = base_context(integration, route);
        context.headers = shown_headers(&answer.headers, integration);
        context.status = Some(answer.status.as_u16());
        Self {
            name: "response",
            context,
            is_request: false,
        }
    }
}

fn base_context(integration: &Integration, route: &Route) -> ScriptContext {
    ScriptContext {
        org_id: integration.source.org_id,
        integration_id: integration.id.to_string(),
        params: route.params.iter().cloned().collect(),
        now: crate::clock::now_rfc3339(),
        ..ScriptContext::default()
    }
}

/// The fields that a script may see: no credentials, whoever's they are.
fn shown_headers(headers: &HeaderMap, integration: &Integration) -> std::collections::BTreeMap<String, String> {
    let hidden = [
        header::AUTHORIZATION,
        header::PROXY_AUTHORIZATION,
        header::COOKIE,
        header::SET_COOKIE,
    ];
    headers
        .iter()
        .filter(|(name, _)| !hidden.contains(name) && integration.inbound.header() != Some(name))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}

async fn transformed(proxy: &Proxy, transform: &Transform, body: Bytes, side: &Side) -> Result<Bytes, Fault> {
    match transform {
        Transform::Mapping(mapping) => {
            let mapped = if body.len() > LARGE_BODY {
                // Milliseconds of work: the other requests of this thread go on elsewhere meanwhile.
                tokio::task::block_in_place(|| mapping.apply(&body))
            } else {
                mapping.apply(&body)
            };
            match mapped {
                Ok(mapped) => Ok(mapped.into()),
                Err(fault) if side.is_request => Err(Fault::RequestMapping(fault)),
                Err(fault) => Err(Fault::ResponseMapping(fault)),
            }
        }
        Transform::Script(script) => {
            let run = proxy.scripts.run(script.clone(), body, side.context.clone()).await;
            run.map(Bytes::from).map_err(|fault| Fault::Script(side.name, fault))
        }
    }
}

/// Bytes of a body from which on mapping it is worth moving the other requests of the thread away.
const LARGE_BODY: usize = 64 * 1024;

//! The partner's request, as far as it is the same for every attempt: method, fields of the client, body.

use std::sync::Arc;

use bytes::Bytes;
use filters::plan::Mode;
use http::{HeaderMap, HeaderValue, Method, header};
use pingora_http::RequestHeader;

use super::super::admit::input;
use super::super::call::Call;
use super::super::fault::Fault;
use super::super::forward;
use super::side::{self, Side, is_encoded};
use crate::scripts::ScriptPool;

/// A request that is ready to be sent, but for what depends on where it goes.
pub(in crate::proxy) struct Prepared {
    pub(in crate::proxy) method: Method,
    /// The client's fields, without those of its connection.
    pub(in crate::proxy) headers: HeaderMap,
    pub(in crate::proxy) body: Bytes,
}

/// Makes the partner's request of the client's.
pub(in crate::proxy) async fn prepare(
    scripts: &ScriptPool,
    client: &RequestHeader,
    call: &mut Call,
    body: Bytes,
) -> Result<Prepared, Fault> {
    let Some(route) = &mut call.route else {
        return Err(Fault::Internal("no route on the exchange path".to_owned()));
    };
    let integration = Arc::clone(&route.integration);
    let method = integration
        .target_method
        .clone()
        .unwrap_or_else(|| client.method.clone());
    let mut headers = HeaderMap::with_capacity(client.headers.len() + 8);
    let stays = forward::hop_by_hop(&client.headers);
    for (name, value) in &client.headers {
        let drops = [header::CONTENT_LENGTH, header::EXPECT];
        if !drops.contains(name) && !stays.contains(name) {
            headers.append(name, value.clone());
        }
    }
    let (request, response) = match &integration.mode {
        Mode::Exchange { request, response } => (request.as_ref(), response.as_ref()),
        // Only its answer is of interest.
        Mode::Stream => (None, None),
    };
    let has_body = !body.is_empty() || !matches!(method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS);
    let mut changes = None;
    let body = match request {
        Some(transform) if has_body || transform.edits_around() => {
            if is_encoded(&headers) {
                return Err(Fault::BodyEncoded);
            }
            let side = Side::request(scripts, transform, route, &client.headers, client.uri.query());
            let changed = side.changed(scripts, body).await?;
            if changed.is_new {
                side::forget_bytes(&mut headers);
            }
            if !changed.edits.is_empty() {
                side::edit(&mut headers, &changed.edits);
                changes = Some(Box::new(changed.edits));
            }
            if has_body {
                headers.insert(header::CONTENT_TYPE, changed.content_type);
                changed.body
            } else {
                Bytes::new()
            }
        }
        _ => body,
    };
    if response.is_some() || input::looks_at_answers(route) || call.filling.is_some() {
        // The answer has to be read here, and whole.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for name in [header::RANGE, header::IF_RANGE] {
            headers.remove(&name);
        }
    }
    if call.filling.is_some() {
        // A whole answer is to be kept, whatever this client has already.
        for name in [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE] {
            headers.remove(&name);
        }
    }
    route.edits = changes;
    Ok(Prepared { method, headers, body })
}

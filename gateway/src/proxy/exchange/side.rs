//! One direction of a transformation: what a script may see, and the run itself.

use bytes::Bytes;
use egress::Answer;
use filters::plan::{Integration, Transform};
use filters::script::ScriptContext;
use http::{HeaderMap, header};

use super::super::Proxy;
use super::super::call::Route;
use super::super::fault::Fault;

/// One direction of a transformation.
pub(super) struct Side {
    name: &'static str,
    context: ScriptContext,
    is_request: bool,
}

impl Side {
    pub(super) fn request(route: &Route, headers: &HeaderMap, query: Option<&str>) -> Self {
        let integration = &*route.integration;
        let mut context = base_context(integration, route);
        context.headers = shown_headers(headers, integration);
        context.query = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .filter(|(name, _)| integration.inbound.query_parameters().all(|own| own != name))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Self {
            name: "request",
            context,
            is_request: true,
        }
    }

    pub(super) fn response(route: &Route, answer: &Answer) -> Self {
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
        .filter(|(name, _)| !hidden.contains(name) && !integration.inbound.carries(name))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}

/// Transforms `body`.
pub(super) async fn transformed(
    proxy: &Proxy,
    transform: &Transform,
    body: Bytes,
    side: &Side,
) -> Result<Bytes, Fault> {
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

/// True for a body that cannot be read as it is.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

//! One direction of a transformation: what a table or script may see, and the run itself.

use bytes::Bytes;
use egress::Answer;
use filters::plan::{Change, Integration, Transform};
use filters::script::{CallerContext, ScriptContext};
use filters::transform::{Edits, Mapped, MappingFault};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::super::call::Route;
use super::super::fault::Fault;
use crate::scripts::ScriptPool;

/// One direction of a transformation.
pub(super) struct Side<'t> {
    transform: &'t Transform,
    context: ScriptContext,
    content_type: Option<HeaderValue>,
    is_request: bool,
}

/// What became of a body, and what changes around it.
pub(super) struct Changed {
    pub(super) body: Bytes,
    /// False where it is the body that came.
    pub(super) is_new: bool,
    pub(super) content_type: HeaderValue,
    pub(super) edits: Edits,
}

impl<'t> Side<'t> {
    /// The client's request. What is around the body is noted only where it is asked for.
    pub(super) fn request(
        scripts: &ScriptPool,
        transform: &'t Transform,
        route: &Route,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Self {
        let integration = &*route.integration;
        let mut context = ScriptContext::default();
        if transform.asks_around() {
            context = base_context(scripts, route);
            context.headers = shown_headers(headers, integration);
            context.pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
                .filter(|(name, _)| integration.inbound.query_parameters().all(|own| own != name))
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect();
            context.query = context.pairs.iter().cloned().collect();
        }
        Self {
            transform,
            context,
            content_type: headers.get(header::CONTENT_TYPE).cloned(),
            is_request: true,
        }
    }

    /// The partner's answer, with the status that it came with.
    pub(super) fn response(
        scripts: &ScriptPool,
        transform: &'t Transform,
        route: &Route,
        answer: &Answer,
        status: StatusCode,
    ) -> Self {
        let mut context = ScriptContext::default();
        if transform.asks_around() {
            context = base_context(scripts, route);
            context.headers = shown_headers(&answer.headers, &route.integration);
            context.status = Some(status.as_u16());
        }
        Self {
            transform,
            context,
            content_type: answer.headers.get(header::CONTENT_TYPE).cloned(),
            is_request: false,
        }
    }

    /// Transforms `body`.
    pub(super) async fn changed(&self, scripts: &ScriptPool, body: Bytes) -> Result<Changed, Fault> {
        let content_type = self.transform.content_type();
        if let Change::Script(script) = &self.transform.change {
            let json = self
                .transform
                .json_of(&body, self.content_type.as_ref())
                .map_err(|fault| self.fault(fault.into()))?;
            let input = json.map_or(body, Bytes::from);
            let run = scripts.run(script.clone(), input, self.context.clone()).await;
            let name = if self.is_request { "request" } else { "response" };
            let output = run.map_err(|fault| Fault::Script(name, fault))?;
            let written = self.transform.written(output).map_err(|fault| self.fault(fault))?;
            return Ok(Changed {
                body: written.into(),
                is_new: true,
                content_type,
                edits: Edits::default(),
            });
        }
        let map = || self.transform.map(&body, self.content_type.as_ref(), &self.context);
        let mapped = if body.len() > LARGE_BODY {
            // Milliseconds of work: the other requests of this thread go on elsewhere meanwhile.
            tokio::task::block_in_place(map)
        } else {
            map()
        };
        let Mapped { body: new, edits } = mapped.map_err(|fault| self.fault(fault))?;
        Ok(match new {
            Some(new) => Changed {
                body: new.into(),
                is_new: true,
                content_type,
                edits,
            },
            // What no line writes stays what it is.
            None => Changed {
                body,
                is_new: false,
                content_type: self.content_type.clone().unwrap_or(content_type),
                edits,
            },
        })
    }

    fn fault(&self, fault: MappingFault) -> Fault {
        if self.is_request {
            Fault::RequestMapping(fault)
        } else {
            Fault::ResponseMapping(fault)
        }
    }
}

/// Takes out what described the bytes of a body that is another one now.
pub(super) fn forget_bytes(fields: &mut HeaderMap) {
    for name in &OF_BYTES {
        fields.remove(name);
    }
}

/// Checksums, signatures that cover them, and what part of a whole the bytes are.
static OF_BYTES: [HeaderName; 7] = [
    header::CONTENT_RANGE,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("signature"),
    HeaderName::from_static("signature-input"),
];

/// Changes header fields as a table says.
pub(super) fn edit(fields: &mut HeaderMap, edits: &Edits) {
    for (name, value) in &edits.headers {
        match value {
            Some(value) => drop(fields.insert(name, value.clone())),
            None => drop(fields.remove(name)),
        }
    }
}

/// True if a body cannot be read as what it should be.
pub(super) fn is_unreadable(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::ResponseMapping(MappingFault::NotJson(_) | MappingFault::Format(_))
            | Fault::Script(_, filters::script::ScriptFault::BadInput { .. })
    )
}

fn base_context(scripts: &ScriptPool, route: &Route) -> ScriptContext {
    let source = &route.integration.source;
    ScriptContext {
        org_id: source.org_id,
        tenant_id: source.tenant_id,
        integration_id: route.integration.id.to_string(),
        params: route.params.iter().cloned().collect(),
        now: crate::clock::now_rfc3339(),
        caller: CallerContext {
            name: route.caller.name.clone(),
            claims: route.caller.claims.clone(),
        },
        env: scripts.env().clone(),
        ..ScriptContext::default()
    }
}

/// The fields that a table or script may see: no credentials, whoever's they are.
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

/// Bytes of a body from which on mapping it is worth moving the other requests of the thread away.
const LARGE_BODY: usize = 64 * 1024;

/// True for a body that cannot be read as it is.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

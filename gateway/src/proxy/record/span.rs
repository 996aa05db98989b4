//! The span of a call, for those who trace.

use std::time::Duration;

use filters::plan::Integration;
use http::header;
use pingora::proxy::Session;

use super::super::call::{Call, Identity};
use super::super::fault::Fault;
use super::{origin, path};
use crate::telemetry::{PartnerSpan, Span};

/// The span of a call that is over.
pub(super) fn of(session: &Session, call: &Call, identity: &Identity, status: Option<u16>, duration: Duration) -> Span {
    let request = session.req_header();
    let integration = call.runtime.as_ref().map(|runtime| &*runtime.integration);
    let mut attributes = vec![
        ("http.request.method", request.method.as_str().into()),
        ("url.path", path(session, call).into()),
        ("gateway.request_id", identity.request_id.as_str().into()),
    ];
    let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    attributes.extend(host.map(|host| ("server.address", host.into())));
    attributes.extend(status.map(|status| ("http.response.status_code", u64::from(status).into())));
    attributes.extend(
        call.fault
            .as_ref()
            .map(|fault| ("error.type", Fault::code(fault).into())),
    );
    if let Some(integration) = integration {
        attributes.push(("gateway.integration", (&*integration.id).into()));
        attributes.push(("gateway.org_id", integration.source.org_id.into()));
    }
    Span {
        context: identity.trace,
        name: name(request.method.as_str(), integration),
        began: call.began(),
        took: duration,
        partner: partner(call),
        failed: status.is_none_or(|status| status >= 500),
        attributes,
    }
}

/// Few different names, as the conventions ask for: the integration says which route it is.
fn name(method: &str, integration: Option<&Integration>) -> String {
    match integration {
        Some(integration) => format!("{method} {}", integration.source.kind),
        None => method.to_owned(),
    }
}

fn partner(call: &Call) -> Option<PartnerSpan> {
    let called = call.upstream.called?;
    let aim = call.route.as_ref().and_then(|route| route.aim.as_ref());
    let mut attributes = vec![("gateway.attempts", u64::from(call.upstream.attempts).into())];
    attributes.extend(aim.map(|aim| ("url.full", origin(aim.target.upstream.target()).as_str().into())));
    attributes.extend(
        call.upstream
            .status
            .map(|status| ("http.response.status_code", u64::from(status.as_u16()).into())),
    );
    Some(PartnerSpan {
        after: called.saturating_duration_since(call.started),
        took: call.upstream.answered.unwrap_or_else(|| called.elapsed()),
        attributes,
    })
}

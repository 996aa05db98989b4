//! The end of a request: its metrics and its line in the access log.

use std::time::SystemTime;

use http::header;
use pingora::Error;
use pingora::proxy::Session;

use super::Proxy;
use super::call::Call;
use super::fault::{Counted, Fault};
use super::stream;
use crate::access_log::{AccessRecord, RouteMode, UpstreamRecord};
use crate::metrics::Outcome;

/// Counts the request and writes its line.
pub(super) fn write(proxy: &Proxy, session: &Session, error: Option<&Error>, call: &mut Call) {
    if call.fault.is_none()
        && let Some(error) = error
    {
        call.fault = Some(stream::fault_of(error, call));
    }
    let written = session.response_written().map(|head| head.status.as_u16());
    let status = written.filter(|status| !(100..=199).contains(status) || *status == 101);
    count(proxy, call, status);
    line(proxy, session, call, status);
}

fn count(proxy: &Proxy, call: &Call, status: Option<u16>) {
    let integration = call.runtime.as_ref().map(|runtime| &runtime.metrics);
    let counted = call.fault.as_ref().map(Fault::counted);
    proxy.metrics.finished(match counted {
        None => Outcome::Answered,
        Some(Counted::Refused(reason)) => {
            proxy.metrics.refused(reason);
            Outcome::Refused
        }
        Some(Counted::Failed(why)) => {
            if let Some(integration) = integration {
                integration.failed(why);
            }
            Outcome::Failed
        }
        Some(Counted::Aborted) => Outcome::Aborted,
    });
    if let Some(after) = call.upstream.answered {
        proxy.metrics.upstream_answered(after);
    }
    if let (Some(integration), Some(status)) = (integration, status) {
        integration.answered(status, call.started.elapsed());
    }
}

fn line(proxy: &Proxy, session: &Session, call: &Call, status: Option<u16>) {
    let request = session.req_header();
    let integration = call.runtime.as_ref().map(|runtime| &runtime.integration);
    let duration = call.started.elapsed();
    let reason = call.fault.as_ref().map(ToString::to_string);
    let mode = integration.map(|integration| match integration.mode {
        filters::plan::Mode::Stream => RouteMode::Stream,
        filters::plan::Mode::Exchange { .. } => RouteMode::Exchange,
    });
    proxy.access_log.write(&AccessRecord {
        at: SystemTime::now()
            .checked_sub(duration)
            .unwrap_or(SystemTime::UNIX_EPOCH),
        request_id: call.request_id(),
        trace_id: call
            .identity
            .as_ref()
            .map(|identity| identity.trace.trace_id())
            .unwrap_or_default(),
        client: call.client.or_else(|| super::peer_of(session)),
        method: request.method.as_str(),
        host: request.headers.get(header::HOST).map_or(&[], |host| host.as_bytes()),
        path: call
            .route
            .as_ref()
            .and_then(|route| route.path.as_deref())
            .unwrap_or_else(|| request.uri.path())
            .as_bytes(),
        status,
        code: call.fault.as_ref().map(Fault::code),
        integration: integration.map(|integration| &*integration.id),
        org_id: integration.map(|integration| integration.source.org_id),
        consumer: call.route.as_ref().and_then(|route| route.consumer.as_deref()),
        mode,
        request_bytes: call.request_bytes,
        response_bytes: call.response_bytes,
        duration,
        upstream: call.upstream.called.map(|called| UpstreamRecord {
            address: call.upstream.address,
            duration: call.upstream.answered.unwrap_or_else(|| called.elapsed()),
            attempts: call.upstream.attempts,
        }),
        fault_reason: reason.as_deref(),
    });
}

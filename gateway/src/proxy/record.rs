//! The end of a request: its metrics, its line in the access log, and perhaps a record of it.

mod span;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use filters::model::record::RecordStatus;
use filters::model::secret::MASK;
use filters::model::{ExecutionRecord, RecordContent};
use filters::plan::Integration;
use filters::target::TargetUrl;
use http::{HeaderMap, HeaderName, header};
use pingora::Error;
use pingora::proxy::Session;
use uuid::Uuid;

use super::Proxy;
use super::call::Call;
use super::fault::{Counted, Fault};
use super::kept::Piece;
use super::{stand_in, stream};
use crate::access_log::{AccessRecord, RouteMode, UpstreamRecord};
use crate::metrics::{IntegrationMetrics, Outcome, UpstreamPart};
use crate::records::moment;
use crate::tallies::Went;

/// Counts the request, writes its line, and makes a record if its integration wants one.
pub(super) fn write(proxy: &Proxy, session: &Session, error: Option<&Error>, call: &mut Call) {
    if call.fault.is_none()
        && !call.stand_in.served
        && let Some(error) = error
    {
        call.fault = Some(stream::fault_of(error, call));
    }
    let written = session.response_written().map(|head| head.status.as_u16());
    let status = written.filter(|status| !(100..=199).contains(status) || *status == 101);
    let duration = call.started.elapsed();
    count(proxy, call, status, duration);
    line(proxy, session, call, status, duration);
    keep(proxy, session, call, status, duration);
    if let (Some(tracer), Some(identity)) = (&proxy.tracer, &call.identity)
        && identity.trace.is_sampled()
    {
        tracer.finished(span::of(session, call, identity, status, duration));
    }
}

fn count(proxy: &Proxy, call: &Call, status: Option<u16>, duration: Duration) {
    let integration = call.runtime.as_ref().map(|runtime| &runtime.metrics);
    let counted = call.fault.as_ref().map(Fault::counted);
    tally(proxy, call, counted.as_ref(), status);
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
    if let (Some(integration), Some(called)) = (integration, call.upstream.called) {
        time(
            integration,
            call,
            (call.started + duration).saturating_duration_since(called),
        );
    }
    if let (Some(integration), Some(status)) = (integration, status) {
        integration.answered(status, duration);
    }
}

/// Notes how long the partner took, as far as the call came; `total` is the time from the attempt to the end.
fn time(integration: &IntegrationMetrics, call: &Call, total: Duration) {
    let Some(answered) = call.upstream.answered else { return };
    if let Some(connected) = call.upstream.connected {
        integration.upstream(UpstreamPart::Connect, connected);
    }
    integration.upstream(UpstreamPart::FirstByte, answered);
    // How long both sides like to go on says nothing of the partner.
    if !call.endless {
        integration.upstream(UpstreamPart::Total, total);
    }
}

/// Counts what may tell a bad version from a good one. What load or the client alone brought about does not.
fn tally(proxy: &Proxy, call: &Call, counted: Option<&Counted>, status: Option<u16>) {
    let failed = match counted {
        None => status.is_some_and(stand_in::is_failure),
        Some(Counted::Failed(_)) => true,
        Some(Counted::Refused(reason)) if reason.is_of_load() => return,
        Some(Counted::Refused(_)) => true,
        Some(Counted::Aborted) => return,
    };
    proxy.metrics.tally.count(failed);
    if let Some(runtime) = &call.runtime {
        runtime.tally.count(failed);
    }
}

fn line(proxy: &Proxy, session: &Session, call: &Call, status: Option<u16>, duration: Duration) {
    let request = session.req_header();
    let integration = call.runtime.as_ref().map(|runtime| &runtime.integration);
    let reason = call.fault.as_ref().map(ToString::to_string);
    let producer = call.events.as_ref().and_then(|events| events.producer.as_deref());
    let mode = match (&call.events, integration) {
        (Some(_), _) => Some(RouteMode::Ingest),
        (None, integration) => integration.map(|integration| match integration.mode {
            filters::plan::Mode::Stream => RouteMode::Stream,
            filters::plan::Mode::Exchange { .. } => RouteMode::Exchange,
        }),
    };
    let headers: Vec<(&str, &[u8])> = logged(proxy, &request.headers, integration);
    proxy.access_log.write(&AccessRecord {
        at: call.began(),
        request_id: call.request_id(),
        trace_id: call
            .identity
            .as_ref()
            .map(|identity| identity.trace.trace_id())
            .unwrap_or_default(),
        client: call.client.or_else(|| super::peer_of(session)),
        method: request.method.as_str(),
        host: request.headers.get(header::HOST).map_or(&[], |host| host.as_bytes()),
        path: path(session, call).as_bytes(),
        status,
        code: call.fault.as_ref().map(Fault::code),
        integration: integration.map(|integration| &*integration.id),
        org_id: integration
            .map(|integration| integration.source.org_id)
            .or_else(|| producer.map(|producer| producer.org_id)),
        consumer: call
            .route
            .as_ref()
            .and_then(|route| route.caller.name.as_deref())
            .or_else(|| producer.map(|producer| &*producer.name)),
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
        headers: &headers,
    });
}

/// The header fields that a line shows; no allocation where it shows none.
fn logged<'r>(
    proxy: &'r Proxy,
    headers: &'r HeaderMap,
    integration: Option<&Arc<Integration>>,
) -> Vec<(&'r str, &'r [u8])> {
    let shown = proxy.logged_headers.iter().filter_map(|name| {
        let value = headers.get(name)?;
        let is_hidden = match integration {
            Some(integration) => integration.redactor.hides_header(name) || integration.inbound.carries(name),
            // Whose it is is not known, so that nobody said what may be seen.
            None => true,
        };
        let value = if is_hidden { MASK.as_bytes() } else { value.as_bytes() };
        Some((name.as_str(), value))
    });
    shown.collect()
}

fn keep(proxy: &Proxy, session: &Session, call: &Call, status: Option<u16>, duration: Duration) {
    let (Some(records), Some(runtime)) = (&proxy.records, &call.runtime) else {
        return;
    };
    let failed = call.fault.is_some() || status.is_some_and(|status| status >= 400);
    let went = Went {
        failure: failure_of(call, status),
        took: duration,
        at: call.began(),
    };
    records.tallies().count(&runtime.counts, went);
    if runtime.integration.records.takes(call.ticket, failed) {
        let gateway_id = Arc::clone(records.gateway_id());
        let record = record(gateway_id, &runtime.integration, session, call, status, duration);
        records.put(record);
    }
}

/// Why a call counts as failed, if it does: the gateway's fault, or the class of the partner's status.
fn failure_of(call: &Call, status: Option<u16>) -> Option<&'static str> {
    match (&call.fault, status) {
        (Some(fault), _) => Some(fault.code()),
        (None, Some(400..=499)) => Some("STATUS_4XX"),
        (None, Some(500..)) => Some("STATUS_5XX"),
        (None, _) => None,
    }
}

fn record(
    gateway_id: Arc<str>,
    integration: &Integration,
    session: &Session,
    call: &Call,
    response_status: Option<u16>,
    duration: Duration,
) -> ExecutionRecord {
    let failed = call.fault.is_some() || response_status.is_some_and(|status| status >= 400);
    let upstream = call
        .upstream
        .called
        .map(|called| call.upstream.answered.unwrap_or_else(|| called.elapsed()));
    let aim = call.route.as_ref().and_then(|route| route.aim.as_ref());
    let mut record = ExecutionRecord {
        id: Uuid::now_v7().to_string(),
        trace_id: call
            .identity
            .as_ref()
            .map(|identity| hex::encode(identity.trace.trace_id()))
            .unwrap_or_default(),
        request_id: call.request_id().to_owned(),
        org_id: integration.source.org_id,
        integration_config_id: Arc::clone(&integration.id),
        integration_name: integration.source.name.clone(),
        direction: integration.source.direction,
        status: if failed {
            RecordStatus::Failed
        } else {
            RecordStatus::Success
        },
        http_method: ExecutionRecord::cut(session.req_header().method.as_str()),
        path: ExecutionRecord::cut(path(session, call)),
        response_status,
        error_category: call.fault.as_ref().map(|fault| fault.code().to_owned()),
        error_message: call
            .fault
            .as_ref()
            .map(|fault| ExecutionRecord::cut(&fault.to_string())),
        upstream_status: call.upstream.status.map(|status| status.as_u16()),
        attempts: call.upstream.attempts,
        request_bytes: call.request_bytes,
        response_bytes: call.response_bytes,
        duration_ms: millis(duration),
        upstream_ms: upstream.map(millis),
        connect_ms: call.upstream.connected.map(millis),
        target_url: aim.map(|aim| origin(aim.target.upstream.target())),
        consumer: call.route.as_ref().and_then(|route| route.caller.name.clone()),
        created_at: moment(call.began()),
        gateway_id,
        request_headers: BTreeMap::new(),
        request_payload: None,
        response_headers: BTreeMap::new(),
        response_body: None,
    };
    if let Some(content) = integration.record_content {
        show(&mut record, content, integration, session, call);
    }
    record
}

/// Adds what a record holds of the call itself; nothing unmasked gets in.
fn show(
    record: &mut ExecutionRecord,
    content: RecordContent,
    integration: &Integration,
    session: &Session,
    call: &Call,
) {
    let redactor = &integration.redactor;
    if content.headers {
        let credentials: Vec<HeaderName> = integration.inbound.headers().cloned().collect();
        record.request_headers = redactor.headers(&session.req_header().headers, &credentials);
        let answer = session.response_written();
        record.response_headers = answer
            .map(|head| redactor.headers(&head.headers, &credentials))
            .unwrap_or_default();
    }
    let most = content.body_bytes as usize;
    let shown = |piece: &Piece| redactor.body(&piece.bytes, piece.content_type.as_ref(), piece.is_whole, most);
    record.request_payload = call.kept.request().and_then(shown);
    record.response_body = call.kept.answer().and_then(shown);
}

/// The client's path, in canonical form once it is known.
fn path<'c>(session: &'c Session, call: &'c Call) -> &'c str {
    call.route
        .as_ref()
        .and_then(|route| route.path.as_deref())
        .unwrap_or_else(|| session.req_header().uri.path())
}

/// Without path and query, which may hold secrets.
pub(super) fn origin(target: &TargetUrl) -> String {
    let authority = target.authority().to_str().unwrap_or_default();
    format!("{}://{authority}", target.scheme().as_str())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

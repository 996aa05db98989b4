//! Spans in the JSON form of OTLP: identifiers in hexadecimal, 64-bit numbers as text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::Rng as _;
use serde_json::{Value as Json, json};

use super::{Span, Value};

/// Who sends spans.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) instance: String,
}

/// The body of a request that hands spans over.
pub(super) fn body(service: &Service, spans: &[Span]) -> Json {
    let resource = [
        ("service.name", Value::Text(service.name.clone())),
        ("service.instance.id", Value::Text(service.instance.clone())),
    ];
    json!({
        "resourceSpans": [{
            "resource": {"attributes": attributes(&resource)},
            "scopeSpans": [{
                "scope": {"name": "integration-gateway", "version": env!("CARGO_PKG_VERSION")},
                "spans": spans.iter().flat_map(written).collect::<Vec<_>>(),
            }],
        }],
    })
}

/// The span of the call, and that of the partner's part below it.
fn written(span: &Span) -> Vec<Json> {
    let trace_id = hex::encode(span.context.trace_id());
    let span_id = hex::encode(span.context.span_id());
    let mut call = json!({
        "traceId": trace_id,
        "spanId": span_id,
        "name": span.name,
        "kind": SERVER,
        "startTimeUnixNano": nanos(span.began),
        "endTimeUnixNano": nanos(span.began + span.took),
        "attributes": attributes(&span.attributes),
        "status": {"code": if span.failed { ERROR } else { UNSET }},
    });
    if let Some(parent) = span.context.parent() {
        call["parentSpanId"] = hex::encode(parent).into();
    }
    let mut written = vec![call];
    if let Some(partner) = &span.partner {
        let began = span.began + partner.after;
        written.push(json!({
            "traceId": trace_id,
            "spanId": hex::encode(rand::rng().random::<[u8; 8]>()),
            "parentSpanId": span_id,
            "name": "partner",
            "kind": CLIENT,
            "startTimeUnixNano": nanos(began),
            "endTimeUnixNano": nanos(began + partner.took),
            "attributes": attributes(&partner.attributes),
            "status": {"code": UNSET},
        }));
    }
    written
}

fn attributes(attributes: &[(&'static str, Value)]) -> Vec<Json> {
    let written = attributes.iter().map(|(key, value)| {
        let value = match value {
            Value::Text(text) => json!({"stringValue": text}),
            Value::Number(number) => json!({"intValue": number.to_string()}),
        };
        json!({"key": key, "value": value})
    });
    written.collect()
}

fn nanos(at: SystemTime) -> String {
    at.duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_nanos()
        .to_string()
}

/// Kinds and states of spans, by their numbers in the protocol.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const UNSET: u8 = 0;
const ERROR: u8 = 2;

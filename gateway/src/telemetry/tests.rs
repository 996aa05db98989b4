use std::time::UNIX_EPOCH;

use http::HeaderMap;
use serde_json::json;

use super::*;

fn tracer(ratio: f64) -> (Tracer, mpsc::Receiver<Span>) {
    let (spans, queue) = mpsc::channel(1);
    let tracer = Tracer {
        below: share(ratio),
        spans,
        dropped: IntCounter::new("dropped", "for a test").unwrap(),
    };
    (tracer, queue)
}

fn span() -> Span {
    let mut headers = HeaderMap::new();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        .parse()
        .unwrap();
    headers.insert("traceparent", parent);
    Span {
        context: TraceContext::of(&headers),
        name: "GET labs".to_owned(),
        began: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        took: Duration::from_millis(20),
        partner: Some(PartnerSpan {
            after: Duration::from_millis(5),
            took: Duration::from_millis(10),
            attributes: vec![("server.address", "partner.example".into())],
        }),
        failed: true,
        attributes: vec![
            ("http.request.method", "GET".into()),
            ("http.response.status_code", 502_u64.into()),
        ],
    }
}

#[test]
fn the_ratio_says_how_many_traces_are_recorded() {
    let taken = |ratio: f64| {
        let (tracer, _queue) = tracer(ratio);
        (0..10_000)
            .filter(|_| tracer.takes(TraceContext::of(&HeaderMap::new()).trace_id()))
            .count()
    };
    assert_eq!((taken(0.0), taken(1.0)), (0, 10_000));
    assert!(
        (800..1_200).contains(&taken(0.1)),
        "a tenth is about a thousand of ten thousand"
    );
}

#[test]
fn a_span_without_room_is_counted() {
    let (tracer, _queue) = tracer(1.0);
    tracer.finished(span());
    tracer.finished(span());
    assert_eq!(tracer.dropped.get(), 1);
}

#[test]
fn spans_are_written_as_the_protocol_has_them() {
    let service = otlp::Service {
        name: "integration-gateway".to_owned(),
        instance: "gw-1".to_owned(),
    };
    let span = span();
    let body = otlp::body(&service, std::slice::from_ref(&span));
    let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
    let own_id = hex::encode(span.context.span_id());
    let call = &spans[0];
    for (field, wanted) in [
        ("traceId", json!("4bf92f3577b34da6a3ce929d0e0e4736")),
        ("parentSpanId", json!("00f067aa0ba902b7")),
        ("spanId", json!(own_id)),
        ("kind", json!(2)),
        ("startTimeUnixNano", json!("1800000000000000000")),
        ("endTimeUnixNano", json!("1800000000020000000")),
        ("status", json!({"code": 2})),
    ] {
        assert_eq!(call[field], wanted, "{field}");
    }
    assert_eq!(
        call["attributes"][1],
        json!({"key": "http.response.status_code", "value": {"intValue": "502"}})
    );
    let partner = &spans[1];
    assert_eq!(
        (&partner["parentSpanId"], &partner["kind"]),
        (&json!(own_id), &json!(3))
    );
    assert_eq!(partner["startTimeUnixNano"], "1800000000005000000");
    let resource = &body["resourceSpans"][0]["resource"]["attributes"];
    assert_eq!(
        resource[1],
        json!({"key": "service.instance.id", "value": {"stringValue": "gw-1"}})
    );
}

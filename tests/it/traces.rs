//! Traces: spans for a collector, and the place in the trace that partners are told.

use harness::client::Reply;
use harness::documents::{document, integration};
use harness::gateway::Setup;
use harness::{Answer, Gateway, Partner, wait};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_call_is_a_span_of_its_trace() {
    let partner = Partner::start(|request| match request.uri.path() {
        "/broken" => Answer::status(503),
        _ => Answer::text("ok"),
    })
    .await;
    let collector = Partner::answering(Answer::json(&json!({}))).await;
    let gateway = traced(&partner, &collector, json!(0)).await;
    let sent = gateway.request(Method::GET, "labs.test", "/broken?key=secret-in-query");
    Reply::of(sent.header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))).await;
    // A trace of nobody's choosing is not recorded.
    gateway.get("labs.test", "/unrecorded").await;
    let spans = spans(&collector, 2).await;
    let call = spans.iter().find(|span| span["kind"] == 2).unwrap();
    let below = spans.iter().find(|span| span["kind"] == 3).unwrap();
    assert_eq!(
        (&call["traceId"], &call["parentSpanId"]),
        (&json!(TRACE), &json!("00f067aa0ba902b7"))
    );
    assert_eq!(
        (&call["name"], &call["status"]["code"]),
        (&json!("GET labs"), &json!(2))
    );
    assert_eq!(below["parentSpanId"], call["spanId"]);
    let passed = partner.requests()[0].header("traceparent").unwrap().to_owned();
    assert_eq!(passed, format!("00-{TRACE}-{}-01", call["spanId"].as_str().unwrap()));
    let text = json!(spans).to_string();
    assert!(
        text.contains("/broken") && text.contains("gateway.integration"),
        "{text}"
    );
    assert!(
        !text.contains("secret-in-query") && !text.contains("unrecorded"),
        "{text}"
    );
}

#[tokio::test]
async fn a_trace_that_begins_here_is_recorded_by_its_share() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let collector = Partner::answering(Answer::json(&json!({}))).await;
    let gateway = traced(&partner, &collector, json!(1)).await;
    gateway.get("labs.test", "/").await;
    let spans = spans(&collector, 2).await;
    let passed = partner.requests()[0].header("traceparent").unwrap().to_owned();
    assert!(passed.ends_with("-01"), "the partner records it as well: {passed}");
    assert!(passed.contains(spans[0]["traceId"].as_str().unwrap()), "{passed}");
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nothing_up() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let collector = Partner::answering(Answer::status(400)).await;
    let gateway = traced(&partner, &collector, json!(1)).await;
    for _ in 0..20 {
        assert_eq!(gateway.get("labs.test", "/").await.status, 200);
    }
    wait::until("the spans to be counted as lost", async || {
        let metrics = gateway.admin_get("/metrics").await.text();
        let lost = metrics
            .lines()
            .find_map(|line| line.strip_prefix("gateway_spans_dropped_total "))?;
        (lost == "20").then_some(())
    })
    .await;
}

async fn traced(partner: &Partner, collector: &Partner, ratio: Value) -> Gateway {
    Setup::new()
        .file(&document([integration("labs", &partner.url(""))]))
        .set(
            "traces",
            json!({"otlp": collector.url("/v1/traces"), "sampleRatio": ratio, "serviceName": "tests"}),
        )
        .start()
        .await
}

/// The spans that the collector has, once there are so many.
async fn spans(collector: &Partner, count: usize) -> Vec<Value> {
    wait::until("the spans", async || {
        let bodies = collector.requests().into_iter().map(|request| request.json());
        let spans: Vec<Value> = bodies
            .flat_map(|body| {
                body["resourceSpans"][0]["scopeSpans"][0]["spans"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default()
            })
            .collect();
        (spans.len() >= count).then_some(spans)
    })
    .await
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

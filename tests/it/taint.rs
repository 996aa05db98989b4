//! Secrets that are planted wherever one can be, and looked for wherever something is written down.

use harness::client::Reply;
use harness::documents::{ORG, integration, with};
use harness::gateway::Setup;
use harness::{Answer, ControlPlane, Gateway, Partner, wait};
use reqwest::Method;
use serde_json::{Value, json};

#[expect(clippy::too_many_lines, reason = "one configuration that holds every secret")]
#[tokio::test]
async fn no_secret_is_written_down() {
    let partner = Partner::start(|request| match request.uri.path() {
        "/base/odd" => Answer::text("planted-in-odd-answer is no JSON"),
        _ => Answer::json(&json!({"id": 1, "access_token": "planted-in-answer", "ssn": "planted-by-rule-2"}))
            .header("set-cookie", "s=planted-in-cookie")
            .header("location", "/next?code=planted-in-location")
            .header("x-patient", "planted-in-named-header"),
    })
    .await;
    let collector = Partner::answering(Answer::json(&json!({}))).await;
    let control_plane = ControlPlane::start().await;
    for integration in integrations(&partner.url("/base?key=planted-in-target")) {
        control_plane.save(&integration).await;
    }
    let mut gateway = Setup::new()
        .control_plane(&control_plane)
        .set("traces", json!({"otlp": collector.url("/v1/traces"), "sampleRatio": 1}))
        .set(
            "accessLog",
            json!({"output": "stdout", "headers": ["Authorization", "Cookie", "X-Patient", "X-Desk", "Accept"]}),
        )
        .start()
        .await;
    wait::until("the routes", async || {
        (gateway.get("script.test", "/").await.status == 401).then_some(())
    })
    .await;
    let mut statuses = Vec::new();
    for kind in ["map", "script", "stream"] {
        for (path, key) in [
            ("/", "planted-key"),
            ("/odd", "planted-key"),
            ("/", "planted-wrong-key"),
        ] {
            statuses.push(call(&gateway, kind, path, key).await);
        }
    }
    assert!(
        [200, 401, 502].iter().all(|status| statuses.contains(status)),
        "{statuses:?}"
    );

    let logs = wait::until("the records", async || {
        let path = format!("/api/v1/execution-logs?orgId={ORG}&limit=200");
        let list = control_plane.get(&path).await.text();
        (list.matches("\"traceId\"").count() >= statuses.len()).then_some(list)
    })
    .await;
    let mut seen = vec![("records", logs)];
    let trace = control_plane
        .get(&format!("/api/v1/execution-logs/{TRACE}?orgId={ORG}"))
        .await
        .text();
    assert!(
        trace.contains("requestPayload") && trace.contains("x-request-id"),
        "{trace}"
    );
    seen.push(("trace", trace));
    let inbound = control_plane
        .get(&format!("/api/v1/logs?orgId={ORG}&direction=INBOUND"))
        .await;
    seen.push(("logs", inbound.text()));
    seen.push(("metrics of the gateway", gateway.admin_get("/metrics").await.text()));
    seen.push((
        "metrics of the control plane",
        control_plane.get("/metrics").await.text(),
    ));
    for host in ["map", "script", "stream"] {
        let query = format!(
            "line=POST%20/?token=planted-in-query&header=Host:%20{host}.test&header=X-Desk:%20planted-key\
             &header=Authorization:%20Bearer%20planted-bearer"
        );
        seen.push(("explain", gateway.admin_get(&format!("/explain?{query}")).await.text()));
    }
    seen.push(("routes", gateway.admin_get("/routes").await.text()));
    wait::until("the spans", async || (!collector.requests().is_empty()).then_some(())).await;
    gateway.terminate();
    gateway.process.ended().await;
    let spans: Vec<String> = collector
        .requests()
        .iter()
        .map(|request| request.json().to_string())
        .collect();
    seen.push(("spans", spans.join("\n")));
    let output = gateway.process.output();
    assert!(
        output.contains("\"authorization\":\"***\"") && output.contains("\"accept\":\"*/*\""),
        "{output}"
    );
    seen.push(("output of the gateway", output));
    seen.push(("output of the control plane", control_plane.process.output()));
    for (place, text) in seen {
        let found = text.find("planted");
        let around =
            found.map(|at| &text[text.floor_char_boundary(at.saturating_sub(100))..text.ceil_char_boundary(at + 60)]);
        assert_eq!(around, None, "a secret stands in the {place}");
    }
}

/// Three ways of carrying a call, with secrets in all that can hold one.
fn integrations(target: &str) -> [Value; 3] {
    let common = json!({
        "inboundAuthType": "API_KEY",
        "inboundAuthConfig": {"headerName": "X-Desk", "keys": [{"name": "desk", "value": "planted-key"}]},
        "outgoingAuthType": "CUSTOM_HEADERS",
        "outgoingAuthConfig": {"headers": {"X-Partner-Key": "planted-outgoing"}},
        "records": "all",
        "recordContent": {"headers": true, "bodyBytes": 32768},
        "redaction": {"headers": ["X-Patient"], "jsonPaths": ["$..ssn"]},
    });
    let kind = |name: &str, fields: Value| with(with(integration(name, target), common.clone()), fields);
    let script = "fn transform(payload, context) { let key = \"planted-in-script\"; \
                  if payload.id == () { throw \"no id in \" + payload; } payload }";
    [
        kind(
            "map",
            json!({
                "requestTransformationMode": "SIMPLE",
                "requestFieldMappings": [
                    {"sourceField": "password", "targetField": "secret"},
                    {"targetField": "fixed", "value": "planted-in-mapping"},
                ],
                "responseTransformationMode": "SIMPLE",
                "responseFieldMappings": [{"sourceField": "id", "targetField": "id", "required": true}],
            }),
        ),
        kind(
            "script",
            json!({"responseTransformationMode": "SCRIPT", "responseTransformScript": script}),
        ),
        kind("stream", json!({})),
    ]
}

async fn call(gateway: &Gateway, kind: &str, path: &str, key: &str) -> u16 {
    let body = json!({
        "password": "planted-in-body", "client": {"apiKey": "planted-in-body-2"}, "person": {"ssn": "planted-by-rule"},
    });
    let path = format!("{path}?token=planted-in-query");
    let request = gateway.request(Method::POST, &format!("{kind}.test"), &path);
    let request = request
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .header("x-desk", key)
        .header("authorization", "Bearer planted-bearer")
        .header("cookie", "session=planted-in-client-cookie")
        .header("x-patient", "planted-patient")
        .header("x-amz-security-token", "planted-token")
        .header("referer", "https://a.example/?t=planted-in-referer")
        .json(&body);
    Reply::of(request).await.status
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

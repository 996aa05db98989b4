//! Counts of calls and deliveries, from the gateway to the dashboard; and records as a table.

use harness::client::Reply;
use harness::documents::{ORG, integration, with};
use harness::events::{bill, subscription};
use harness::{Answer, ControlPlane, Gateway, Partner, Receiver, gwctl, wait};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn every_call_is_counted_whatever_is_recorded_of_it() {
    let partner = Partner::start(|request| match request.uri.path() {
        "/broken" => Answer::text("no").with_status(503),
        _ => Answer::text("hello"),
    })
    .await;
    let control_plane = ControlPlane::start().await;
    control_plane
        .save(&with(integration("labs", &partner.url("")), json!({"records": "none"})))
        .await;
    let gateway = Gateway::fed_by(&control_plane).await;
    for _ in 0..5 {
        assert_eq!(gateway.get("labs.test", "/").await.status, 200);
    }
    assert_eq!(gateway.get("labs.test", "/broken").await.status, 503);

    let shown = until(&control_plane, "dashboard", |shown| {
        shown["last24Hours"]["inbound"]["total"] == 6
    })
    .await;
    let inbound = &shown["last24Hours"]["inbound"];
    assert_eq!(
        (&inbound["succeeded"], &inbound["failed"]),
        (&json!(5), &json!(1)),
        "{shown}"
    );
    assert_eq!(inbound["errors"], json!([{"category": "STATUS_5XX", "count": 1}]));
    assert_eq!(shown["topFailures"][0]["integrationConfigId"], "labs");
    let records = control_plane
        .get(&format!("/api/v1/execution-logs?orgId={ORG}"))
        .await
        .json();
    assert_eq!(records["total"], 0, "none was asked for: {records}");
    let analytics = until(&control_plane, "analytics", |_| true).await;
    assert_eq!(analytics["integrations"][0]["integrationName"], "labs", "{analytics}");
    assert_eq!(analytics["inbound"]["total"], 6);
    assert!(analytics["inbound"]["p99Ms"].is_u64(), "{analytics}");
}

#[tokio::test]
async fn attempts_are_counted_and_exported() {
    let receiver = Receiver::start().await;
    let control_plane = ControlPlane::start().await;
    let event_type = json!({"id": "bill", "orgId": ORG, "eventType": "bill.generated", "name": "Bill"});
    let bills = subscription("bills", &receiver.url("/"));
    for (path, object) in [("event-types/bill", event_type), ("outbound-integrations/bills", bills)] {
        let reply = control_plane.put(&format!("/api/v1/{path}"), &object).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
    }
    let producer = json!({"orgId": ORG, "name": "hospital"});
    let key = control_plane.post("/api/v1/producer-keys", &producer).await.json();
    let key = key["value"].as_str().unwrap();
    let gateway = Gateway::fed_by(&control_plane).await;
    for number in 1..=3 {
        let request = gateway.request(Method::POST, "gateway.test", "/api/v1/events");
        let event = bill(&format!("B-{number}"));
        let reply = Reply::of(request.header("x-api-key", key).json(&event)).await;
        assert_eq!(reply.status, 202, "{}", reply.text());
    }
    let shown = until(&control_plane, "analytics", |shown| shown["outbound"]["succeeded"] == 3).await;
    assert_eq!(shown["integrations"][0]["integrationConfigId"], "bills", "{shown}");

    let org = ORG.to_string();
    let table = gwctl::against(&control_plane, &["logs", "--org", &org, "--export", "csv"]).await;
    assert_eq!(table.code, 0, "{table:?}");
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{table:?}");
    assert!(lines[0].starts_with("createdAt,id,"), "{table:?}");
    let refused = gwctl::against(
        &control_plane,
        &["logs", "--org", &org, "--export", "jsonl", "--from", "x"],
    )
    .await;
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.stderr.contains("startDate"), "{refused:?}");
}

async fn until(control_plane: &ControlPlane, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/api/v1/{what}?orgId={ORG}");
    wait::until("the figures", async || {
        let shown = control_plane.get(&path).await.json();
        fits(&shown).then_some(shown)
    })
    .await
}

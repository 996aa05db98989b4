//! From an event that is handed over to the signed request at its endpoint.

use harness::documents::{ORG, with};
use harness::events::{bill, events_document, subscription};
use harness::receiver::is_signed;
use harness::{Answer, Gateway, Receiver, wait};
use reqwest::Method;
use serde_json::{Value, json};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test]
async fn an_event_comes_out_signed() {
    let receiver = Receiver::start().await;
    let signed = json!({"signingType": "STANDARD_WEBHOOKS",
        "signingConfig": {"secrets": [{"name": "first", "value": SECRET}]}});
    let document = events_document([with(subscription("billing", &receiver.url("/hook?a=b")), signed)]);
    let gateway = Gateway::serving(&document).await;
    gateway.accept(&bill("B-1")).await;
    let request = receiver.received(1).await.remove(0);
    assert_eq!(
        (request.method.as_str(), request.uri.to_string().as_str()),
        ("POST", "/hook?a=b")
    );
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("ce-id"), Some("B-1"));
    assert_eq!(request.json(), bill("B-1")["payload"]);
    assert!(is_signed(&request, SECRET));
    assert!(!is_signed(&request, "whsec_AAAA9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    let id = request.header("webhook-id").unwrap();
    assert_eq!(request.header("idempotency-key"), Some(id));
}

#[tokio::test]
async fn a_delivery_keeps_its_identifier_over_its_attempts() {
    let receiver = Receiver::start().await;
    receiver.next([Answer::status(500), Answer::status(503), Answer::status(200)]);
    let gateway = Gateway::serving(&events_document([subscription("billing", &receiver.url("/"))])).await;
    gateway.accept(&bill("B-1")).await;
    let requests = receiver.received(3).await;
    let ids: Vec<_> = requests
        .iter()
        .map(|request| request.header("idempotency-key"))
        .collect();
    assert!(ids[0].is_some() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    settled(&gateway).await;
    assert_eq!(receiver.requests().len(), 3);
}

#[tokio::test]
async fn what_was_accepted_is_delivered_after_a_restart() {
    let receiver = Receiver::start().await;
    receiver.always(Answer::status(500));
    let slow = json!({"retry": {"type": "list", "delaysMs": [500, 500, 500, 500, 500, 500], "jitter": 0}});
    let document = events_document([with(subscription("billing", &receiver.url("/")), slow)]);
    let mut gateway = Gateway::serving(&document).await;
    gateway.accept(&bill("B-1")).await;
    receiver.received(1).await;
    gateway.process.kill();
    receiver.always(Answer::status(200));
    let gateway = gateway.setup().start().await;
    settled(&gateway).await;
    let requests = receiver.requests();
    let ids: Vec<_> = requests
        .iter()
        .map(|request| request.header("idempotency-key"))
        .collect();
    assert!(ids.len() > 1 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn a_gateway_that_stops_finishes_its_attempts() {
    let gate = harness::answer::Gate::new();
    let receiver = Receiver::start().await;
    receiver.always(Answer::status(200).after(&gate));
    let mut gateway = Gateway::serving(&events_document([subscription("billing", &receiver.url("/"))])).await;
    gateway.accept(&bill("B-1")).await;
    receiver.received(1).await;
    gateway.terminate();
    gate.open();
    assert!(gateway.process.ended().await.success());
    let gateway = gateway.setup().start().await;
    assert_eq!(gateway.admin_get("/queue").await.json()["open"], 0);
    assert_eq!(
        receiver.requests().len(),
        1,
        "it was delivered once, and that was noted"
    );
}

/// Waits until nothing is open.
async fn settled(gateway: &Gateway) {
    wait::until("the queue to be empty", async || {
        (gateway.admin_get("/queue").await.json()["open"] == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_paused_endpoint_gets_nothing_until_it_is_resumed() {
    let receiver = Receiver::start().await;
    let other = Receiver::start().await;
    let document = events_document([
        subscription("billing", &receiver.url("/")),
        subscription("archive", &other.url("/")),
    ]);
    let mut gateway = Gateway::serving(&document).await;
    let paused = gateway.admin_call(Method::POST, "/queue/endpoints/billing/pause").await;
    assert_eq!((paused.status, &paused.json()["paused"]), (200, &json!(true)));
    gateway.accept(&bill("B-1")).await;
    other.received(1).await;
    let billing = endpoint(&gateway, "billing").await;
    assert_eq!(
        (&billing["state"], &billing["open"]),
        (&json!("paused"), &json!(1)),
        "{billing}"
    );
    gateway.process.kill();
    let gateway = gateway.setup().start().await;
    assert_eq!(
        endpoint(&gateway, "billing").await["state"],
        "paused",
        "it is remembered"
    );
    assert!(receiver.requests().is_empty());
    let resumed = gateway
        .admin_call(Method::POST, "/queue/endpoints/billing/resume")
        .await;
    assert_eq!((resumed.status, &resumed.json()["paused"]), (200, &json!(false)));
    receiver.received(1).await;
    let unknown = gateway.admin_call(Method::POST, "/queue/endpoints/nobody/pause").await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "NOT_FOUND"));
}

#[tokio::test]
async fn what_waits_is_shown_with_the_reason() {
    let receiver = Receiver::start().await;
    receiver.always(Answer::status(500));
    let slow = json!({"retry": {"type": "list", "delaysMs": [3_600_000], "jitter": 0}});
    let gateway = Gateway::serving(&events_document([with(
        subscription("billing", &receiver.url("/")),
        slow,
    )]))
    .await;
    gateway.accept(&bill("B-1")).await;
    let billing = wait::until("the failure in /queue", async || {
        let billing = endpoint(&gateway, "billing").await;
        (!billing["lastError"].is_null() && billing["inFlight"] == 0).then_some(billing)
    })
    .await;
    assert_eq!(
        (&billing["open"], &billing["name"]),
        (&json!(1), &json!("billing")),
        "{billing}"
    );
    assert!(billing["nextAttemptAt"].is_string(), "{billing}");
    assert!(
        billing["lastError"]["message"].as_str().unwrap().contains("500"),
        "{billing}"
    );
    let queue = gateway.admin_get("/queue?organization=7").await.json();
    assert_eq!((&queue["open"], &queue["total"]), (&json!(1), &json!(0)), "{queue}");
    let metrics = gateway.admin_get("/metrics").await.text();
    assert!(
        metrics.contains("integration_consumer_lag{integration=\"billing\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn an_event_can_be_followed() {
    let receiver = Receiver::start().await;
    let filtered = json!({"filter": {"field": "bill.amount", "greaterThan": 1000}});
    let gateway = Gateway::serving(&events_document([
        subscription("billing", &receiver.url("/")),
        with(subscription("large", &receiver.url("/large")), filtered),
    ]))
    .await;
    gateway.accept(&bill("B-1")).await;
    settled(&gateway).await;
    let path = format!("/queue/events/{ORG}/B-1");
    let events = gateway.admin_get(&path).await.json()["events"].clone();
    let event = &events[0];
    assert_eq!(
        (&event["id"], &event["eventType"]),
        (&json!("B-1"), &json!("bill.generated")),
        "{events}"
    );
    let audit = &event["audit"];
    assert_eq!(audit["producer"], "hospital", "{audit}");
    assert_eq!(
        (
            &audit["deliveries"][0]["integrationConfigId"],
            &audit["deliveries"][0]["status"]
        ),
        (&json!("billing"), &json!("SUCCESS")),
        "{audit}"
    );
    assert_eq!(audit["skipped"][0]["integrationConfigId"], "large", "{audit}");
    let unknown = gateway.admin_get(&format!("/queue/events/{ORG}/B-2")).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "NOT_FOUND"));
}

/// An endpoint as `/queue` shows it.
async fn endpoint(gateway: &Gateway, id: &str) -> Value {
    let queue = gateway.admin_get("/queue").await.json();
    let endpoints = queue["endpoints"].as_array().unwrap();
    let found = endpoints.iter().find(|endpoint| endpoint["integrationConfigId"] == id);
    found.cloned().unwrap_or_default()
}

//! From an event that is handed over to the signed request at its endpoint.

use harness::documents::with;
use harness::events::{bill, events_document, subscription};
use harness::receiver::is_signed;
use harness::{Answer, Gateway, Receiver, wait};
use serde_json::json;

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

//! When producers are told to come back: before memory or disk fill, for one organization's sake, and for a maintenance.

use std::fs;

use harness::answer::Gate;
use harness::client::Reply;
use harness::documents::{integration, organization, with};
use harness::events::{bill, events_document, start_request, subscription};
use harness::gateway::Setup;
use harness::{Answer, Gateway, Partner, Receiver, wait};
use reqwest::Method;
use serde_json::json;

const PATH: &str = "/api/v1/events";

#[tokio::test]
async fn the_limit_of_an_organization_counts_its_events_too() {
    let mut document = events_document([]);
    let limit = json!({"rateLimit": {"maxRequests": 2, "windowSeconds": 3600}});
    document["organizations"] = json!([with(organization(), limit)]);
    let gateway = Gateway::serving(&document).await;
    for number in 0..2 {
        let reply = gateway.hand_over(&bill(&number.to_string())).await;
        assert_eq!(reply.status, 202);
        assert!(reply.header("ratelimit").is_some());
    }
    let reply = gateway.hand_over(&bill("B-9")).await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "RATE_LIMITED"));
    assert!(reply.header("retry-after").is_some());
}

#[tokio::test]
async fn producers_are_told_to_come_back_before_memory_fills() {
    for (name, limit) in [("maxInFlight", 1), ("maxBufferedBytes", 1 << 20)] {
        let setup = Setup::new()
            .file(&events_document([]))
            .set("ingest", json!({name: limit}));
        let gateway = setup.start().await;
        // It holds what there is while its body does not come.
        let mut slow = gateway.raw().await;
        let body = with(bill("B-1"), json!({"payload": "x".repeat((1 << 20) - 4096)})).to_string();
        start_request(&mut slow, &format!("Content-Length: {}", body.len()), "").await;
        wait::until("the request to be under way", async || {
            (gateway.admin_get("/queue").await.json()["takingIn"] == 1).then_some(())
        })
        .await;
        let other = with(bill("B-2"), json!({"payload": "x".repeat(8192)}));
        let refused = gateway.hand_over(&other).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (503, "SERVICE_UNAVAILABLE"),
            "{name}"
        );
        assert_eq!(refused.header("retry-after"), Some("1"));
        slow.send(&body).await;
        assert_eq!(slow.answer().await.status, 202);
        wait::until("room for another request", async || {
            (gateway.hand_over(&other).await.status == 202).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_queue_that_cannot_be_opened_holds_up_no_call() {
    let receiver = Receiver::start().await;
    let partner = Partner::echo().await;
    let document = events_document([
        subscription("cashier", &receiver.url("/")),
        integration("slots", &partner.url("/slots")),
    ]);
    let setup = Setup::new().file(&document);
    let in_the_way = setup.data_folder().join("queue/queue.db");
    fs::create_dir_all(&in_the_way).unwrap();
    let gateway = setup.start().await;

    assert_eq!(gateway.get("slots.test", "/").await.status, 200);
    let refused = gateway.hand_over(&bill("B-1")).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "SERVICE_UNAVAILABLE"));
    assert!(refused.header("retry-after").is_some());
    let ready = gateway.admin_get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["eventsPaused"], json!(["queue_failed"]));
    assert!(gateway.admin_get("/queue").await.text().contains("queue.db"));

    fs::remove_dir(&in_the_way).unwrap();
    wait::until("the queue to be open", async || {
        (gateway.hand_over(&bill("B-2")).await.status == 202).then_some(())
    })
    .await;
    receiver.received(1).await;
    assert_eq!(gateway.admin_get("/readyz").await.json(), json!({"status": "ready"}));
}

#[tokio::test]
async fn producers_are_told_to_come_back_before_the_disk_fills() {
    let setup = Setup::new()
        .file(&events_document([]))
        .set("queue", json!({"minFreeDiskBytes": 1_u64 << 50}));
    let gateway = setup.start().await;
    let refused = wait::until("an answer that says to come back", async || {
        let reply = gateway.hand_over(&bill("B-1")).await;
        (reply.status != 202).then_some(reply)
    })
    .await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "SERVICE_UNAVAILABLE"));
    assert_eq!(refused.header("retry-after"), Some("30"));
    let metrics = gateway.admin_get("/metrics").await.text();
    assert!(
        metrics.contains("gateway_ingest_paused{reason=\"disk_space\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn an_organization_over_its_share_stops_nobody_else() {
    let gate = Gate::new();
    let receiver = Receiver::start().await;
    receiver.always(Answer::status(200).after(&gate));
    let mut document = events_document([subscription("billing", &receiver.url("/"))]);
    let other_key = "key-of-the-other-0123456789";
    document["organizations"] = json!([organization(), {"orgId": 2, "name": "Other"}]);
    let types = document["eventTypes"].as_array_mut().unwrap();
    types.push(json!({"orgId": 2, "eventType": "bill.generated"}));
    let keys = document["producerKeys"].as_array_mut().unwrap();
    keys.push(json!({"orgId": 2, "name": "other", "value": other_key}));
    let setup = Setup::new()
        .file(&document)
        .set("queue", json!({"maxOpenDeliveries": 1_000, "organizationPercent": 1}));
    let gateway = setup.start().await;
    let mut number = 0;
    let refused = wait::until("an answer that says to come back", async || {
        number += 1;
        let reply = gateway.hand_over(&bill(&format!("B-{number}"))).await;
        (reply.status != 202).then_some(reply)
    })
    .await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "RATE_LIMITED"));
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert!(
        number > 10,
        "refused at the event {number}, with less open than its share"
    );
    let other = gateway
        .request(Method::POST, "gateway.test", PATH)
        .header("x-api-key", other_key)
        .json(&bill("O-1"));
    assert_eq!(Reply::of(other).await.status, 202);
    gate.open();
    wait::until("the organization to get in again", async || {
        (gateway.hand_over(&bill("B-again")).await.status == 202).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_drained_gateway_delivers_what_it_has_and_takes_no_more() {
    let receiver = Receiver::start().await;
    let gate = Gate::new();
    receiver.always(Answer::status(200).after(&gate));
    let gateway = Gateway::serving(&events_document([subscription("billing", &receiver.url("/"))])).await;
    gateway.accept(&bill("B-1")).await;
    receiver.received(1).await;
    let drain = gateway.admin_call(Method::POST, "/queue/drain").await;
    assert_eq!(drain.status, 200, "{}", drain.text());
    assert_eq!(
        (&drain.json()["draining"], &drain.json()["open"]),
        (&json!(true), &json!(1))
    );
    let refused = gateway.hand_over(&bill("B-2")).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    gate.open();
    let drained = gateway
        .admin_call(Method::POST, "/queue/drain?waitSeconds=30")
        .await
        .json();
    assert_eq!(
        (&drained["drained"], &drained["open"]),
        (&json!(true), &json!(0)),
        "{drained}"
    );
    assert_eq!(gateway.admin_call(Method::DELETE, "/queue/drain").await.status, 200);
    assert_eq!(gateway.hand_over(&bill("B-2")).await.status, 202);
}

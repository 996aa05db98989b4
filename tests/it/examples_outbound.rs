//! Every file of `conf/examples` about events does what it says.

use harness::client::Reply;
use harness::documents::with;
use harness::events::KEY;
use harness::receiver::is_signed;
use harness::{Answer, Example, Gateway, Partner, Receiver, wait};
use reqwest::Method;
use serde_json::{Value, json};

/// A gateway that runs the example, with a producer and the types of events that the example leaves out.
async fn running(example: &Example, event_types: &[&str]) -> Gateway {
    let mut document = example.document();
    let org_id = document["integrations"][0]["orgId"].clone();
    document["producerKeys"] = json!([{"orgId": org_id, "name": "his", "value": KEY}]);
    if document["eventTypes"].is_null() {
        document["eventTypes"] = json!([]);
    }
    let types = event_types
        .iter()
        .map(|name| json!({"eventType": name, "orgId": org_id}));
    document["eventTypes"].as_array_mut().unwrap().extend(types);
    Gateway::serving(&document).await
}

/// Hands over an event that must be taken in; for how many subscriptions it was.
async fn hand_over(gateway: &Gateway, event: &Value) -> u64 {
    let reply = gateway.hand_over(event).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    reply.json()["deliveries"].as_u64().unwrap()
}

#[tokio::test]
async fn outbound() {
    let receiver = Receiver::start().await;
    let example = Example::named("outbound").with("https://api.insurer.example", &receiver.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    let request = gateway
        .request(Method::POST, "gateway.test", "/api/v1/events")
        .header("x-api-key", "a-long-random-text-that-only-the-his-knows")
        .json(&json!({"id": "B-1", "eventType": "bill.generated", "payload": {"amount": 1}}));
    assert_eq!(Reply::of(request).await.status, 202);
    let [delivery] = &receiver.received(1).await[..] else {
        panic!("one delivery")
    };
    assert_eq!((delivery.uri.path(), delivery.header("ce-id")), ("/bills", Some("B-1")));
}

#[tokio::test]
async fn event_types() {
    let receiver = Receiver::start().await;
    let example = Example::named("event-types").with("https://registry.partner.example", &receiver.url(""));
    let gateway = running(&example, &[]).await;
    let result = |results: Value| json!({"id": "R-1", "actionId": 43, "payload": {"orderId": "7", "results": results}});
    let refused = gateway.hand_over(&result(json!([{"code": "glu"}]))).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("value"), "{}", refused.text());
    assert_eq!(
        hand_over(&gateway, &result(json!([{"code": "glu", "value": 5}]))).await,
        1
    );
    receiver.received(1).await;
}

#[tokio::test]
async fn outbound_actions() {
    let ward = Partner::start(|_| Answer::json(&json!({"bedId": "W3-7"}))).await;
    let insurer = Partner::start(|request| match request.json()["insured"].as_str() {
        Some("refused") => Answer::status(422),
        _ => Answer::status(200),
    })
    .await;
    let example = Example::named("outbound-actions")
        .with("https://ward.partner.example", &ward.url(""))
        .with("https://insurer.partner.example", &insurer.url(""))
        .with("delayMs: 500", "delayMs: 5");
    let gateway = running(&example, &["patient.admitted"]).await;
    let event = |id: &str, patient: &str| json!({"id": id, "eventType": "patient.admitted", "payload": {"patient": {"id": patient}}});
    hand_over(&gateway, &event("1", "P-1")).await;
    let informed = insurer.received(1).await;
    assert_eq!(informed[0].method, "PUT");
    assert_eq!(informed[0].json(), json!({"insured": "P-1", "bed": "W3-7"}));
    assert_eq!(
        informed[0].header("x-api-key"),
        Some("the-key-that-the-insurer-gave-us")
    );
    hand_over(&gateway, &event("2", "refused")).await;
    let at_the_ward = ward.received(3).await;
    assert_eq!(at_the_ward[2].uri.path(), "/beds/release");
    assert_eq!(at_the_ward[2].json(), json!({"bedId": "W3-7"}));
}

#[tokio::test]
async fn outbound_enrichment() {
    let his = Partner::start(|request| match request.uri.path() {
        "/patients/7" => Answer::json(&json!({"name": "Ada"})),
        _ => Answer::text("%PDF"),
    })
    .await;
    let receiver = Receiver::start().await;
    let example = Example::named("outbound-enrichment")
        .with("https://his.lakeside.example", &his.url(""))
        .with("https://archive.partner.example", &receiver.url(""));
    let gateway = running(&example, &["letter.signed"]).await;
    let event = json!({"id": "L", "eventType": "letter.signed", "payload": {"patientId": 7, "letterId": "L-9"}});
    hand_over(&gateway, &event).await;
    let delivered = receiver.received(1).await[0].json();
    assert_eq!(
        delivered,
        json!({"patientId": 7, "letterId": "L-9", "patient": {"name": "Ada"}, "document": "JVBERg=="})
    );
    for call in his.requests() {
        assert_eq!(call.header("authorization"), Some("Bearer the-token-of-the-his"));
    }
}

#[tokio::test]
async fn outbound_filter() {
    let receiver = Receiver::start().await;
    let example = Example::named("outbound-filter").with("https://api.insurer.example", &receiver.url(""));
    let gateway = running(&example, &["bill.generated"]).await;
    let event = |id: &str, age: u32| {
        json!({"id": id, "eventType": "bill.generated", "payload": {"patient": {"age": age},
            "bill": {"amount": 1000.5, "state": "final", "tags": [], "insurer": "AOK"}}})
    };
    assert_eq!(hand_over(&gateway, &event("child", 17)).await, 0);
    assert_eq!(hand_over(&gateway, &event("adult", 18)).await, 1);
    receiver.received(1).await;
}

#[tokio::test]
async fn outbound_mapping() {
    let insurer = Receiver::start().await;
    let warehouse = Receiver::start().await;
    let example = Example::named("outbound-mapping")
        .with("https://api.insurer.example", &insurer.url(""))
        .with("https://warehouse.partner.example", &warehouse.url(""));
    let gateway = running(&example, &["bill.generated"]).await;
    let payload = json!({"bill": {"id": "B-1", "amount": 12.5}, "items": [{"code": "icu"}]});
    let event = json!({"id": "B-1", "eventType": "bill.generated", "payload": payload});
    hand_over(&gateway, &event).await;
    assert_eq!(
        insurer.received(1).await[0].json(),
        json!({"claimId": "B-1", "lines": [{"sku": "ICU"}], "source": "integration-gateway"})
    );
    let fact = &warehouse.received(1).await[0];
    assert_eq!(
        (fact.method.as_str(), &fact.json()["kind"]),
        ("PUT", &json!("bill.generated"))
    );
}

#[tokio::test]
async fn outbound_order() {
    let registry = Receiver::start().await;
    let search = Receiver::start().await;
    registry.next([Answer::status(503)]);
    let example = Example::named("outbound-order")
        .with("https://registry.partner.example", &registry.url(""))
        .with("https://search.partner.example", &search.url(""));
    let mut document = example.document();
    // The standard schedule waits for five seconds.
    document["integrations"][0]["retry"] = json!({"type": "list", "delaysMs": [50, 50, 50], "jitter": 0});
    document["producerKeys"] = json!([{"orgId": 100, "name": "his", "value": KEY}]);
    document["eventTypes"] = json!([{"eventType": "patient.address.changed", "orgId": 100}]);
    let gateway = Gateway::serving(&document).await;
    for number in 1..=3 {
        let payload = json!({"patient": {"id": 7}, "number": number});
        let event = json!({"id": format!("E-{number}"), "eventType": "patient.address.changed", "payload": payload});
        hand_over(&gateway, &event).await;
    }
    let came = registry.received(4).await;
    let numbers: Vec<_> = came.iter().map(|delivery| delivery.json()["number"].clone()).collect();
    assert_eq!(numbers, [1, 1, 2, 3]);
}

#[tokio::test]
async fn outbound_retry() {
    let slow = Receiver::start().await;
    let dashboard = Receiver::start().await;
    slow.next([Answer::status(404), Answer::status(422)]);
    dashboard.always(Answer::status(500));
    let example = Example::named("outbound-retry")
        .with("https://slow.partner.example", &slow.url(""))
        .with("https://dashboard.partner.example", &dashboard.url(""))
        .with("baseMs: 2000", "baseMs: 20")
        .with("delaysMs: [500, 1000]", "delaysMs: [20, 20]");
    let gateway = running(&example, &["bill.generated"]).await;
    hand_over(
        &gateway,
        &json!({"id": "B-1", "eventType": "bill.generated", "payload": {}}),
    )
    .await;
    slow.received(2).await;
    dashboard.received(3).await;
    wait::until("the one to be delivered and the other to be dead", async || {
        let queue = gateway.admin_get("/queue").await.json();
        (queue["open"] == 0 && queue["dead"] == 1).then_some(())
    })
    .await;
    assert_eq!((slow.requests().len(), dashboard.requests().len()), (2, 3));
}

#[tokio::test]
async fn outbound_schedule() {
    let sms = Receiver::start().await;
    let ward = Receiver::start().await;
    let example = Example::named("outbound-schedule")
        .with("https://sms.partner.example", &sms.url(""))
        .with("https://ward.partner.example", &ward.url(""));
    let gateway = running(&example, &["appointment.booked", "treatment.begun"]).await;
    let booked = json!({"id": "A-1", "eventType": "appointment.booked",
        "payload": {"appointment": {"startsAt": "2094-05-03T23:30:00+05:30"}}});
    assert_eq!(hand_over(&gateway, &booked).await, 1);
    let begun = json!({"id": "T-1", "eventType": "treatment.begun", "payload": {}});
    assert_eq!(hand_over(&gateway, &begun).await, 2);
    let waiting = wait::until("the three to wait for their time", async || {
        let queue = gateway.admin_get("/queue").await.json();
        (queue["open"] == 3).then_some(queue)
    })
    .await;
    let next = |name: &str| {
        let endpoints = waiting["endpoints"].as_array().unwrap();
        let found = endpoints.iter().find(|endpoint| endpoint["name"] == name);
        found.unwrap()["nextAttemptAt"].as_str().unwrap().to_owned()
    };
    // Two hours earlier is 21:30 in Kolkata on a Monday: after eight, so it goes out the next morning.
    assert!(
        next("reminder-two-hours-before").starts_with("2094-05-04T02:30:00"),
        "{waiting}"
    );
    // Nine in the morning there.
    assert!(next("weekly-check-up").contains("T03:30:00"), "{waiting}");
}

#[tokio::test]
async fn outbound_signing() {
    let insurer = Receiver::start().await;
    let example = Example::named("outbound-signing").with("https://api.insurer.example", &insurer.url(""));
    let gateway = running(&example, &["bill.generated"]).await;
    hand_over(
        &gateway,
        &json!({"id": "B-1", "eventType": "bill.generated", "payload": {}}),
    )
    .await;
    let deliveries = insurer.received(2).await;
    let at = |path: &str| deliveries.iter().find(|delivery| delivery.uri.path() == path).unwrap();
    let standard = at("/standard");
    assert!(is_signed(standard, "whsec_c2VjcmV0LW9mLXR3ZW50eS1mb3VyLWJ5dGVz"));
    assert!(is_signed(standard, "whsec_YW5vdGhlci1zZWNyZXQtb2YtdHdlbnR5LWZvdXI="));
    assert_eq!(at("/hmac").header("x-signature").unwrap().len(), 64);
}

#[tokio::test]
async fn units() {
    let north = Receiver::start().await;
    let all = Receiver::start().await;
    let office = Receiver::start().await;
    let example = Example::named("units")
        .with("https://north.partner.example", &north.url(""))
        .with("https://registry.partner.example", &all.url(""))
        .with("https://audit.partner.example", &office.url(""));
    let gateway = running(&example, &[]).await;
    let event = |id: &str, unit: Value| {
        with(
            json!({"id": id, "eventType": "visit.closed", "payload": {}}),
            json!({"entityRid": unit}),
        )
    };
    assert_eq!(hand_over(&gateway, &event("north", json!(10301))).await, 2);
    assert_eq!(hand_over(&gateway, &event("training", json!(10302))).await, 0);
    assert_eq!(hand_over(&gateway, &event("office", Value::Null)).await, 2);
    assert_eq!(north.received(1).await[0].header("ce-id"), Some("north"));
    assert_eq!(office.received(1).await[0].header("ce-id"), Some("office"));
    all.received(2).await;
}

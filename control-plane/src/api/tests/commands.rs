//! Commands to gateways: given by operators, sent until they are answered.

use std::time::Duration;

use super::deliveries::{connected, letter, scheduled, tell};
use super::stream::Gateway;
use super::*;

#[tokio::test]
async fn a_dead_letter_is_retried_by_the_gateway_that_owns_it() {
    let bench = Bench::start().await;
    let mut other = Gateway::connect(&bench, "g2", None).await;
    other.next().await;
    other.ack(&bench, 1).await;
    let mut gateway = connected(&bench).await;
    tell(&mut gateway, 1, &json!([letter(1, json!({}))])).await;

    let edited = json!({"payload": {"fixed": true}});
    let given = bench
        .send(Method::POST, "/api/v1/dlq/letter-1/retry", &edited)
        .await
        .is(202);
    let id = only_command(&given, "g1");
    let told = gateway.next().await;
    let wanted = json!({"action": "retryDeadLetters", "ids": ["letter-1"], "payload": {"fixed": true}});
    assert_eq!(
        (&told["message"], &told["id"], &told["command"]),
        (&json!("command"), &json!(id), &wanted)
    );
    state(&bench, &id, "SENT").await;

    tell(
        &mut gateway,
        2,
        &json!([commanded(&id, 1), {"kind": "deadLetterGone", "value": "letter-1"}]),
    )
    .await;
    let done = state(&bench, &id, "DONE").await;
    assert_eq!(
        (&done["result"]["done"], &done["createdBy"]),
        (&json!(1), &json!("all"))
    );
    bench.get("/api/v1/dlq/letter-1").await.is(404);
    bench
        .send(Method::POST, "/api/v1/dlq/letter-1/retry", &edited)
        .await
        .is(404);
    // Whatever else it were told would have come first.
    bench.put("a", &integration("lab")).await.is(201);
    assert_eq!(other.next().await["message"], "change");
}

#[tokio::test]
async fn a_gateway_that_is_away_gets_its_commands_when_it_connects_and_until_it_answers() {
    let bench = Bench::start().await;
    let mut gateway = connected(&bench).await;
    tell(&mut gateway, 1, &json!([letter(1, json!({})), letter(2, json!({}))])).await;
    drop(gateway);
    let post = async |path: &str| {
        Reply::of(bench.request(Method::POST, &format!("/api/v1/dlq/{path}")))
            .await
            .is(202)
    };
    let first = only_command(&post("letter-1/retry").await, "g1");
    let second = only_command(&post("letter-2/abandon").await, "g1");
    let third = bench.request(Method::DELETE, "/api/v1/dlq/letter-2");
    let third = only_command(&Reply::of(third).await.is(202), "g1");

    let bench = bench.restart().await;
    for _ in 0..2 {
        let mut gateway = connected(&bench).await;
        for (id, action) in [
            (&first, "retryDeadLetters"),
            (&second, "abandonDeadLetters"),
            (&third, "deleteDeadLetters"),
        ] {
            let told = gateway.next().await;
            assert_eq!((&told["id"], &told["command"]["action"]), (&json!(id), &json!(action)));
        }
    }
    let mut gateway = connected(&bench).await;
    for _ in 0..3 {
        gateway.next().await;
    }
    tell(&mut gateway, 5, &json!([commanded(&first, 1), commanded(&second, 1)])).await;
    drop(gateway);
    let mut gateway = connected(&bench).await;
    assert_eq!(gateway.next().await["id"], third.as_str(), "the others are done");
}

#[tokio::test]
async fn dead_letters_are_retried_by_name_and_by_filter() {
    let bench = Bench::start().await;
    let mut gateway = connected(&bench).await;
    let letters: Vec<_> = (1..=59).map(|second| letter(second, json!({}))).collect();
    tell(&mut gateway, 1, &json!(letters)).await;
    let more: Vec<_> = (1..=59)
        .map(|second| letter(second, json!({"id": format!("more-{second}"), "status": "ABANDONED"})))
        .collect();
    tell(&mut gateway, 2, &json!(more)).await;
    let retrying = letter(1, json!({"id": "busy", "status": "RETRYING"}));
    tell(
        &mut gateway,
        3,
        &json!([retrying, letter(1, json!({"id": "elsewhere", "orgId": 7}))]),
    )
    .await;

    let body = json!({"orgId": 648, "ids": ["letter-1", "letter-2", "letter-1"]});
    let begun = bench.send(Method::POST, "/api/v1/dlq/bulk-retry", &body).await.is(202);
    assert_eq!(
        (&begun.body["total"], &begun.body["state"]),
        (&json!(2), &json!("RUNNING"))
    );
    let told = gateway.next().await;
    assert_eq!(told["command"]["ids"], json!(["letter-1", "letter-2"]));
    assert_eq!(begun.body["commandIds"], json!([told["id"]]));

    let body = json!({"orgId": 648, "filter": {"integrationConfigId": "bills"}});
    let begun = bench.send(Method::POST, "/api/v1/dlq/bulk-retry", &body).await.is(202);
    assert_eq!(begun.body["total"], 118, "{}", begun.text);
    let (mut ids, mut results) = (Vec::new(), Vec::new());
    while ids.len() < 118 {
        let told = gateway.next().await;
        let named = told["command"]["ids"].as_array().unwrap().clone();
        assert!(named.len() <= 100);
        results.push(commanded(told["id"].as_str().unwrap(), named.len() as u64));
        ids.extend(named);
    }
    tell(&mut gateway, 4, &json!(results)).await;
    ids.sort_by_key(|id| id.as_str().unwrap().to_owned());
    ids.dedup();
    assert_eq!(ids.len(), 118, "each once");
    assert!(!ids.contains(&json!("busy")) && !ids.contains(&json!("elsewhere")));
    let path = format!("/api/v1/dlq/bulk/{}", begun.body["id"].as_str().unwrap());
    let shown = bench.get(&path).await.is(200);
    assert_eq!(
        (
            &shown.body["state"],
            &shown.body["queued"],
            &shown.body["done"],
            &shown.body["failed"]
        ),
        (&json!("DONE"), &json!(118), &json!(118), &json!(0)),
    );
    bench
        .scoped(Method::GET, &format!("{path}?orgId=648"), None)
        .await
        .is(200);
    bench.get(&format!("{path}?orgId=7")).await.is(404);
}

#[tokio::test]
async fn a_retry_by_filter_goes_on_after_a_restart() {
    let bench = Bench::start().await;
    let mut gateway = connected(&bench).await;
    tell(
        &mut gateway,
        1,
        &json!([
            letter(1, json!({})),
            letter(2, json!({"status": "ABANDONED"})),
            letter(3, json!({"status": "ABANDONED", "direction": "INBOUND"})),
        ]),
    )
    .await;
    let body = json!({"orgId": 648, "filter": {"status": "ABANDONED", "direction": "OUTBOUND"}});
    let begun = bench.send(Method::POST, "/api/v1/dlq/bulk-retry", &body).await.is(202);
    drop(gateway);
    let bench = bench.restart().await;
    let mut gateway = connected(&bench).await;
    let told = gateway.next().await;
    assert_eq!(told["command"]["ids"], json!(["letter-2"]));
    let id = begun.body["id"].as_str().unwrap();
    let shown = bench.get(&format!("/api/v1/dlq/bulk/{id}")).await.is(200);
    assert_eq!(
        (&shown.body["state"], &shown.body["queued"]),
        (&json!("RUNNING"), &json!(1))
    );
}

#[tokio::test]
async fn a_scheduled_delivery_is_cancelled_while_it_waits() {
    let bench = Bench::start().await;
    let mut gateway = connected(&bench).await;
    tell(
        &mut gateway,
        1,
        &json!([scheduled(1, json!({})), scheduled(2, json!({"status": "COMPLETED"}))]),
    )
    .await;
    let path = "/api/v1/scheduled-integrations/g1:1-0";
    bench.get(path).await.is(200);
    Reply::of(bench.request(Method::DELETE, path)).await.is(202);
    let told = gateway.next().await;
    assert_eq!(told["command"], json!({"action": "cancelScheduled", "ids": ["g1:1-0"]}));
    let over = bench.request(Method::POST, "/api/v1/scheduled-integrations/g1:2-0/cancel");
    Reply::of(over).await.is(409).has_code("CONFLICT");
}

#[tokio::test]
async fn endpoints_are_paused_tried_and_replayed() {
    let bench = Bench::start().await;
    let post = async |path: &str, body: &Value| bench.send(Method::POST, &format!("/api/v1/{path}"), body).await;
    bench
        .send(Method::PUT, "/api/v1/outbound-integrations/bills", &outbound("Bills"))
        .await
        .is(201);
    post("outbound-integrations/bills/pause", &json!({})).await.is(409);
    post("replay", &json!({"orgId": 648, "eventIds": ["e"]})).await.is(409);

    let mut two = Gateway::connect(&bench, "g2", None).await;
    two.next().await;
    drop(two);
    let mut one = connected(&bench).await;
    let mut command = async |given: Reply, gateways: usize| {
        let given = given.is(202);
        assert_eq!(
            given.body["commands"].as_array().unwrap().len(),
            gateways,
            "{}",
            given.text
        );
        one.next().await["command"].clone()
    };
    let paused = post("outbound-integrations/bills/pause", &json!({})).await;
    assert_eq!(
        command(paused, 2).await,
        json!({"action": "pause", "integrationConfigId": "bills"})
    );
    let resumed = post("outbound-integrations/bills/resume?gatewayId=g1", &json!({})).await;
    assert_eq!(
        command(resumed, 1).await,
        json!({"action": "resume", "integrationConfigId": "bills"})
    );
    let tried = post(
        "outbound-integrations/bills/deliver-test",
        &json!({"payload": {"n": 1}}),
    )
    .await;
    let wanted =
        json!({"action": "test", "integrationConfigId": "bills", "eventType": "bill.generated", "payload": {"n": 1}});
    assert_eq!(command(tried, 1).await, wanted, "at a gateway that is there");
    let by_id = post(
        "replay",
        &json!({"orgId": 648, "eventIds": ["e"], "integrationConfigId": "bills"}),
    )
    .await;
    let wanted = json!({"action": "replay", "orgId": 648, "integrationConfigId": "bills", "eventIds": ["e"]});
    assert_eq!(command(by_id, 2).await, wanted);
    let range = json!({"orgId": 648, "from": "2096-01-15", "to": "2096-01-15", "gatewayId": "g1"});
    let wanted =
        json!({"action": "replay", "orgId": 648, "from": "2096-01-15T00:00:00.000Z", "to": "2096-01-16T00:00:00.000Z"});
    assert_eq!(command(post("replay", &range).await, 1).await, wanted);
}

#[tokio::test]
async fn what_is_asked_wrongly_of_endpoints_and_dead_letters_is_named() {
    let bench = Bench::start().await;
    let post = async |path: &str, body: &Value| bench.send(Method::POST, &format!("/api/v1/{path}"), body).await;
    let path = "/api/v1/outbound-integrations/bills";
    bench.send(Method::PUT, path, &outbound("Bills")).await.is(201);
    let _gateway = connected(&bench).await;
    post("outbound-integrations/none/pause", &json!({})).await.is(404);
    post("outbound-integrations/bills/pause?gatewayId=g9", &json!({}))
        .await
        .is(404);
    let foreign = json!({"orgId": 7, "eventIds": ["e"], "integrationConfigId": "bills"});
    post("replay", &foreign).await.is(404);
    for (body, path) in [
        (json!({"orgId": 648}), "eventIds"),
        (
            json!({"orgId": 648, "eventIds": ["e"], "from": "2096-01-15"}),
            "eventIds",
        ),
        (json!({"orgId": 648, "from": "2096-01-15", "to": "2096-01-14"}), "to"),
        (json!({"orgId": 648, "from": "once"}), "from"),
    ] {
        let refused = post("replay", &body).await.is(400);
        assert!(refused.problems().contains(&path), "{}", refused.text);
    }
    let many: Vec<_> = (0..101).map(|number| format!("letter-{number}")).collect();
    for (body, path) in [
        (json!({"orgId": 648}), "ids"),
        (json!({"orgId": 648, "ids": []}), "ids"),
        (json!({"orgId": 648, "ids": many}), "ids"),
        (json!({"orgId": 648, "ids": ["none"]}), "ids"),
        (json!({"orgId": 648, "ids": ["a"], "filter": {}}), "filter"),
        (
            json!({"orgId": 648, "filter": {"startDate": "once"}}),
            "filter.startDate",
        ),
    ] {
        assert_eq!(post("dlq/bulk-retry", &body).await.is(400).problems(), [path], "{body}");
    }
}

/// Identifier of the only command, which is for `gateway`.
fn only_command(given: &Reply, gateway: &str) -> String {
    let [command] = given.body["commands"].as_array().unwrap().as_slice() else {
        panic!("{}", given.text)
    };
    assert_eq!(command["gatewayId"], gateway);
    command["id"].as_str().unwrap().to_owned()
}

fn commanded(id: &str, done: u64) -> Value {
    json!({"kind": "commanded", "value": {"id": id, "result": {"done": done}}})
}

/// Waits until a command is in a state.
async fn state(bench: &Bench, id: &str, wanted: &str) -> Value {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let shown = bench.get(&format!("/api/v1/commands/{id}")).await.is(200);
        if shown.body["state"] == wanted {
            return shown.body;
        }
        assert!(tokio::time::Instant::now() < deadline, "{}", shown.text);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

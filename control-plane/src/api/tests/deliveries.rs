//! What gateways tell of deliveries: how it comes in, and who finds what.

use super::stream::Gateway;
use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn a_batch_is_acknowledged_once_it_is_kept_and_a_repeat_changes_nothing() {
    let bench = Bench::start().await;
    let mut gateway = connected(&bench).await;
    let records = json!([log(1, json!({})), log(2, json!({"orgId": 7})), letter(1, json!({}))]);
    for _ in 0..2 {
        tell(&mut gateway, 17, &records).await;
    }
    tell(&mut gateway, 18, &json!([])).await;
    let bench = bench.restart().await;
    let logs = bench.get("/api/v1/logs?orgId=648").await.is(200);
    assert_eq!(ids(&logs, "logs"), ["log-1"]);
    let letters = bench.get("/api/v1/dlq?orgId=648").await.is(200);
    assert_eq!(ids(&letters, "deadLetters"), ["letter-1"]);
    assert_eq!(
        letters.body["deadLetters"][0]["gatewayId"], "g1",
        "the sender's, whatever it says"
    );
}

#[tokio::test]
async fn a_message_of_many_megabytes_gets_through() {
    let bench = Bench::start().await;
    let mut gateway = connected(&bench).await;
    let payload = json!({"text": "x".repeat(20 << 20)});
    tell(
        &mut gateway,
        1,
        &json!([letter(1, json!({"originalPayload": payload}))]),
    )
    .await;
    let shown = bench.get("/api/v1/dlq/letter-1").await.is(200);
    assert_eq!(shown.body["originalPayload"], payload);
}

#[tokio::test]
async fn attempts_are_listed_in_short_and_shown_in_full() {
    let bench = Bench::start().await;
    let mut gateway = connected(&bench).await;
    let full = json!({"responseBody": {"a": 1}, "curlCommand": "curl x", "requestHeaders": {"a": "b"}});
    let logs: Vec<_> = (1..=5).map(|number| log(number, full.clone())).collect();
    tell(&mut gateway, 1, &json!(logs)).await;
    let list = async |query: &str| bench.get(&format!("/api/v1/logs?orgId=648{query}")).await.is(200);

    let first = list("&limit=2").await;
    assert_eq!(ids(&first, "logs"), ["log-5", "log-4"]);
    assert_eq!((&first.body["page"], &first.body["hasMore"]), (&json!(1), &json!(true)));
    assert!(first.body["logs"][0].get("responseBody").is_none(), "{}", first.text);
    assert_eq!(ids(&list("&limit=2&page=3").await, "logs"), ["log-1"]);

    // What comes in meanwhile does not shift the pages of a cursor.
    tell(&mut gateway, 2, &json!([log(9, json!({}))])).await;
    let cursor = first.body["nextCursor"].as_str().unwrap();
    let second = list(&format!("&limit=2&cursor={cursor}")).await;
    assert_eq!(ids(&second, "logs"), ["log-3", "log-2"]);
    let cursor = second.body["nextCursor"].as_str().unwrap();
    let last = list(&format!("&limit=2&cursor={cursor}")).await;
    assert_eq!(
        (ids(&last, "logs"), &last.body["hasMore"]),
        (vec!["log-1"], &json!(false))
    );
    assert!(last.body.get("nextCursor").is_none(), "{}", last.text);

    let shown = bench.get("/api/v1/logs/log-1").await.is(200);
    assert_eq!(shown.body["curlCommand"], "curl x");
    bench.get("/api/v1/logs/none").await.is(404).has_code("NOT_FOUND");
}

#[tokio::test]
async fn records_of_deliveries_are_found_by_filter() {
    let bench = Bench::start().await;
    let mut gateway = connected(&bench).await;
    let records = json!([
        log(1, json!({"status": "FAILED", "errorMessage": "connection refused"})),
        log(2, json!({"integrationConfigId": "other", "eventType": "bill.paid"})),
        log(
            3,
            json!({"eventId": "e3", "messageId": "m3", "createdAt": "2096-01-16T00:00:00.000Z"})
        ),
        letter(1, json!({"status": "ABANDONED"})),
        letter(2, json!({"errorCategory": "TIMEOUT"})),
        scheduled(1, json!({})),
        scheduled(2, json!({"status": "CANCELLED"})),
    ]);
    tell(&mut gateway, 1, &records).await;
    let found = async |path: &str, list: &str| {
        let reply = bench.get(&format!("/api/v1/{path}")).await.is(200);
        ids(&reply, list).join(" ")
    };
    let logs = async |query: &str| found(&format!("logs?orgId=648&{query}"), "logs").await;
    assert_eq!(logs("status=FAILED").await, "log-1");
    assert_eq!(logs("search=REFUSED").await, "log-1");
    assert_eq!(logs("integrationConfigId=other").await, "log-2");
    assert_eq!(logs("eventType=bill.paid").await, "log-2");
    assert_eq!(logs("eventId=e3").await, "log-3");
    assert_eq!(logs("messageId=m3").await, "log-3");
    assert_eq!(logs("direction=OUTBOUND&startDate=2096-01-16").await, "log-3");
    assert_eq!(
        logs("endDate=2096-01-15").await,
        "log-2 log-1",
        "the last day is included"
    );
    let letters = async |query: &str| found(&format!("dlq?orgId=648&{query}"), "deadLetters").await;
    assert_eq!(letters("status=ABANDONED").await, "letter-1");
    assert_eq!(letters("errorCategory=TIMEOUT").await, "letter-2");
    let waiting = found(
        "scheduled-integrations?orgId=648&status=PENDING",
        "scheduledIntegrations",
    )
    .await;
    assert_eq!(waiting, "g1:1-0");
}

#[tokio::test]
async fn records_of_deliveries_are_for_those_who_may_see_the_organization() {
    let bench = Bench::start().await;
    let mut gateway = connected(&bench).await;
    let records = json!([
        log(1, json!({})),
        log(2, json!({"orgId": 7})),
        letter(1, json!({})),
        letter(2, json!({"orgId": 7})),
    ]);
    tell(&mut gateway, 1, &records).await;
    let scoped = async |path: &str| bench.scoped(Method::GET, &format!("/api/v1/{path}"), None).await;
    assert_eq!(ids(&scoped("logs?orgId=648").await.is(200), "logs"), ["log-1"]);
    for path in [
        "logs?orgId=7",
        "dlq?orgId=7",
        "scheduled-integrations?orgId=7",
        "undelivered?orgId=7",
    ] {
        scoped(path).await.is(403).has_code("FORBIDDEN");
    }
    scoped("dlq/letter-1?orgId=648").await.is(200);
    assert_eq!(scoped("dlq/letter-1").await.is(400).problems(), ["orgId"]);
    scoped("dlq/letter-2?orgId=648").await.is(404);
    scoped("logs/log-2?orgId=648").await.is(404);
    let retry = bench
        .scoped(Method::POST, "/api/v1/dlq/letter-2/retry?orgId=648", None)
        .await;
    retry.is(404);
    let many = json!({"orgId": 7, "filter": {}});
    bench
        .scoped(Method::POST, "/api/v1/dlq/bulk-retry", Some(&many))
        .await
        .is(403);
    for path in ["logs?orgId=648", "dlq?orgId=648", "undelivered", "commands/x"] {
        Reply::of(bench.client.get(bench.url(&format!("/api/v1/{path}"))))
            .await
            .is(401);
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_of_lists_is_named() {
    let bench = Bench::start().await;
    for (query, path) in [
        ("orgId=648&limit=0", "limit"),
        ("orgId=648&limit=201", "limit"),
        ("orgId=648&page=0", "page"),
        ("orgId=648&page=4294967295&limit=200", "page"),
        ("orgId=648&startDate=yesterday", "startDate"),
        ("orgId=648&search=", "search"),
        ("orgId=648&cursor=here", "cursor"),
        ("orgId=648&cursor=1.x&page=2", "cursor"),
        ("orgId=648&status=BAD", "query"),
        ("orgId=648&colour=red", "query"),
        ("limit=5", "query"),
    ] {
        for list in ["logs", "dlq", "scheduled-integrations"] {
            let refused = bench.get(&format!("/api/v1/{list}?{query}")).await.is(400);
            assert_eq!(refused.problems(), [path], "{list} {query}: {}", refused.text);
        }
    }
}

#[tokio::test]
async fn a_dead_letter_shows_what_was_tried_and_a_trace_everything() {
    let bench = Bench::start().await;
    let mut gateway = connected(&bench).await;
    let records = json!([
        log(3, json!({})),
        log(1, json!({"status": "RETRYING"})),
        log(2, json!({"integrationConfigId": "other"})),
        letter(1, json!({"originalPayload": {"n": 1}})),
    ]);
    tell(&mut gateway, 1, &records).await;
    let letter = bench.get("/api/v1/dlq/letter-1").await.is(200);
    assert_eq!(letter.body["originalPayload"], json!({"n": 1}));
    assert_eq!(ids(&letter, "trace"), ["log-1", "log-3"]);
    let trace = bench.get(&format!("/api/v1/execution-logs/{TRACE}")).await.is(200);
    assert_eq!(ids(&trace, "steps"), ["log-1", "log-2", "log-3"]);
    assert_eq!(
        (&trace.body["steps"][0]["kind"], &trace.body["steps"][0]["status"]),
        (&json!("ATTEMPT"), &json!("RETRYING"))
    );
    assert_eq!(ids(&trace, "deliveryLogs"), ["log-1", "log-2", "log-3"]);
}

#[tokio::test]
async fn what_is_undelivered_is_shown_by_endpoint() {
    let bench = Bench::start().await;
    bench
        .send(Method::PUT, "/api/v1/outbound-integrations/bills", &outbound("Bills"))
        .await
        .is(201);
    let mut gateway = Gateway::connect(&bench, "g1", None).await;
    let endpoint = |id: &str, org_id, open| {
        json!({"integrationConfigId": id, "orgId": org_id, "open": open, "state": "circuitOpen", "reason": "it answered 500",
            "oldest": "2096-01-15T10:00:00.000Z", "nextAttemptAt": "2096-01-15T10:00:30.000Z"})
    };
    let endpoints = json!([endpoint("bills", 648, 3), endpoint("gone", 648, 5), endpoint("x", 7, 9)]);
    gateway
        .say(json!({"message": "deliveries", "endpoints": endpoints}))
        .await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    let shown = loop {
        let shown = bench
            .scoped(Method::GET, "/api/v1/undelivered?orgId=648", None)
            .await
            .is(200);
        if shown.body["endpoints"] != json!([]) {
            break shown;
        }
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    let list = shown.body["endpoints"].as_array().unwrap();
    assert_eq!(list.len(), 2, "{}", shown.text);
    assert_eq!(
        (&list[0]["integrationConfigId"], &list[0]["open"]),
        (&json!("gone"), &json!(5))
    );
    assert_eq!(
        (&list[1]["integrationName"], &list[1]["gatewayId"]),
        (&json!("Bills"), &json!("g1"))
    );
    assert_eq!(
        (&list[1]["state"], &list[1]["connected"]),
        (&json!("circuitOpen"), &json!(true))
    );
    let one = bench.get("/api/v1/undelivered?integrationConfigId=x").await.is(200);
    assert_eq!(one.body["endpoints"].as_array().unwrap().len(), 1);
}

pub(super) async fn connected(bench: &Bench) -> Gateway {
    let mut gateway = Gateway::connect(bench, "g1", None).await;
    assert_eq!(gateway.next().await["message"], "snapshot");
    gateway
}

/// Sends a batch and waits for its answer.
pub(super) async fn tell(gateway: &mut Gateway, up_to: i64, records: &Value) {
    let message = json!({"message": "outcomes", "upTo": up_to, "records": records});
    gateway.say(message).await;
    assert_eq!(gateway.next().await, json!({"message": "settled", "upTo": up_to}));
}

/// Of a day that is not too old for a long time.
fn log(second: u32, change: Value) -> Value {
    let log = json!({
        "id": format!("log-{second}"), "messageId": "m", "integrationConfigId": "bills", "integrationName": "Bills",
        "orgId": 648, "eventId": "e", "eventType": "bill.generated", "status": "SUCCESS",
        "targetUrl": "https://partner.example/hook", "httpMethod": "POST", "responseStatus": 200, "responseTimeMs": 3,
        "attemptCount": 1, "shouldRetry": false, "traceId": TRACE, "createdAt": at(second), "gatewayId": "g1",
    });
    record("log", log, &change)
}

pub(super) fn letter(second: u32, change: Value) -> Value {
    let letter = json!({
        "id": format!("letter-{second}"), "integrationConfigId": "bills", "integrationName": "Bills", "orgId": 648,
        "eventId": "e", "source": "/his", "eventType": "bill.generated", "status": "PENDING_RETRY",
        "originalPayload": {}, "targetUrl": "https://partner.example/hook", "httpMethod": "POST",
        "lastError": "it answered 500", "errorCategory": "SERVER_ERROR", "attemptCount": 8, "retryCount": 0,
        "maxRetries": 3, "traceId": TRACE, "createdAt": at(second), "updatedAt": at(second), "gatewayId": "else",
    });
    record("deadLetter", letter, &change)
}

pub(super) fn scheduled(second: u32, change: Value) -> Value {
    let scheduled = json!({
        "id": format!("g1:{second}-0"), "integrationConfigId": "bills", "integrationName": "Bills", "orgId": 648,
        "tenantId": 648, "originalEventId": "e", "eventType": "bill.generated", "scheduledFor": at(50),
        "status": "PENDING", "targetUrl": "https://partner.example/hook", "httpMethod": "POST",
        "createdAt": at(second), "updatedAt": at(second), "gatewayId": "g1",
    });
    record("scheduled", scheduled, &change)
}

fn record(kind: &str, mut value: Value, change: &Value) -> Value {
    for (name, changed) in change.as_object().unwrap() {
        value[name] = changed.clone();
    }
    json!({"kind": kind, "value": value})
}

fn at(second: u32) -> String {
    format!("2096-01-15T10:00:{second:02}.000Z")
}

fn ids<'a>(reply: &'a Reply, list: &str) -> Vec<&'a str> {
    let records = reply.body[list].as_array().unwrap();
    records.iter().filter_map(|record| record["id"].as_str()).collect()
}

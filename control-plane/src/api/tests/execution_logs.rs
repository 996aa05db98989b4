//! Records of calls: how they come in, and who finds which.

use super::stream::Gateway;
use super::*;

const PATH: &str = "/api/v1/execution-logs";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn a_batch_is_acknowledged_and_kept_once_under_the_name_of_its_gateway() {
    let bench = Bench::start().await;
    let mut gateway = connected(&bench).await;
    let records = json!([record(1, 648), record(2, 648)]);
    for _ in 0..2 {
        send(&mut gateway, "b1", &records).await;
    }
    send(&mut gateway, "b2", &json!([])).await;
    let found = bench.get(&format!("{PATH}?orgId=648")).await.is(200);
    assert_eq!(ids(&found), ["r2", "r1"]);
    assert_eq!(
        (&found.body["page"], &found.body["hasMore"]),
        (&json!(1), &json!(false))
    );
    let mut wanted = record(2, 648);
    wanted["gatewayId"] = json!("g1");
    assert_eq!(found.body["executionLogs"][0], wanted);
    let gateways = bench.get("/api/v1/gateways").await.is(200);
    assert_eq!(gateways.body["gateways"][0]["recordsDropped"], 3, "{}", gateways.text);
    let health = bench.get("/api/v1/health").await.is(200);
    assert_eq!(health.body["gateways"]["recordsLost"], 3, "{}", health.text);

    let bench = bench.restart().await;
    assert_eq!(
        ids(&bench.get(&format!("{PATH}?orgId=648")).await.is(200)),
        ["r2", "r1"]
    );
}

#[tokio::test]
async fn records_that_are_too_old_are_deleted() {
    let bench = Bench::start().await;
    let mut gateway = connected(&bench).await;
    let mut old = record(1, 648);
    old["createdAt"] = json!("2016-01-15T10:00:00.000Z");
    send(&mut gateway, "b", &json!([old, record(2, 648)])).await;
    // It is looked for at the start, and every minute after that.
    let bench = bench.restart().await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let found = bench.get(&format!("{PATH}?orgId=648")).await.is(200);
        if ids(&found) == ["r2"] {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{}", found.text);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn records_are_for_those_who_may_see_the_organization() {
    let bench = Bench::start().await;
    let mut gateway = connected(&bench).await;
    send(&mut gateway, "b", &json!([record(1, 648), record(2, 7)])).await;
    let scoped = async |path: &str| bench.scoped(Method::GET, path, None).await;

    assert_eq!(ids(&scoped(&format!("{PATH}?orgId=648")).await.is(200)), ["r1"]);
    scoped(&format!("{PATH}?orgId=7")).await.is(403).has_code("FORBIDDEN");
    let trace = format!("{PATH}/{TRACE}");
    let own = scoped(&format!("{trace}?orgId=648")).await.is(200);
    assert_eq!((ids(&own), &own.body["traceId"]), (vec!["r1"], &json!(TRACE)));
    scoped(&format!("{trace}?orgId=7")).await.is(403);
    assert_eq!(scoped(&trace).await.is(400).problems(), ["orgId"]);
    assert_eq!(
        ids(&bench.get(&trace).await.is(200)),
        ["r1", "r2"],
        "a key for all sees all"
    );
    bench
        .get(&format!("{trace}?orgId=9"))
        .await
        .is(404)
        .has_code("NOT_FOUND");
    bench.get(&format!("{PATH}/none")).await.is(404);
    let anonymous = Reply::of(bench.client.get(bench.url(&format!("{PATH}?orgId=648")))).await;
    anonymous.is(401);
}

#[tokio::test]
async fn records_are_found_by_filter_and_page() {
    let bench = Bench::start().await;
    let mut gateway = connected(&bench).await;
    let mut records: Vec<_> = (1..=5).map(|number| record(number, 648)).collect();
    records[1]["status"] = json!("FAILED");
    records[2]["integrationConfigId"] = json!("other");
    records[3]["path"] = json!("/Patients/17");
    records[4]["createdAt"] = json!("2096-01-16T00:00:00.000Z");
    send(&mut gateway, "b", &json!(records)).await;
    let found = async |query: &str| {
        let reply = bench.get(&format!("{PATH}?orgId=648&{query}")).await.is(200);
        ids(&reply).join(" ")
    };
    assert_eq!(found("status=FAILED").await, "r2");
    assert_eq!(found("integrationConfigId=other").await, "r3");
    assert_eq!(found("search=patients/").await, "r4");
    assert_eq!(found("startDate=2096-01-16").await, "r5");
    assert_eq!(
        found("startDate=2096-01-15&endDate=2096-01-15").await,
        "r4 r3 r2 r1",
        "the last day is included"
    );
    assert_eq!(
        found("startDate=2096-01-15T10:00:02Z&endDate=2096-01-15T10:00:04Z").await,
        "r3 r2"
    );
    assert_eq!(found("limit=2").await, "r5 r4");
    assert_eq!(found("limit=2&page=3").await, "r1");
    let page = bench.get(&format!("{PATH}?orgId=648&limit=2&page=2")).await.is(200);
    assert_eq!((ids(&page), &page.body["hasMore"]), (vec!["r3", "r2"], &json!(true)));
}

#[tokio::test]
async fn what_is_asked_wrongly_is_named() {
    let bench = Bench::start().await;
    for (query, path) in [
        ("orgId=648&limit=0", "limit"),
        ("orgId=648&limit=201", "limit"),
        ("orgId=648&page=0", "page"),
        ("orgId=648&page=4294967295&limit=200", "page"),
        ("orgId=648&startDate=yesterday", "startDate"),
        ("orgId=648&endDate=2096-01-15T10:00:00", "endDate"),
        ("orgId=648&search=", "search"),
        ("orgId=648&status=BAD", "query"),
        ("orgId=648&colour=red", "query"),
        ("limit=5", "query"),
    ] {
        let refused = bench.get(&format!("{PATH}?{query}")).await.is(400);
        assert_eq!(refused.problems(), [path], "{query}: {}", refused.text);
    }
}

async fn connected(bench: &Bench) -> Gateway {
    let mut gateway = Gateway::connect(bench, "g1", None).await;
    assert_eq!(gateway.next().await["message"], "snapshot");
    gateway
}

/// Sends a batch and waits for its answer.
async fn send(gateway: &mut Gateway, batch: &str, records: &Value) {
    let message = json!({"message": "records", "batch": batch, "dropped": 3, "records": records});
    gateway.say(message).await;
    assert_eq!(gateway.next().await, json!({"message": "recorded", "batch": batch}));
}

/// Of a day that is not too old for a long time.
fn record(second: u32, org_id: u64) -> Value {
    json!({
        "id": format!("r{second}"), "traceId": TRACE, "requestId": "q", "orgId": org_id, "integrationConfigId": "labs",
        "integrationName": "Lab results", "direction": "INBOUND", "status": "SUCCESS", "httpMethod": "GET",
        "path": "/labs", "responseStatus": 200, "attempts": 1, "requestBytes": 0, "responseBytes": 17, "durationMs": 3,
        "createdAt": format!("2096-01-15T10:00:{second:02}.000Z"), "gatewayId": "somebody-else",
    })
}

fn ids(reply: &Reply) -> Vec<&str> {
    let records = reply.body["executionLogs"].as_array().unwrap();
    records.iter().filter_map(|record| record["id"].as_str()).collect()
}

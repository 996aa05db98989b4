//! Dashboard, analytics, export and retention.

use jiff::{SignedDuration, Timestamp};

use super::deliveries::{connected, tell};
use super::stream::Gateway;
use super::*;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn the_dashboard_shows_what_happened_and_what_waits() {
    let bench = Bench::start().await;
    organization(&bench, 648, None).await;
    let saved = bench
        .send(Method::PUT, "/api/v1/outbound-integrations/bills", &outbound("Bills"))
        .await;
    saved.is(201);
    let mut gateway = connected(&bench).await;
    let failed = json!({"status": "FAILED", "errorCategory": "TIMEOUT", "responseTimeMs": 20});
    let records = json!([
        log(1, 0, json!({})),
        log(2, 0, json!({})),
        log(3, 0, failed.clone()),
        log(4, 0, json!({"orgId": 7})),
        // Two days ago.
        log(5, 48, failed),
        letter(1, json!({})),
        letter(2, json!({"status": "ABANDONED"})),
    ]);
    for _ in 0..2 {
        tell(&mut gateway, 7, &records).await;
    }
    let tally = json!({"succeeded": 3, "failed": 1, "retried": 0, "errors": {"UPSTREAM_TIMEOUT": 1},
        "latency": {"ranges": {"7": 4}, "totalMs": 28}});
    let from = Timestamp::now().as_second() / 900 * 900;
    let tallies = json!([{"orgId": 648, "integrationConfigId": "labs", "from": from, "tally": tally}]);
    for _ in 0..2 {
        count(&mut gateway, "b1", &tallies).await;
    }

    let shown = bench.get("/api/v1/dashboard?orgId=648").await.is(200).body;
    let outbound = &shown["last24Hours"]["outbound"];
    assert_eq!(
        (&outbound["total"], &outbound["failed"]),
        (&json!(3), &json!(1)),
        "{shown}"
    );
    assert_eq!(outbound["errorRate"], 0.3333);
    assert_eq!(outbound["errors"], json!([{"category": "TIMEOUT", "count": 1}]));
    assert_eq!((&outbound["p50Ms"], &outbound["p99Ms"]), (&json!(3), &json!(20)));
    let inbound = &shown["last24Hours"]["inbound"];
    assert_eq!(
        (&inbound["total"], &inbound["p50Ms"]),
        (&json!(4), &json!(7)),
        "{shown}"
    );
    let trend = shown["trend"].as_array().unwrap();
    assert_eq!(trend.len(), 24);
    let total: u64 = trend.iter().filter_map(|hour| hour["outbound"]["total"].as_u64()).sum();
    assert_eq!(total, 3);
    let failing = &shown["topFailures"];
    assert_eq!(failing[0]["failed"], 1, "{shown}");
    let names: Vec<_> = failing
        .as_array()
        .unwrap()
        .iter()
        .map(|of| &of["integrationConfigId"])
        .collect();
    assert!(
        names.contains(&&json!("bills")) && names.contains(&&json!("labs")),
        "{shown}"
    );
    assert_eq!(
        shown["deadLetters"],
        json!({"pendingRetry": 1, "retrying": 0, "abandoned": 1})
    );
    assert_eq!(shown["integrations"]["outboundActive"], 1);
    assert_eq!(shown["gateways"], json!({"connected": 1, "known": 1}));
    assert_eq!(shown["timezone"], "UTC");

    bench
        .get("/api/v1/dashboard?orgId=9")
        .await
        .is(404)
        .has_code("NOT_FOUND");
    bench.get("/api/v1/dashboard").await.is(400);
    bench
        .scoped(Method::GET, "/api/v1/dashboard?orgId=7", None)
        .await
        .is(403);
}

#[tokio::test]
async fn analytics_go_by_the_clock_of_the_organization() {
    let bench = Bench::start().await;
    organization(&bench, 648, Some("Asia/Kolkata")).await;
    let mut gateway = connected(&bench).await;
    let at = |text: &str| json!({"createdAt": text});
    let mut labs = at("2026-01-15T10:00:00.000Z");
    labs["integrationConfigId"] = json!("labs");
    labs["status"] = json!("FAILED");
    let records = json!([
        log(1, 0, at("2026-01-15T18:29:59.000Z")),
        log(2, 0, at("2026-01-15T18:30:00.000Z")),
        log(3, 0, at("2026-01-15T18:40:00.000Z")),
        log(4, 0, labs),
    ]);
    tell(&mut gateway, 4, &records).await;
    let read = async |query: &str| {
        let path = format!("/api/v1/analytics?orgId=648&{query}");
        bench.get(&path).await.is(200).body
    };
    let days = read("startDate=2026-01-15&endDate=2026-01-17").await;
    let totals = |body: &Value| -> Vec<(String, u64)> {
        let points = body["trend"].as_array().unwrap().iter();
        let total = |point: &Value| point["outbound"]["total"].as_u64().unwrap();
        points
            .map(|point| (point["start"].as_str().unwrap().to_owned(), total(point)))
            .collect()
    };
    let day = |day: u32, total| (format!("2026-01-{day}T00:00:00+05:30"), total);
    assert_eq!(totals(&days), [day(15, 2), day(16, 2), day(17, 0)]);
    assert_eq!(
        (&days["interval"], &days["timezone"]),
        (&json!("DAY"), &json!("Asia/Kolkata"))
    );
    assert_eq!(
        (&days["from"], &days["to"]),
        (&json!("2026-01-15T00:00:00+05:30"), &json!("2026-01-18T00:00:00+05:30"))
    );
    assert_eq!(days["outbound"]["total"], 4);
    assert_eq!(days["integrations"][0]["integrationConfigId"], "bills");
    assert_eq!(days["integrations"][0]["total"], 3);
    assert_eq!(days["topFailures"].as_array().unwrap().len(), 1);
    assert_eq!(days["topFailures"][0]["integrationConfigId"], "labs");

    let hours = read("interval=HOUR&startDate=2026-01-15T18:00:00Z&endDate=2026-01-15T19:30:00Z").await;
    let hour = |time: &str, total| (format!("2026-01-{time}:00:00+05:30"), total);
    assert_eq!(totals(&hours), [hour("15T23", 1), hour("16T00", 2)]);
    let labs = read("startDate=2026-01-15&endDate=2026-01-15&integrationConfigId=labs&direction=OUTBOUND").await;
    assert_eq!(
        (&labs["outbound"]["total"], &labs["outbound"]["failed"]),
        (&json!(1), &json!(1))
    );
    assert!(labs.get("inbound").is_none(), "{labs}");
    assert_eq!(labs["integrations"].as_array().unwrap().len(), 1);
    assert_eq!(
        read("startDate=2020-01-01&endDate=2020-01-02").await["outbound"]["errorRate"],
        Value::Null
    );
}

#[tokio::test]
async fn analytics_that_are_asked_wrongly_say_what_is_wrong() {
    let bench = Bench::start().await;
    organization(&bench, 648, None).await;
    let problems = async |query: &str| {
        let reply = bench.get(&format!("/api/v1/analytics?orgId=648&{query}")).await.is(400);
        reply.problems().join(" ")
    };
    assert_eq!(problems("startDate=yesterday").await, "startDate");
    assert_eq!(problems("startDate=x&endDate=y").await, "endDate startDate");
    assert_eq!(
        problems("startDate=2026-01-02&endDate=2026-01-01T00:00:00Z").await,
        "startDate"
    );
    assert_eq!(
        problems("interval=HOUR&startDate=2026-01-01&endDate=2026-03-01").await,
        "startDate"
    );
    assert_eq!(problems("startDate=0001-01-01").await, "startDate");
    assert_eq!(problems("interval=YEAR").await, "query");
    assert_eq!(problems("colour=blue").await, "query");
    // The ends of time are no fault of ours.
    bench
        .get("/api/v1/analytics?orgId=648&endDate=-009999-01-04T00:00:00Z")
        .await
        .is(200);
    bench
        .get("/api/v1/analytics?orgId=648&startDate=9999-12-30&endDate=9999-12-30T22:00:00Z")
        .await
        .is(200);
}

#[tokio::test]
async fn records_are_exported_as_a_table_and_as_lines() {
    let bench = Bench::start().await;
    organization(&bench, 648, None).await;
    let mut gateway = connected(&bench).await;
    let mut records: Vec<Value> = (1..=450)
        .map(|number| log(number, 1, json!({"responseBody": {"a": 1}})))
        .collect();
    records.push(log(
        451,
        0,
        json!({"errorMessage": "=cmd|' /C calc'!A0", "status": "FAILED", "eventType": "a,\"b\""}),
    ));
    records.push(log(452, 0, json!({"orgId": 7})));
    tell(&mut gateway, 9, &json!(records)).await;
    tell(&mut gateway, 10, &json!([letter(1, json!({}))])).await;

    let table = bench.get("/api/v1/logs/export?orgId=648&format=csv").await.is(200);
    assert_eq!(table.headers["content-type"], "text/csv; charset=utf-8; header=present");
    assert_eq!(
        table.headers["content-disposition"],
        "attachment; filename=\"delivery-logs-648.csv\""
    );
    let lines: Vec<&str> = table.text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 452, "a head and each record once");
    assert!(lines[0].starts_with("createdAt,id,messageId,"), "{}", lines[0]);
    assert!(
        lines[1].contains("\"a,\"\"b\"\"\"") && lines[1].contains(",'=cmd|"),
        "{}",
        lines[1]
    );
    let ids: std::collections::BTreeSet<&str> = lines[1..].iter().filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(ids.len(), 451);

    let lines = bench.get("/api/v1/logs/export?orgId=648&status=FAILED").await.is(200);
    let record: Value = serde_json::from_str(lines.text.trim_end()).unwrap();
    assert_eq!(record["id"], "log-451");
    let all = bench.get("/api/v1/logs/export?orgId=648").await.is(200);
    assert_eq!(all.text.lines().count(), 451);
    assert!(!all.text.contains("responseBody"), "bodies are left out");
    let letters = bench.get("/api/v1/dlq/export?orgId=648&format=csv").await.is(200);
    assert_eq!(letters.text.split_terminator("\r\n").count(), 2);
    let none = bench.get("/api/v1/execution-logs/export?orgId=648").await.is(200);
    assert_eq!(none.text, "");

    bench
        .scoped(Method::GET, "/api/v1/logs/export?orgId=7", None)
        .await
        .is(403);
    let wrong = bench
        .get("/api/v1/logs/export?orgId=648&startDate=x&search=")
        .await
        .is(400);
    assert_eq!(wrong.problems(), ["search", "startDate"]);
    bench.get("/api/v1/logs/export?orgId=648&page=2").await.is(400);
}

#[tokio::test]
async fn an_organization_keeps_its_records_for_less_time() {
    let bench = Bench::start().await;
    organization(&bench, 648, None).await;
    let path = "/api/v1/admin/organizations/648/retention";
    let usual = json!({"orgId": 648, "retentionDays": 14, "installationDays": 14, "isOwn": false});
    assert_eq!(bench.get(path).await.is(200).body, usual);
    for (days, problem) in [(0, "retentionDays"), (15, "retentionDays")] {
        let refused = bench
            .send(Method::PUT, path, &json!({"retentionDays": days}))
            .await
            .is(400);
        assert_eq!(refused.problems(), [problem]);
    }
    let mut gateway = connected(&bench).await;
    tell(&mut gateway, 2, &json!([log(1, 0, json!({})), log(2, 49, json!({}))])).await;
    for days in [3, 2] {
        let set = bench
            .send(Method::PUT, path, &json!({"retentionDays": days}))
            .await
            .is(200);
        assert_eq!(
            (&set.body["retentionDays"], &set.body["isOwn"]),
            (&json!(days), &json!(true))
        );
    }
    // It is looked for at the start, and every minute after that.
    let bench = bench.restart().await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let found = bench.get("/api/v1/logs?orgId=648").await.is(200);
        if found.body["total"] == 1 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{}", found.text);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(bench.send(Method::DELETE, path, &Value::Null).await.is(200).body, usual);
    bench
        .scoped(Method::GET, "/api/v1/admin/organizations/7/retention", None)
        .await
        .is(403);
    bench.get("/api/v1/admin/organizations/9/retention").await.is(404);
    bench.get("/api/v1/admin/organizations/nobody/retention").await.is(404);
}

async fn organization(bench: &Bench, org_id: u64, timezone: Option<&str>) {
    let mut organization = json!({"orgId": org_id, "name": "Clinics"});
    if let Some(timezone) = timezone {
        organization["timezone"] = json!(timezone);
    }
    let path = format!("/api/v1/admin/organizations/{org_id}");
    bench.send(Method::PUT, &path, &organization).await.is(201);
}

async fn count(gateway: &mut Gateway, batch: &str, tallies: &Value) {
    let message = json!({"message": "records", "batch": batch, "dropped": 0, "records": [], "tallies": tallies});
    gateway.say(message).await;
    assert_eq!(gateway.next().await, json!({"message": "recorded", "batch": batch}));
}

/// The attempt number `number`, made so many hours ago.
fn log(number: u32, hours_ago: i64, change: Value) -> Value {
    let at = Timestamp::now() - SignedDuration::from_hours(hours_ago);
    let mut log = json!({
        "id": format!("log-{number}"), "messageId": "m", "integrationConfigId": "bills", "integrationName": "Bills",
        "orgId": 648, "eventId": "e", "eventType": "bill.generated", "status": "SUCCESS",
        "targetUrl": "https://partner.example/hook", "httpMethod": "POST", "responseStatus": 200, "responseTimeMs": 3,
        "attemptCount": 1, "shouldRetry": false, "traceId": "t", "createdAt": format!("{at:.3}"), "gatewayId": "g1",
    });
    for (name, value) in change.as_object().unwrap() {
        log[name] = value.clone();
    }
    json!({"kind": "log", "value": log})
}

fn letter(number: u32, change: Value) -> Value {
    let now = format!("{:.3}", Timestamp::now());
    let mut letter = json!({
        "id": format!("letter-{number}"), "integrationConfigId": "bills", "integrationName": "Bills", "orgId": 648,
        "eventId": "e", "source": "/his", "eventType": "bill.generated", "status": "PENDING_RETRY",
        "originalPayload": {"n": number}, "targetUrl": "https://partner.example/hook", "httpMethod": "POST",
        "lastError": "it answered 500", "errorCategory": "SERVER_ERROR", "lastStatus": 500, "attemptCount": 8,
        "retryCount": 0, "maxRetries": 3, "traceId": "t", "createdAt": now, "updatedAt": now, "gatewayId": "g1",
    });
    for (name, value) in change.as_object().unwrap() {
        letter[name] = value.clone();
    }
    json!({"kind": "deadLetter", "value": letter})
}

//! Scheduled jobs, as far as they can be configured.

use super::*;

fn job(name: &str) -> Value {
    json!({
        "orgId": 648, "name": name, "type": "DAILY_EXPORT", "targetUrl": "https://partner.example/bills",
        "schedule": {"type": "CRON", "expression": "0 9 * * *", "timezone": "Asia/Kolkata"},
        "dataSource": {"type": "API", "url": "https://api.example/bills", "headers": {"X-API-Key": "key-of-the-source"}},
        "transformation": {"mode": "SCRIPT", "script": "fn transform(payload, context) { payload.data }"},
        "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "token-of-the-partner"}
    })
}

#[tokio::test]
async fn a_job_is_kept_with_its_secrets_and_shown_without() {
    let bench = Bench::start().await;
    let made = bench
        .send(Method::POST, "/api/v1/scheduled-jobs", &job("Bills"))
        .await
        .is(201);
    let place = made.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(made.body["isActive"], false);
    let again = bench.send(Method::PUT, &place, &made.body).await.is(200);
    assert_eq!(again.tag, made.tag, "the masked document is the same job");
    let patched = bench
        .send(Method::PATCH, &place, &json!({"type": "EXPORT"}))
        .await
        .is(200);
    let list = bench.get("/api/v1/scheduled-jobs?orgId=648").await.is(200);
    for reply in [&made, &again, &patched, &list] {
        for secret in ["key-of-the-source", "token-of-the-partner"] {
            assert!(!reply.text.contains(secret), "{}", reply.text);
        }
    }
    let bench = bench.restart().await;
    assert_eq!(bench.get(&place).await.is(200).body, patched.body);
    for file in std::fs::read_dir(bench.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(17).any(|window| window == b"key-of-the-source"));
    }
    assert_eq!(
        bench.get("/api/v1/outbound-integrations").await.body["total"],
        0,
        "what it was checked as is kept"
    );
    bench
        .send(Method::POST, "/api/v1/scheduled-jobs", &job("Bills"))
        .await
        .is(409);
    let stale = bench.request(Method::DELETE, &place).header("If-Match", "\"other\"");
    Reply::of(stale).await.is(412);
    bench.send(Method::DELETE, &place, &Value::Null).await.is(204);
    bench.get(&place).await.is(404);
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_job_is_said() {
    let bench = Bench::start().await;
    let wrong = json!({
        "orgId": 648, "name": "", "isActive": true, "targetUrl": "http://10.0.0.1/",
        "schedule": {"type": "CRON", "expression": "0 9 * *", "timezone": "Mars/Olympus"},
        "dataSource": {"type": "SQL", "query": "DROP TABLE bills"},
        "transformation": {"script": "fn transform(payload, context) { "},
        "outgoingAuthType": "BEARER", "outgoingAuthConfig": {}
    });
    let refused = bench.send(Method::POST, "/api/v1/scheduled-jobs", &wrong).await.is(400);
    for path in [
        "isActive",
        "name",
        "dataSource.query",
        "targetUrl",
        "schedule.expression",
        "schedule.timezone",
        "transformation.script",
    ] {
        assert!(
            refused.problems().contains(&path),
            "{path} is not named: {}",
            refused.text
        );
    }
    let verdict = bench
        .send(Method::POST, "/api/v1/scheduled-jobs/validate", &wrong)
        .await
        .is(200)
        .body;
    assert_eq!(verdict["problems"], refused.body["problems"]);
    let unread = json!({"orgId": 648, "name": "x", "colour": 1});
    let verdict = bench
        .send(Method::POST, "/api/v1/scheduled-jobs/validate", &unread)
        .await
        .is(200)
        .body;
    assert_eq!(verdict["valid"], false);
    assert!(
        bench.get("/api/v1/scheduled-jobs").await.is(200).body["jobs"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn jobs_of_others_are_not_there() {
    let bench = Bench::start().await;
    let mut foreign = job("Bills");
    foreign["orgId"] = json!(7);
    let path = "/api/v1/scheduled-jobs/foreign";
    bench.send(Method::PUT, path, &foreign).await.is(201);
    let scoped = format!("{path}?orgId=648");
    bench.scoped(Method::GET, &scoped, None).await.is(404);
    bench
        .scoped(Method::PATCH, &scoped, Some(&json!({"type": "x"})))
        .await
        .is(404);
    bench.scoped(Method::DELETE, &scoped, None).await.is(404);
    bench.scoped(Method::PUT, &scoped, Some(&job("Mine"))).await.is(404);
    bench.scoped(Method::PUT, path, Some(&foreign)).await.is(403);
    bench
        .scoped(Method::POST, "/api/v1/scheduled-jobs", Some(&foreign))
        .await
        .is(403);
    bench
        .scoped(Method::GET, "/api/v1/scheduled-jobs?orgId=7", None)
        .await
        .is(403);
    assert_eq!(bench.get(path).await.is(200).body["name"], "Bills");
}

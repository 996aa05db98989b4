//! Jobs, checked and masked.

use serde_json::json;

use super::*;

fn job(source: Value) -> Job {
    let job = json!({
        "id": "j", "orgId": 648, "name": "Daily bills", "targetUrl": "https://partner.example/bills",
        "schedule": {"type": "CRON", "expression": "0 9 * * *", "timezone": "Asia/Kolkata"},
        "dataSource": source,
        "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "token-of-the-partner"}
    });
    serde_json::from_value(job).unwrap()
}

fn paths(source: Value) -> Vec<String> {
    let problems = job(source).problems();
    problems.into_iter().map(|problem| problem.path).collect()
}

#[test]
fn the_sources_of_the_specification_are_right() {
    for source in [
        json!({"type": "SQL", "query": "SELECT * FROM bills\nWHERE entity_rid = {{config.tenantId}} AND DATE(created_at) = {{date.today()}};"}),
        json!({"type": "MONGODB", "collection": "delivery_logs", "pipeline": [{"$match": {"at": "{{date.yesterday()}}"}}]}),
        json!({"type": "MONGODB", "connectionString": "mongodb://user:pass@host:27017", "database": "external_db",
            "collection": "appointments"}),
        json!({"type": "API", "url": "http://localhost:4000/api/v1/analytics/summary?day={{date.today()}}", "method": "GET",
            "headers": {"X-API-Key": "{{env.API_KEY}}"}}),
    ] {
        assert_eq!(paths(source.clone()), [""; 0], "{source}");
    }
}

#[test]
fn what_writes_or_is_not_there_is_refused() {
    let cases = [
        (json!({"type": "SQL", "query": "DELETE FROM bills"}), "dataSource.query"),
        (
            json!({"type": "SQL", "query": "SELECT 1; DROP TABLE bills"}),
            "dataSource.query",
        ),
        (
            json!({"type": "SQL", "query": "SELECT {{date.tomorrow()}}"}),
            "dataSource.query",
        ),
        (
            json!({"type": "SQL", "query": "SELECT {{date.now()"}),
            "dataSource.query",
        ),
        (
            json!({"type": "MONGODB", "collection": "c", "pipeline": [{"$out": "x"}]}),
            "dataSource.pipeline[0]",
        ),
        (
            json!({"type": "MONGODB", "collection": "c", "pipeline": [{"a": 1}]}),
            "dataSource.pipeline[0]",
        ),
        (
            json!({"type": "MONGODB", "collection": "c", "connectionString": "mongodb://h"}),
            "dataSource.database",
        ),
        (
            json!({"type": "MONGODB", "collection": "", "database": "d"}),
            "dataSource.collection",
        ),
        (
            json!({"type": "MONGODB", "collection": "c", "connectionString": "http://h", "database": "d"}),
            "dataSource.connectionString",
        ),
        (json!({"type": "API", "url": "file:///etc/passwd"}), "dataSource.url"),
        (
            json!({"type": "API", "url": "https://a.example/", "headers": {"a b": "c"}}),
            "dataSource.headers.a b",
        ),
        (
            json!({"type": "API", "url": "https://a.example/", "headers": {"A": "***"}}),
            "dataSource.headers.A",
        ),
    ];
    for (source, path) in cases {
        assert_eq!(paths(source.clone()), [path], "{source}");
    }
    let mut active = job(json!({"type": "SQL", "query": "SELECT 1"}));
    active.is_active = true;
    active.schedule = JobSchedule::Interval { interval_ms: 1_000 };
    let problems: Vec<String> = active.problems().into_iter().map(|problem| problem.path).collect();
    assert_eq!(problems, ["isActive", "schedule.intervalMs"]);
}

#[test]
fn a_masked_job_written_back_keeps_its_secrets() {
    for source in [
        json!({"type": "MONGODB", "connectionString": "mongodb://user:s3cret@host", "database": "d", "collection": "c"}),
        json!({"type": "API", "url": "https://a.example/", "headers": {"X-API-Key": "s3cret"}}),
    ] {
        let stored = job(source);
        let shown = stored.masked();
        let text = serde_json::to_string(&shown).unwrap();
        assert!(
            !text.contains("s3cret") && !text.contains("token-of-the-partner"),
            "{text}"
        );
        let mut again: Job = serde_json::from_str(&text).unwrap();
        again.restore_secrets(&stored);
        assert_eq!(again, stored);
    }
}

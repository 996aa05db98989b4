//! Records of calls, from the gateway to the operator's question.

use harness::documents::{ORG, document, integration, organization, with};
use harness::example::Example;
use harness::gateway::Setup;
use harness::{Answer, ControlPlane, Gateway, Partner, wait};
use serde_json::{Value, json};

#[tokio::test]
async fn a_call_is_recorded_with_what_became_of_it() {
    let partner = Partner::start(|request| match request.uri.path() {
        "/broken" => Answer::text("no").with_status(503),
        _ => Answer::text("hello"),
    })
    .await;
    let control_plane = ControlPlane::start().await;
    let auth = json!({
        "records": "all",
        "inboundAuthType": "API_KEY",
        "inboundAuthConfig": {"keys": [{"name": "front-desk", "value": "key-of-the-front-desk"}]},
    });
    control_plane
        .save(&with(integration("labs", &partner.url("")), auth))
        .await;
    let gateway = serving(&control_plane, "labs", 401).await;
    for path in ["/results/17?secret=1234", "/broken"] {
        let request = gateway
            .request(http::Method::POST, "labs.test", path)
            .header("x-api-key", "key-of-the-front-desk")
            .header("x-request-id", "request-1")
            .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
            .body("body of the client");
        harness::client::Reply::of(request).await;
    }

    let found = until_recorded(&control_plane, &format!("/{TRACE}?orgId={ORG}"), 2).await;
    says_what_happened(&found[0], &partner.url(""));
    assert_eq!(
        (&found[1]["status"], &found[1]["responseStatus"]),
        (&json!("FAILED"), &json!(503))
    );
    for secret in ["1234", "key-of-the-front-desk", "body of the client"] {
        assert!(!json!(found).to_string().contains(secret), "{secret} is in {found:?}");
    }

    let refused = until_recorded(&control_plane, &format!("?orgId={ORG}&search=unauthorized"), 1).await;
    assert_eq!(refused[0]["responseStatus"], 401);
    assert!(
        refused[0]["targetUrl"].is_null(),
        "the partner was not asked: {}",
        refused[0]
    );
    let elsewhere = control_plane.get(&format!("{PATH}?orgId=7")).await.json();
    assert_eq!(
        elsewhere["executionLogs"],
        json!([]),
        "another organization sees nothing of it"
    );
    assert_eq!(control_plane.get(&format!("{PATH}/{TRACE}?orgId=7")).await.status, 404);
}

#[tokio::test]
async fn each_integration_says_of_which_calls_it_wants_records() {
    let partner = Partner::start(|request| match request.uri.path() {
        "/broken" => Answer::status(500),
        _ => Answer::text("ok"),
    })
    .await;
    let control_plane = ControlPlane::start().await;
    for policy in ["all", "errors", "sampled", "none"] {
        let policed = with(integration(policy, &partner.url("")), json!({"records": policy}));
        control_plane.save(&policed).await;
    }
    let gateway = serving(&control_plane, "none", 200).await;
    let calls = 200;
    for _ in 0..calls {
        for policy in ["errors", "none", "sampled"] {
            gateway.get(&format!("{policy}.test"), "/").await;
        }
    }
    for policy in ["all", "errors", "sampled", "none"] {
        gateway.get(&format!("{policy}.test"), "/broken").await;
    }
    // Everything before it is there with the last call.
    gateway.get("all.test", "/last").await;
    let all = until_recorded(&control_plane, &format!("?orgId={ORG}&integrationConfigId=all"), 2).await;
    assert_eq!(all[0]["path"], "/last");
    let count = async |query: &str| {
        let reply = control_plane
            .get(&format!("{PATH}?orgId={ORG}&limit=200&{query}"))
            .await;
        reply.json()["executionLogs"].as_array().unwrap().len()
    };
    assert_eq!(count("integrationConfigId=errors").await, 1);
    assert_eq!(count("integrationConfigId=errors&status=FAILED").await, 1);
    assert_eq!(count("integrationConfigId=none").await, 0);
    assert_eq!(count("integrationConfigId=sampled&status=FAILED").await, 1);
    let samples = count("integrationConfigId=sampled&status=SUCCESS").await;
    assert!((1..=6).contains(&samples), "{samples} of {calls}");
}

#[tokio::test]
async fn records_survive_a_control_plane_that_is_killed_and_come_once() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let mut control_plane = ControlPlane::start().await;
    let address = control_plane.url().trim_start_matches("http://").to_owned();
    let all = with(integration("labs", &partner.url("")), json!({"records": "all"}));
    control_plane.save(&all).await;
    let gateway = serving(&control_plane, "labs", 200).await;
    let mut called = 0;
    for _ in 0..3 {
        // Killed with batches on their way: sent, stored, or stored and not acknowledged.
        for _ in 0..150 {
            called += 1;
            gateway.get("labs.test", &format!("/call/{called}")).await;
        }
        control_plane.process.kill();
        for _ in 0..20 {
            called += 1;
            gateway.get("labs.test", &format!("/call/{called}")).await;
        }
        let setup = control_plane.setup().set("listen", json!(address));
        control_plane = setup.start().await;
    }
    wait::until("the gateway to have shipped everything", async || {
        let metrics = gateway.admin_get("/metrics").await.text();
        metrics
            .lines()
            .any(|line| line == "gateway_records_waiting 0")
            .then_some(())
    })
    .await;
    let mut paths = Vec::new();
    for page in 1.. {
        let query = format!("{PATH}?orgId={ORG}&search=/call/&limit=200&page={page}");
        let found = control_plane.get(&query).await.json();
        let records = found["executionLogs"].as_array().unwrap();
        paths.extend(records.iter().map(|record| record["path"].as_str().unwrap().to_owned()));
        if found["hasMore"] == json!(false) {
            break;
        }
    }
    paths.sort_unstable();
    let mut wanted: Vec<_> = (1..=called).map(|number| format!("/call/{number}")).collect();
    wanted.sort_unstable();
    assert_eq!(paths, wanted, "each call has one record");
}

#[tokio::test]
async fn a_gateway_that_stops_ships_what_it_has() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let control_plane = ControlPlane::start().await;
    let all = with(integration("labs", &partner.url("")), json!({"records": "all"}));
    control_plane.save(&all).await;
    let mut gateway = serving(&control_plane, "labs", 200).await;
    gateway.get("labs.test", "/last").await;
    gateway.process.signal(nix::sys::signal::Signal::SIGTERM);
    gateway.process.ended().await;
    until_recorded(&control_plane, &format!("?orgId={ORG}&search=/last"), 1).await;
}

#[tokio::test]
async fn without_a_control_plane_nothing_is_held() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let all = with(integration("labs", &partner.url("")), json!({"records": "all"}));
    let gateway = Setup::new().file(&document([all])).start().await;
    for _ in 0..50 {
        gateway.get("labs.test", "/").await;
    }
    let metrics = gateway.admin_get("/metrics").await.text();
    for line in ["gateway_records_waiting 0", "gateway_records_dropped_total 0"] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in {metrics}");
    }
}

#[expect(clippy::too_many_lines, reason = "one call, and all that its record shows")]
#[tokio::test]
async fn a_record_shows_what_was_said_but_no_secret() {
    let partner = Partner::start(|_| {
        let body = json!({"id": 7, "birthDate": "1990-02-03", "token": "partner-token-in-body"});
        Answer::json(&body).header("set-cookie", "session=partner-cookie")
    })
    .await;
    let control_plane = ControlPlane::start().await;
    let example = Example::named("record-content").with("https://clinic.partner.example", &partner.url(""));
    let document = example.document();
    let organization = with(
        organization(),
        json!({"redaction": document["organizations"][0]["redaction"]}),
    );
    let path = format!("/api/v1/admin/organizations/{ORG}");
    assert_eq!(control_plane.put(&path, &organization).await.status, 200);
    let auth = json!({
        "id": "referrals", "orgId": ORG,
        "inboundAuthType": "API_KEY", "inboundAuthConfig": {"headerName": "X-Desk", "keys": [{"name": "desk", "value": "key-of-the-desk"}]},
    });
    control_plane
        .save(&with(document["integrations"][0].clone(), auth))
        .await;
    let gateway = Gateway::fed_by(&control_plane).await;
    let body = json!({
        "patient": {"ssn": "123-45-6789", "name": "Ann", "birthDate": "1980-01-01"},
        "visits": [{"note": "a private matter", "code": "V1"}],
        "password": "hunter2",
    });
    wait::until("the route", async || {
        let request = gateway.request(http::Method::POST, "referrals.gateway.example", "/?ticket=query-secret");
        let request = request
            .header("x-desk", "key-of-the-desk")
            .header("x-patient-id", "patient-4711")
            .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
            .json(&body);
        (harness::client::Reply::of(request).await.status == 200).then_some(())
    })
    .await;

    let found = until_recorded(&control_plane, &format!("/{TRACE}?orgId={ORG}"), 1).await;
    let record = found.iter().find(|record| record["responseStatus"] == 200).unwrap();
    assert_eq!(
        record["requestPayload"],
        json!({
            "patient": {"ssn": "***", "name": "Ann", "birthDate": "***"},
            "visits": [{"note": "***", "code": "V1"}],
            "password": "***",
        })
    );
    assert_eq!(
        record["responseBody"],
        json!({"id": 7, "birthDate": "***", "token": "***"})
    );
    for (place, name, value) in [
        ("requestHeaders", "x-patient-id", "***"),
        ("requestHeaders", "x-desk", "***"),
        ("requestHeaders", "host", "referrals.gateway.example"),
        ("responseHeaders", "set-cookie", "***"),
        ("responseHeaders", "content-type", "application/json"),
    ] {
        assert_eq!(record[place][name], value, "{name} of {record}");
    }
    assert_eq!(record["upstreamStatus"], 200);
    assert!(record["connectMs"].is_u64(), "{record}");
    let all = json!(found).to_string();
    for secret in [
        "123-45",
        "4711",
        "private matter",
        "1980",
        "1990",
        "hunter2",
        "partner-",
        "key-of",
        "query-secret",
    ] {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }

    let brief = until_recorded(&control_plane, &format!("?orgId={ORG}&status=SUCCESS"), 1).await;
    assert!(
        brief[0]["requestPayload"].is_null(),
        "a list shows no bodies: {}",
        brief[0]
    );
    let logs = control_plane
        .get(&format!("/api/v1/logs?orgId={ORG}&direction=INBOUND&status=SUCCESS"))
        .await
        .json();
    assert_eq!(logs["logs"][0]["traceId"], TRACE, "{logs}");
    let none = control_plane
        .get(&format!(
            "/api/v1/logs?orgId={ORG}&direction=INBOUND&errorCategory=UPSTREAM_ERROR"
        ))
        .await;
    assert_eq!(none.json()["logs"], json!([]));
    for wrong in ["eventType=a.b", "status=RETRYING", "cursor=nowhere"] {
        let refused = control_plane
            .get(&format!("/api/v1/logs?orgId={ORG}&direction=INBOUND&{wrong}"))
            .await;
        assert_eq!(refused.status, 400, "{wrong}: {}", refused.text());
    }
}

/// The record of the call that went well.
fn says_what_happened(record: &Value, target: &str) {
    for (field, value) in [
        ("traceId", json!(TRACE)),
        ("requestId", json!("request-1")),
        ("orgId", json!(ORG)),
        ("integrationConfigId", json!("labs")),
        ("integrationName", json!("labs")),
        ("direction", json!("INBOUND")),
        ("status", json!("SUCCESS")),
        ("httpMethod", json!("POST")),
        ("path", json!("/results/17")),
        ("responseStatus", json!(200)),
        ("errorCategory", Value::Null),
        ("attempts", json!(1)),
        ("requestBytes", json!(18)),
        ("responseBytes", json!(5)),
        ("targetUrl", json!(target)),
        ("consumer", json!("front-desk")),
        ("gatewayId", json!("gateway-under-test")),
    ] {
        assert_eq!(record[field], value, "{field} of {record}");
    }
    assert!(
        record["durationMs"].is_u64() && record["upstreamMs"].is_u64(),
        "{record}"
    );
}

/// A gateway that answers with `status` at the integration.
async fn serving(control_plane: &ControlPlane, kind: &str, status: u16) -> Gateway {
    let gateway = Gateway::fed_by(control_plane).await;
    wait::until("the route", async || {
        let reply = gateway.get(&format!("{kind}.test"), "/").await;
        (reply.status == status).then_some(())
    })
    .await;
    gateway
}

/// The records that are found, once there are at least so many.
async fn until_recorded(control_plane: &ControlPlane, query: &str, count: usize) -> Vec<Value> {
    wait::until(&format!("{count} records at {query}"), async || {
        let found = control_plane.get(&format!("{PATH}{query}")).await;
        let records = found.json()["executionLogs"].as_array().cloned()?;
        (records.len() >= count).then_some(records)
    })
    .await
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PATH: &str = "/api/v1/execution-logs";

//! What on-call sees: one line per request, ids that follow a call, series that stay few, and an admin listener.

use harness::client::Reply;
use harness::documents::{document, integration, with};
use harness::gateway::Setup;
use harness::{Answer, Gateway, Partner, wait};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_request_id_is_made_passed_on_and_returned() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;
    let made = gateway.get("labs.test", "/").await;
    let id = made.header("x-request-id").unwrap().to_owned();
    assert_eq!(partner.only_request().header("x-request-id"), Some(id.as_str()));
    let given = Reply::of(
        gateway
            .request(Method::GET, "labs.test", "/")
            .header("x-request-id", "desk-7.42"),
    )
    .await;
    assert_eq!(given.header("x-request-id"), Some("desk-7.42"));
    assert_eq!(partner.requests()[1].header("x-request-id"), Some("desk-7.42"));
    let lost = Reply::of(
        gateway
            .request(Method::GET, "none.test", "/")
            .header("x-request-id", "desk-8"),
    )
    .await;
    assert_eq!(lost.json()["requestId"], "desk-8");
}

#[tokio::test]
async fn a_request_id_that_would_break_the_log_is_replaced() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;
    let long = "x".repeat(500);
    for bad in [long.as_str(), "a b", "\"}{\"", "é"] {
        let reply = Reply::of(
            gateway
                .request(Method::GET, "labs.test", "/")
                .header("x-request-id", bad),
        )
        .await;
        assert_eq!(reply.status, 200);
        assert_ne!(reply.headers.get("x-request-id").unwrap().as_bytes(), bad.as_bytes());
    }
}

#[tokio::test]
async fn a_trace_goes_on_at_the_partner() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let sent = format!("00-{trace}-00f067aa0ba902b7-01");
    Reply::of(
        gateway
            .request(Method::GET, "labs.test", "/")
            .header("traceparent", &sent),
    )
    .await;
    let passed = partner.requests()[0].header("traceparent").unwrap().to_owned();
    assert!(passed.starts_with(&format!("00-{trace}-")), "{passed}");
    assert_ne!(passed, sent, "the gateway is a span of its own");
    for bad in [
        "",
        "00-0-0-0",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    ] {
        Reply::of(
            gateway
                .request(Method::GET, "labs.test", "/")
                .header("traceparent", bad),
        )
        .await;
        let made = partner
            .requests()
            .pop()
            .unwrap()
            .header("traceparent")
            .unwrap()
            .to_owned();
        let parts: Vec<_> = made.split('-').map(str::len).collect();
        assert_eq!(parts, [2, 32, 16, 2], "{made}");
        assert!(!made.contains(&"0".repeat(32)), "{made}");
    }
}

#[tokio::test]
async fn each_request_has_one_line_without_secrets_or_bodies() {
    let partner = Partner::answering(Answer::text("partner-body")).await;
    let auth = json!({"inboundAuthType": "API_KEY",
        "inboundAuthConfig": {"headerName": "X-Key", "queryName": "key", "keys": [{"name": "desk", "value": "client-secret"}]},
        "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "partner-secret"}});
    let mut gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), auth)).await;
    let request = gateway.request(Method::POST, "labs.test", "/v1?key=client-secret&token=other-secret");
    Reply::of(request.header("x-request-id", "first").body("client-body")).await;
    Reply::of(
        gateway
            .request(Method::GET, "labs.test", "/")
            .header("x-request-id", "second")
            .header("x-key", "wrong-secret"),
    )
    .await;
    let line = line_of(&gateway, "first").await;
    assert_eq!(line["status"], 200, "{line}");
    assert_eq!(line["method"], "POST", "{line}");
    assert!(line.to_string().contains("/v1"), "{line}");
    assert!(line.to_string().contains("desk"), "whose key it was: {line}");
    assert_eq!(line_of(&gateway, "second").await["status"], 401);
    gateway.terminate();
    gateway.process.ended().await;
    let output = gateway.process.output();
    assert_eq!(output.matches("\"first\"").count(), 1, "{output}");
    for secret in [
        "client-secret",
        "partner-secret",
        "other-secret",
        "wrong-secret",
        "client-body",
        "partner-body",
    ] {
        assert!(!output.contains(secret), "{secret} stands in the log");
    }
}

#[tokio::test]
async fn refused_requests_have_their_line_as_well() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;
    let mut client = gateway.raw().await;
    client
        .request(&["GET /../x HTTP/1.1", "Host: labs.test", "X-Request-Id: climbing"], "")
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 400);
    let id = answer.json()["requestId"].as_str().unwrap().to_owned();
    assert_eq!(line_of(&gateway, &id).await["status"], 400);
}

#[tokio::test]
async fn metrics_count_requests_by_integration_and_stay_few() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let many = (0..30).map(|number| integration(&format!("r{number}"), &partner.url("")));
    let detailed = with(integration("special", &partner.url("")), json!({"metrics": "detailed"}));
    let setup = Setup::new()
        .file(&document(many.chain([detailed])))
        .set("metrics", json!({"integrations": 5}));
    let gateway = setup.start().await;
    for number in 0..30 {
        gateway.get(&format!("r{number}.test"), "/").await;
    }
    for _ in 0..3 {
        gateway.get("special.test", "/").await;
    }
    // A request is counted after its answer.
    let text = wait::until("33 requests in the metrics", async || {
        let text = gateway.admin_get("/metrics").await.text();
        let counts = text
            .lines()
            .filter(|line| line.starts_with("integration_requests_total{"));
        let total: f64 = counts
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum();
        ((total - 33.0).abs() < 0.1).then_some(text)
    })
    .await;
    let counts: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("integration_requests_total{"))
        .collect();
    assert!(
        counts
            .iter()
            .any(|line| line.contains("integration=\"special\"") && line.ends_with(" 3")),
        "{counts:#?}"
    );
    assert!(
        counts.iter().any(|line| line.contains("integration=\"other\"")),
        "{counts:#?}"
    );
    let names: std::collections::BTreeSet<_> = counts
        .iter()
        .filter_map(|line| line.split("integration=\"").nth(1)?.split('"').next())
        .collect();
    assert!(names.len() <= 7, "{names:?}");
    assert!(text.contains("integration_latency_ms"), "{text}");
}

#[tokio::test]
async fn paths_and_hosts_of_strangers_make_no_series() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;
    gateway.get("labs.test", "/").await;
    gateway.get("none.test", "/").await;
    let before = gateway.admin_get("/metrics").await.text().lines().count();
    for number in 0..50 {
        gateway.get(&format!("h{number}.test"), &format!("/{number}")).await;
        gateway.get("labs.test", &format!("/{number}")).await;
    }
    assert_eq!(gateway.admin_get("/metrics").await.text().lines().count(), before);
}

#[tokio::test]
async fn the_admin_listener_tells_what_runs_without_secrets() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let auth = json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "partner-secret"}});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), auth)).await;
    assert_eq!(gateway.admin_get("/healthz").await.status, 200);
    assert_eq!(gateway.admin_get("/readyz").await.status, 200);
    let config = gateway.admin_get("/config").await;
    let json = config.json();
    assert!(
        json["digest"].is_string() && json["version"].is_number() && !json["source"].is_null(),
        "{json}"
    );
    assert!(!config.text().contains("partner-secret"), "{json}");
    let routes = gateway.admin_get("/routes").await.text();
    assert!(routes.contains("labs.test") && routes.contains("labs"), "{routes}");
    assert_eq!(gateway.admin_get("/unknown").await.status, 404);
    assert_eq!(
        gateway.get("labs.test", "/healthz").await.text(),
        "ok",
        "clients see no admin paths"
    );
}

#[tokio::test]
async fn without_a_plan_the_gateway_lives_but_is_not_ready() {
    let setup = Setup::new().file(&json!({"integrations": [{"nonsense": true}]}));
    let mut gateway = setup.start_listening().await;
    assert_eq!(gateway.admin_get("/healthz").await.status, 200);
    assert_eq!(gateway.admin_get("/readyz").await.status, 503);
    let reply = gateway.get("labs.test", "/").await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "SERVICE_UNAVAILABLE"));
    wait::until("the reason at /config", async || {
        gateway
            .admin_get("/config")
            .await
            .text()
            .contains("nonsense")
            .then_some(())
    })
    .await;
    assert!(gateway.process.is_running());
}

/// The access line of the request with this id.
async fn line_of(gateway: &Gateway, id: &str) -> Value {
    wait::until("the access line", async || {
        let output = gateway.process.output();
        let line = output
            .lines()
            .find(|line| line.contains(id) && line.contains("\"status\""))?;
        serde_json::from_str(line).ok()
    })
    .await
}

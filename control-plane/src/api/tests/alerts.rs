//! The alert centre, with a gateway that tells of its endpoints.

use std::time::Duration;

use axum::Router;
use axum::extract::Json;
use axum::routing::post;
use tokio::sync::mpsc;

use super::stream::Gateway;
use super::*;
use crate::config::alerts::AlertsConfig;

const PATH: &str = "/api/v1/alerts";

impl Bench {
    /// One that looks every second and wants no patience.
    async fn watching(folder: TempDir, more: &Value) -> Self {
        let mut settings = json!({
            "checkEverySeconds": 1, "clearSeconds": 0, "installation": "clinic",
            "rules": {"endpointDown": {"forSeconds": 0}, "gatewayGone": {"forSeconds": 1}},
        });
        for (name, value) in more.as_object().unwrap() {
            settings[name] = value.clone();
        }
        let alerts: AlertsConfig = serde_json::from_value(settings).unwrap();
        let config = ProcessConfig {
            alerts,
            ..config(&folder)
        };
        Self {
            control_plane: crate::start(config).await.unwrap(),
            client: Client::new(),
            folder,
        }
    }

    /// Waits until the list that `query` asks for has `number` alerts.
    async fn alerts(&self, query: &str, number: usize) -> Vec<Value> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let reply = self.get(&format!("{PATH}?{query}")).await.is(200);
            let alerts = reply.body["alerts"].as_array().unwrap();
            if alerts.len() == number {
                return alerts.clone();
            }
            assert!(tokio::time::Instant::now() < deadline, "{}", reply.text);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn an_open_breaker_is_listed_told_and_resolved() {
    let (told, mut taken) = mpsc::unbounded_channel();
    let hook = Router::new().route(
        "/hook",
        post(async move |Json(body): Json<Value>| {
            told.send(body).unwrap();
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, hook).await });
    let sent = json!({"webhooks": [{"url": url}], "allowedNetworks": ["127.0.0.0/8"], "allowPlaintext": true});
    let bench = Bench::watching(TempDir::new().unwrap(), &sent).await;
    let mut gateway = with_bills(&bench).await;

    gateway.say(endpoint("circuitOpen", 3)).await;
    let open = bench.alerts("status=OPEN", 1).await.remove(0);
    assert_eq!(
        (&open["rule"], &open["severity"]),
        (&json!("ENDPOINT_DOWN"), &json!("CRITICAL"))
    );
    assert_eq!(
        (&open["orgId"], &open["integrationConfigId"]),
        (&json!(648), &json!("bills"))
    );
    assert_eq!(open["gatewayIds"], json!(["g1"]));
    assert!(
        open["detail"]
            .as_str()
            .unwrap()
            .starts_with("3 events undelivered at g1"),
        "{open}"
    );
    let raised = taken.recv().await.unwrap();
    assert_eq!(
        (&raised["type"], &raised["data"]["alert"]["id"]),
        (&json!("alert.raised"), &open["id"])
    );

    gateway.say(endpoint("working", 2)).await;
    let over = bench.alerts("status=RESOLVED", 1).await.remove(0);
    assert_eq!(
        (&over["id"], &over["detail"]),
        (&open["id"], &json!("The endpoint gets its events again."))
    );
    let resolved = taken.recv().await.unwrap();
    assert_eq!(
        (&resolved["type"], &resolved["data"]["alert"]),
        (&json!("alert.resolved"), &over)
    );
    assert!(taken.try_recv().is_err(), "nothing was said twice");
    let metrics = bench.get("/metrics").await.is(200).text;
    for line in [
        "control_plane_alerts_raised_total{rule=\"ENDPOINT_DOWN\"} 1",
        "control_plane_alerts_open{rule=\"ENDPOINT_DOWN\"} 0",
        "control_plane_alert_messages_total{channel=\"webhook\",result=\"delivered\"} 2",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in {metrics}");
    }
}

#[tokio::test]
async fn an_open_alert_outlives_a_restart_and_is_not_raised_twice() {
    let folder = TempDir::new().unwrap();
    let bench = Bench::watching(folder, &json!({})).await;
    let mut gateway = with_bills(&bench).await;
    gateway.say(endpoint("disabled", 3)).await;
    let open = bench.alerts("status=OPEN&rule=ENDPOINT_DOWN", 1).await.remove(0);
    bench.control_plane.stop().await;

    let bench = Bench::watching(bench.folder, &json!({})).await;
    assert_eq!(
        bench.alerts("status=OPEN&rule=ENDPOINT_DOWN", 1).await[0]["id"],
        open["id"]
    );
    let gone = bench.alerts("status=OPEN&rule=GATEWAY_GONE", 1).await.remove(0);
    assert_eq!(gone["title"], "Gateway g1 is not connected");
    let mut gateway = Gateway::connect(&bench, "g1", None).await;
    gateway.next().await;
    bench.alerts("status=RESOLVED&rule=GATEWAY_GONE", 1).await;
    // It has not said anything of its endpoints yet, so that nobody knows more of this one.
    assert_eq!(bench.alerts("status=OPEN", 1).await[0]["id"], open["id"]);
    gateway.say(endpoint("circuitOpen", 4)).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let known = bench.alerts("rule=ENDPOINT_DOWN", 1).await.remove(0);
        if known["detail"].as_str().unwrap().starts_with("4 events") {
            assert_eq!((&known["id"], &known["openedAt"]), (&open["id"], &open["openedAt"]));
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{known}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn alerts_are_for_those_who_may_see_the_organization() {
    let bench = Bench::watching(TempDir::new().unwrap(), &json!({})).await;
    let mut gateway = with_bills(&bench).await;
    gateway.say(endpoint("circuitOpen", 1)).await;
    bench.alerts("orgId=648", 1).await;
    drop(gateway);
    bench.alerts("", 2).await;
    let scoped = async |query: &str| bench.scoped(Method::GET, &format!("{PATH}?{query}"), None).await;
    let own = scoped("orgId=648").await.is(200);
    let rules: Vec<_> = own.body["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| &alert["rule"])
        .collect();
    assert_eq!(rules, ["ENDPOINT_DOWN"], "the gateway is nothing of theirs");
    scoped("orgId=7").await.is(403).has_code("FORBIDDEN");
    assert_eq!(scoped("").await.is(400).problems(), ["orgId"]);
    bench.alerts("orgId=7", 0).await;
    let page = bench.get(&format!("{PATH}?limit=1")).await.is(200);
    assert_eq!(
        (page.body["alerts"].as_array().unwrap().len(), &page.body["hasMore"]),
        (1, &json!(true))
    );
    let cursor = page.body["nextCursor"].as_str().unwrap();
    let next = bench.get(&format!("{PATH}?limit=1&cursor={cursor}")).await.is(200);
    assert_ne!(next.body["alerts"][0]["id"], page.body["alerts"][0]["id"]);
    assert_eq!(
        (&next.body["page"], &next.body["hasMore"], &next.body["nextCursor"]),
        (&Value::Null, &json!(false), &Value::Null)
    );
    Reply::of(bench.client.get(bench.url(PATH))).await.is(401);
    for (query, path) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("page=0", "page"),
        ("page=4294967295", "page"),
        ("cursor=x", "cursor"),
        ("cursor=1.x&page=1", "cursor"),
        ("status=BAD", "query"),
        ("colour=red", "query"),
    ] {
        let refused = bench.get(&format!("{PATH}?{query}")).await.is(400);
        assert_eq!(refused.problems(), [path], "{query}: {}", refused.text);
    }
}

/// A subscription, and a gateway that has it.
async fn with_bills(bench: &Bench) -> Gateway {
    let mut bills = outbound("Bills");
    bills["id"] = json!("bills");
    bench
        .send(
            Method::POST,
            "/api/v1/event-types",
            &json!({"orgId": 648, "eventType": "bill.generated", "name": "Bill"}),
        )
        .await;
    bench
        .send(Method::POST, "/api/v1/outbound-integrations", &bills)
        .await
        .is(201);
    let mut gateway = Gateway::connect(bench, "g1", None).await;
    assert_eq!(gateway.next().await["message"], "snapshot");
    gateway
}

/// What a gateway says of the endpoint of this subscription.
fn endpoint(state: &str, open: u64) -> Value {
    json!({"message": "deliveries", "endpoints": [
        {"integrationConfigId": "bills", "orgId": 648, "open": open, "state": state, "reason": "answered 503"},
    ]})
}

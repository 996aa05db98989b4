//! Calls of clients that fail for good: kept for an operator, who has them made again.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use harness::client::Reply;
use harness::documents::{ORG, document, integration, with};
use harness::gateway::Setup;
use harness::{Answer, ControlPlane, Example, Gateway, H2Client, Partner, Received, binaries, wait};
use reqwest::Method;
use serde_json::{Value, json};

/// A partner whose answers change.
struct Fickle {
    partner: Partner,
    status: Arc<AtomicU16>,
}

/// A control plane, the gateway that it feeds, and a partner.
struct Stage {
    control_plane: ControlPlane,
    gateway: Gateway,
    fickle: Fickle,
}

#[tokio::test]
async fn a_call_that_failed_waits_for_an_operator_who_has_it_made_again() {
    let stage = Stage::start(keyed()).await;
    stage.fickle.answers(503);
    let reply = stage.order("key-of-app-1", Some("order-7")).await;
    assert_eq!(
        (reply.status, reply.text()),
        (503, "answer 503".to_owned()),
        "the client gets the partner's answer"
    );
    let letter = stage.letters(1).await.remove(0);
    for (direction, count) in [("INBOUND", 1), ("OUTBOUND", 0)] {
        let list = stage.get(&format!("dlq?orgId={ORG}&direction={direction}")).await;
        assert_eq!(list["deadLetters"].as_array().unwrap().len(), count, "{direction}");
    }
    assert_eq!(
        (
            &letter["direction"],
            &letter["status"],
            &letter["errorCategory"],
            &letter["lastStatus"]
        ),
        (
            &json!("INBOUND"),
            &json!("PENDING_OPERATOR"),
            &json!("SERVER_ERROR"),
            &json!(503)
        )
    );
    let shown = stage.get(&format!("dlq/{}", id(&letter))).await;
    check_shown(&shown);

    stage.retry(&letter, &json!({})).await;
    let again = wait::until("the failed retry", async || {
        let shown = stage.get(&format!("dlq/{}", id(&letter))).await;
        (shown["attemptCount"] == 2 && shown["status"] == "PENDING_OPERATOR").then_some(shown)
    })
    .await;
    assert_eq!(again["originalPayload"], shown["originalPayload"]);
    let trace = again["trace"].as_array().unwrap();
    assert_eq!(trace.len(), 1, "{again}");
    assert_eq!(
        (&trace[0]["direction"], &trace[0]["status"], &trace[0]["triggerType"]),
        (&json!("INBOUND"), &json!("FAILED"), &json!("MANUAL"))
    );

    stage.fickle.answers(201);
    stage.retry(&letter, &json!({})).await;
    stage.letters(0).await;
    let requests = stage.fickle.partner.requests();
    assert_eq!(
        requests.len(),
        3,
        "once for the client, and once for each time that it was asked for"
    );
    check_sent(&requests);
    let logs = stage.get(&format!("logs?orgId={ORG}&status=SUCCESS")).await;
    assert_eq!(logs["logs"][0]["direction"], "INBOUND", "{logs}");
}

/// Operators see the call of the order, and no secret.
fn check_shown(shown: &Value) {
    assert_eq!(
        shown["originalPayload"],
        json!({"number": 7, "patient": "***", "password": "***"}),
        "{shown}"
    );
    let call = &shown["call"];
    assert_eq!(
        (&call["path"], &call["query"]),
        (&json!("/orders/7"), &json!({"urgent": "yes"}))
    );
    assert_eq!(
        (&call["idempotencyKey"], &call["caller"], &call["body"]),
        (&json!("order-7"), &json!("app"), &json!("kept"))
    );
    assert_eq!(call["headers"]["x-note"], "by hand");
    assert!(
        !shown.to_string().contains("key-of-app-1") && !shown.to_string().contains("session=1"),
        "{shown}"
    );
}

/// The partner got the order each time, signed in, with the key that the client gave it.
fn check_sent(requests: &[Received]) {
    for request in requests {
        assert_eq!(
            (request.method.as_str(), request.uri.to_string()),
            ("POST", "/orders/7?urgent=yes".to_owned())
        );
        assert_eq!(
            request.json(),
            json!({"order": {"number": 7, "patient": "P. Patient", "password": "x"}})
        );
        assert_eq!(request.header("idempotency-key"), Some("order-7"));
        assert_eq!(request.header("authorization"), Some("Bearer for-the-partner"));
        assert_eq!(request.header("x-request-id"), requests[0].header("x-request-id"));
        assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(request.header("x-api-key"), None);
    }
}

#[tokio::test]
async fn a_client_that_tries_again_with_its_key_leaves_one_dead_letter() {
    let stage = Stage::start(keyed()).await;
    stage.fickle.answers(503);
    for _ in 0..3 {
        assert_eq!(stage.order("key-of-app-1", Some("order-7")).await.status, 503);
    }
    assert_eq!(stage.order("key-of-app-1", None).await.status, 503);
    let letters = stage.letters(2).await;
    counted(&stage.gateway, "repeated", 2).await;
    let made = letters
        .iter()
        .find(|letter| letter["call"]["idempotencyKey"] != "order-7")
        .unwrap();
    assert_eq!(
        made["call"]["idempotencyKey"], made["id"],
        "one that was made with the dead letter"
    );
    stage.fickle.answers(200);
    stage.retry(made, &json!({})).await;
    stage.letters(1).await;
    let last = stage.fickle.partner.requests().pop().unwrap();
    assert_eq!(last.header("idempotency-key"), made["id"].as_str());
}

#[tokio::test]
async fn calls_beyond_a_limit_are_kept_only_if_they_would_have_been_let_in() {
    let limits = json!({
        "rateLimits": {"maxRequests": 1, "windowSeconds": 3600, "onExceeded": "dlq"},
        "deadLetter": {"enabled": false, "methods": ["POST"]},
        "inboundAuthType": "API_KEY",
        "inboundAuthConfig": {"keys": [{"name": "app", "value": "key-of-app-1"}]},
    });
    let stage = Stage::start(limits).await;
    stage.fickle.answers(200);
    assert_eq!(stage.order("key-of-app-1", None).await.status, 200);
    assert_eq!(stage.order("wrong", None).await.status, 401);
    let get = stage
        .gateway
        .request(Method::GET, "orders.test", "/")
        .header("x-api-key", "key-of-app-1");
    assert_eq!(
        Reply::of(get).await.status,
        429,
        "a GET changes nothing, and is not kept"
    );
    let refused = stage.order("key-of-app-1", None).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "RATE_LIMITED"));
    let letter = stage.letters(1).await.remove(0);
    assert_eq!(
        (&letter["errorCategory"], &letter["attemptCount"]),
        (&json!("RATE_LIMITED"), &json!(0))
    );
    assert_eq!(letter["call"]["body"], "kept", "it was read after the answer");
    counted(&stage.gateway, "kept", 1).await;
    stage.retry(&letter, &json!({})).await;
    stage.letters(0).await;
    let requests = stage.fickle.partner.requests();
    assert_eq!((requests.len(), requests[1].json()), (2, order()));
}

#[tokio::test]
async fn a_call_over_http2_beyond_a_limit_is_kept_with_its_body() {
    let fickle = Fickle::start().await;
    let limits = json!({"rateLimits": {"maxRequests": 1, "windowSeconds": 3600, "onExceeded": "dlq"}});
    let orders = with(integration("orders", &fickle.partner.url("")), limits);
    let setup = Setup::new().file(&document([orders]));
    let gateway = setup.set("listen.h2c", json!("127.0.0.1:0")).start().await;
    let mut client = H2Client::connect(&gateway.h2c()).await;
    for status in [200, 429] {
        let request = H2Client::request(Method::POST, "orders.test", "/orders");
        let answer = client.call(request.body(()).unwrap(), b"{\"number\":7}").await;
        assert_eq!(answer.status, status);
    }
    counted(&gateway, "kept", 1).await;
    let listed = tool(&gateway, &["list"]);
    let letter = listed.split_whitespace().next().unwrap();
    let shown: Value = serde_json::from_str(&tool(&gateway, &["show", letter])).unwrap();
    assert_eq!(
        (&shown["call"]["body"], &shown["originalPayload"]),
        (&json!("kept"), &json!({"number": 7}))
    );
}

#[tokio::test]
async fn a_streamed_call_leaves_no_body_and_is_made_again_with_another() {
    let stage = Stage::start(json!({"deadLetter": {}})).await;
    stage.fickle.answers(500);
    assert_eq!(stage.order("", None).await.status, 500);
    let letter = stage.letters(1).await.remove(0);
    assert_eq!(letter["call"]["body"], "streamed");
    stage.fickle.answers(200);
    stage.retry(&letter, &json!({})).await;
    let failed = wait::until("the refused retry", async || {
        let shown = stage.get(&format!("dlq/{}", id(&letter))).await;
        (shown["attemptCount"] == 2).then_some(shown)
    })
    .await;
    assert!(failed["lastError"].as_str().unwrap().contains("payload"), "{failed}");
    assert_eq!(
        stage.fickle.partner.requests().len(),
        1,
        "nothing was sent without its body"
    );
    stage.retry(&letter, &json!({"payload": {"number": 8}})).await;
    stage.letters(0).await;
    assert_eq!(stage.fickle.partner.requests()[1].json(), json!({"number": 8}));
}

#[tokio::test]
async fn a_dead_letter_of_a_call_survives_a_kill_and_is_retried_offline() {
    let fickle = Fickle::start().await;
    let orders = with(integration("orders", &fickle.partner.url("")), keyed());
    let mut gateway = Gateway::serving_one(orders).await;
    fickle.answers(502);
    assert_eq!(order_at(&gateway, "key-of-app-1", Some("order-9")).await.status, 502);
    counted(&gateway, "kept", 1).await;
    gateway.process.kill();
    let listed = tool(&gateway, &["list"]);
    assert!(
        listed.contains("PENDING_OPERATOR") && listed.lines().count() == 1,
        "{listed}"
    );
    let letter = listed.split_whitespace().next().unwrap().to_owned();
    let shown: Value = serde_json::from_str(&tool(&gateway, &["show", &letter])).unwrap();
    assert_eq!(
        (&shown["call"]["idempotencyKey"], &shown["lastStatus"]),
        (&json!("order-9"), &json!(502))
    );
    tool(&gateway, &["retry", &letter]);

    fickle.answers(200);
    let gateway = gateway.setup().start().await;
    wait::until("the dead letter to be gone", async || {
        let queue = gateway.admin_get("/queue").await.json();
        (queue["dead"] == 0 && queue["open"] == 0).then_some(())
    })
    .await;
    let requests = fickle.partner.requests();
    assert_eq!(
        (requests.len(), requests[1].header("idempotency-key")),
        (2, Some("order-9"))
    );
    assert_eq!(requests[1].json(), requests[0].json());
}

#[tokio::test]
async fn what_cannot_be_kept_is_counted_and_changes_no_answer() {
    let fickle = Fickle::start().await;
    fickle.answers(503);
    let one = json!({"deadLetter": {"maxLetters": 1, "maxBodyBytes": 10, "body": true}, "idempotency": {}});
    let orders = with(integration("orders", &fickle.partner.url("")), one);
    let gateway = Gateway::serving_one(orders.clone()).await;
    for _ in 0..2 {
        let reply = order_at(&gateway, "", None).await;
        assert_eq!((reply.status, reply.text()), (503, "answer 503".to_owned()));
        counted(&gateway, "kept", 1).await;
    }
    counted(&gateway, "too_many", 1).await;
    let listed = tool(&gateway, &["list"]);
    let letter = listed.split_whitespace().next().unwrap();
    let shown: Value = serde_json::from_str(&tool(&gateway, &["show", letter])).unwrap();
    assert_eq!(
        (&shown["call"]["body"], &shown["originalPayload"]),
        (&json!("tooLarge"), &Value::Null)
    );

    let without = Setup::new()
        .file(&document([orders]))
        .set("ingest", json!({"enabled": false}));
    let gateway = without.start().await;
    assert_eq!(order_at(&gateway, "", None).await.status, 503);
    counted(&gateway, "no_queue", 1).await;
}

#[tokio::test]
async fn calls_to_a_partner_that_is_gone_are_kept_by_how_they_failed() {
    let closed = harness::partner::listen("127.0.0.1:0").await.local_addr().unwrap();
    let network = json!({"deadLetter": {"on": ["network"]}, "idempotency": {}});
    let timeouts = json!({"deadLetter": {"on": ["timeout"]}, "hosts": ["other.test"]});
    let gateway = Gateway::serving(&document([
        with(integration("orders", &format!("http://{closed}")), network),
        with(integration("other", &format!("http://{closed}")), timeouts),
    ]))
    .await;
    assert_eq!(order_at(&gateway, "", None).await.status, 502);
    assert_eq!(gateway.post("other.test", "/", &json!({})).await.status, 502);
    counted(&gateway, "kept", 1).await;
    let listed = tool(&gateway, &["list"]);
    assert_eq!(listed.lines().count(), 1, "{listed}");
    let letter = listed.split_whitespace().next().unwrap();
    let shown: Value = serde_json::from_str(&tool(&gateway, &["show", letter])).unwrap();
    assert_eq!(
        (&shown["integrationName"], &shown["errorCategory"]),
        (&json!("orders"), &json!("NETWORK"))
    );
}

#[tokio::test]
async fn the_example_keeps_what_fails_and_what_is_beyond_its_limit() {
    let fickle = Fickle::start().await;
    let example = Example::named("dead-letter").with("https://api.partner.example", &fickle.partner.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    fickle.answers(500);
    let send = async || {
        let request = gateway.request(Method::POST, "orders.gateway.example", "/");
        Reply::of(request.json(&json!({"patient": {"name": "P. Patient"}, "test": 3})))
            .await
            .status
    };
    assert_eq!(send().await, 500);
    fickle.answers(200);
    assert_eq!(send().await, 200);
    assert_eq!(send().await, 429);
    counted(&gateway, "kept", 2).await;
    let listed = tool(&gateway, &["list"]);
    for line in listed.lines() {
        let letter = line.split_whitespace().next().unwrap();
        let shown: Value = serde_json::from_str(&tool(&gateway, &["show", letter])).unwrap();
        assert_eq!(shown["originalPayload"], json!({"patient": {"name": "***"}, "test": 3}));
    }
    assert_eq!(listed.lines().count(), 2, "{listed}");
}

impl Fickle {
    async fn start() -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let next = Arc::clone(&status);
        let partner = Partner::start(move |_| {
            let status = next.load(Ordering::SeqCst);
            Answer::status(status).body(format!("answer {status}"))
        })
        .await;
        Self { partner, status }
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

impl Stage {
    /// With the integration `orders`, and `change` made to it.
    async fn start(change: Value) -> Self {
        let control_plane = ControlPlane::start().await;
        let fickle = Fickle::start().await;
        control_plane.allow_this_machine().await;
        control_plane
            .save(&with(integration("orders", &fickle.partner.url("")), change))
            .await;
        let gateway = Gateway::fed_by(&control_plane).await;
        Self {
            control_plane,
            gateway,
            fickle,
        }
    }

    async fn order(&self, key: &str, idempotency_key: Option<&str>) -> Reply {
        order_at(&self.gateway, key, idempotency_key).await
    }

    async fn get(&self, path: &str) -> Value {
        let reply = self.control_plane.get(&format!("/api/v1/{path}")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }

    /// Has a dead letter retried, and waits until the gateway has begun.
    async fn retry(&self, letter: &Value, body: &Value) {
        let reply = self
            .control_plane
            .post(&format!("/api/v1/dlq/{}/retry", id(letter)), body)
            .await;
        assert_eq!(reply.status, 202, "{}", reply.text());
        let command = reply.json()["commands"][0].clone();
        wait::until("the command to be done", async || {
            let shown = self.get(&format!("commands/{}", id(&command))).await;
            (shown["state"] == "DONE").then(|| assert_eq!(shown["result"], json!({"done": 1}), "{shown}"))
        })
        .await;
    }

    /// Waits until there are so many dead letters, none of them being tried.
    async fn letters(&self, count: usize) -> Vec<Value> {
        wait::until("the dead letters", async || {
            let list = self.get(&format!("dlq?orgId={ORG}")).await;
            let letters = list["deadLetters"].as_array()?.clone();
            let rest = letters.iter().all(|letter| letter["status"] != "RETRYING");
            (letters.len() == count && rest).then_some(letters)
        })
        .await
    }
}

/// An integration with a key, a mapping, a sign-in, and dead letters.
fn keyed() -> Value {
    json!({
        "inboundAuthType": "API_KEY",
        "inboundAuthConfig": {"keys": [{"name": "app", "value": "key-of-app-1"}]},
        "outgoingAuthType": "BEARER",
        "outgoingAuthConfig": {"token": "for-the-partner"},
        "requestTransformationMode": "SIMPLE",
        "requestFieldMappings": [
            {"sourceField": "number", "targetField": "order.number"},
            {"sourceField": "patient", "targetField": "order.patient"},
            {"sourceField": "password", "targetField": "order.password"},
        ],
        "redaction": {"jsonPaths": ["$.patient"]},
        "deadLetter": {},
    })
}

fn order() -> Value {
    json!({"number": 7, "patient": "P. Patient", "password": "x"})
}

async fn order_at(gateway: &Gateway, key: &str, idempotency_key: Option<&str>) -> Reply {
    let mut request = gateway
        .request(Method::POST, "orders.test", "/orders/7?urgent=yes")
        .header("x-api-key", key)
        .header("cookie", "session=1")
        .header("x-note", "by hand")
        .json(&order());
    if let Some(idempotency_key) = idempotency_key {
        request = request.header("idempotency-key", idempotency_key);
    }
    Reply::of(request).await
}

/// Waits until so many calls that were to become dead letters came to this.
async fn counted(gateway: &Gateway, outcome: &str, count: u32) {
    let line = format!("gateway_call_dead_letters_total{{outcome=\"{outcome}\"}} {count}");
    wait::until(&line, async || {
        let text = gateway.admin_get("/metrics").await.text();
        text.lines().any(|one| one == line).then_some(())
    })
    .await;
}

/// What `gateway dead ...` says of the gateway's queue.
fn tool(gateway: &Gateway, arguments: &[&str]) -> String {
    let output = Command::new(binaries::find("gateway"))
        .arg("--config")
        .arg(gateway.setup().settings_file())
        .arg("dead")
        .args(arguments)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

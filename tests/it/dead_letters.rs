//! Deliveries that fail for good, seen and mended through the control plane.

use harness::client::Reply;
use harness::documents::{ORG, with};
use harness::events::{bill, subscription};
use harness::{Answer, ControlPlane, Gateway, Receiver, wait};
use reqwest::Method;
use serde_json::{Value, json};

/// A control plane with a subscription, the gateway that it feeds, and a producer.
struct Stage {
    control_plane: ControlPlane,
    gateway: Gateway,
    receiver: Receiver,
    key: String,
}

#[tokio::test]
async fn a_dead_letter_is_retried_with_another_payload_and_gone() {
    let stage = Stage::start(json!({})).await;
    stage.receiver.always(Answer::status(500).body("no such bill"));
    stage.accept("B-1").await;
    let letter = stage.letters(1).await.remove(0);
    assert_eq!(
        (&letter["status"], &letter["eventId"]),
        (&json!("PENDING_RETRY"), &json!("B-1"))
    );
    assert_eq!(
        (&letter["errorCategory"], &letter["lastStatus"]),
        (&json!("SERVER_ERROR"), &json!(500))
    );
    let shown = stage.get(&format!("dlq/{}", id(&letter))).await;
    assert_eq!(shown["originalPayload"], bill("B-1")["payload"]);
    let trace = shown["trace"].as_array().unwrap();
    let attempts: Vec<_> = trace.iter().map(|attempt| &attempt["attemptCount"]).collect();
    assert_eq!(attempts, [1, 2, 3], "{trace:?}");
    assert_eq!(trace[2]["responseBody"], "no such bill");

    stage.receiver.always(Answer::status(200));
    let body = json!({"payload": {"bill": {"number": "B-1", "amount": 99}}});
    let command = stage.post(&format!("dlq/{}/retry", id(&letter)), &body).await.remove(0);
    let done = stage.done(&command).await;
    assert_eq!(done["result"], json!({"done": 1}), "{done}");
    stage.letters(0).await;
    let requests = stage.receiver.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[3].json(), body["payload"]);
    assert_eq!(
        requests[3].header("idempotency-key"),
        requests[0].header("idempotency-key")
    );
    let logs = stage.get(&format!("logs?orgId={ORG}&status=SUCCESS")).await;
    assert_eq!(logs["logs"][0]["triggerType"], "MANUAL", "{logs}");
    let trace = stage
        .get(&format!(
            "execution-logs/{}",
            logs["logs"][0]["traceId"].as_str().unwrap()
        ))
        .await;
    assert_eq!(trace["deliveryLogs"].as_array().unwrap().len(), 4);
}

/// The receiver is never called with what it does not take, and the operator reads which field is wrong.
#[tokio::test]
async fn a_delivery_that_its_receiver_does_not_take_names_the_field() {
    let stage = Stage::start(json!({
        "transformationMode": "SIMPLE",
        "fieldMappings": [{"sourceField": "bill.amount", "targetField": "total.amount"}],
        "targetSchema": {"validate": true, "schema": {"required": ["total"], "properties": {"total": {
            "type": "object", "required": ["amount"], "properties": {"amount": {"type": "number", "maximum": 100}}}}}},
    }))
    .await;
    stage.accept("B-1").await;
    let letter = stage.letters(1).await.remove(0);
    assert_eq!(letter["errorCategory"], "TRANSFORMATION", "{letter}");
    assert!(
        letter["lastError"].as_str().unwrap().contains("total.amount"),
        "{letter}"
    );
    assert!(stage.receiver.requests().is_empty());
}

#[tokio::test]
async fn a_command_waits_for_a_gateway_that_is_down_and_survives_the_control_plane() {
    let mut stage = Stage::start(json!({})).await;
    stage.receiver.always(Answer::status(500));
    for number in 1..=3 {
        stage.accept(&format!("B-{number}")).await;
    }
    let letters = stage.letters(3).await;
    stage.gateway.process.kill();
    let retry = stage
        .post(&format!("dlq/{}/retry", id(&letters[0])), &json!({}))
        .await
        .remove(0);
    let abandon = stage
        .post(&format!("dlq/{}/abandon", id(&letters[1])), &json!({}))
        .await
        .remove(0);
    stage.restart_control_plane().await;
    stage.receiver.always(Answer::status(200));
    stage.gateway = stage.gateway.setup().start().await;
    stage.done(&retry).await;
    stage.done(&abandon).await;
    let left = stage.letters(2).await;
    let status = |letter: &Value| {
        let found = left.iter().find(|one| id(one) == id(letter));
        found.map(|letter| letter["status"].clone())
    };
    assert_eq!(status(&letters[0]), None, "it is delivered");
    assert_eq!(status(&letters[1]), Some(json!("ABANDONED")));
    assert_eq!(status(&letters[2]), Some(json!("PENDING_RETRY")));
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_in_the_lists_while_the_control_plane_is_killed() {
    let mut stage = Stage::start(json!({})).await;
    stage.receiver.always(Answer::status(500));
    let mut accepted = 0;
    for _ in 0..3 {
        for _ in 0..10 {
            accepted += 1;
            stage.accept(&format!("B-{accepted}")).await;
        }
        // While outcomes are on their way.
        stage.restart_control_plane().await;
    }
    let letters = stage.letters(accepted).await;
    let mut events: Vec<_> = letters
        .iter()
        .map(|letter| letter["eventId"].as_str().unwrap())
        .collect();
    events.sort_unstable();
    events.dedup();
    assert_eq!(events.len(), accepted, "each once");
    let logs = wait::until("all attempts in the logs", async || {
        let logs = stage.get(&format!("logs?orgId={ORG}&limit=200")).await;
        let count = logs["logs"].as_array()?.len();
        (count >= 3 * accepted).then_some(logs)
    })
    .await;
    assert_eq!(logs["logs"].as_array().unwrap().len(), 3 * accepted, "each once");

    stage.receiver.always(Answer::status(200));
    let body = json!({"orgId": ORG, "filter": {"status": "PENDING_RETRY"}});
    let reply = stage.control_plane.post("/api/v1/dlq/bulk-retry", &body).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let bulk = reply.json();
    assert_eq!(bulk["total"], accepted);
    stage.letters(0).await;
    wait::until("the bulk retry to be done", async || {
        let shown = stage.get(&format!("dlq/bulk/{}", id(&bulk))).await;
        (shown["state"] == "DONE" && shown["done"] == accepted && shown["failed"] == 0).then_some(())
    })
    .await;
    assert_eq!(
        stage.receiver.requests().len(),
        4 * accepted,
        "no delivery was made twice"
    );
}

#[tokio::test]
async fn an_endpoint_is_paused_looked_at_and_resumed_and_events_are_replayed() {
    let stage = Stage::start(json!({})).await;
    let bills = "outbound-integrations/bills";
    let pause = stage.post(&format!("{bills}/pause"), &json!({})).await.remove(0);
    stage.done(&pause).await;
    stage.accept("B-1").await;
    wait::until("the endpoint to be seen", async || {
        let seen = stage.get(&format!("undelivered?orgId={ORG}")).await;
        let endpoint = &seen["endpoints"][0];
        (endpoint["open"] == 1 && endpoint["state"] == "paused" && endpoint["integrationName"] == "bills").then_some(())
    })
    .await;
    assert!(stage.receiver.requests().is_empty());
    let resume = stage.post(&format!("{bills}/resume"), &json!({})).await.remove(0);
    stage.done(&resume).await;
    stage.receiver.received(1).await;

    let test = stage
        .post(&format!("{bills}/deliver-test"), &json!({"payload": {"n": 1}}))
        .await
        .remove(0);
    stage.done(&test).await;
    assert_eq!(stage.receiver.received(2).await[1].json(), json!({"n": 1}));
    let replay = json!({"orgId": ORG, "eventIds": ["B-1"]});
    let replay = stage.post("replay", &replay).await.remove(0);
    assert_eq!(stage.done(&replay).await["result"]["done"], 1);
    let requests = stage.receiver.received(3).await;
    assert_eq!(requests[2].header("ce-id"), Some("B-1"));
    assert_ne!(
        requests[2].header("idempotency-key"),
        requests[0].header("idempotency-key")
    );
}

#[tokio::test]
async fn a_scheduled_delivery_is_seen_and_cancelled() {
    let later = json!({"schedulingMode": "DELAYED", "schedulingConfig": {"delayMs": 3_600_000}});
    let stage = Stage::start(later).await;
    stage.accept("B-1").await;
    let list = format!("scheduled-integrations?orgId={ORG}&status=PENDING");
    let waiting = wait::until("the scheduled delivery to be seen", async || {
        stage.get(&list).await["scheduledIntegrations"]
            .as_array()?
            .first()
            .cloned()
    })
    .await;
    assert_eq!(waiting["originalEventId"], "B-1");
    let path = format!("/api/v1/scheduled-integrations/{}", id(&waiting));
    let reply = Reply::of(stage.control_plane.request(Method::DELETE, &path)).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    wait::until("it to be cancelled", async || {
        let shown = stage.get(path.strip_prefix("/api/v1/")?).await;
        (shown["status"] == "CANCELLED").then_some(())
    })
    .await;
    assert_eq!(stage.gateway.admin_get("/queue").await.json()["open"], 0);
}

impl Stage {
    /// With a subscription `bills` that has two retries, and `change` made to it.
    async fn start(change: Value) -> Self {
        let control_plane = ControlPlane::start().await;
        let receiver = Receiver::start().await;
        let event_type = json!({"id": "bill", "orgId": ORG, "eventType": "bill.generated", "name": "Bill"});
        let short = json!({"retry": {"type": "list", "delaysMs": [20, 20], "jitter": 0}});
        let bills = with(with(subscription("bills", &receiver.url("/")), short), change);
        for (path, object) in [("event-types/bill", event_type), ("outbound-integrations/bills", bills)] {
            let reply = control_plane.put(&format!("/api/v1/{path}"), &object).await;
            assert_eq!(reply.status, 201, "{}", reply.text());
        }
        let key = control_plane
            .post("/api/v1/producer-keys", &json!({"orgId": ORG, "name": "hospital"}))
            .await;
        assert_eq!(key.status, 201, "{}", key.text());
        let gateway = Gateway::fed_by(&control_plane).await;
        Self {
            control_plane,
            gateway,
            receiver,
            key: key.json()["value"].as_str().unwrap().to_owned(),
        }
    }

    async fn accept(&self, id: &str) {
        let request = self.gateway.request(Method::POST, "gateway.test", "/api/v1/events");
        let reply = Reply::of(request.header("x-api-key", &self.key).json(&bill(id))).await;
        assert_eq!(reply.status, 202, "{}", reply.text());
    }

    /// Kills the control plane, and starts it again at the same address.
    async fn restart_control_plane(&mut self) {
        let address = self.control_plane.url().replace("http://", "");
        let setup = self.control_plane.setup().set("listen", json!(address));
        self.control_plane.process.kill();
        self.control_plane = setup.start().await;
    }

    async fn get(&self, path: &str) -> Value {
        let reply = self.control_plane.get(&format!("/api/v1/{path}")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }

    /// Has something done; the commands that were made of it.
    async fn post(&self, path: &str, body: &Value) -> Vec<Value> {
        let reply = self.control_plane.post(&format!("/api/v1/{path}"), body).await;
        assert_eq!(reply.status, 202, "{path}: {}", reply.text());
        reply.json()["commands"].as_array().unwrap().clone()
    }

    /// Waits until there are so many dead letters, none of them being tried.
    async fn letters(&self, count: usize) -> Vec<Value> {
        wait::until("the dead letters", async || {
            let list = self.get(&format!("dlq?orgId={ORG}&limit=200")).await;
            let letters = list["deadLetters"].as_array()?.clone();
            let rest = letters.iter().all(|letter| letter["status"] != "RETRYING");
            (letters.len() == count && rest).then_some(letters)
        })
        .await
    }

    /// Waits until a command has its result.
    async fn done(&self, command: &Value) -> Value {
        wait::until("the command to be done", async || {
            let shown = self.get(&format!("commands/{}", id(command))).await;
            (shown["state"] == "DONE").then_some(shown)
        })
        .await
    }
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

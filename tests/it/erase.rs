//! Removing what is kept of a person, everywhere.

use std::path::Path;

use harness::answer::Gate;
use harness::client::Reply;
use harness::documents::{ORG, with};
use harness::events::{bill, subscription};
use harness::{Answer, ControlPlane, Gateway, Receiver, gwctl, wait};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn nothing_of_an_erased_person_is_left_in_answers_or_files() {
    let mut scene = Scene::start().await;
    scene
        .receiver
        .always(Answer::status(500).body("no bill of planted-4711 here"));
    let later = json!({"schedulingMode": "DELAYED", "schedulingConfig": {"delayMs": 3_600_000}});
    let reminders = with(subscription("reminders", &scene.receiver.url("/")), later);
    scene.put("outbound-integrations/reminders", &reminders).await;
    for id in ["planted-4711", "planted-other"] {
        scene.hand_over(&bill(id)).await;
    }
    wait::until("both dead letters and both schedules", async || {
        let letters = scene.list("dlq", "deadLetters").await;
        let waiting = scene.list("scheduled-integrations", "scheduledIntegrations").await;
        (letters.len() == 2 && waiting.len() == 2).then_some(())
    })
    .await;

    let org = ORG.to_string();
    let short = gwctl::against(&scene.control_plane, &["erase", "--org", &org, "--subject", "x"]).await;
    assert!(short.code == 4 && short.stderr.contains("--anywhere"), "{short:?}");
    let done = scene.erase("planted-4711", &[], "DONE").await;
    assert_eq!(done["gateways"][0]["events"], 1, "{done}");
    let removed = &done["removed"];
    assert!(
        removed["deadLetters"] == 1 && removed["deliveryLogs"].as_u64() >= Some(2),
        "{done}"
    );
    let listed = gwctl::against(&scene.control_plane, &["erasures"]).await;
    assert!(listed.stdout.contains("DONE"), "{listed:?}");

    assert_eq!(scene.list("dlq", "deadLetters").await.len(), 1);
    let mut shown = vec![done, json!(scene.list("logs", "logs").await)];
    shown.push(json!(
        scene.list("scheduled-integrations", "scheduledIntegrations").await
    ));
    shown.push(scene.gateway.admin_get("/queue").await.json());
    for answer in shown {
        assert!(!answer.to_string().contains("4711"), "{answer}");
    }
    // While both are running, logs of databases included, and after they have ended.
    scene.is_in_no_file("planted-4711", "planted-other");
    scene.gateway.terminate();
    scene.gateway.process.ended().await;
    scene.control_plane.terminate();
    scene.control_plane.process.ended().await;
    scene.is_in_no_file("planted-4711", "planted-other");
}

#[tokio::test]
async fn a_short_number_is_removed_where_payloads_have_persons_and_nowhere_else() {
    let scene = Scene::start().await;
    let organization = json!({
        "name": "Tests", "allowedNetworks": ["127.0.0.0/8"], "subjectPaths": [{"path": "items[].patientId"}],
    });
    let path = format!("/api/v1/admin/organizations/{ORG}");
    let merged = scene.control_plane.request(Method::PATCH, &path).json(&organization);
    let reply = Reply::of(merged).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    scene.receiver.always(Answer::status(400));
    for (id, patient) in [("of-the-person", json!(7)), ("of-another", json!(12))] {
        let payload = json!({"items": [{"patientId": patient, "amount": 7}], "ward": "7"});
        scene
            .hand_over(&json!({"id": id, "eventType": "bill.generated", "payload": payload}))
            .await;
    }
    wait::until("both dead letters", async || {
        (scene.list("dlq", "deadLetters").await.len() == 2).then_some(())
    })
    .await;
    let done = scene.erase("7", &[], "DONE").await;
    assert_eq!(
        (&done["onlyPaths"], &done["gateways"][0]["events"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(done["removed"]["deadLetters"], 1, "{done}");
    let left = scene.list("dlq", "deadLetters").await;
    assert_eq!((left.len(), &left[0]["eventId"]), (1, &json!("of-another")));

    // Whoever means it has everything removed that has the number.
    let done = scene.erase("7", &["--anywhere"], "DONE").await;
    assert_eq!(done["removed"]["deadLetters"], 1, "{done}");
}

#[tokio::test]
async fn an_erasure_outlives_a_killed_control_plane_and_a_gateway_that_is_away() {
    let mut scene = Scene::start().await;
    scene.hand_over(&bill("planted-4711")).await;
    scene.hand_over(&bill("planted-other")).await;
    scene.receiver.received(2).await;
    wait::until("the attempts", async || {
        (scene.list("logs", "logs").await.len() == 2).then_some(())
    })
    .await;
    scene.gateway.process.kill();
    scene.erase("planted-4711", &[], "RUNNING").await;
    scene.control_plane.process.kill();

    let address = scene.control_plane.url().replace("http://", "");
    scene.control_plane = scene.control_plane.setup().set("listen", json!(address)).start().await;
    scene.gateway = scene.gateway.setup().start().await;
    scene.ended("DONE").await;
    scene.is_in_no_file("planted-4711", "planted-other");
}

#[tokio::test]
async fn what_is_being_delivered_and_replayed_is_erased_afterwards() {
    let scene = Scene::start().await;
    for id in ["planted-4711", "planted-other"] {
        scene.hand_over(&bill(id)).await;
    }
    scene.receiver.received(2).await;
    // Both are delivered once more, and the endpoint takes its time.
    let gate = Gate::new();
    scene.receiver.always(Answer::status(200).after(&gate));
    let replay = json!({"orgId": ORG, "eventIds": ["planted-4711", "planted-other"]});
    let reply = scene.control_plane.post("/api/v1/replay", &replay).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    scene.receiver.received(4).await;
    scene.erase("planted-4711", &[], "RUNNING").await;
    gate.open();
    scene.ended("DONE").await;
    assert_eq!(scene.receiver.requests().len(), 4, "it is not delivered again");
    scene.is_in_no_file("planted-4711", "planted-other");
}

#[tokio::test]
async fn an_erasure_waits_no_more_for_a_gateway_that_is_removed() {
    let mut scene = Scene::start().await;
    scene.hand_over(&bill("planted-4711")).await;
    scene.receiver.received(1).await;
    scene.gateway.process.kill();
    scene.erase("planted-4711", &[], "RUNNING").await;
    let listed = scene.control_plane.get("/api/v1/gateways").await.json();
    let name = listed["gateways"][0]["gatewayId"].as_str().unwrap().to_owned();
    let waiting = gwctl::against(&scene.control_plane, &["erasures"]).await;
    assert!(waiting.stdout.contains(&name), "{waiting:?}");
    wait::until("the gateway to be forgotten", async || {
        let removed = gwctl::against(&scene.control_plane, &["remove-gateway", &name]).await;
        // The control plane sees the end of the connection a moment later.
        (removed.code == 0).then_some(())
    })
    .await;
    let ended = scene.ended("INCOMPLETE").await;
    assert_eq!(ended["gateways"][0]["gone"], true, "{ended}");
    let status = gwctl::against(&scene.control_plane, &["status"]).await;
    assert!(status.code == 0 && !status.stdout.contains(&name), "{status:?}");

    // Its data folder is found again.
    scene.gateway = scene.gateway.setup().start().await;
    scene.ended("DONE").await;
    scene.is_in_no_file("planted-4711", "bill.generated");
}

/// A control plane and a gateway with a subscription to bills.
struct Scene {
    control_plane: ControlPlane,
    gateway: Gateway,
    receiver: Receiver,
    key: String,
}

impl Scene {
    async fn start() -> Self {
        let control_plane = ControlPlane::start().await;
        let receiver = Receiver::start().await;
        let gateway = Gateway::fed_by(&control_plane).await;
        let key = json!({"orgId": ORG, "name": "hospital"});
        let key = control_plane.post("/api/v1/producer-keys", &key).await.json();
        let scene = Self {
            control_plane,
            gateway,
            receiver,
            key: key["value"].as_str().unwrap().to_owned(),
        };
        let event_type = json!({"id": "bill", "orgId": ORG, "eventType": "bill.generated", "name": "Bill"});
        scene.put("event-types/bill", &event_type).await;
        let short = json!({"retry": {"type": "list", "delaysMs": [20], "jitter": 0}});
        let bills = with(subscription("bills", &scene.receiver.url("/")), short);
        scene.put("outbound-integrations/bills", &bills).await;
        scene
    }

    async fn put(&self, path: &str, object: &Value) {
        let reply = self.control_plane.put(&format!("/api/v1/{path}"), object).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        wait::until("the gateway to know of it", async || {
            let listed = self.control_plane.get("/api/v1/gateways").await.json();
            (listed["gateways"][0]["lagVersions"] == 0).then_some(())
        })
        .await;
    }

    async fn hand_over(&self, event: &Value) {
        let request = self.gateway.request(Method::POST, "gateway.test", "/api/v1/events");
        let reply = Reply::of(request.header("x-api-key", &self.key).json(event)).await;
        assert_eq!(reply.status, 202, "{}", reply.text());
    }

    /// Begins an erasure and waits until it is in `state`.
    async fn erase(&self, subject: &str, more: &[&str], state: &str) -> Value {
        let org = ORG.to_string();
        let mut erase = vec!["erase", "--org", &org, "--subject", subject, "-o", "json"];
        erase.extend(more);
        let begun = gwctl::against(&self.control_plane, &erase).await;
        assert_eq!(begun.code, 0, "{begun:?}");
        self.ended(state).await
    }

    /// The newest erasure, as soon as the store was gone through and it is in `state`.
    async fn ended(&self, state: &str) -> Value {
        wait::until("the erasure to be as wanted", async || {
            let shown = self.control_plane.get("/api/v1/admin/erasures").await.json();
            let newest = &shown["erasures"][0];
            (newest["state"] == state && newest["sweptAt"].is_string()).then(|| newest.clone())
        })
        .await
    }

    async fn list(&self, path: &str, name: &str) -> Vec<Value> {
        let path = format!("/api/v1/{path}?orgId={ORG}&limit=200");
        let reply = self.control_plane.get(&path).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()[name].as_array().unwrap().clone()
    }

    fn is_in_no_file(&self, erased: &str, kept: &str) {
        for folder in [self.gateway.data_folder(), self.control_plane.data_folder()] {
            let mut found = Vec::new();
            search(&folder, erased, &mut found);
            assert!(found.is_empty(), "{found:?}");
            search(&folder, kept, &mut found);
            assert!(!found.is_empty(), "the others are looked for in the wrong place");
        }
    }
}

/// The files below `folder` that hold `text`.
fn search(folder: &Path, text: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, text, found);
        } else if let Ok(content) = std::fs::read(&path)
            && content.windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
}

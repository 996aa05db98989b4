//! Removing what is kept of a person, everywhere.

use std::path::Path;

use harness::client::Reply;
use harness::documents::{ORG, with};
use harness::events::{bill, subscription};
use harness::{Answer, ControlPlane, Gateway, Receiver, gwctl, wait};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn nothing_of_an_erased_person_is_left_in_answers_or_files() {
    let mut control_plane = ControlPlane::start().await;
    let receiver = Receiver::start().await;
    let event_type = json!({"id": "bill", "orgId": ORG, "eventType": "bill.generated", "name": "Bill"});
    let short = json!({"retry": {"type": "list", "delaysMs": [20], "jitter": 0}});
    let later = json!({"schedulingMode": "DELAYED", "schedulingConfig": {"delayMs": 3_600_000}});
    let bills = with(subscription("bills", &receiver.url("/")), short);
    let reminders = with(subscription("reminders", &receiver.url("/")), later);
    for (path, object) in [
        ("event-types/bill", event_type),
        ("outbound-integrations/bills", bills),
        ("outbound-integrations/reminders", reminders),
    ] {
        let reply = control_plane.put(&format!("/api/v1/{path}"), &object).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
    }
    let key = json!({"orgId": ORG, "name": "hospital"});
    let key = control_plane.post("/api/v1/producer-keys", &key).await.json();
    let mut gateway = Gateway::fed_by(&control_plane).await;
    receiver.always(Answer::status(500).body("no bill of planted-4711 here"));
    for id in ["planted-4711", "planted-other"] {
        let request = gateway.request(Method::POST, "gateway.test", "/api/v1/events");
        let request = request.header("x-api-key", key["value"].as_str().unwrap());
        let reply = Reply::of(request.json(&bill(id))).await;
        assert_eq!(reply.status, 202, "{}", reply.text());
    }
    wait::until("both dead letters and both schedules", async || {
        let letters = list(&control_plane, "dlq", "deadLetters").await;
        let waiting = list(&control_plane, "scheduled-integrations", "scheduledIntegrations").await;
        (letters.len() == 2 && waiting.len() == 2).then_some(())
    })
    .await;

    let org = ORG.to_string();
    let short = gwctl::against(&control_plane, &["erase", "--org", &org, "--subject", "x"]).await;
    assert!(short.code == 4 && short.stderr.contains("3 to 256 bytes"), "{short:?}");
    let erase = ["erase", "--org", &org, "--subject", "planted-4711", "-o", "json"];
    let begun = gwctl::against(&control_plane, &erase).await;
    assert_eq!(begun.code, 0, "{begun:?}");
    let path = format!("/api/v1/admin/erasures/{}", begun.json()["id"].as_str().unwrap());
    let done = wait::until("the erasure to be done", async || {
        let shown = control_plane.get(&path).await.json();
        (shown["state"] == "DONE").then_some(shown)
    })
    .await;
    assert_eq!(done["gateways"][0]["events"], 1, "{done}");
    let removed = &done["removed"];
    assert!(
        removed["deadLetters"] == 1 && removed["deliveryLogs"].as_u64() >= Some(2),
        "{done}"
    );
    let listed = gwctl::against(&control_plane, &["erasures"]).await;
    assert!(listed.stdout.contains("DONE"), "{listed:?}");

    assert_eq!(list(&control_plane, "dlq", "deadLetters").await.len(), 1);
    let mut shown = vec![done, json!(list(&control_plane, "logs", "logs").await)];
    shown.push(json!(
        list(&control_plane, "scheduled-integrations", "scheduledIntegrations").await
    ));
    shown.push(gateway.admin_get("/queue").await.json());
    for answer in shown {
        assert!(!answer.to_string().contains("4711"), "{answer}");
    }
    gateway.terminate();
    gateway.process.ended().await;
    control_plane.terminate();
    control_plane.process.ended().await;
    for folder in [gateway.data_folder(), control_plane.data_folder()] {
        let mut found = Vec::new();
        search(&folder, "planted-4711", &mut found);
        assert!(found.is_empty(), "{found:?}");
        search(&folder, "planted-other", &mut found);
        assert!(!found.is_empty(), "the others are looked for in the wrong place");
    }
}

async fn list(control_plane: &ControlPlane, path: &str, name: &str) -> Vec<Value> {
    let reply = control_plane
        .get(&format!("/api/v1/{path}?orgId={ORG}&limit=200"))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()[name].as_array().unwrap().clone()
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

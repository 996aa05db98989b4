//! What survives: the gateway without its control plane, damaged files, and the control plane's acknowledged changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use harness::documents::{ORG, integration, with};
use harness::{Answer, ControlPlane, Gateway, Partner, control_plane, wait};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_gateway_serves_and_restarts_while_the_control_plane_is_dead() {
    let (_partner, mut control_plane, mut gateway) = serving().await;
    control_plane.process.kill();
    assert_eq!(gateway.get("labs.test", "/").await.text(), "ok");
    gateway.process.kill();

    let gateway = gateway.setup().start().await;
    assert_eq!(gateway.get("labs.test", "/").await.text(), "ok");
    let config = gateway.admin_get("/config").await.json();
    assert_eq!(config["source"], "lastKnownGood", "{config}");
}

#[tokio::test]
async fn the_gateway_catches_up_when_the_control_plane_is_back() {
    let (partner, mut control_plane, gateway) = serving().await;
    let address = control_plane.url().trim_start_matches("http://").to_owned();
    control_plane.process.kill();
    let again = control_plane.setup().set("listen", json!(address)).start().await;
    again.save(&integration("book", &partner.url(""))).await;
    wait::until("the change", async || {
        (gateway.get("book.test", "/").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(gateway.get("labs.test", "/").await.status, 200);
}

#[tokio::test]
async fn a_damaged_last_known_good_is_noticed_and_not_served() {
    for (name, damage) in DAMAGES {
        let (_partner, mut control_plane, mut gateway) = serving().await;
        control_plane.process.kill();
        gateway.process.kill();
        let path = last_known_good(&gateway.data_folder());
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, bytes).unwrap();

        let mut gateway = gateway.setup().start_listening().await;
        wait::until("a word in the log about the damage", async || {
            gateway.process.output().contains("last known good").then_some(())
        })
        .await;
        assert_eq!(gateway.admin_get("/readyz").await.status, 503, "{name}");
        assert_eq!(gateway.get("labs.test", "/").await.status, 503, "{name}");
        assert!(gateway.process.is_running(), "{name}");

        let address = control_plane.url().trim_start_matches("http://").to_owned();
        let _again = control_plane.setup().set("listen", json!(address)).start().await;
        gateway.ready().await;
        assert_eq!(gateway.get("labs.test", "/").await.text(), "ok", "{name}");
    }
}

type Damage = fn(&mut Vec<u8>);
const DAMAGES: &[(&str, Damage)] = &[
    ("cut to half", |bytes| bytes.truncate(bytes.len() / 2)),
    ("emptied", Vec::clear),
    ("a bit flipped", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }),
    ("a bit of the checksum flipped", |bytes| bytes[10] ^= 0x80),
    ("something appended", |bytes| bytes.extend_from_slice(b"more")),
];

#[tokio::test]
async fn the_last_known_good_holds_no_secret_in_clear_and_is_the_owners_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let partner = Partner::answering(Answer::text("ok")).await;
    let control_plane = ControlPlane::start().await;
    let gateway = Gateway::fed_by(&control_plane).await;
    let secret = json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "partner-secret"}});
    control_plane
        .save(&with(integration("labs", &partner.url("")), secret))
        .await;
    wait::until("the route", async || {
        (gateway.get("labs.test", "/").await.status == 200).then_some(())
    })
    .await;
    wait_until_kept(&gateway).await;
    let mut folders = vec![gateway.data_folder(), control_plane.data_folder()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                let bytes = fs::read(&path).unwrap();
                let found = bytes.windows(14).any(|window| window == b"partner-secret");
                assert!(!found, "{} holds a secret in clear", path.display());
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o077;
                assert_eq!(mode, 0, "{} can be read by others", path.display());
                files += 1;
            }
        }
    }
    assert!(files > 2);
}

#[tokio::test]
async fn a_control_plane_that_is_killed_in_the_middle_of_writing_loses_no_acknowledged_change() {
    let mut control_plane = ControlPlane::start().await;
    for round in 0..3 {
        let acknowledged = write_until_killed(control_plane, round).await;
        assert!(!acknowledged.changes.is_empty(), "nothing was written in round {round}");
        control_plane = acknowledged.setup.start().await;
        for (id, name) in &acknowledged.changes {
            let stored = control_plane
                .get(&format!("/api/v1/inbound-integrations/{id}?orgId={ORG}"))
                .await;
            assert_eq!(stored.status, 200, "{id} is lost");
            let stored = number_of(&stored.json()["name"]);
            assert!(stored >= *name, "{id} went back from {name} to {stored}");
        }
        let versions = control_plane.get("/api/v1/versions").await.json();
        let newest = versions["versions"][0]["version"].as_u64().unwrap();
        assert!(
            newest >= acknowledged.version,
            "version {} went back to {newest}",
            acknowledged.version
        );
    }
    // What is there can be written on, and still compiles as a whole.
    control_plane
        .save(&integration("after", "https://partner.example/"))
        .await;
}

#[tokio::test]
async fn a_gateway_sees_each_acknowledged_change_after_the_control_plane_was_killed() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let mut control_plane = ControlPlane::start().await;
    let address = control_plane.url().trim_start_matches("http://").to_owned();
    let gateway = Gateway::fed_by(&control_plane).await;
    control_plane.save(&integration("labs", &partner.url(""))).await;
    // Killed at once: perhaps before the push, never before the write.
    control_plane.process.kill();
    let _again = control_plane.setup().set("listen", json!(address)).start().await;
    wait::until("the acknowledged change", async || {
        (gateway.get("labs.test", "/").await.status == 200).then_some(())
    })
    .await;
}

struct Acknowledged {
    setup: control_plane::Setup,
    changes: BTreeMap<String, u64>,
    version: u64,
}

/// Writers save numbered names as fast as they can; the control plane is killed while they do.
async fn write_until_killed(mut control_plane: ControlPlane, round: u64) -> Acknowledged {
    let changes = Arc::new(Mutex::new(BTreeMap::new()));
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let changes = Arc::clone(&changes);
        let (client, url) = (harness::client::client(), control_plane.url());
        let key = control_plane.operator_key();
        writers.spawn(async move {
            let id = format!("w{writer}");
            for number in 1.. {
                let number = round * 1_000_000 + number;
                let body = with(
                    integration(&id, "https://partner.example/"),
                    json!({"name": number.to_string()}),
                );
                let path = format!("{url}/api/v1/inbound-integrations/{id}?orgId={ORG}");
                match client.put(path).header("x-api-key", key).json(&body).send().await {
                    Ok(reply) if reply.status().is_success() => changes.lock().await.insert(id.clone(), number),
                    _ => return,
                };
            }
        });
    }
    wait::until("some writes", async || {
        let written = changes.lock().await;
        (written.len() == 4 && written.values().all(|number| number % 1_000_000 >= 5)).then_some(())
    })
    .await;
    let versions = control_plane.get("/api/v1/versions").await.json();
    let version = versions["versions"][0]["version"].as_u64().unwrap();
    control_plane.process.kill();
    while writers.join_next().await.is_some() {}
    let changes = changes.lock().await.clone();
    Acknowledged {
        setup: control_plane.setup(),
        changes,
        version,
    }
}

fn number_of(name: &Value) -> u64 {
    name.as_str().unwrap().parse().unwrap()
}

/// A gateway that serves `labs.test` from a control plane, and has it on disk.
async fn serving() -> (Partner, ControlPlane, Gateway) {
    let partner = Partner::answering(Answer::text("ok")).await;
    let control_plane = ControlPlane::start().await;
    control_plane.save(&integration("labs", &partner.url(""))).await;
    let gateway = Gateway::fed_by(&control_plane).await;
    wait::until("the route", async || {
        (gateway.get("labs.test", "/").await.status == 200).then_some(())
    })
    .await;
    wait_until_kept(&gateway).await;
    (partner, control_plane, gateway)
}

async fn wait_until_kept(gateway: &Gateway) {
    let path = last_known_good(&gateway.data_folder());
    wait::until("the last known good configuration on disk", async || {
        path.is_file().then_some(())
    })
    .await;
}

fn last_known_good(folder: &Path) -> PathBuf {
    folder.join("last-known-good")
}

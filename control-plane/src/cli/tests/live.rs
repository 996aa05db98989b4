//! Command lines against a control plane: every kind of objects.

use filters::model::Secret;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::ControlPlane;
use crate::config::{OperatorKey, ProcessConfig};

const KEY: &str = "key-of-the-operator";

async fn start(folder: &TempDir) -> ControlPlane {
    let key = OperatorKey {
        name: "one".to_owned(),
        hash: None,
        value: Some(Secret::new(KEY)),
        org_ids: None,
    };
    let config = ProcessConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: folder.path().to_owned(),
        operator_keys: vec![key],
        ..ProcessConfig::default()
    };
    crate::start(config).await.unwrap()
}

async fn against(control_plane: &ControlPlane, arguments: &[&str]) -> (u8, String, String) {
    let server = format!("http://{}", control_plane.address);
    let mut all: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    all.extend(["--server".to_owned(), server, "--key".to_owned(), KEY.to_owned()]);
    let run = move || gwctl(&all.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

const CERTIFICATE: &str = include_str!("../../../../tests/fixtures/tls/localhost.pem");
const PRIVATE_KEY: &str = include_str!("../../../../tests/fixtures/tls/localhost.key");

fn documents() -> Value {
    json!({
        "organizations": [{"orgId": 648, "name": "Clinic", "timezone": "Asia/Kolkata"}],
        "units": [{"rid": 84, "orgId": 648, "name": "North"}],
        "eventTypes": [{"orgId": 648, "eventType": "bill.generated", "actionId": 43}],
        "producerKeys": [{"orgId": 648, "name": "his", "value": "hunter2hunter2"}],
        "certificates": [{"orgId": 648, "name": "lakeside", "certificate": CERTIFICATE, "privateKey": PRIVATE_KEY}],
        "lookups": [{"orgId": 648, "name": "departments", "entries": {"CARD": "Cardiology"}}],
        "consumers": [{"orgId": 648, "name": "clinic-app"}],
        "integrations": [
            {"name": "Labs", "type": "labs", "orgId": 648, "targetUrl": "https://partner.example/labs"},
            {"direction": "OUTBOUND", "name": "bills", "orgId": 648, "eventType": "bill.generated",
                "targetUrl": "https://partner.example/hook", "signingType": "HMAC_SHA256",
                "signingConfig": {"secrets": [{"name": "k1", "value": "hunter2"}]}},
        ],
    })
}

#[expect(clippy::too_many_lines, reason = "one life, from the first document to the last")]
#[tokio::test]
async fn every_kind_is_applied_shown_compared_and_deleted() {
    let folder = TempDir::new().unwrap();
    let control_plane = start(&folder).await;
    let file = folder.path().join("all.json");
    std::fs::write(&file, documents().to_string()).unwrap();
    let path = file.to_str().unwrap();
    let (code, out, messages) = against(&control_plane, &["diff", "-f", path]).await;
    assert_eq!(code, 1, "{messages}");
    for object in [
        "unit/84",
        "eventType/648-bill.generated",
        "producerKey/648-his",
        "certificate/648-lakeside",
        "lookup/648-departments",
        "consumer/648-clinic-app",
        "outbound/648-bills",
    ] {
        assert!(out.contains(object), "{object}: {out}");
    }
    assert!(!out.contains("hunter2"), "{out}");
    let (code, out, messages) = against(&control_plane, &["apply", "-f", path]).await;
    assert_eq!(code, 0, "{messages}");
    assert!(out.contains("9 created"), "{out}");
    let (code, out, messages) = against(&control_plane, &["diff", "-f", path]).await;
    assert_eq!((code, out.as_str()), (0, ""), "{messages}");

    for (noun, id, list) in [
        ("integrations", "648-labs", "integrations"),
        ("outbound", "648-bills", "integrations"),
        ("event-types", "648-bill.generated", "eventTypes"),
        ("producer-keys", "648-his", "producerKeys"),
        ("certificates", "648-lakeside", "certificates"),
        ("lookups", "648-departments", "lookups"),
        ("consumers", "648-clinic-app", "consumers"),
        ("units", "84", "units"),
    ] {
        let (code, table, messages) = against(&control_plane, &["get", noun, "--org", "648"]).await;
        assert_eq!(code, 0, "{messages}");
        assert!(table.lines().nth(1).unwrap().starts_with(id), "{table}");
        // What is shown can be applied again.
        let (_, text, _) = against(&control_plane, &["get", noun, id, "--org", "648", "-o", "json"]).await;
        assert!(
            !text.contains("hunter2") && !text.contains("PRIVATE KEY") && text.contains(&format!("\"{list}\"")),
            "{text}"
        );
        std::fs::write(folder.path().join("again.json"), &text).unwrap();
        let again = folder.path().join("again.json");
        let (code, out, messages) = against(&control_plane, &["apply", "-f", again.to_str().unwrap()]).await;
        assert_eq!(code, 0, "{messages}");
        assert!(out.contains("nothing to change"), "{out}");
    }
    let (_, versions, _) = against(&control_plane, &["get", "versions", "2"]).await;
    for row in [
        "outbound",
        "eventType",
        "producerKey",
        "certificate",
        "lookup",
        "consumer",
        "unit",
    ] {
        assert!(versions.contains(row), "{row}: {versions}");
    }
    let (code, _, messages) = against(&control_plane, &["delete", "outbound", "648-bills", "--org", "7"]).await;
    assert_eq!(code, 4, "{messages}");
    for (noun, id) in [
        ("outbound", "648-bills"),
        ("event-type", "648-bill.generated"),
        ("producer-key", "648-his"),
        ("certificate", "648-lakeside"),
        ("lookup", "648-departments"),
        ("consumer", "648-clinic-app"),
        ("unit", "84"),
    ] {
        let (code, _, messages) = against(&control_plane, &["delete", noun, id, "--org", "648"]).await;
        assert_eq!(code, 0, "{messages}");
        assert!(messages.contains(&format!("{id} deleted")), "{messages}");
    }
    control_plane.stop().await;
}

#[tokio::test]
async fn a_refusal_names_file_object_and_field() {
    let folder = TempDir::new().unwrap();
    let control_plane = start(&folder).await;
    let mut wrong = documents();
    wrong["integrations"][1]["signingConfig"]["secrets"][0]["value"] = json!("***");
    let file = folder.path().join("all.json");
    std::fs::write(&file, wrong.to_string()).unwrap();
    let (code, _, messages) = against(&control_plane, &["apply", "-f", file.to_str().unwrap()]).await;
    assert_eq!(code, 4, "{messages}");
    let place = "all.json: integrations[\"648-bills\"].signingConfig.secrets[0].value";
    assert!(messages.contains(place), "{messages}");
    control_plane.stop().await;
}

#[tokio::test]
async fn pruning_deletes_integrations_of_both_directions_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let control_plane = start(&folder).await;
    let file = folder.path().join("all.json");
    let path = file.to_str().unwrap();
    std::fs::write(&file, documents().to_string()).unwrap();
    assert_eq!(against(&control_plane, &["apply", "-f", path]).await.0, 0);
    let mut less = documents();
    less["integrations"].as_array_mut().unwrap().pop();
    for list in [
        "units",
        "eventTypes",
        "producerKeys",
        "certificates",
        "lookups",
        "consumers",
    ] {
        less[list] = json!([]);
    }
    std::fs::write(&file, less.to_string()).unwrap();
    let prune = ["apply", "-f", path, "--prune", "--org", "648"];
    let (code, out, messages) = against(&control_plane, &prune).await;
    assert_eq!(code, 0, "{messages}");
    assert!(out.contains("648-bills") && out.contains("1 deleted"), "{out}");
    let (code, out, messages) = against(&control_plane, &[&prune[..], &["--all-kinds"]].concat()).await;
    assert_eq!(code, 0, "{messages}");
    assert!(out.contains("648-departments") && out.contains("6 deleted"), "{out}");
    control_plane.stop().await;
}

/// Names and contents of the files in a folder.
fn files(folder: &std::path::Path) -> std::collections::BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn what_was_dumped_is_applied_back_without_loss() {
    let folder = TempDir::new().unwrap();
    let control_plane = start(&folder).await;
    let mut all = documents();
    all["integrations"][0]["name"] = json!("costs ${AMOUNT} or $${MORE}");
    let file = folder.path().join("all.json");
    std::fs::write(&file, all.to_string()).unwrap();
    let (code, _, messages) = against(
        &control_plane,
        &["apply", "-f", file.to_str().unwrap(), "--set", "AMOUNT=${X}"],
    )
    .await;
    assert_eq!(code, 0, "{messages}");
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let (one, other) = (one.to_str().unwrap(), other.to_str().unwrap());
    let (code, out, messages) = against(&control_plane, &["dump", "--org", "648", "-d", one]).await;
    assert_eq!(code, 0, "{messages}");
    assert!(out.starts_with("9 files written"), "{out}");
    for command in ["diff", "apply"] {
        let (code, out, messages) = against(&control_plane, &[command, "-f", one]).await;
        assert_eq!(code, 0, "{command}: {out}{messages}");
    }
    let first = files(std::path::Path::new(one));
    assert!(
        first
            .values()
            .all(|text| !text.contains("hunter2") && !text.contains("PRIVATE KEY"))
    );

    let (code, _, messages) = against(&control_plane, &["dump", "--org", "648", "-d", one]).await;
    assert_eq!(code, 2, "there is a dump already: {messages}");
    let delete = ["delete", "consumer", "648-clinic-app", "--org", "648"];
    assert_eq!(against(&control_plane, &delete).await.0, 0);
    let (code, out, _) = against(&control_plane, &["dump", "--org", "648", "-d", one, "--overwrite"]).await;
    assert_eq!(
        (code, out.contains("8 files written") && out.contains("1 deleted")),
        (0, true),
        "{out}"
    );
    assert!(!files(std::path::Path::new(one)).contains_key("consumer-648-clinic-app.yaml"));

    // With the secrets given anew, another control plane has the same.
    let dump = ["dump", "--org", "648", "-d", other, "--secrets", "placeholders"];
    let (code, out, messages) = against(&control_plane, &dump).await;
    assert_eq!(code, 0, "{messages}");
    let elsewhere = TempDir::new().unwrap();
    let second = start(&elsewhere).await;
    let mut apply = vec!["apply".to_owned(), "-f".to_owned(), other.to_owned()];
    for name in out.lines().filter_map(|line| line.strip_prefix("--set ")) {
        let value = match name {
            "PRODUCER_KEY_648_HIS_HASH=" => &format!("sha256:{}", "0".repeat(64)),
            "CERTIFICATE_648_LAKESIDE_PRIVATE_KEY=" => PRIVATE_KEY,
            _ => "hunter2",
        };
        apply.extend(["--set".to_owned(), format!("{name}{value}")]);
    }
    let apply: Vec<&str> = apply.iter().map(String::as_str).collect();
    let (code, _, messages) = against(&second, &apply).await;
    assert_eq!(code, 0, "{messages}");
    let third = folder.path().join("third");
    let (code, _, messages) = against(&second, &["dump", "--org", "648", "-d", third.to_str().unwrap()]).await;
    assert_eq!(code, 0, "{messages}");
    assert_eq!(files(&third), files(std::path::Path::new(one)));
    control_plane.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn versions_are_shown_compared_and_rolled_back() {
    let folder = TempDir::new().unwrap();
    let control_plane = start(&folder).await;
    let file = folder.path().join("all.json");
    let path = file.to_str().unwrap();
    std::fs::write(&file, documents().to_string()).unwrap();
    assert_eq!(
        against(&control_plane, &["apply", "-f", path, "-m", "the first"])
            .await
            .0,
        0
    );
    let mut changed = documents();
    changed["integrations"][0]["name"] = json!("Other labs");
    changed["integrations"][1]["signingConfig"]["secrets"][0]["value"] = json!("hunter3");
    std::fs::write(&file, changed.to_string()).unwrap();
    assert_eq!(
        against(&control_plane, &["apply", "-f", path, "-m", "the second"])
            .await
            .0,
        0
    );

    let (code, out, messages) = against(&control_plane, &["history", "--org", "648"]).await;
    assert_eq!(code, 0, "{messages}");
    assert!(out.contains("the first") && out.contains("the second"), "{out}");
    let (_, out, _) = against(&control_plane, &["history", "integrations", "648-labs", "--org", "648"]).await;
    let rows: Vec<&str> = out.lines().skip(1).collect();
    assert!(
        rows[0].contains("changed") && rows[0].contains("name") && rows[1].contains("created"),
        "{out}"
    );
    let (code, out, messages) = against(&control_plane, &["compare", "2"]).await;
    assert_eq!(code, 1, "{messages}");
    assert!(out.contains("-name: Labs\n+name: Other labs"), "{out}");
    assert!(
        out.contains("# outbound/648-bills: signingConfig.secrets[0].value differs, and is secret"),
        "{out}"
    );
    assert!(!out.contains("hunter"), "{out}");

    let rollback = ["rollback", "2", "integrations", "648-labs", "--org", "648"];
    let (code, out, messages) = against(&control_plane, &[&rollback[..], &["--dry-run"]].concat()).await;
    assert_eq!(code, 0, "{messages}");
    assert!(out.contains("+name: Labs") && out.contains("nothing saved"), "{out}");
    let (code, out, messages) = against(&control_plane, &[&rollback[..], &["-m", "it was better"]].concat()).await;
    assert_eq!(code, 0, "{messages}");
    assert!(out.contains("version 4: 0 created, 1 changed"), "{out}");
    let (_, out, _) = against(&control_plane, &["get", "versions", "4"]).await;
    assert!(out.contains("it was better") && out.contains("+name: Labs"), "{out}");
    let (code, _, messages) = against(&control_plane, &["rollback", "2"]).await;
    assert_eq!(code, 0, "{messages}");
    assert_eq!(
        against(&control_plane, &["compare", "2"]).await.0,
        0,
        "all is as it was"
    );
    control_plane.stop().await;
}

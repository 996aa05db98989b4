use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::cli::placeholder::Settings;

fn documents(document: &Value) -> Documents {
    let folder = TempDir::new().unwrap();
    let file: PathBuf = folder.path().join("a.json");
    std::fs::write(&file, document.to_string()).unwrap();
    Documents::load(&[file], &Settings::new()).unwrap()
}

fn live(document: &Value) -> Snapshot {
    Snapshot::from_document(document).unwrap()
}

fn integration(kind: &str, url: &str) -> Value {
    json!({"name": "N", "type": kind, "orgId": 648, "targetUrl": url,
        "inboundAuthType": "API_KEY", "inboundAuthConfig": {"keys": [{"name": "k", "value": "hunter2"}]}})
}

#[test]
fn each_kind_of_difference_is_found_and_no_secret_is_in_it() {
    let wanted = documents(
        &json!({"organizations": [{"orgId": 648, "name": "new"}], "integrations": [
        integration("same", "https://p.example"), integration("changed", "https://new.example"),
        integration("created", "https://p.example")]}),
    );
    let live = live(
        &json!({"organizations": [{"orgId": 648, "name": "old"}], "integrations": [
        integration("same", "https://p.example"), integration("changed", "https://old.example"),
        integration("gone", "https://p.example")]}),
    );
    let found = compare(&wanted, &live, &[ObjectId::Integration("648-gone".into())]);
    let summary: Vec<(&str, Kind)> = found
        .differences
        .iter()
        .map(|difference| (difference.object.as_str(), difference.change))
        .collect();
    assert_eq!(
        summary,
        [
            ("organization/648", Kind::Change),
            ("integration/648-changed", Kind::Change),
            ("integration/648-created", Kind::Create),
            ("integration/648-gone", Kind::Delete),
        ]
    );
    let changed = &found.differences[1].diff;
    assert!(changed.contains("\n-targetUrl: https://old.example\n"), "{changed}");
    assert!(changed.contains("\n+targetUrl: https://new.example\n"), "{changed}");
    assert!(changed.contains("a.json: integration/648-changed"), "{changed}");
    assert!(!format!("{found:?}").contains("hunter2"));
}

#[test]
fn what_only_the_server_can_see_is_a_difference_too() {
    let same = json!({"integrations": [integration("same", "https://p.example")]});
    let mut found = compare(&documents(&same), &live(&same), &[]);
    assert!(found.differences.is_empty());
    let changes = json!([{"kind": "integration", "id": "648-same", "action": "changed"}]);
    let changes: Vec<Done> = serde_json::from_value(changes).unwrap();
    found.add_hidden(&changes);
    found.add_hidden(&changes);
    assert_eq!(found.differences.len(), 1);
    assert!(found.differences[0].diff.contains("secret"));
}

#[test]
fn colours_are_for_terminals_only() {
    let found = compare(
        &documents(&json!({"organizations": [{"orgId": 1, "name": "n"}]})),
        &live(&json!({})),
        &[],
    );
    let text = |colour: bool| {
        let mut out = Vec::new();
        write(&found, colour, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert!(!text(false).contains('\u{1b}'));
    assert!(text(true).contains("\u{1b}[32m+orgId: 1"));
}

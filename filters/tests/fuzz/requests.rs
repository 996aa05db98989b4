//! Whole heads of requests against a route table with every kind of rule, and credentials of several kinds.

use std::sync::LazyLock;

use filters::explain::{Question, explain};
use filters::model::Snapshot;
use filters::plan::Plan;
use filters::route::{Found, host};
use filters::{compile, path};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::corpus;

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let integration = |id: &str, fields: Value| {
        let mut integration =
            json!({"id": id, "name": id, "type": id, "orgId": 1, "targetUrl": "https://partner.example/"});
        for (name, value) in fields.as_object().unwrap() {
            integration[name] = value.clone();
        }
        integration
    };
    let keys = json!({"keys": [{"name": "desk", "value": "planted-key"}], "queryName": "key", "headerName": "X-Key"});
    let document = json!({
        "organizations": [{"orgId": 1}],
        "integrations": [
            integration("all", json!({"hosts": ["a.test"], "paths": [{"prefix": "/"}]})),
            integration("exact", json!({"hosts": ["a.test"], "paths": [{"exact": "/v1/a"}], "methods": ["GET"]})),
            integration("template", json!({"hosts": ["a.test"], "paths": [{"template": "/v1/{id}/b/{name}"}]})),
            integration("wild", json!({"hosts": ["*.test"], "paths": [{"prefix": "/w"}],
                "inboundAuthType": "API_KEY", "inboundAuthConfig": keys})),
            integration("basic", json!({"hosts": ["basic.test"],
                "inboundAuthType": "BASIC", "inboundAuthConfig": {"users": [{"username": "ann", "password": "planted-password"}]}})),
            integration("bearer", json!({"hosts": ["bearer.test"],
                "inboundAuthType": "BEARER", "inboundAuthConfig": {"tokens": [{"name": "desk", "value": "planted-token"}]}})),
        ],
    });
    compile(&Snapshot::from_document(&document).unwrap(), None).unwrap()
});

#[test]
fn every_file_is_answered() {
    corpus::files("requests")
        .iter()
        .for_each(|bytes| ask(&String::from_utf8_lossy(bytes)));
}

proptest! {
    #[test]
    fn a_request_is_routed_as_it_is_explained(text in corpus::changed_text("requests")) {
        ask(&text);
    }
}

fn ask(text: &str) {
    let mut lines = text.lines();
    let line = lines.next().unwrap_or_default();
    let headers: Vec<String> = lines.map(str::to_owned).collect();
    let Ok(question) = Question::read(line, &headers, None, || 1_800_000_000) else {
        return;
    };
    let told = explain(&PLAN, &[], &question);
    // A path is shown as it stands; whatever else is secret is not.
    let text = json!([told.steps, told.targets, told.options]).to_string();
    assert!(!text.contains("planted"), "{text}");
    let authority = question.headers.get("host").and_then(|value| value.to_str().ok());
    let Some(host) = authority.and_then(host::of_authority) else {
        return;
    };
    let Ok(path) = path::canonical(question.uri.path()) else {
        return;
    };
    if let Found::Route(found) = PLAN.routes.find(&host, &path, &question.method) {
        assert!(
            found.matched <= path.len() && path.is_char_boundary(found.matched),
            "{path:?}"
        );
        let first = told.routes.first().unwrap();
        assert!(
            first.matches && first.integration == *found.integration.id,
            "{:?}",
            told.routes
        );
    }
}

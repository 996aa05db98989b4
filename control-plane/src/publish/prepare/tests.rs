use filters::model::{Entry, InboundIntegration};
use serde_json::json;

use super::*;

const THEN: &str = "2024-01-15T10:00:00.000Z";
const NOW: &str = "2024-02-01T08:30:00.000Z";

fn integration(value: Value) -> InboundIntegration {
    let mut all = json!({"id": "lab", "name": "Lab", "type": "lab", "orgId": 1, "targetUrl": "https://lab.example"});
    all.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn base(value: Value) -> Snapshot {
    let mut stored = integration(value);
    stored.created_at = Some(THEN.to_owned());
    stored.updated_at = Some(THEN.to_owned());
    let mut snapshot = Snapshot {
        version: 1,
        ..Snapshot::default()
    };
    snapshot.integrations.insert("lab".into(), Entry::new(stored));
    snapshot
}

fn put(base: &Snapshot, value: Value) -> Result<Prepared, Vec<Problem>> {
    let edit = Edit::of_one(Object::Integration(Arc::new(integration(value))));
    prepare(base, edit, NOW.parse().unwrap())
}

fn kept(prepared: &Prepared) -> &InboundIntegration {
    match prepared.change.put.as_slice() {
        [Object::Integration(integration)] => integration,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_clients_send_is_kept_as_a_hash() {
    let hash = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let cases = [
        ("API_KEY", "keys", json!({"name": "a", "value": "hello"}), "hash"),
        ("BEARER", "tokens", json!({"name": "a", "value": "hello"}), "hash"),
        (
            "BASIC",
            "users",
            json!({"username": "a", "password": "hello"}),
            "passwordHash",
        ),
    ];
    for (kind, list, entry, hashed) in cases {
        let auth = json!({"inboundAuthType": kind, "inboundAuthConfig": {list: [entry]}});
        let prepared = put(&Snapshot::default(), auth).unwrap();
        let config = kept(&prepared).inbound_auth_config.as_ref().unwrap();
        assert_eq!(config[list][0][hashed], hash);
        assert!(!config.to_string().contains("hello"), "{config}");
    }
}

#[test]
fn empty_and_double_credentials_are_refused() {
    let keys = json!([{"name": "a", "value": ""}, {"name": "b", "value": "x", "hash": "sha256:00"}]);
    let auth = json!({"inboundAuthType": "API_KEY", "inboundAuthConfig": {"keys": keys}});
    let problems = put(&Snapshot::default(), auth).unwrap_err();
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(
        paths,
        ["inboundAuthConfig.keys[0].value", "inboundAuthConfig.keys[1].value"]
    );
}

#[test]
fn the_same_content_is_no_change_whatever_times_it_carries() {
    let base = base(json!({}));
    let same = put(&base, json!({"createdAt": NOW, "updatedAt": "yesterday"})).unwrap();
    assert_eq!(same.outcomes[0].action, Action::Unchanged);
    assert!(same.change.put.is_empty());

    let changed = put(&base, json!({"name": "Laboratory"})).unwrap();
    assert_eq!(changed.outcomes[0].action, Action::Changed);
    assert_eq!(kept(&changed).created_at.as_deref(), Some(THEN));
    assert_eq!(kept(&changed).updated_at.as_deref(), Some(NOW));
}

#[test]
fn a_masked_secret_comes_from_the_stored_version() {
    let auth = |token: &str| json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": token}});
    let base = base(auth("t0ken"));
    let same = put(&base, auth(secret::MASK)).unwrap();
    assert_eq!(same.outcomes[0].action, Action::Unchanged);
    let refused = put(&Snapshot::default(), auth(secret::MASK)).unwrap_err();
    assert_eq!(refused[0].path, "outgoingAuthConfig.token");
}

#[test]
fn problems_of_the_whole_are_reported_where_the_request_has_them() {
    let mut places = Places::default();
    places.insert(&ObjectId::Integration("lab".into()), "put[3].value");
    places.insert(&ObjectId::Organization(7), "");
    let found = [
        "integrations[\"lab\"].targetUrl",
        "integrations[\"other\"].hosts",
        "organizations[7].rateLimit",
        "security",
    ];
    let problems = found.iter().map(|path| Problem::new(*path, "no")).collect();
    let paths: Vec<_> = places
        .relocate(problems)
        .into_iter()
        .map(|problem| problem.path)
        .collect();
    assert_eq!(
        paths,
        [
            "put[3].value.targetUrl",
            "integrations[\"other\"].hosts",
            "rateLimit",
            "security"
        ]
    );
}

#[test]
fn credentials_of_alternatives_are_hashed_and_shared_secrets_are_kept() {
    let ways = json!([
        {"inboundAuthType": "API_KEY", "inboundAuthConfig": {"keys": [{"name": "a", "value": "hello-there"}]}},
        {"inboundAuthType": "HMAC", "inboundAuthConfig": {"keys": [{"name": "b", "value": "0123456789abcdef"}]}},
    ]);
    let auth = json!({"inboundAuthType": "ANY_OF", "inboundAuthConfig": {"anyOf": ways}});
    let prepared = put(&Snapshot::default(), auth).unwrap();
    let kept = kept(&prepared);
    let config = kept.inbound_auth_config.as_ref().unwrap();
    let key = &config["anyOf"][0]["inboundAuthConfig"]["keys"][0];
    assert_eq!(key["value"], Value::Null);
    assert!(key["hash"].as_str().unwrap().starts_with("sha256:"), "{key}");
    let shared = |config: &Value| config["anyOf"][1]["inboundAuthConfig"]["keys"][0]["value"].clone();
    assert_eq!(shared(config), "0123456789abcdef");

    let stored = base(serde_json::to_value(kept).unwrap());
    let shown = serde_json::to_value(kept.masked()).unwrap();
    assert_eq!(shared(&shown["inboundAuthConfig"]), secret::MASK);
    let same = put(&stored, shown).unwrap();
    assert_eq!(
        same.outcomes[0].action,
        Action::Unchanged,
        "what was read is written back"
    );
}

#[test]
fn what_consumers_show_is_kept_as_a_hash() {
    let consumer = |credentials: Value| {
        let value = json!({"id": "ward", "orgId": 1, "name": "ward", "credentials": credentials});
        let object = Object::Consumer(Arc::new(serde_json::from_value(value).unwrap()));
        prepare(&Snapshot::default(), Edit::of_one(object), NOW.parse().unwrap())
    };
    let prepared = consumer(json!([
        {"type": "API_KEY", "name": "k", "value": "hello-there"},
        {"type": "BASIC", "username": "u", "password": "hello-there"},
        {"type": "HMAC", "name": "h", "value": "0123456789abcdef"},
    ]))
    .unwrap();
    let [Object::Consumer(kept)] = prepared.change.put.as_slice() else {
        panic!("{:?}", prepared.change);
    };
    let kept = serde_json::to_value(&**kept).unwrap();
    assert!(!kept.to_string().contains("hello-there"), "{kept}");
    assert_eq!(kept["credentials"][2]["value"], "0123456789abcdef");

    let problems = consumer(json!([
        {"type": "BEARER", "name": "t", "value": "short"},
        {"type": "API_KEY", "name": "k", "value": secret::MASK},
    ]))
    .unwrap_err();
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["credentials[0].value", "credentials[1].value"]);
}

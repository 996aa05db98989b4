//! Keys that are limited to scopes.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

#[tokio::test]
async fn a_narrow_key_is_refused_by_every_other_operation_which_names_what_is_missing() {
    let bench = Bench::start().await;
    let narrow = bench.scoped_key("ADMIN", &["logs:read"]).await;
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    let mut tried = 0;
    for (method, path, said) in operations(&bench).await {
        let place = format!("{}?orgId=648", filled(&path));
        let body = (method != Method::GET).then(|| json!({}));
        let reply = bench.with_key(&narrow, method.clone(), &place, body.as_ref()).await;
        let error = reply.body["error"].as_str().unwrap_or_default().to_owned();
        tried += 1;
        let Some(scope) = scope_in(&said) else {
            if path.starts_with("/api/v1/auth/") {
                assert!(!said.contains("scope"), "{method} {path}: {said}");
                continue;
            }
            let makes_keys = path.starts_with(USERS) || path.starts_with(KEYS);
            assert!(makes_keys && said.contains("No scope"), "{method} {path}: {said}");
            assert!(
                error.starts_with("no scope allows this"),
                "{method} {path}: {}",
                reply.text
            );
            continue;
        };
        if scope == "logs:read" {
            assert_ne!(reply.status, StatusCode::FORBIDDEN, "{method} {path}: {}", reply.text);
            continue;
        }
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{method} {path}: {}", reply.text);
        assert_eq!(error, format!("this key has not the scope {scope}"), "{method} {path}");

        // With that scope and no other, the same goes on.
        if !keys.contains_key(&scope) {
            keys.insert(scope.clone(), bench.scoped_key("ADMIN", &[&scope]).await);
        }
        let reply = bench
            .with_key(&keys[&scope], method.clone(), &place, body.as_ref())
            .await;
        let again = reply.body["error"].as_str().unwrap_or_default();
        assert_ne!(
            again, error,
            "{method} {path}: the scope that it names is not the one that it needs"
        );
    }
    assert!(tried > 60, "{tried}");
    let described = bench.get("/api/v1/openapi.json").await.is(200);
    let known: BTreeSet<String> =
        serde_json::from_value(described.body["components"]["schemas"]["KeyScope"]["enum"].clone()).unwrap();
    let used: BTreeSet<String> = keys.into_keys().chain(["logs:read".to_owned()]).collect();
    assert_eq!(known, used, "each scope is for something, and none is left out");
}

#[tokio::test]
async fn scopes_bound_what_is_changed_by_routes_that_are_about_several_kinds() {
    let bench = Bench::start().await;
    let key = bench
        .scoped_key(
            "API_KEY",
            &[
                "apply:write",
                "templates:write",
                "trash:write",
                "inbound-integrations:write",
            ],
        )
        .await;
    let lookup = json!({"id": "codes", "orgId": 648, "name": "codes", "entries": {"a": "b"}});
    let apply = |kind: &str, value: &Value| json!({"put": [{"kind": kind, "value": value}]});
    let mut lab = integration("lab");
    lab["id"] = json!("lab");
    let path = "/api/v1/apply";
    let applied = bench
        .with_key(&key, Method::POST, path, Some(&apply("integration", &lab)))
        .await;
    applied.is(200);
    let refused = bench
        .with_key(&key, Method::POST, path, Some(&apply("lookup", &lookup)))
        .await;
    assert_eq!(
        refused.is(403).body["error"],
        "this key has not the scope lookups:write"
    );
    bench.send(Method::POST, path, &apply("lookup", &lookup)).await.is(200);
    bench
        .send(Method::DELETE, "/api/v1/lookups/codes", &Value::Null)
        .await
        .is(204);
    let trash = bench.get("/api/v1/trash").await.is(200);
    let entry = trash.body["trash"][0]["id"].as_str().unwrap();
    let restore = format!("/api/v1/trash/{entry}/restore");
    bench.with_key(&key, Method::POST, &restore, None).await.is(403);
    let template = json!({"name": "Hook", "kind": "OUTBOUND", "orgId": 648, "body": {
        "name": "Hook", "eventType": "bill.generated", "targetUrl": "https://partner.example/hook"}});
    let made = bench
        .with_key(&key, Method::POST, "/api/v1/templates", Some(&template))
        .await
        .is(201);
    let fill = format!(
        "/api/v1/templates/{}/create?orgId=648",
        made.body["id"].as_str().unwrap()
    );
    let refused = bench
        .with_key(&key, Method::POST, &fill, Some(&json!({})))
        .await
        .is(403);
    assert!(refused.text.contains("outbound-integrations:write"), "{}", refused.text);
}

#[tokio::test]
async fn a_key_gets_scopes_that_its_role_can_use_and_makes_no_keys() {
    let bench = Bench::start().await;
    let wrong = json!({"name": "x", "scopes": ["logs:read", "logs:write"]});
    let wrong = bench.send(Method::POST, KEYS, &wrong).await.is(400);
    assert!(wrong.text.contains("there is logs:read"), "{}", wrong.text);
    for (role, scopes) in [
        ("API_KEY", json!(["org-units:read"])),
        ("API_KEY", json!(["gateways:read", "gateways:write"])),
        ("READ_ONLY", json!(["dlq:read", "dlq:retry"])),
        ("API_KEY", json!([])),
    ] {
        let body = json!({"name": "x", "role": role, "scopes": scopes});
        assert_eq!(
            bench.send(Method::POST, KEYS, &body).await.is(400).problems(),
            ["scopes"]
        );
    }
    let made = json!({"name": "x", "role": "ADMIN", "scopes": ["api-keys:read", "users:read"]});
    let made = bench.send(Method::POST, KEYS, &made).await.is(201);
    assert_eq!(made.body["scopes"], json!(["users:read", "api-keys:read"]));
    let (key, path) = (
        made.body["key"].as_str().unwrap(),
        format!("{KEYS}/{}", made.body["id"].as_str().unwrap()),
    );
    bench.with_key(key, Method::GET, KEYS, None).await.is(200);
    for (method, path, body) in [
        (Method::POST, KEYS, json!({"name": "wide", "role": "ADMIN"})),
        (Method::PATCH, path.as_str(), json!({"scopes": null})),
        (
            Method::POST,
            USERS,
            json!({"email": "eve@clinic.example", "role": "ADMIN"}),
        ),
    ] {
        let refused = bench.with_key(key, method, path, Some(&body)).await.is(403);
        assert!(refused.text.contains("a key without scopes"), "{}", refused.text);
    }

    let path = path.as_str();
    let narrower = bench
        .send(Method::PATCH, path, &json!({"scopes": ["users:read"]}))
        .await;
    assert_eq!(narrower.is(200).body["scopes"], json!(["users:read"]));
    bench.with_key(key, Method::GET, KEYS, None).await.is(403);
    let me = bench.with_key(key, Method::GET, "/api/v1/auth/me", None).await.is(200);
    assert_eq!(me.body["scopes"], json!(["users:read"]));
    bench.send(Method::PATCH, path, &json!({"scopes": null})).await.is(200);
    bench.with_key(key, Method::GET, KEYS, None).await.is(200);
    let bench = bench.restart().await;
    assert_eq!(bench.get(path).await.is(200).body.get("scopes"), None);
}

/// Every operation that asks for a key or a token, with what is said of it. Not the one that would end the session.
async fn operations(bench: &Bench) -> Vec<(Method, String, String)> {
    let described = bench.get("/api/v1/openapi.json").await.is(200);
    let mut found = Vec::new();
    for (path, operations) in described.body["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else {
                continue;
            };
            if !OPEN.contains(&path.as_str()) && path != "/api/v1/auth/logout" {
                let said = operation["description"].as_str().unwrap_or_default();
                found.push((method, path.clone(), said.to_owned()));
            }
        }
    }
    found
}

fn filled(path: &str) -> String {
    let numbered = path.replace("{number}", "1").replace("{key}", "k");
    numbered
        .replace("{traceId}", "t")
        .replace("{eventType}", "t")
        .replace("{id}", "1")
}

/// The scope that a description names.
fn scope_in(said: &str) -> Option<String> {
    let (_, rest) = said.rsplit_once("Scope of API keys: `")?;
    Some(rest.split_once('`')?.0.to_owned())
}

impl Bench {
    /// A key of a program with these scopes, in clear.
    async fn scoped_key(&self, role: &str, scopes: &[&str]) -> String {
        self.program(&json!({"name": "narrow", "role": role, "scopes": scopes}))
            .await
    }
}

//! What a kind's own routes refuse, no other route does in their place.

use super::*;

/// What is written by routes that are about objects of several kinds: each of them is tried below.
const OF_MANY_KINDS: [&str; 6] = ["apply", "drafts", "rollouts", "templates", "trash", "versions"];
/// What is written by routes that are about no configured object.
const OF_NONE: [&str; 9] = [
    "gateways",
    "auth",
    "dlq",
    "field-schemas",
    "replay",
    "scheduled-integrations",
    "scheduled-jobs",
    "ui-config",
    "admin",
];
/// What is written by a kind's own routes.
const OF_ONE_KIND: [&str; 7] = [
    "inbound-integrations",
    "outbound-integrations",
    "event-types",
    "certificates",
    "lookups",
    "consumers",
    "producer-keys",
];

#[tokio::test]
async fn each_route_that_changes_something_is_known_here() {
    let bench = Bench::start().await;
    let described = bench.get("/api/v1/openapi.json").await.is(200);
    for (path, operations) in described.body["paths"].as_object().unwrap() {
        let changes = operations.as_object().unwrap().keys().any(|method| method != "get");
        let noun = path.split('/').nth(3).unwrap();
        let is_known = [&OF_MANY_KINDS[..], &OF_NONE[..], &OF_ONE_KIND[..]]
            .concat()
            .contains(&noun);
        assert!(
            !changes || is_known,
            "say here whether {path} changes objects of kinds that are for ADMIN only"
        );
    }
}

#[tokio::test]
async fn units_and_organizations_are_changed_by_no_other_route_than_their_own() {
    let bench = Bench::start().await;
    let key = bench.program(&json!({"name": "all", "role": "API_KEY"})).await;
    bench
        .send(Method::POST, "/api/v1/admin/organizations", &organization())
        .await
        .is(201);
    bench
        .send(Method::POST, "/api/v1/admin/org-units", &unit())
        .await
        .is(201);
    let with_unit = bench.get("/api/v1/versions?limit=1").await.is(200).body["versions"][0]["version"].to_string();
    for path in ["/api/v1/admin/organizations/9", "/api/v1/admin/org-units/84"] {
        bench.send(Method::DELETE, path, &Value::Null).await.is(204);
    }
    let draft = json!({"name": "a ward", "put": [{"kind": "unit", "value": unit()}]});
    let draft = bench.send(Method::POST, "/api/v1/drafts", &draft).await.is(201);
    let draft = format!("/api/v1/drafts/{}", draft.body["id"].as_str().unwrap());
    let trash = bench.get("/api/v1/trash").await.is(200);
    let entries: Vec<String> = trash.body["trash"].as_array().unwrap().iter().map(place_of).collect();
    assert_eq!(entries.len(), 2, "{}", trash.text);

    let tries = tries(&draft, &with_unit, &entries);
    for (method, path, body) in tries {
        let refused = bench.with_key(&key, method.clone(), &path, Some(&body)).await;
        assert_eq!(
            refused.status,
            StatusCode::FORBIDDEN,
            "{method} {path}: {}",
            refused.text
        );
        assert!(refused.text.contains("role ADMIN"), "{method} {path}: {}", refused.text);
    }

    // All of it may be rolled back, but for what is for administrators.
    let path = format!("/api/v1/versions/{with_unit}/rollback");
    let back = bench
        .with_key(&key, Method::POST, &path, Some(&json!({})))
        .await
        .is(200);
    assert_eq!(back.body["created"], 0, "{}", back.text);
    bench.get("/api/v1/admin/org-units/84").await.is(404);
    // Its owner may do each of it.
    for entry in entries {
        bench
            .send(Method::POST, &format!("{entry}/restore"), &Value::Null)
            .await
            .is(200);
    }
    bench.get("/api/v1/admin/org-units/84").await.is(200);
}

#[tokio::test]
async fn a_rollout_with_units_is_ended_by_administrators_only() {
    let bench = Bench::start().await;
    let key = bench.program(&json!({"name": "all", "role": "API_KEY"})).await;
    let mut gateways = Vec::new();
    for name in ["g0", "g1"] {
        let mut gateway = stream::Gateway::connect(&bench, name, None).await;
        gateway.next().await;
        gateways.push(gateway);
    }
    let put = json!([{"kind": "unit", "value": {"rid": 84, "orgId": 648, "name": "Ward"}}]);
    let wanted = json!({"gateways": ["g0"], "put": put, "rules": {"watchSeconds": 3600}});
    let refused = bench
        .with_key(&key, Method::POST, "/api/v1/rollouts", Some(&wanted))
        .await;
    refused.is(403).has_code("FORBIDDEN");
    let began = bench.send(Method::POST, "/api/v1/rollouts", &wanted).await.is(201);
    let rollout = format!("/api/v1/rollouts/{}", began.body["rollout"]["id"].as_str().unwrap());
    for end in ["promote", "abort"] {
        let path = format!("{rollout}/{end}");
        let refused = bench.with_key(&key, Method::POST, &path, None).await.is(403);
        assert!(refused.text.contains("role ADMIN"), "{}", refused.text);
    }
    bench
        .send(Method::POST, &format!("{rollout}/abort"), &Value::Null)
        .await
        .is(200);
}

/// What changes units and organizations by the routes that are about several kinds.
fn tries(draft: &str, with_unit: &str, entries: &[String]) -> Vec<(Method, String, Value)> {
    let put_unit = json!([{"kind": "unit", "value": unit()}]);
    let mut tries = vec![
        (Method::POST, "/api/v1/apply".to_owned(), json!({"put": put_unit})),
        (
            Method::POST,
            "/api/v1/apply".to_owned(),
            json!({"put": [{"kind": "organization", "value": organization()}]}),
        ),
        (
            Method::POST,
            "/api/v1/apply".to_owned(),
            json!({"delete": [{"kind": "organization", "id": 648}]}),
        ),
        (
            Method::POST,
            "/api/v1/drafts".to_owned(),
            json!({"name": "mine", "put": put_unit}),
        ),
        (
            Method::PUT,
            draft.to_owned(),
            json!({"name": "mine", "delete": [{"kind": "unit", "id": 84}]}),
        ),
        (Method::POST, format!("{draft}/publish"), json!({})),
        (
            Method::POST,
            format!("/api/v1/versions/{with_unit}/rollback"),
            json!({"object": {"kind": "unit", "id": 84}}),
        ),
    ];
    for entry in entries {
        tries.push((Method::POST, format!("{entry}/restore"), Value::Null));
        tries.push((Method::DELETE, entry.clone(), Value::Null));
    }
    tries
}

fn unit() -> Value {
    json!({"rid": 84, "orgId": 648, "name": "Ward"})
}

fn organization() -> Value {
    json!({"orgId": 9, "name": "Gone"})
}

fn place_of(entry: &Value) -> String {
    format!("/api/v1/trash/{}", entry["id"].as_str().unwrap())
}

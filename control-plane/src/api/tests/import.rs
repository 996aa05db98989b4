//! Integrations made of OpenAPI documents.

use super::*;

const PATH: &str = "/api/v1/inbound-integrations/import";

fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Free slots", "version": "1"},
        "servers": [{"url": "https://api.partner.example/v1"}],
        "paths": {"/slots/{id}": {"get": {
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}],
            "responses": {"200": {"description": "One"}}
        }}}
    })
}

fn body(integration: &Value) -> Value {
    json!({"document": document(), "integration": integration})
}

#[tokio::test]
async fn an_integration_is_made_and_changed() {
    let bench = Bench::start().await;
    let fields = json!({"orgId": 648, "hosts": ["slots.example"], "outgoingAuthType": "BEARER",
        "outgoingAuthConfig": {"token": "partner-secret"}});
    let made = bench.send(Method::POST, PATH, &body(&fields)).await.is(200);
    let integration = &made.body["integration"];
    assert_eq!(
        (&made.body["created"], &made.body["operations"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(
        (&integration["name"], &integration["type"]),
        (&json!("Free slots"), &json!("free-slots"))
    );
    assert_eq!(integration["targetUrl"], "https://api.partner.example/v1");
    assert_eq!(integration["paths"], json!([{"template": "/slots/{id}"}]));
    assert!(!made.text.contains("partner-secret"), "{}", made.text);

    let id = integration["id"].as_str().unwrap();
    let changed = bench
        .send(Method::POST, PATH, &body(&json!({"id": id, "name": "Slots"})))
        .await
        .is(200);
    assert_eq!(changed.body["created"], false);
    let integration = &changed.body["integration"];
    assert_eq!(
        (&integration["name"], &integration["hosts"]),
        (&json!("Slots"), &json!(["slots.example"]))
    );
    assert_eq!(integration["outgoingAuthConfig"], json!({"token": "***"}));
}

#[tokio::test]
async fn a_trial_changes_nothing() {
    let bench = Bench::start().await;
    let mut request = body(&json!({"id": "slots", "orgId": 648, "hosts": ["slots.example"]}));
    request["dryRun"] = json!(true);
    let tried = bench.send(Method::POST, PATH, &request).await.is(200);
    assert_eq!(
        (&tried.body["dryRun"], &tried.body["created"]),
        (&json!(true), &json!(true))
    );
    bench.get("/api/v1/inbound-integrations/slots").await.is(404);
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_place() {
    let bench = Bench::start().await;
    for (request, place) in [
        (json!({"document": "a: ["}), "document"),
        (json!({"document": {"openapi": "2"}}), "document.openapi"),
        (body(&json!({"hosts": ["slots.example"]})), "integration"),
        (body(&json!({"orgId": 648})), "hosts"),
        (
            body(&json!({"orgId": 648, "hosts": ["slots.example"], "nonsense": 1})),
            "integration",
        ),
    ] {
        let refused = bench.send(Method::POST, PATH, &request).await.is(400);
        let problems = refused.problems();
        assert!(
            problems.iter().any(|problem| problem.starts_with(place)),
            "{place}: {}",
            refused.text
        );
    }
}

#[tokio::test]
async fn an_operator_of_one_organization_stays_in_it() {
    let bench = Bench::start().await;
    let fields = json!({"id": "theirs", "orgId": 649, "hosts": ["slots.example"]});
    bench.send(Method::POST, PATH, &body(&fields)).await.is(200);
    let limited = |fields: Value| {
        let request = bench.client.post(bench.url(PATH)).header("X-API-Key", ONE_KEY);
        Reply::of(request.json(&body(&fields)))
    };
    limited(json!({"orgId": 649, "hosts": ["other.example"]})).await.is(403);
    // Whose it is, is not for everybody to know.
    limited(json!({"id": "theirs", "orgId": 648, "hosts": ["other.example"]}))
        .await
        .is(404);
}

//! One change to many objects.

use super::*;

fn put(id: &str, kind: &str) -> Value {
    let mut value = integration(kind);
    value["id"] = json!(id);
    json!({"kind": "integration", "value": value})
}

async fn apply(bench: &Bench, body: &Value) -> Reply {
    bench.send(Method::POST, "/api/v1/apply", body).await
}

#[tokio::test]
async fn a_change_to_many_objects_is_one_version() {
    let bench = Bench::start().await;
    let organization = json!({"kind": "organization", "value": {"orgId": 648, "name": "Clinic"}});
    let body = json!({"put": [organization, put("a", "lab"), put("b", "scans")], "message": "first"});
    let first = apply(&bench, &body).await.is(200).body;
    assert_eq!(
        (&first["version"], &first["created"], &first["changed"]),
        (&json!(2), &json!(3), &json!(0))
    );

    let again = apply(&bench, &body).await.is(200).body;
    assert_eq!(
        (&again["version"], &again["unchanged"]),
        (&json!(2), &json!(3)),
        "nothing to change makes no version"
    );

    let gone = [
        json!({"kind": "integration", "id": "b"}),
        json!({"kind": "integration", "id": "never"}),
    ];
    let next = apply(&bench, &json!({"put": [put("a", "labs")], "delete": gone}))
        .await
        .is(200)
        .body;
    assert_eq!(
        (&next["version"], &next["changed"], &next["deleted"]),
        (&json!(3), &json!(1), &json!(1))
    );
    let shown = bench.get("/api/v1/versions/3").await.is(200).body;
    assert_eq!(shown["delete"], json!([{"kind": "integration", "id": "b"}]));
    assert_eq!(shown["integrations"][0]["type"], "labs");
    assert_eq!(bench.get("/api/v1/versions/2").await.is(200).body["message"], "first");
}

#[tokio::test]
async fn one_bad_object_leaves_everything_as_it_was() {
    let bench = Bench::start().await;
    let mut bad = put("b", "scans");
    bad["value"]["colour"] = json!("red");
    let refused = apply(&bench, &json!({"put": [put("a", "lab"), bad]})).await.is(400);
    assert!(refused.text.contains("put[1].value"), "{}", refused.text);
    // Refused after reading, by what is kept: a mask that no secret stands behind.
    let mut masked = put("b", "scans");
    masked["value"]["outgoingAuthType"] = json!("BEARER");
    masked["value"]["outgoingAuthConfig"] = json!({"token": "***"});
    let refused = apply(&bench, &json!({"put": [put("a", "lab"), masked]})).await.is(400);
    assert_eq!(refused.problems(), ["put[1].value.outgoingAuthConfig.token"]);
    // Refused by the compiler: a target without TLS, and a type that two of one organization have.
    let mut plain = put("b", "scans");
    plain["value"]["targetUrl"] = json!("http://partner.example");
    let refused = apply(&bench, &json!({"put": [put("a", "lab"), plain]})).await.is(400);
    assert_eq!(refused.problems(), ["put[1].value.targetUrl"]);
    let refused = apply(&bench, &json!({"put": [put("a", "lab"), put("b", "lab")]}))
        .await
        .is(400);
    assert!(refused.problems()[0].starts_with("put["), "{}", refused.text);
    assert_eq!(bench.get("/api/v1/inbound-integrations").await.is(200).body["total"], 0);
    assert_eq!(bench.get("/readyz").await.is(200).body["version"], 1);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let bench = Bench::start().await;
    let tried = apply(&bench, &json!({"put": [put("a", "lab")], "dryRun": true}))
        .await
        .is(200)
        .body;
    assert_eq!(
        (&tried["dryRun"], &tried["created"], &tried["version"]),
        (&json!(true), &json!(1), &json!(1))
    );
    assert_eq!(bench.get("/api/v1/inbound-integrations").await.is(200).body["total"], 0);
}

#[tokio::test]
async fn contradictions_are_refused() {
    let bench = Bench::start().await;
    let twice = apply(&bench, &json!({"put": [put("a", "lab"), put("a", "scans")]}))
        .await
        .is(400);
    assert_eq!(twice.problems(), ["put[1].value"]);
    let both = json!({"put": [put("a", "lab")], "delete": [{"kind": "integration", "id": "a"}]});
    assert_eq!(apply(&bench, &both).await.is(400).problems(), ["delete[0]"]);
    let security = json!({"put": [{"kind": "security", "value": {"enforceHttps": false}}]});
    assert_eq!(apply(&bench, &security).await.is(400).problems(), ["put[0].kind"]);
    let wrong = json!({"delete": [{"kind": "organization", "id": "six"}, {"kind": "integration", "id": 6}]});
    assert_eq!(
        apply(&bench, &wrong).await.is(400).problems(),
        ["delete[0].id", "delete[1].id"]
    );
}

#[tokio::test]
async fn an_export_applied_again_changes_nothing() {
    let bench = Bench::start().await;
    let mut secret = put("a", "lab");
    secret["value"]["outgoingAuthType"] = json!("BASIC");
    secret["value"]["outgoingAuthConfig"] = json!({"username": "u", "password": "outgoing-secret"});
    apply(&bench, &json!({"put": [secret, put("b", "scans")]}))
        .await
        .is(200);
    let export = bench.get("/api/v1/export").await.is(200).body;
    let objects: Vec<Value> = export["integrations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| json!({"kind": "integration", "value": value}))
        .collect();
    let again = apply(&bench, &json!({"put": objects})).await.is(200).body;
    assert_eq!((&again["unchanged"], &again["changed"]), (&json!(2), &json!(0)));
}

#[tokio::test]
async fn many_objects_at_a_time_are_taken_beyond_the_limit_of_one() {
    let bench = Bench::start().await;
    let many: Vec<Value> = (0..3_000)
        .map(|number| put(&format!("i{number}"), &format!("kind-{number}")))
        .collect();
    let body = json!({ "put": many });
    assert!(body.to_string().len() > 400_000);
    assert_eq!(apply(&bench, &body).await.is(200).body["created"], 3_000);
}

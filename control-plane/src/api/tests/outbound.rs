//! Outbound integrations: made, read, changed, tried, deleted.

use super::*;

const PATH: &str = "/api/v1/outbound-integrations";
const SECRETS: [&str; 5] = [
    "sign-in-secret",
    "signing-secret",
    "action-secret",
    "enrichment-secret",
    "step-header-secret",
];

fn with_secrets() -> Value {
    let mut value = outbound("Bills");
    let bearer = |token: &str| json!({"token": token});
    value["id"] = json!("bills");
    value["outgoingAuthType"] = json!("BEARER");
    value["outgoingAuthConfig"] = bearer(SECRETS[0]);
    value["signingType"] = json!("GITHUB");
    value["signingConfig"] = json!({"secrets": [{"name": "k1", "value": SECRETS[1]}]});
    value["actions"] = json!([
        {"name": "first", "outgoingAuthType": "BEARER", "outgoingAuthConfig": bearer(SECRETS[2])},
        {"name": "second", "outgoingAuthType": "CUSTOM_HEADERS",
            "outgoingAuthConfig": {"headers": {"X-Key": SECRETS[4]}}},
    ]);
    value["enrichments"] = json!([{"name": "bill", "url": "https://his.example/bills/{id}",
        "outgoingAuthType": "BEARER", "outgoingAuthConfig": bearer(SECRETS[3])}]);
    value
}

#[tokio::test]
async fn an_outbound_integration_lives_from_post_to_delete() {
    let bench = Bench::start().await;
    let made = bench.send(Method::POST, PATH, &outbound("Bills")).await.is(201);
    let place = made.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(place, format!("{PATH}/{}", made.body["id"].as_str().unwrap()));
    assert_eq!(made.body["direction"], "OUTBOUND");
    assert!(made.body["createdAt"].is_string(), "{}", made.text);
    let read = bench.get(&place).await.is(200);
    assert_eq!((&read.tag, &read.body), (&made.tag, &made.body));

    let mut next = outbound("Bills and refunds");
    next["retry"] = json!({"type": "seed"});
    let replace = |tag: &str| bench.request(Method::PUT, &place).header("If-Match", tag).json(&next);
    let tag = made.tag.as_deref().unwrap();
    let replaced = Reply::of(replace(tag)).await.is(200);
    assert_eq!(replaced.body["createdAt"], made.body["createdAt"]);
    Reply::of(replace(tag)).await.is(412).has_code("PRECONDITION_FAILED");
    let patched = bench
        .send(Method::PATCH, &place, &json!({"isActive": false}))
        .await
        .is(200);
    assert_eq!(patched.body["isActive"], false);
    assert_eq!(patched.body["retry"], json!({"type": "seed"}));
    let fixed = bench
        .send(Method::PATCH, &place, &json!({"direction": "INBOUND"}))
        .await;
    assert_eq!(fixed.is(400).problems(), ["direction"]);

    bench.send(Method::DELETE, &place, &Value::Null).await.is(204);
    bench.get(&place).await.is(404).has_code("NOT_FOUND");
}

#[tokio::test]
async fn no_answer_shows_a_secret_and_masks_written_back_keep_it() {
    let bench = Bench::start().await;
    let place = format!("{PATH}/bills");
    let first = bench.send(Method::PUT, &place, &with_secrets()).await.is(201);
    let again = bench.send(Method::PUT, &place, &first.body).await.is(200);
    assert_eq!(again.tag, first.tag, "the masked document is the same integration");
    let patched = bench.send(Method::PATCH, &place, &json!({"name": "New"})).await.is(200);
    let version = bench.get("/api/v1/versions/2").await.is(200);
    let list = bench.get(PATH).await.is(200);
    let export = bench.get("/api/v1/export").await.is(200);
    for reply in [&first, &again, &patched, &version, &list, &export] {
        assert!(reply.text.contains("***"), "{}", reply.text);
        for secret in SECRETS {
            assert!(!reply.text.contains(secret), "{}", reply.text);
        }
    }
    let pushed = stream::Gateway::connect(&bench, "g", None)
        .await
        .next()
        .await
        .to_string();
    for secret in SECRETS {
        assert!(pushed.contains(secret), "the gateways get {secret}: {pushed}");
    }
    for entry in std::fs::read_dir(bench.folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in SECRETS {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
}

#[tokio::test]
async fn a_mask_without_a_stored_secret_is_refused_where_it_stands() {
    let bench = Bench::start().await;
    let mut value = with_secrets();
    value["signingConfig"]["secrets"][0]["value"] = json!("***");
    value["actions"][1]["outgoingAuthConfig"]["headers"]["X-Key"] = json!("***");
    value["enrichments"][0]["outgoingAuthConfig"]["token"] = json!("***");
    let refused = bench.send(Method::POST, PATH, &value).await.is(400);
    let wanted = [
        "signingConfig.secrets[0].value",
        "actions[1].outgoingAuthConfig.headers.X-Key",
        "enrichments[0].outgoingAuthConfig.token",
    ];
    assert_eq!(refused.problems(), wanted);
    let verdict = bench
        .send(Method::POST, &format!("{PATH}/validate"), &value)
        .await
        .is(200);
    assert_eq!(verdict.body["valid"], false);
    assert_eq!(
        verdict.body["problems"].as_array().unwrap().len(),
        3,
        "{}",
        verdict.text
    );
    assert_eq!(bench.get(PATH).await.is(200).body["total"], 0);
}

#[tokio::test]
async fn both_directions_share_their_identifiers() {
    let bench = Bench::start().await;
    bench.put("lab", &integration("lab")).await.is(201);
    let refused = bench
        .send(Method::PUT, &format!("{PATH}/lab"), &outbound("Lab"))
        .await
        .is(400);
    assert_eq!(refused.problems(), ["id"]);
    bench
        .send(Method::PUT, &format!("{PATH}/bills"), &outbound("Bills"))
        .await
        .is(201);
    assert_eq!(
        bench.put("bills", &integration("bills")).await.is(400).problems(),
        ["id"]
    );
    let mut inbound = integration("new");
    inbound["id"] = json!("new");
    let mut other = outbound("New");
    other["id"] = json!("new");
    let both = json!({"put": [{"kind": "integration", "value": inbound}, {"kind": "outbound", "value": other}]});
    let refused = bench.send(Method::POST, "/api/v1/apply", &both).await.is(400);
    assert_eq!(refused.problems(), ["put[1].value"], "{}", refused.text);
}

#[tokio::test]
async fn lists_are_narrowed_and_paged() {
    let bench = Bench::start().await;
    for (id, event_type, active) in [
        ("a", "bill.generated", true),
        ("b", "bill.paid", true),
        ("c", "bill.paid", false),
    ] {
        let mut value = outbound(&format!("The {id}"));
        value["eventType"] = json!(event_type);
        value["isActive"] = json!(active);
        bench.send(Method::PUT, &format!("{PATH}/{id}"), &value).await.is(201);
    }
    let mut unit = outbound("Of a unit");
    unit["tenantId"] = json!(84);
    bench
        .send(
            Method::PUT,
            "/api/v1/admin/org-units/84",
            &json!({"orgId": 648, "name": "North"}),
        )
        .await
        .is(201);
    bench.send(Method::PUT, &format!("{PATH}/d"), &unit).await.is(201);
    let ids = async |query: &str| -> Vec<String> {
        let list = bench.get(&format!("{PATH}{query}")).await.is(200).body;
        let found = list["integrations"].as_array().unwrap().iter();
        found.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("?orgId=648&eventType=bill.paid").await, ["b", "c"]);
    assert_eq!(ids("?isActive=false").await, ["c"]);
    assert_eq!(ids("?tenantId=84").await, ["d"]);
    assert_eq!(ids("?search=THE%20B").await, ["b"]);
    assert_eq!(ids("?search=bill.generated&limit=1&page=2").await, ["d"]);
    let page = bench.get(&format!("{PATH}?limit=3")).await.is(200).body;
    assert_eq!(
        (&page["total"], &page["hasMore"], &page["page"]),
        (&json!(4), &json!(true), &json!(1))
    );
    assert_eq!(ids("?orgId=7").await, [""; 0]);
    for wrong in ["?type=lab", "?limit=201", "?tenantId=x", "?page=0"] {
        let refused = bench.get(&format!("{PATH}{wrong}")).await.is(400);
        assert_eq!(refused.problems().len(), 1, "{}", refused.text);
    }
}

#[tokio::test]
async fn the_transformation_of_each_call_is_tried_on_a_sample() {
    let bench = Bench::start().await;
    let line = |from: &str, to: &str| json!([{"sourceField": from, "targetField": to}]);
    let mut value = outbound("Bills");
    value["transformationMode"] = json!("SIMPLE");
    value["fieldMappings"] = line("bill.id", "own");
    value["actions"] = json!([
        {"name": "plain"},
        {"name": "mapped", "transformationMode": "SIMPLE", "fieldMappings": line("steps.plain.body.ref", "ref"),
            "compensate": {"targetUrl": "https://partner.example/undo", "httpMethod": "DELETE",
                "transformationMode": "SCRIPT",
                "transformScript": "fn transform(payload, context) { payload.undo = context.eventType; payload }"}},
    ]);
    bench.send(Method::PUT, &format!("{PATH}/bills"), &value).await.is(201);
    let payload = json!({"bill": {"id": 7}, "steps": {"plain": {"status": 200, "body": {"ref": "r-1"}}}});
    let attempt = async |more: Value| {
        let mut body = json!({"sample": payload});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let stored = bench.send(Method::POST, &format!("{PATH}/bills/test"), &body).await;
        body["integration"] = value.clone();
        let free = bench.send(Method::POST, &format!("{PATH}/test"), &body).await;
        assert_eq!(stored.status, free.status);
        if stored.status.is_success() {
            assert_eq!(stored.body, free.body);
        }
        stored
    };
    assert_eq!(attempt(json!({})).await.is(200).body["output"], json!({"own": 7}));
    let inherited = attempt(json!({"action": "plain"})).await.is(200);
    assert_eq!(inherited.body["output"], json!({"own": 7}));
    let mapped = attempt(json!({"action": "mapped"})).await.is(200);
    assert_eq!(mapped.body["output"], json!({"ref": "r-1"}));
    let undo = json!({"action": "mapped", "compensation": true, "context": {"eventType": "bill.generated"}});
    assert_eq!(attempt(undo).await.is(200).body["output"]["undo"], "bill.generated");

    assert_eq!(attempt(json!({"action": "gone"})).await.is(400).problems(), ["action"]);
    let none = json!({"action": "plain", "compensation": true});
    assert_eq!(attempt(none).await.is(400).problems(), ["compensation"]);
    assert_eq!(
        attempt(json!({"compensation": true})).await.is(400).problems(),
        ["action"]
    );
    let mut broken = value.clone();
    broken["actions"][1]["fieldMappings"] = json!([{"targetField": ""}]);
    let body = json!({"sample": {}, "action": "mapped", "integration": broken});
    let refused = bench.send(Method::POST, &format!("{PATH}/test"), &body).await.is(400);
    assert!(
        refused.problems()[0].starts_with("integration.actions[1].fieldMappings[0]"),
        "{}",
        refused.text
    );
    let without = bench
        .send(Method::POST, &format!("{PATH}/test"), &json!({"sample": {}}))
        .await;
    assert!(without.is(400).text.contains("`integration`"));
}

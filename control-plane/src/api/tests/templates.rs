//! Templates, and integrations that are made of them.

use super::*;

fn lab(org_id: Option<u64>) -> Value {
    let mut template = json!({
        "name": "Lab orders",
        "kind": "INBOUND",
        "parameters": [
            {"name": "code", "type": "text", "pattern": "[a-z]{2,8}", "example": "lab"},
            {"name": "token", "type": "secret"}
        ],
        "body": {
            "name": "Orders to {{parameters.code}}", "type": "orders-{{parameters.code}}",
            "targetUrl": "https://{{parameters.code}}.example/api",
            "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "{{parameters.token}}"}
        }
    });
    if let Some(org_id) = org_id {
        template["orgId"] = json!(org_id);
    }
    template
}

#[tokio::test]
async fn a_template_lives_from_post_to_delete() {
    let bench = Bench::start().await;
    let made = bench
        .send(Method::POST, "/api/v1/templates", &lab(Some(648)))
        .await
        .is(201);
    let place = made.headers["location"].to_str().unwrap().to_owned();
    let bench = bench.restart().await;
    let read = bench.get(&place).await.is(200);
    assert_eq!((&read.tag, &read.body), (&made.tag, &made.body));
    let mut next = lab(Some(648));
    next["description"] = json!("For laboratories");
    let put = |tag: &str| bench.request(Method::PUT, &place).header("If-Match", tag).json(&next);
    let tag = made.tag.unwrap();
    let replaced = Reply::of(put(&tag)).await.is(200);
    assert_eq!(
        (&replaced.body["description"], &replaced.body["createdAt"]),
        (&json!("For laboratories"), &made.body["createdAt"])
    );
    Reply::of(put(&tag)).await.is(412);
    let again = bench.send(Method::PUT, &place, &replaced.body).await.is(200);
    assert_eq!(again.tag, replaced.tag, "nothing was to be changed");
    bench
        .send(Method::POST, "/api/v1/templates", &lab(Some(648)))
        .await
        .is(409)
        .has_code("CONFLICT");
    bench.send(Method::DELETE, &place, &Value::Null).await.is(204);
    bench.get(&place).await.is(404);
}

#[tokio::test]
async fn an_integration_is_made_of_a_template() {
    let bench = Bench::start().await;
    bench
        .send(Method::PUT, "/api/v1/templates/lab", &lab(None))
        .await
        .is(201);
    let path = "/api/v1/templates/lab/create?orgId=648";
    let given = json!({"parameters": {"code": "lab", "token": "token-of-the-lab"}, "overrides": {"isActive": false}, "id": "labs"});
    let mut tried = given.clone();
    tried["dryRun"] = json!(true);
    let tried = bench.send(Method::POST, path, &tried).await.is(200);
    assert_eq!(tried.body["integration"]["name"], "Orders to lab");
    bench.get("/api/v1/inbound-integrations/labs").await.is(404);
    let made = bench.scoped(Method::POST, path, Some(&given)).await.is(201);
    assert_eq!(made.headers["location"], "/api/v1/inbound-integrations/labs");
    assert!(!made.text.contains("token-of-the-lab"), "{}", made.text);
    let integration = bench.get("/api/v1/inbound-integrations/labs").await.is(200);
    assert_eq!(integration.body, made.body["integration"]);
    assert_eq!(
        (
            &integration.body["type"],
            &integration.body["isActive"],
            &integration.body["orgId"]
        ),
        (&json!("orders-lab"), &json!(false), &json!(648))
    );
    assert_eq!(integration.tag, made.tag);
    let pushed = stream::Gateway::connect(&bench, "g", None)
        .await
        .next()
        .await
        .to_string();
    assert!(pushed.contains("token-of-the-lab"));
    bench.send(Method::POST, path, &given).await.is(409);
    let wrong = json!({"parameters": {"code": "LAB", "more": 1}});
    let wrong = bench.send(Method::POST, path, &wrong).await.is(400);
    assert_eq!(
        wrong.problems(),
        ["parameters.more", "parameters.code", "parameters.token"]
    );
    let broken = json!({"parameters": {"code": "lab", "token": "t"}, "overrides": {"targetUrl": "http://10.0.0.1/"}});
    let broken = bench.send(Method::POST, path, &broken).await.is(400);
    assert!(
        broken.problems().iter().all(|path| path.starts_with("targetUrl")),
        "{}",
        broken.text
    );
}

#[tokio::test]
async fn templates_are_seen_by_whom_they_are_for() {
    let bench = Bench::start().await;
    for (id, org_id) in [("all", None), ("own", Some(648)), ("foreign", Some(7))] {
        let path = format!("/api/v1/templates/{id}");
        bench.send(Method::PUT, &path, &lab(org_id)).await.is(201);
    }
    let listed = bench
        .scoped(Method::GET, "/api/v1/templates?orgId=648", None)
        .await
        .is(200);
    let ids: Vec<&Value> = listed.body["templates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["id"])
        .collect();
    assert_eq!(ids, ["all", "own"]);
    let page = bench.get("/api/v1/templates?limit=2").await.is(200).body;
    assert_eq!(
        (&page["hasMore"], &page["nextCursor"]),
        (&json!(true), &json!("foreign"))
    );
    let page = bench.get("/api/v1/templates?limit=2&cursor=foreign").await.is(200).body;
    assert_eq!(
        (&page["hasMore"], &page["templates"][0]["id"]),
        (&json!(false), &json!("own"))
    );
}

#[tokio::test]
async fn templates_are_changed_by_whom_they_belong_to() {
    let bench = Bench::start().await;
    for (id, org_id) in [("all", None), ("foreign", Some(7))] {
        let path = format!("/api/v1/templates/{id}");
        bench.send(Method::PUT, &path, &lab(org_id)).await.is(201);
    }
    bench
        .scoped(Method::GET, "/api/v1/templates/all?orgId=648", None)
        .await
        .is(200);
    bench
        .scoped(Method::GET, "/api/v1/templates/foreign?orgId=648", None)
        .await
        .is(404);
    bench
        .scoped(Method::PUT, "/api/v1/templates/foreign", Some(&lab(Some(648))))
        .await
        .is(404);
    bench
        .scoped(Method::PUT, "/api/v1/templates/foreign", Some(&lab(Some(7))))
        .await
        .is(403);
    bench
        .scoped(Method::PUT, "/api/v1/templates/all", Some(&lab(None)))
        .await
        .is(403);
    bench
        .scoped(Method::DELETE, "/api/v1/templates/all?orgId=648", None)
        .await
        .is(403);
    bench
        .scoped(Method::POST, "/api/v1/templates", Some(&lab(None)))
        .await
        .is(403);
    let fill = json!({"parameters": {"code": "lab", "token": "t"}});
    bench
        .scoped(Method::POST, "/api/v1/templates/foreign/create?orgId=648", Some(&fill))
        .await
        .is(404);
    bench
        .scoped(Method::POST, "/api/v1/templates/all/create?orgId=7", Some(&fill))
        .await
        .is(403);
    bench.get("/api/v1/templates/foreign").await.is(200);
}

#[tokio::test]
async fn a_template_holds_no_secret() {
    let bench = Bench::start().await;
    let mut template = lab(Some(648));
    template["body"]["outgoingAuthConfig"]["token"] = json!("literal-secret");
    let refused = bench.send(Method::POST, "/api/v1/templates", &template).await.is(400);
    assert!(
        refused.problems().contains(&"body.outgoingAuthConfig.token"),
        "{}",
        refused.text
    );
    assert!(!refused.text.contains("literal-secret"));
}

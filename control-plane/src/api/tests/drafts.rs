//! Drafts: saved, looked at, checked, published, given up; and what other organizations see of them.

use super::*;

fn put(kind: &str, value: Value) -> Value {
    json!({"kind": kind, "value": value})
}

fn with_token(id: &str, token: &str) -> Value {
    let mut value = integration(id);
    value["id"] = json!(id);
    value["outgoingAuthType"] = json!("BEARER");
    value["outgoingAuthConfig"] = json!({"token": token});
    value
}

fn draft(values: &[Value]) -> Value {
    let put: Vec<Value> = values.iter().map(|value| put("integration", value.clone())).collect();
    json!({"name": "Move", "message": "for the move", "put": put})
}

async fn save(bench: &Bench, body: &Value) -> String {
    let reply = bench.send(Method::POST, "/api/v1/drafts", body).await.is(201);
    let id = reply.body["id"].as_str().unwrap().to_owned();
    assert_eq!(reply.headers["location"], format!("/api/v1/drafts/{id}"));
    id
}

async fn newest(bench: &Bench) -> Value {
    bench.get("/api/v1/versions?limit=1").await.body["versions"][0].clone()
}

#[tokio::test]
async fn a_draft_changes_nothing_until_it_is_published_and_is_gone_then() {
    let bench = Bench::start().await;
    let id = save(&bench, &draft(&[with_token("a", "hunter1")])).await;
    assert_eq!(newest(&bench).await["version"], 1);
    bench.get("/api/v1/inbound-integrations/a").await.is(404);
    let path = format!("/api/v1/drafts/{id}");
    let shown = bench.get(&path).await.is(200);
    assert!(!shown.text.contains("hunter"), "{}", shown.text);
    assert_eq!(
        shown.body["put"]["integrations"][0]["outgoingAuthConfig"]["token"],
        "***"
    );
    let diff = bench.get(&format!("{path}/diff")).await.is(200);
    assert_eq!(diff.body["differences"][0]["action"], "created");
    assert!(!diff.text.contains("hunter"), "{}", diff.text);
    let verdict = bench
        .send(Method::POST, &format!("{path}/validate"), &json!({}))
        .await
        .is(200);
    assert_eq!(verdict.body["valid"], true);

    let published = bench
        .send(Method::POST, &format!("{path}/publish"), &json!({}))
        .await
        .is(200);
    assert_eq!(
        (&published.body["version"], &published.body["created"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(newest(&bench).await["message"], "for the move");
    bench.get("/api/v1/inbound-integrations/a").await.is(200);
    bench.get(&path).await.is(404);
    bench
        .send(Method::POST, &format!("{path}/publish"), &json!({}))
        .await
        .is(404);
}

#[tokio::test]
async fn a_draft_outlives_a_restart_and_holds_no_secret_in_clear() {
    let bench = Bench::start().await;
    let id = save(&bench, &draft(&[with_token("a", "hunter1hunter1")])).await;
    let bench = bench.restart().await;
    for entry in std::fs::read_dir(bench.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        let found = bytes.windows(14).any(|window| window == b"hunter1hunter1");
        assert!(!found, "{}", path.display());
    }
    bench.get(&format!("/api/v1/drafts/{id}")).await.is(200);
}

#[tokio::test]
async fn a_draft_is_edited_by_revision_and_keeps_masked_secrets() {
    let bench = Bench::start().await;
    let id = save(&bench, &draft(&[with_token("a", "hunter1")])).await;
    let path = format!("/api/v1/drafts/{id}");
    let tag = bench.get(&path).await.tag.unwrap();
    let mut masked = with_token("a", "***");
    masked["name"] = json!("Renamed");
    let edit = async |tag: &str| {
        let request = bench.request(Method::PUT, &path).header("If-Match", tag);
        Reply::of(request.json(&draft(std::slice::from_ref(&masked)))).await
    };
    edit(&tag).await.is(200);
    edit(&tag).await.is(412).has_code("PRECONDITION_FAILED");
    bench
        .send(
            Method::POST,
            &format!("{path}/publish"),
            &json!({"message": "other words"}),
        )
        .await
        .is(200);
    assert_eq!(newest(&bench).await["message"], "other words");
    bench.put("a", &with_token("a", "hunter1")).await.is(200);
    let since = bench.get("/api/v1/versions/compare?from=2").await.is(200);
    let changes = &since.body["differences"][0]["changes"];
    assert_eq!(changes[0]["path"], "name", "the token was kept: {}", since.text);
    assert_eq!(changes.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_draft_that_would_not_do_is_told_everything_and_stays() {
    let bench = Bench::start().await;
    let (mut one, mut other) = (with_token("a", "t"), with_token("b", "t"));
    one["targetUrl"] = json!("http://partner.example");
    other["targetUrl"] = json!("https://10.0.0.1");
    let id = save(&bench, &draft(&[one, other])).await;
    let path = format!("/api/v1/drafts/{id}");
    let verdict = bench
        .send(Method::POST, &format!("{path}/validate"), &json!({}))
        .await
        .is(200);
    assert_eq!(verdict.body["valid"], false);
    assert_eq!(verdict.problems(), ["put[0].value.targetUrl", "put[1].value.targetUrl"]);
    let refused = bench
        .send(Method::POST, &format!("{path}/publish"), &json!({}))
        .await
        .is(400);
    assert_eq!(refused.problems(), verdict.problems());
    bench.get(&path).await.is(200);
    Reply::of(bench.request(Method::DELETE, &path)).await.is(204);
    bench.get(&path).await.is(404);
}

#[tokio::test]
async fn what_somebody_changed_meanwhile_is_not_overwritten_unasked() {
    let bench = Bench::start().await;
    bench.put("a", &with_token("a", "t")).await.is(201);
    let mut mine = with_token("a", "t");
    mine["name"] = json!("Mine");
    let id = save(&bench, &draft(&[mine])).await;
    let path = format!("/api/v1/drafts/{id}");
    let mut theirs = with_token("a", "t");
    theirs["name"] = json!("Theirs");
    bench.put("a", &theirs).await.is(200);
    let stale = json!([{"kind": "integration", "id": "a"}]);
    assert_eq!(bench.get(&path).await.body["stale"], stale);
    let refused = bench
        .send(Method::POST, &format!("{path}/publish"), &json!({}))
        .await
        .is(409);
    assert!(refused.text.contains("overwrite"), "{}", refused.text);
    assert_eq!(bench.get("/api/v1/inbound-integrations/a").await.body["name"], "Theirs");
    bench
        .send(Method::POST, &format!("{path}/publish"), &json!({"overwrite": true}))
        .await
        .is(200);
    assert_eq!(bench.get("/api/v1/inbound-integrations/a").await.body["name"], "Mine");
}

#[tokio::test]
async fn a_draft_that_changes_nothing_is_gone_once_published() {
    let bench = Bench::start().await;
    bench.put("a", &with_token("a", "t")).await.is(201);
    let id = save(&bench, &draft(&[with_token("a", "***")])).await;
    let path = format!("/api/v1/drafts/{id}");
    let published = bench
        .send(Method::POST, &format!("{path}/publish"), &json!({}))
        .await
        .is(200);
    assert_eq!(
        (&published.body["version"], &published.body["unchanged"]),
        (&json!(2), &json!(1))
    );
    bench.get(&path).await.is(404);
}

#[tokio::test]
async fn drafts_stay_in_their_organization() {
    let bench = Bench::start().await;
    let everything = save(&bench, &draft(&[with_token("a", "t")])).await;
    let body = draft(&[with_token("b", "t")]);
    let ask = async |method: Method, path: &str, body: Option<&Value>| bench.scoped(method, path, body).await;
    ask(Method::POST, "/api/v1/drafts", Some(&body)).await.is(400);
    ask(Method::POST, "/api/v1/drafts?orgId=7", Some(&body)).await.is(403);
    let own = ask(Method::POST, "/api/v1/drafts?orgId=648", Some(&body)).await.is(201);
    let own = own.body["id"].as_str().unwrap().to_owned();
    let mut foreign = with_token("c", "t");
    foreign["orgId"] = json!(7);
    let refused = ask(Method::POST, "/api/v1/drafts?orgId=648", Some(&draft(&[foreign])))
        .await
        .is(400);
    assert_eq!(refused.problems(), ["put[0].value.orgId"]);

    let listed = ask(Method::GET, "/api/v1/drafts?orgId=648", None).await.is(200);
    assert_eq!(listed.body["drafts"].as_array().unwrap().len(), 1);
    for (method, rest) in [
        (Method::GET, ""),
        (Method::GET, "/diff"),
        (Method::POST, "/validate"),
        (Method::POST, "/publish"),
        (Method::DELETE, ""),
    ] {
        let path = format!("/api/v1/drafts/{everything}{rest}?orgId=648");
        ask(method, &path, None).await.is(404);
    }
    let rollout = json!({"percent": 10});
    let path = format!("/api/v1/drafts/{own}/publish?orgId=648");
    ask(Method::POST, &path, Some(&rollout)).await.is(403);
    ask(Method::POST, &path, None).await.is(200);
    bench.get("/api/v1/inbound-integrations/b").await.is(200);
}

//! Versions: their messages, what they changed, comparing, rolling back; and what other organizations see of it.

use super::*;

#[tokio::test]
async fn a_change_keeps_its_message_however_it_is_given() {
    let bench = Bench::start().await;
    let path = "/api/v1/inbound-integrations";
    let message = "Préparé for the move";
    let made = bench
        .request(Method::POST, path)
        .header("X-Change-Message", message.as_bytes());
    let made = Reply::of(made.json(&integration("a"))).await.is(201);
    let id = made.body["id"].as_str().unwrap().to_owned();
    let one = format!("{path}/{id}");
    let patch = json!({"isActive": false});
    bench
        .send(Method::PATCH, &format!("{one}?message=switched%20off"), &patch)
        .await
        .is(200);
    let put = bench
        .request(Method::PUT, &format!("{one}?message=same"))
        .header("X-Change-Message", "same");
    Reply::of(put.json(&integration("a"))).await.is(200);
    Reply::of(bench.request(Method::DELETE, &format!("{one}?message=gone")))
        .await
        .is(204);
    let versions = bench.get("/api/v1/versions?limit=4").await.is(200);
    let messages: Vec<_> = versions.body["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| &v["message"])
        .collect();
    assert_eq!(messages, ["gone", "same", "switched off", message]);
}

#[tokio::test]
async fn a_message_that_cannot_be_kept_is_refused() {
    let bench = Bench::start().await;
    let path = "/api/v1/inbound-integrations";
    let differ = bench
        .request(Method::POST, &format!("{path}?message=one"))
        .header("X-Change-Message", "other");
    let refused = Reply::of(differ.json(&integration("a"))).await.is(400);
    assert_eq!(refused.problems(), ["message"]);
    let long = format!("{path}?message={}", "x".repeat(4_097));
    assert_eq!(
        bench
            .send(Method::POST, &long, &integration("a"))
            .await
            .is(400)
            .problems(),
        ["message"]
    );
    let control = format!("{path}?message=a%00b");
    assert_eq!(
        bench
            .send(Method::POST, &control, &integration("a"))
            .await
            .is(400)
            .problems(),
        ["message"]
    );
    bench.get(&format!("{path}?message=reads%20need%20none")).await.is(400);
    assert_eq!(
        bench.get("/api/v1/versions").await.body["versions"][0]["version"],
        1,
        "nothing was made"
    );
}

#[tokio::test]
async fn a_version_tells_what_it_changed_and_no_secret() {
    let bench = Bench::start().await;
    let with = |token: &str, active: bool| {
        let mut body = integration("a");
        body["isActive"] = json!(active);
        body["outgoingAuthType"] = json!("BEARER");
        body["outgoingAuthConfig"] = json!({"token": token});
        body
    };
    bench.put("a", &with("hunter1", true)).await.is(201);
    bench.put("a", &with("hunter2", false)).await.is(200);
    let version = bench.get("/api/v1/versions/3").await.is(200);
    assert!(!version.text.contains("hunter"), "{}", version.text);
    let [difference] = version.body["differences"].as_array().unwrap().as_slice() else {
        panic!("{}", version.text)
    };
    assert_eq!(
        (&difference["kind"], &difference["id"], &difference["action"]),
        (&json!("integration"), &json!("a"), &json!("changed"))
    );
    assert_eq!(
        difference["changes"],
        json!([
            {"path": "isActive", "before": true, "after": false},
            {"path": "outgoingAuthConfig.token", "secret": true},
        ])
    );
    let unified = difference["unified"].as_str().unwrap();
    assert!(unified.contains("-isActive: true\n+isActive: false"), "{unified}");
    assert_eq!(
        bench.get("/api/v1/versions/2").await.body["differences"][0]["action"],
        "created"
    );
    bench.get("/api/v1/versions/4").await.is(404);
}

#[tokio::test]
async fn an_object_has_a_history_that_outlives_it() {
    let bench = Bench::start().await;
    let path = "/api/v1/inbound-integrations/a/versions";
    bench.get(path).await.is(404);
    bench.put("a", &integration("a")).await.is(201);
    bench.put("b", &integration("b")).await.is(201);
    let mut other = integration("a");
    other["name"] = json!("Another name");
    bench.put("a", &other).await.is(200);
    Reply::of(bench.request(Method::DELETE, "/api/v1/inbound-integrations/a"))
        .await
        .is(204);
    let actions = |reply: &Reply| -> Vec<(u64, String)> {
        let versions = reply.body["versions"].as_array().unwrap().iter();
        versions
            .map(|v| {
                (
                    v["version"].as_u64().unwrap(),
                    v["difference"]["action"].as_str().unwrap().to_owned(),
                )
            })
            .collect()
    };
    let wanted = |all: &[(u64, &str)]| {
        all.iter()
            .map(|(n, action)| (*n, (*action).to_owned()))
            .collect::<Vec<_>>()
    };
    let all = bench.get(path).await.is(200);
    assert_eq!(actions(&all), wanted(&[(5, "deleted"), (4, "changed"), (2, "created")]));
    assert_eq!(
        all.body["versions"][1]["difference"]["changes"],
        json!([{"path": "name", "before": "The a", "after": "Another name"}])
    );
    let page = bench.get(&format!("{path}?before=5&limit=1")).await.is(200);
    assert_eq!(actions(&page), wanted(&[(4, "changed")]));
    assert_eq!(page.body["hasMore"], true);
    bench.get("/api/v1/outbound-integrations/a/versions").await.is(404);
}

#[tokio::test]
async fn two_versions_are_compared_in_both_directions() {
    let bench = Bench::start().await;
    for id in ["a", "b", "c"] {
        bench.put(id, &integration(id)).await.is(201);
    }
    Reply::of(bench.request(Method::DELETE, "/api/v1/inbound-integrations/b"))
        .await
        .is(204);
    let compared = async |query: &str| {
        let reply = bench.get(&format!("/api/v1/versions/compare?{query}")).await.is(200);
        let differences = reply.body["differences"].as_array().unwrap().clone();
        let told = differences
            .iter()
            .map(|d| format!("{} {}", d["action"].as_str().unwrap(), d["id"].as_str().unwrap()));
        (told.collect::<Vec<_>>(), reply.body["hasMore"].as_bool().unwrap())
    };
    assert_eq!(compared("from=2").await, (vec!["created c".to_owned()], false));
    assert_eq!(
        compared("from=3&to=5").await,
        (vec!["deleted b".to_owned(), "created c".to_owned()], false)
    );
    assert_eq!(
        compared("from=5&to=3").await,
        (vec!["created b".to_owned(), "deleted c".to_owned()], false)
    );
    assert_eq!(
        compared("from=3&to=5&limit=1").await,
        (vec!["deleted b".to_owned()], true)
    );
    assert_eq!(
        compared("from=3&to=5&limit=1&offset=1").await,
        (vec!["created c".to_owned()], false)
    );
    assert_eq!(compared("from=5&to=5").await, (vec![], false));
    let refused = bench.get("/api/v1/versions/compare?from=9&to=10").await.is(400);
    assert_eq!(refused.problems(), ["from", "to"]);
}

#[tokio::test]
async fn one_object_is_rolled_back_with_its_secrets() {
    let bench = Bench::start().await;
    let mut first = integration("a");
    first["outgoingAuthType"] = json!("BEARER");
    first["outgoingAuthConfig"] = json!({"token": "hunter1"});
    bench.put("a", &first).await.is(201);
    bench.put("a", &integration("changed")).await.is(200);
    bench.put("b", &integration("b")).await.is(201);
    let body = json!({"object": {"kind": "integration", "id": "a"}, "dryRun": true});
    let tried = bench
        .send(Method::POST, "/api/v1/versions/2/rollback", &body)
        .await
        .is(200);
    assert_eq!((&tried.body["version"], &tried.body["changed"]), (&json!(4), &json!(1)));
    assert!(
        tried.body["differences"][0]["unified"]
            .as_str()
            .unwrap()
            .contains("+type: a"),
        "{}",
        tried.text
    );
    assert_eq!(
        bench.get("/api/v1/inbound-integrations/a").await.body["type"],
        "changed"
    );

    let body = json!({"object": {"kind": "integration", "id": "a"}});
    let done = bench
        .send(Method::POST, "/api/v1/versions/2/rollback", &body)
        .await
        .is(200);
    assert_eq!(done.body["version"], 5);
    assert!(!done.text.contains("hunter"), "{}", done.text);
    assert_eq!(
        bench.get("/api/v1/versions/5").await.body["message"],
        "rolled back to version 2"
    );
    assert_eq!(bench.get("/api/v1/inbound-integrations/a").await.body["type"], "a");
    bench.get("/api/v1/inbound-integrations/b").await.is(200);
    let same = bench.get("/api/v1/versions/compare?from=2&to=5").await.is(200);
    assert_eq!(
        same.body["differences"].as_array().unwrap().len(),
        1,
        "only b is new: {}",
        same.text
    );

    let unknown = json!({"object": {"kind": "integration", "id": "z"}});
    bench
        .send(Method::POST, "/api/v1/versions/2/rollback", &unknown)
        .await
        .is(404);
    bench
        .send(Method::POST, "/api/v1/versions/9/rollback", &json!({}))
        .await
        .is(404);
}

#[tokio::test]
async fn everything_is_rolled_back_and_forth() {
    let bench = Bench::start().await;
    bench.put("a", &integration("a")).await.is(201);
    bench.put("b", &integration("b")).await.is(201);
    Reply::of(bench.request(Method::DELETE, "/api/v1/inbound-integrations/a"))
        .await
        .is(204);
    let export = async || bench.get("/api/v1/export").await.is(200).body["integrations"].clone();
    let before = export().await;
    let back = bench
        .send(Method::POST, "/api/v1/versions/2/rollback", &json!({}))
        .await
        .is(200);
    assert_eq!((&back.body["created"], &back.body["deleted"]), (&json!(1), &json!(1)));
    assert_eq!(export().await[0]["id"], "a");
    bench
        .send(
            Method::POST,
            "/api/v1/versions/4/rollback",
            &json!({"message": "forth"}),
        )
        .await
        .is(200);
    assert_eq!(export().await[0]["id"], before[0]["id"]);
    let again = bench
        .send(Method::POST, "/api/v1/versions/4/rollback", &json!({}))
        .await
        .is(200);
    assert_eq!(
        (&again.body["version"], &again.body["objects"]),
        (&json!(6), &json!([])),
        "there is nothing to do"
    );
}

#[tokio::test]
async fn a_rollback_that_does_not_fit_what_else_there_is_does_nothing() {
    let bench = Bench::start().await;
    bench.put("a", &integration("lab")).await.is(201);
    Reply::of(bench.request(Method::DELETE, "/api/v1/inbound-integrations/a"))
        .await
        .is(204);
    bench.put("b", &integration("lab")).await.is(201);
    let body = json!({"object": {"kind": "integration", "id": "a"}});
    let refused = bench
        .send(Method::POST, "/api/v1/versions/2/rollback", &body)
        .await
        .is(400);
    assert!(!refused.problems().is_empty(), "{}", refused.text);
    bench.get("/api/v1/inbound-integrations/a").await.is(404);
}

#[tokio::test]
async fn an_organization_sees_and_rolls_back_its_own_only() {
    let bench = Bench::start().await;
    let foreign =
        |name: &str| json!({"name": name, "type": "other", "orgId": 7, "targetUrl": "https://partner.example"});
    bench.put("own", &integration("own")).await.is(201);
    bench.put("foreign", &foreign("One")).await.is(201);
    let both = json!({"put": [
        {"kind": "integration", "value": {"id": "own", "name": "Own", "type": "own", "orgId": 648, "targetUrl": "https://p.example"}},
        {"kind": "integration", "value": {"id": "foreign", "name": "Two", "type": "other", "orgId": 7, "targetUrl": "https://p.example"}},
    ]});
    bench.send(Method::POST, "/api/v1/apply", &both).await.is(200);
    let get = async |path: &str| bench.scoped(Method::GET, path, None).await;

    get("/api/v1/versions").await.is(400);
    get("/api/v1/versions?orgId=7").await.is(403);
    let listed = get("/api/v1/versions?orgId=648").await.is(200);
    let numbers: Vec<_> = listed.body["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["version"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [4, 2]);
    assert_eq!(listed.body["versions"][0]["put"], 1, "the other object is not counted");
    get("/api/v1/versions/3?orgId=648").await.is(404);
    let version = get("/api/v1/versions/4?orgId=648").await.is(200);
    assert!(!version.text.contains("foreign"), "{}", version.text);
    let compared = get("/api/v1/versions/compare?orgId=648&from=0").await.is(200);
    assert!(
        compared.text.contains("\"own\"") && !compared.text.contains("foreign"),
        "{}",
        compared.text
    );
    get("/api/v1/inbound-integrations/foreign/versions?orgId=648")
        .await
        .is(404);
    get("/api/v1/inbound-integrations/own/versions?orgId=648").await.is(200);

    let one = json!({"object": {"kind": "integration", "id": "foreign"}});
    let rollback = async |path: &str, body: &Value| bench.scoped(Method::POST, path, Some(body)).await;
    rollback("/api/v1/versions/3/rollback?orgId=648", &one).await.is(404);
    rollback("/api/v1/versions/3/rollback", &one).await.is(400);
    rollback("/api/v1/versions/3/rollback?orgId=648", &json!({}))
        .await
        .is(200);
    assert_eq!(
        bench.get("/api/v1/inbound-integrations/own").await.body["name"],
        "The own"
    );
    assert_eq!(
        bench.get("/api/v1/inbound-integrations/foreign").await.body["name"],
        "Two"
    );
}

//! Producer keys: shown once, kept as hashes.

use super::*;

const PATH: &str = "/api/v1/producer-keys";

fn key(name: &str) -> Value {
    json!({"orgId": 648, "name": name})
}

#[tokio::test]
async fn a_key_is_shown_once_and_kept_as_a_hash() {
    let bench = Bench::start().await;
    let made = bench.send(Method::POST, PATH, &key("his")).await.is(201);
    let value = made.body["value"].as_str().unwrap();
    let digits = value.strip_prefix("pk_").unwrap();
    assert_eq!(hex::decode(digits).unwrap().len(), 32, "{value}");
    assert!(made.body.get("hash").is_none());
    let other = bench.send(Method::POST, PATH, &key("lis")).await.is(201);
    assert_ne!(other.body["value"], made.body["value"]);

    let place = made.headers["location"].to_str().unwrap();
    let read = bench.get(place).await.is(200);
    assert_eq!((&read.body["hash"], read.body.get("value")), (&json!("***"), None));
    assert_eq!(read.tag, made.tag);
    let list = bench.get(PATH).await.is(200);
    assert_eq!(list.body["total"], 2);
    let version = bench.get("/api/v1/versions/2").await.is(200);
    let export = bench.get("/api/v1/export").await.is(200);
    for reply in [&read, &list, &version, &export] {
        assert!(
            !reply.text.contains(digits) && !reply.text.contains("sha256:"),
            "{}",
            reply.text
        );
    }
    let pushed = stream::Gateway::connect(&bench, "g", None)
        .await
        .next()
        .await
        .to_string();
    let hash = crate::access::KeyHash::of(value).to_text();
    assert!(pushed.contains(&hash) && !pushed.contains(digits), "{pushed}");
    for entry in std::fs::read_dir(bench.folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!holds(digits) && !holds(&hash[7..]));
    }
}

#[tokio::test]
async fn a_key_is_switched_off_and_on_and_deleted() {
    let bench = Bench::start().await;
    let made = bench.send(Method::POST, PATH, &key("his")).await.is(201);
    let place = made.headers["location"].to_str().unwrap();
    let patch = async |body: &Value| bench.send(Method::PATCH, place, body).await;
    assert_eq!(patch(&json!({"isActive": false})).await.is(200).body["isActive"], false);
    let inactive = bench.get(&format!("{PATH}?isActive=false")).await.is(200).body;
    assert_eq!(inactive["producerKeys"][0]["id"], made.body["id"]);
    assert_eq!(patch(&json!({"isActive": true})).await.is(200).body["isActive"], true);
    // The key itself is not for anybody to choose.
    let chosen = patch(&json!({"value": "hunter2"})).await.is(400);
    assert_eq!(chosen.problems(), ["value"]);
    let mut chosen = key("own");
    chosen["value"] = json!("hunter2");
    let refused = bench.send(Method::POST, PATH, &chosen).await.is(400);
    assert!(refused.text.contains("`value`"), "{}", refused.text);
    let refused = bench.send(Method::PUT, place, &key("his")).await.is(405);
    refused.has_code("METHOD_NOT_ALLOWED");
    bench.send(Method::DELETE, place, &Value::Null).await.is(204);
    bench.get(place).await.is(404);
}

#[tokio::test]
async fn a_limited_key_makes_keys_of_its_organization_only() {
    let bench = Bench::start().await;
    let own = bench
        .scoped(
            Method::POST,
            &format!("{PATH}?orgId=648"),
            Some(&json!({"name": "his"})),
        )
        .await
        .is(201);
    assert_eq!(own.body["orgId"], 648);
    let mut foreign = key("his");
    foreign["orgId"] = json!(7);
    bench.scoped(Method::POST, PATH, Some(&foreign)).await.is(403);
    let differs = bench.send(Method::POST, &format!("{PATH}?orgId=648"), &foreign).await;
    assert_eq!(differs.is(400).problems(), ["orgId"]);
    let made = bench.send(Method::POST, PATH, &foreign).await.is(201);
    let place = made.headers["location"].to_str().unwrap();
    bench.scoped(Method::GET, place, None).await.is(404);
    bench.scoped(Method::DELETE, place, None).await.is(404);
    bench
        .scoped(Method::PATCH, place, Some(&json!({"isActive": false})))
        .await
        .is(404);
}

#[tokio::test]
async fn a_key_that_exists_already_comes_by_apply() {
    let bench = Bench::start().await;
    let apply = async |value: Value| {
        let body = json!({"put": [{"kind": "producerKey", "value": value}]});
        bench.send(Method::POST, "/api/v1/apply", &body).await
    };
    let mut given = key("his");
    given["value"] = json!("hunter2");
    assert_eq!(
        apply(given.clone()).await.is(400).problems(),
        ["put[0].value.value"],
        "too short"
    );
    given["value"] = json!("hunter2hunter2");
    let first = apply(given.clone()).await.is(200);
    assert_eq!(first.body["objects"][0]["id"], "648-his");
    assert_eq!(
        apply(given.clone()).await.is(200).body["unchanged"],
        1,
        "the hash is the same"
    );
    let shown = bench.get(&format!("{PATH}/648-his")).await.is(200);
    assert_eq!(
        apply(shown.body).await.is(200).body["unchanged"],
        1,
        "the mask stands for it"
    );
    let mut masked = key("new");
    masked["hash"] = json!("***");
    assert_eq!(apply(masked).await.is(400).problems(), ["put[0].value.hash"]);
    given["hash"] = json!(format!("sha256:{}", "0".repeat(64)));
    assert_eq!(apply(given).await.is(400).problems(), ["put[0].value.value"]);
}

//! Deleted objects, and how they come back.

use super::*;

const SECRET: &str = "outgoing-secret-of-the-lab";

fn with_secret() -> Value {
    let mut integration = integration("lab");
    integration["outgoingAuthType"] = json!("BEARER");
    integration["outgoingAuthConfig"] = json!({"token": SECRET});
    integration
}

async fn trashed(bench: &Bench, query: &str) -> Vec<Value> {
    let page = bench.get(&format!("/api/v1/trash{query}")).await.is(200);
    page.body["trash"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_is_deleted_comes_back_as_it_was() {
    let bench = Bench::start().await;
    let made = bench.put("lab", &with_secret()).await.is(201);
    let place = "/api/v1/inbound-integrations/lab";
    bench.send(Method::DELETE, place, &Value::Null).await.is(204);
    let entries = trashed(&bench, "?orgId=648").await;
    let [entry] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    assert_eq!(
        (&entry["kind"], &entry["objectId"], &entry["name"], &entry["deletedBy"]),
        (&json!("integration"), &json!("lab"), &made.body["name"], &json!("all"))
    );
    let id = entry["id"].as_str().unwrap();
    let shown = bench.get(&format!("/api/v1/trash/{id}")).await.is(200);
    assert_eq!(shown.body["object"]["outgoingAuthConfig"]["token"], "***");
    assert!(!shown.text.contains(SECRET));

    // It survives a restart, and nothing of it lies on disk in clear.
    let bench = bench.restart().await;
    for file in std::fs::read_dir(bench.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    }
    let restored = bench
        .send(Method::POST, &format!("/api/v1/trash/{id}/restore"), &Value::Null)
        .await
        .is(200);
    assert_eq!(restored.body["objectId"], "lab");
    let back = bench.get(place).await.is(200);
    assert_eq!(back.body["createdAt"], made.body["createdAt"]);
    let pushed = stream::Gateway::connect(&bench, "g", None)
        .await
        .next()
        .await
        .to_string();
    assert!(pushed.contains(SECRET), "the secret did not come back");
    assert!(trashed(&bench, "").await.is_empty());
    bench
        .send(Method::POST, &format!("/api/v1/trash/{id}/restore"), &Value::Null)
        .await
        .is(404);
}

#[tokio::test]
async fn what_came_back_must_fit_to_what_is_there() {
    let bench = Bench::start().await;
    bench.put("lab", &integration("lab")).await.is(201);
    let place = "/api/v1/inbound-integrations/lab";
    bench.send(Method::DELETE, place, &Value::Null).await.is(204);
    let id = trashed(&bench, "").await[0]["id"].as_str().unwrap().to_owned();
    let restore = format!("/api/v1/trash/{id}/restore");

    bench.put("lab", &integration("other")).await.is(201);
    bench
        .send(Method::POST, &restore, &Value::Null)
        .await
        .is(409)
        .has_code("CONFLICT");
    bench.send(Method::DELETE, place, &Value::Null).await.is(204);

    // Another active one has the type now.
    bench.put("lab-2", &integration("lab")).await.is(201);
    bench.send(Method::POST, &restore, &Value::Null).await.is(400);
    assert_eq!(
        trashed(&bench, "").await.len(),
        2,
        "a refused return must leave the trash as it is"
    );
    bench
        .send(Method::POST, &format!("{restore}?inactive=true"), &Value::Null)
        .await
        .is(200);
    assert_eq!(bench.get(place).await.is(200).body["isActive"], false);
}

#[tokio::test]
async fn trash_belongs_to_its_organization() {
    let bench = Bench::start().await;
    let mut foreign = integration("lab");
    foreign["orgId"] = json!(7);
    bench.put("foreign", &foreign).await.is(201);
    bench.put("own", &integration("lab")).await.is(201);
    for id in ["foreign", "own"] {
        let place = format!("/api/v1/inbound-integrations/{id}");
        bench.send(Method::DELETE, &place, &Value::Null).await.is(204);
    }
    let entries = trashed(&bench, "").await;
    assert_eq!(entries[0]["objectId"], "own", "the newest deletion comes first");
    let foreign = format!("/api/v1/trash/{}", entries[1]["id"].as_str().unwrap());
    let own = format!("/api/v1/trash/{}", entries[0]["id"].as_str().unwrap());

    bench.scoped(Method::GET, "/api/v1/trash?orgId=7", None).await.is(403);
    let listed = bench.scoped(Method::GET, "/api/v1/trash?orgId=648", None).await.is(200);
    assert_eq!(listed.body["trash"].as_array().unwrap().len(), 1);
    let scoped = |path: &str| format!("{path}?orgId=648");
    bench.scoped(Method::GET, &scoped(&foreign), None).await.is(404);
    bench.scoped(Method::DELETE, &scoped(&foreign), None).await.is(404);
    let restore = |path: &str| format!("{path}/restore?orgId=648");
    bench.scoped(Method::POST, &restore(&foreign), None).await.is(404);
    bench.get(&foreign).await.is(200);

    bench.scoped(Method::DELETE, &scoped(&own), None).await.is(204);
    bench.get(&own).await.is(404);
}

#[tokio::test]
async fn trash_is_listed_page_by_page_and_by_kind() {
    let bench = Bench::start().await;
    for id in ["a", "b", "c"] {
        bench.put(id, &integration(id)).await.is(201);
    }
    let lookup = json!({"orgId": 648, "name": "codes", "entries": {"F": "female"}});
    bench.send(Method::PUT, "/api/v1/lookups/codes", &lookup).await.is(201);
    let all = json!({"action": "delete", "ids": ["a", "b", "c"]});
    let deleted = bench
        .send(Method::POST, "/api/v1/inbound-integrations/bulk", &all)
        .await
        .is(200);
    assert_eq!(deleted.body["deleted"], 3);
    bench
        .send(Method::DELETE, "/api/v1/lookups/codes", &Value::Null)
        .await
        .is(204);

    assert_eq!(trashed(&bench, "?kind=lookup").await.len(), 1);
    let first = bench.get("/api/v1/trash?kind=integration&limit=2").await.is(200);
    assert_eq!(
        (&first.body["hasMore"], first.body["trash"].as_array().unwrap().len()),
        (&json!(true), 2)
    );
    let next = first.body["nextCursor"].as_str().unwrap();
    let second = bench
        .get(&format!("/api/v1/trash?kind=integration&limit=2&cursor={next}"))
        .await
        .is(200);
    assert_eq!(
        (&second.body["hasMore"], second.body["trash"].as_array().unwrap().len()),
        (&json!(false), 1)
    );
    bench.get("/api/v1/trash?limit=0").await.is(400);
    bench.get("/api/v1/trash?kind=nothing").await.is(400);
}

#[tokio::test]
async fn whoever_gets_the_number_of_a_deleted_organization_sees_nothing_of_it() {
    let bench = Bench::start().await;
    let place = "/api/v1/admin/organizations/648";
    let organization = |name: &str| json!({"orgId": 648, "name": name});
    bench.send(Method::PUT, place, &organization("old")).await.is(201);
    let template = json!({
        "orgId": 648, "name": "of the old one", "kind": "INBOUND", "parameters": [],
        "body": {"name": "Orders", "type": "orders", "targetUrl": "https://partner.example/api"},
    });
    bench.send(Method::POST, "/api/v1/templates", &template).await.is(201);
    let console = json!({"orgId": 648, "title": "of the old one"});
    bench
        .send(Method::PUT, "/api/v1/ui-config?orgId=648", &console)
        .await
        .is(200);
    let days = json!({"retentionDays": 3});
    bench
        .send(Method::PUT, &format!("{place}/retention"), &days)
        .await
        .is(200);
    bench.put("lab", &integration("lab")).await.is(201);
    let lab = "/api/v1/inbound-integrations/lab";
    bench.send(Method::DELETE, lab, &Value::Null).await.is(204);
    bench.send(Method::DELETE, place, &Value::Null).await.is(204);

    // It comes back with its trash, not with its documents.
    let entries = trashed(&bench, "").await;
    let id = entries.iter().find(|entry| entry["kind"] == "organization").unwrap()["id"].clone();
    let path = format!("/api/v1/trash/{}/restore", id.as_str().unwrap());
    bench.send(Method::POST, &path, &Value::Null).await.is(200);
    assert_eq!(trashed(&bench, "?orgId=648").await.len(), 1);
    let templates = bench.get("/api/v1/templates?orgId=648").await.is(200);
    assert!(!templates.text.contains("of the old one"), "{}", templates.text);

    bench.send(Method::DELETE, place, &Value::Null).await.is(204);
    bench.send(Method::PUT, place, &organization("new")).await.is(201);
    assert!(trashed(&bench, "?orgId=648").await.is_empty());
    let shown = bench.get("/api/v1/ui-config?orgId=648").await.is(200);
    assert!(!shown.text.contains("of the old one"), "{}", shown.text);
    let kept = bench.get(&format!("{place}/retention")).await.is(200);
    assert_eq!(kept.body["isOwn"], false);
}

//! Integrations and organizations: made, read, changed, deleted.

use super::*;

const SECRETS: [&str; 3] = ["inbound-secret-1", "inbound-secret-2", "outgoing-secret"];

fn with_secrets() -> Value {
    let mut integration = integration("lab");
    integration["inboundAuthType"] = json!("API_KEY");
    integration["inboundAuthConfig"] =
        json!({"keys": [{"name": "a", "value": SECRETS[0]}, {"name": "b", "value": SECRETS[1]}]});
    integration["outgoingAuthType"] = json!("BEARER");
    integration["outgoingAuthConfig"] = json!({"token": SECRETS[2]});
    integration
}

#[tokio::test]
async fn an_integration_lives_from_post_to_delete() {
    let bench = Bench::start().await;
    let made = bench
        .send(Method::POST, "/api/v1/inbound-integrations", &integration("lab"))
        .await
        .is(201);
    let place = made.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(
        place,
        format!("/api/v1/inbound-integrations/{}", made.body["id"].as_str().unwrap())
    );
    assert!(
        made.body["createdAt"].is_string() && made.body["isActive"] == true,
        "{}",
        made.text
    );

    let read = bench.get(&place).await.is(200);
    assert_eq!((&read.tag, &read.body), (&made.tag, &made.body));

    let mut next = integration("lab");
    next["name"] = json!("Renamed");
    let replaced = bench.send(Method::PUT, &place, &next).await.is(200);
    assert_eq!(replaced.body["name"], "Renamed");
    assert_eq!(replaced.body["createdAt"], made.body["createdAt"]);
    assert_ne!(replaced.tag, made.tag);

    let patched = bench
        .send(Method::PATCH, &place, &json!({"isActive": false}))
        .await
        .is(200);
    assert_eq!(
        (&patched.body["isActive"], &patched.body["name"]),
        (&json!(false), &json!("Renamed"))
    );

    bench.send(Method::DELETE, &place, &Value::Null).await.is(204);
    bench.get(&place).await.is(404).has_code("NOT_FOUND");
    bench.send(Method::DELETE, &place, &Value::Null).await.is(404);
}

#[tokio::test]
async fn no_answer_shows_a_secret_and_masks_written_back_keep_it() {
    let bench = Bench::start().await;
    let first = bench.put("lab", &with_secrets()).await.is(201);
    let again = bench.put("lab", &first.body).await.is(200);
    assert_eq!(again.tag, first.tag, "the masked document is the same integration");
    let patched = bench
        .send(
            Method::PATCH,
            "/api/v1/inbound-integrations/lab",
            &json!({"name": "New"}),
        )
        .await
        .is(200);
    let version = bench.get("/api/v1/versions/2").await.is(200);
    let list = bench.get("/api/v1/inbound-integrations").await.is(200);
    let export = bench.get("/api/v1/export").await.is(200);
    for reply in [&first, &again, &patched, &version, &list, &export] {
        assert!(reply.text.contains("***"), "{}", reply.text);
        assert!(!reply.text.contains("sha256:"), "{}", reply.text);
        for secret in SECRETS {
            assert!(!reply.text.contains(secret), "{}", reply.text);
        }
    }
    assert_eq!(
        bench.get("/api/v1/versions").await.body["versions"][0]["version"],
        3,
        "the unchanged PUT made none"
    );

    // What gateways are told still has them: the outgoing one in clear, the inbound ones as hashes.
    let pushed = stream::Gateway::connect(&bench, "g", None)
        .await
        .next()
        .await
        .to_string();
    assert!(
        pushed.contains(SECRETS[2]) && !pushed.contains(SECRETS[0]) && !pushed.contains("***"),
        "{pushed}"
    );
    // In the store there is nothing in clear, and neither in the log of changes.
    for entry in std::fs::read_dir(bench.folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in SECRETS {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
}

#[tokio::test]
async fn a_mask_without_a_stored_secret_is_refused() {
    let bench = Bench::start().await;
    let mut integration = with_secrets();
    integration["outgoingAuthConfig"]["token"] = json!("***");
    integration["inboundAuthConfig"]["keys"][1]["value"] = json!("***");
    let refused = bench.put("lab", &integration).await.is(400);
    assert_eq!(
        refused.problems(),
        ["inboundAuthConfig.keys[1].value", "outgoingAuthConfig.token"]
    );
}

#[tokio::test]
async fn a_tag_guards_against_lost_updates() {
    let bench = Bench::start().await;
    let first = bench.put("lab", &integration("lab")).await.is(201);
    let tag = first.tag.unwrap();
    let mut next = integration("lab");
    next["name"] = json!("Mine");
    let with = |method, tag: &str| {
        bench
            .request(method, "/api/v1/inbound-integrations/lab")
            .header("If-Match", tag)
            .json(&next)
    };
    Reply::of(with(Method::PUT, &tag)).await.is(200);
    Reply::of(with(Method::PUT, &tag))
        .await
        .is(412)
        .has_code("PRECONDITION_FAILED");
    let patch = bench
        .request(Method::PATCH, "/api/v1/inbound-integrations/lab")
        .header("If-Match", &tag);
    Reply::of(patch.json(&json!({"isActive": false}))).await.is(412);
    Reply::of(with(Method::DELETE, &format!("W/{tag}"))).await.is(412);
    Reply::of(with(Method::DELETE, "*")).await.is(204);
    Reply::of(with(Method::PUT, "*")).await.is(412);
}

#[tokio::test]
async fn what_is_to_be_made_anew_overwrites_nothing() {
    let bench = Bench::start().await;
    for (path, body) in [
        ("/api/v1/inbound-integrations/lab", integration("lab")),
        ("/api/v1/admin/organizations/648", json!({"name": "Clinic"})),
    ] {
        let put = |tags: &str| {
            bench
                .request(Method::PUT, path)
                .header("If-None-Match", tags)
                .json(&body)
        };
        let tag = Reply::of(put("*")).await.is(201).tag.unwrap();
        Reply::of(put("*")).await.is(412).has_code("PRECONDITION_FAILED");
        Reply::of(put(&format!("\"other\", W/{tag}"))).await.is(412);
        Reply::of(put("\"other\"")).await.is(200);
    }
}

#[tokio::test]
async fn lists_are_paged_and_filtered() {
    let bench = Bench::start().await;
    for (id, kind) in [("a", "lab"), ("b", "billing"), ("c", "lab-orders"), ("d", "scans")] {
        bench.put(id, &integration(kind)).await.is(201);
    }
    bench
        .send(
            Method::PATCH,
            "/api/v1/inbound-integrations/d",
            &json!({"isActive": false}),
        )
        .await
        .is(200);
    let list = async |query: &str| {
        bench
            .get(&format!("/api/v1/inbound-integrations{query}"))
            .await
            .is(200)
            .body
    };
    let ids = |page: &Value| -> Vec<String> {
        page["integrations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect()
    };

    let first = list("?limit=3").await;
    assert_eq!(ids(&first), ["a", "b", "c"]);
    assert_eq!(
        (&first["total"], &first["page"], &first["limit"]),
        (&json!(4), &json!(1), &json!(3))
    );
    assert_eq!(first["hasMore"], true);
    let second = list("?limit=3&page=2").await;
    assert_eq!(
        (ids(&second), &second["hasMore"]),
        (vec!["d".to_owned()], &json!(false))
    );
    assert_eq!(ids(&list("?page=99999999999999").await), Vec::<String>::new());
    assert_eq!(ids(&list("?isActive=false").await), ["d"]);
    assert_eq!(ids(&list("?type=lab").await), ["a"]);
    assert_eq!(ids(&list("?search=LAB").await), ["a", "c"]);
    assert_eq!(
        ids(&list("?orgId=648&isActive=true&search=partner.example").await),
        ["a", "b", "c"]
    );
    assert_eq!(ids(&list("?orgId=1").await), Vec::<String>::new());
}

#[tokio::test]
async fn a_page_by_place_is_shifted_by_nothing() {
    let bench = Bench::start().await;
    for (id, kind) in [("a", "lab"), ("b", "billing"), ("c", "lab-orders"), ("d", "scans")] {
        bench.put(id, &integration(kind)).await.is(201);
    }
    let list = async |query: &str| {
        bench
            .get(&format!("/api/v1/inbound-integrations{query}"))
            .await
            .is(200)
            .body
    };
    let ids = |page: &Value| -> Vec<String> {
        let list = page["integrations"].as_array().unwrap().iter();
        list.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let first = list("?limit=3").await;
    assert_eq!(first["nextCursor"], "c");
    // It goes on behind an object that is gone by then, and before one that is new.
    bench
        .send(Method::DELETE, "/api/v1/inbound-integrations/c", &Value::Null)
        .await
        .is(204);
    bench.put("cc", &integration("new")).await.is(201);
    let rest = list("?limit=1&cursor=c").await;
    assert_eq!((ids(&rest), &rest["nextCursor"]), (vec!["cc".to_owned()], &json!("cc")));
    assert_eq!((&rest["total"], &rest["page"]), (&Value::Null, &Value::Null));
    let last = list("?limit=1&cursor=cc").await;
    assert_eq!((ids(&last), &last["hasMore"]), (vec!["d".to_owned()], &json!(false)));
    assert_eq!(last.get("nextCursor"), None);
    for (query, path) in [("cursor=a&page=1", "cursor"), ("cursor=a&limit=0", "limit")] {
        let path_of = bench
            .get(&format!("/api/v1/inbound-integrations?{query}"))
            .await
            .is(400);
        assert_eq!(path_of.problems(), [path], "{query}");
    }
    let refused = bench.get("/api/v1/admin/organizations?cursor=x").await.is(400);
    assert_eq!(refused.problems(), ["cursor"]);
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let bench = Bench::start().await;
    let made = bench.put("lab", &with_secrets()).await.is(201);
    bench
        .send(
            Method::PUT,
            "/api/v1/admin/organizations/648",
            &json!({"name": "Clinic"}),
        )
        .await
        .is(201);
    let bench = bench.restart().await;
    let read = bench.get("/api/v1/inbound-integrations/lab").await.is(200);
    assert_eq!((read.body, read.tag), (made.body, made.tag));
    assert_eq!(
        bench.get("/api/v1/admin/organizations/648").await.is(200).body["name"],
        "Clinic"
    );
    let versions = bench.get("/api/v1/versions").await.is(200);
    assert_eq!(versions.body["versions"][0]["version"], 3);
    assert_eq!(versions.body["versions"][0]["author"], "all");
}

#[tokio::test]
async fn organizations_are_kept_until_nothing_belongs_to_them() {
    let bench = Bench::start().await;
    let path = "/api/v1/admin/organizations/648";
    let body = json!({"name": "Clinic", "rateLimit": {"maxRequests": 10}, "allowedNetworks": ["10.0.0.0/8"]});
    let made = bench.send(Method::PUT, path, &body).await.is(201);
    assert_eq!(made.body["allowedNetworks"], json!(["10.0.0.0/8"]));
    bench.put("lab", &integration("lab")).await.is(201);
    bench
        .send(Method::DELETE, path, &Value::Null)
        .await
        .is(409)
        .has_code("CONFLICT");
    bench
        .send(Method::DELETE, "/api/v1/inbound-integrations/lab", &Value::Null)
        .await
        .is(204);
    bench.send(Method::DELETE, path, &Value::Null).await.is(204);
    assert_eq!(bench.get("/api/v1/admin/organizations").await.is(200).body["total"], 0);
}

#[tokio::test]
async fn validate_saves_nothing() {
    let bench = Bench::start().await;
    let path = "/api/v1/inbound-integrations/validate";
    let good = bench.send(Method::POST, path, &integration("lab")).await.is(200);
    assert_eq!(good.body, json!({"valid": true, "problems": []}));
    let bad = bench
        .send(Method::POST, path, &json!({"name": 1, "colour": "red", "orgId": 648}))
        .await
        .is(200);
    assert_eq!(bad.body["valid"], false);
    for part in ["name", "colour", "type"] {
        assert!(bad.text.contains(part), "{}", bad.text);
    }
    assert_eq!(bench.get("/api/v1/inbound-integrations").await.is(200).body["total"], 0);
}

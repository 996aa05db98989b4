//! Copies, switches, and one thing done to many.

use super::*;

#[tokio::test]
async fn a_copy_is_inactive_and_has_its_own_name_and_secrets() {
    let bench = Bench::start().await;
    let mut original = integration("lab");
    original["outgoingAuthType"] = json!("BEARER");
    original["outgoingAuthConfig"] = json!({"token": "outgoing-secret"});
    let original = bench.put("lab", &original).await.is(201).body;
    let path = "/api/v1/inbound-integrations/lab/clone";
    let copy = Reply::of(bench.request(Method::POST, path)).await.is(201);
    assert_ne!(copy.body["id"], "lab");
    assert_eq!(
        copy.headers["location"].to_str().unwrap(),
        format!("/api/v1/inbound-integrations/{}", copy.body["id"].as_str().unwrap())
    );
    assert_eq!(
        (&copy.body["name"], &copy.body["isActive"]),
        (&json!("The lab (copy)"), &json!(false))
    );
    assert_eq!(copy.body["outgoingAuthConfig"], original["outgoingAuthConfig"]);
    let second = Reply::of(bench.request(Method::POST, path)).await.is(201);
    assert_eq!(second.body["name"], "The lab (copy 2)");

    // The secret went along: what is pushed has it twice more.
    let pushed = stream::Gateway::connect(&bench, "g", None)
        .await
        .next()
        .await
        .to_string();
    assert_eq!(pushed.matches("outgoing-secret").count(), 3);

    let overrides = json!({"id": "mine", "type": "mine", "isActive": true, "name": "Mine"});
    let mine = bench.send(Method::POST, path, &overrides).await.is(201).body;
    assert_eq!(
        (&mine["id"], &mine["type"], &mine["isActive"], &mine["name"]),
        (&json!("mine"), &json!("mine"), &json!(true), &json!("Mine"))
    );
    bench
        .send(Method::POST, path, &overrides)
        .await
        .is(409)
        .has_code("CONFLICT");
    assert_eq!(
        bench
            .send(Method::POST, path, &json!({"orgId": 7}))
            .await
            .is(400)
            .problems(),
        ["orgId"]
    );
    let wrong = bench.send(Method::POST, path, &json!({"targetUrl": 1})).await.is(400);
    assert_eq!(wrong.problems(), ["targetUrl"]);
    bench
        .send(Method::POST, "/api/v1/inbound-integrations/none/clone", &json!({}))
        .await
        .is(404);
}

#[tokio::test]
async fn tables_and_event_types_are_copied_under_free_names() {
    let bench = Bench::start().await;
    let lookup = json!({"orgId": 648, "name": "codes", "entries": {"F": "female"}});
    bench.send(Method::PUT, "/api/v1/lookups/codes", &lookup).await.is(201);
    let copy = Reply::of(bench.request(Method::POST, "/api/v1/lookups/codes/clone"))
        .await
        .is(201);
    assert_eq!(
        (&copy.body["name"], &copy.body["entries"]),
        (&json!("codes (copy)"), &lookup["entries"])
    );
    let event_type = json!({"orgId": 648, "eventType": "bill.generated", "actionId": 1});
    bench
        .send(Method::PUT, "/api/v1/event-types/bill", &event_type)
        .await
        .is(201);
    let copy = Reply::of(bench.request(Method::POST, "/api/v1/event-types/bill/clone"))
        .await
        .is(201);
    assert_eq!(
        (&copy.body["eventType"], copy.body.get("actionId")),
        (&json!("bill.generated-copy"), None)
    );
}

#[tokio::test]
async fn objects_are_switched_on_and_off() {
    let bench = Bench::start().await;
    let made = bench.put("lab", &integration("lab")).await.is(201);
    let path = "/api/v1/inbound-integrations/lab";
    let off = Reply::of(bench.request(Method::POST, &format!("{path}/deactivate")))
        .await
        .is(200);
    assert_eq!(off.body["isActive"], false);
    let again = Reply::of(bench.request(Method::POST, &format!("{path}/deactivate")))
        .await
        .is(200);
    assert_eq!(again.tag, off.tag, "nothing was to be done");
    let stale = bench
        .request(Method::POST, &format!("{path}/activate"))
        .header("If-Match", made.tag.unwrap());
    Reply::of(stale).await.is(412).has_code("PRECONDITION_FAILED");
    let on = Reply::of(bench.request(Method::POST, &format!("{path}/activate")))
        .await
        .is(200);
    assert_eq!(on.body["isActive"], true);

    // What cannot be active is not switched on.
    bench
        .put(
            "rival",
            &json!({"name": "R", "type": "lab", "orgId": 648, "isActive": false,
        "targetUrl": "https://partner.example/api"}),
        )
        .await
        .is(201);
    Reply::of(bench.request(Method::POST, "/api/v1/inbound-integrations/rival/activate"))
        .await
        .is(400);
    Reply::of(bench.request(Method::POST, "/api/v1/inbound-integrations/none/activate"))
        .await
        .is(404);
}

#[tokio::test]
async fn many_are_changed_all_or_none() {
    let bench = Bench::start().await;
    for id in ["a", "b", "c"] {
        bench.put(id, &integration(id)).await.is(201);
    }
    let mut foreign = integration("f");
    foreign["orgId"] = json!(7);
    bench.put("foreign", &foreign).await.is(201);
    let path = "/api/v1/inbound-integrations/bulk";
    let body = |action: &str, ids: &[&str]| json!({"action": action, "ids": ids});
    let active = async || {
        bench
            .get("/api/v1/inbound-integrations?orgId=648&isActive=true")
            .await
            .body["total"]
            .clone()
    };

    let tried = json!({"action": "deactivate", "ids": ["a", "b"], "dryRun": true});
    assert_eq!(bench.send(Method::POST, path, &tried).await.is(200).body["changed"], 2);
    assert_eq!(active().await, 3);
    let absent = bench
        .send(Method::POST, path, &body("deactivate", &["a", "none", "b"]))
        .await
        .is(404);
    assert!(absent.text.contains("none"), "{}", absent.text);
    assert_eq!(active().await, 3);
    let scoped = format!("{path}?orgId=648");
    bench
        .scoped(Method::POST, &scoped, Some(&body("delete", &["a", "foreign"])))
        .await
        .is(404);
    assert_eq!(bench.get("/api/v1/inbound-integrations").await.body["total"], 4);
    let done = bench
        .scoped(Method::POST, &scoped, Some(&body("deactivate", &["a", "b"])))
        .await
        .is(200);
    assert_eq!((&done.body["changed"], active().await), (&json!(2), json!(1)));
}

#[tokio::test]
async fn a_change_of_many_says_what_it_is_about() {
    let bench = Bench::start().await;
    let path = "/api/v1/inbound-integrations/bulk";
    let body = |action: &str, ids: &[&str]| json!({"action": action, "ids": ids});
    let twice = bench
        .send(Method::POST, path, &body("activate", &["a", "a"]))
        .await
        .is(400);
    assert_eq!(twice.problems(), ["ids[1]"]);
    assert_eq!(
        bench
            .send(Method::POST, path, &body("activate", &[]))
            .await
            .is(400)
            .problems(),
        ["ids"]
    );
    let many: Vec<String> = (0..501).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        bench
            .send(Method::POST, path, &body("delete", &many))
            .await
            .is(400)
            .problems(),
        ["ids"]
    );

    let lookup = json!({"orgId": 648, "name": "codes", "entries": {}});
    bench.send(Method::PUT, "/api/v1/lookups/codes", &lookup).await.is(201);
    let refused = bench
        .send(Method::POST, "/api/v1/lookups/bulk", &body("activate", &["codes"]))
        .await
        .is(400);
    assert_eq!(refused.problems(), ["action"]);
}

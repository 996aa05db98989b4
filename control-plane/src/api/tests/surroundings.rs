//! What integrations refer to: organizations, units, event types.

use super::*;

const ORGANIZATIONS: &str = "/api/v1/admin/organizations";
const UNITS: &str = "/api/v1/admin/org-units";
const EVENT_TYPES: &str = "/api/v1/event-types";

fn clinic() -> Value {
    json!({"orgId": 648, "name": "Clinic", "code": "CLN", "email": "it@clinic.example", "phone": "+91 80 5550 0100",
        "address": "1 Shore Road", "tags": ["south"], "region": "IN-KA", "timezone": "Asia/Kolkata"})
}

fn unit(rid: u64, org_id: u64) -> Value {
    json!({"rid": rid, "orgId": org_id, "name": format!("Unit {rid}"), "timezone": "Asia/Kolkata"})
}

fn event_type(name: &str) -> Value {
    json!({"orgId": 648, "eventType": name, "actionId": 43, "name": "Bill generated", "schema": {
        "type": "object", "required": ["bill"], "properties": {"bill": {"type": "object"}}}})
}

#[tokio::test]
async fn an_organization_is_made_changed_and_deleted() {
    let bench = Bench::start().await;
    let made = bench.send(Method::POST, ORGANIZATIONS, &clinic()).await.is(201);
    assert_eq!(made.headers["location"], "/api/v1/admin/organizations/648");
    for (field, value) in clinic().as_object().unwrap() {
        assert_eq!(made.body[field], *value);
    }
    assert!(
        made.body["createdAt"].is_string() && made.body["updatedAt"].is_string(),
        "{}",
        made.text
    );
    bench
        .send(Method::POST, ORGANIZATIONS, &clinic())
        .await
        .is(409)
        .has_code("CONFLICT");
    let place = format!("{ORGANIZATIONS}/648");
    let patched = bench
        .send(Method::PATCH, &place, &json!({"region": "IN-KL"}))
        .await
        .is(200);
    assert_eq!(
        (&patched.body["region"], &patched.body["code"]),
        (&json!("IN-KL"), &json!("CLN"))
    );
    let found = bench
        .get(&format!("{ORGANIZATIONS}?search=clinic.example"))
        .await
        .is(200);
    assert_eq!(
        (&found.body["total"], &found.body["organizations"][0]["orgId"]),
        (&json!(1), &json!(648))
    );
    let mut wrong = clinic();
    wrong["timezone"] = json!("Asia/Bangalore");
    wrong["tags"] = json!(["", "x"]);
    let refused = bench.send(Method::PUT, &place, &wrong).await.is(400);
    let mut paths = refused.problems();
    paths.sort_unstable();
    assert_eq!(paths, ["tags[0]", "timezone"]);
    wrong["orgId"] = json!(7);
    assert_eq!(
        bench.send(Method::PUT, &place, &wrong).await.is(400).problems(),
        ["orgId"]
    );
    bench.send(Method::DELETE, &place, &Value::Null).await.is(204);
    bench.get(&place).await.is(404);
}

#[tokio::test]
async fn an_organization_is_not_deleted_while_it_has_something() {
    let bench = Bench::start().await;
    bench.send(Method::POST, ORGANIZATIONS, &clinic()).await.is(201);
    bench.put("lab", &integration("lab")).await.is(201);
    bench.send(Method::POST, UNITS, &unit(84, 648)).await.is(201);
    let place = format!("{ORGANIZATIONS}/648");
    let refused = bench.send(Method::DELETE, &place, &Value::Null).await.is(409);
    refused.has_code("CONFLICT");
    for what in ["unit 84", "integration \\\"lab\\\""] {
        assert!(refused.text.contains(what), "{what}: {}", refused.text);
    }
    let all = |more: &[Value]| {
        let mut delete = vec![
            json!({"kind": "organization", "id": 648}),
            json!({"kind": "unit", "id": 84}),
        ];
        delete.extend_from_slice(more);
        json!({ "delete": delete })
    };
    let part = bench.send(Method::POST, "/api/v1/apply", &all(&[])).await.is(409);
    assert!(
        part.text.contains("lab") && !part.text.contains("unit 84"),
        "{}",
        part.text
    );
    let whole = all(&[json!({"kind": "integration", "id": "lab"})]);
    assert_eq!(
        bench.send(Method::POST, "/api/v1/apply", &whole).await.is(200).body["deleted"],
        3
    );
}

#[tokio::test]
async fn a_unit_is_kept_by_its_number() {
    let bench = Bench::start().await;
    let made = bench.send(Method::POST, UNITS, &unit(84, 648)).await.is(201);
    assert_eq!(made.headers["location"], "/api/v1/admin/org-units/84");
    bench.send(Method::POST, UNITS, &unit(84, 648)).await.is(409);
    let place = format!("{UNITS}/84");
    let named = json!({"orgId": 648, "name": "North", "code": "N"});
    assert_eq!(bench.send(Method::PUT, &place, &named).await.is(200).body["rid"], 84);
    let other = bench.send(Method::PUT, &place, &unit(85, 648)).await.is(400);
    assert_eq!(other.problems(), ["rid"]);
    let moved = bench.send(Method::PUT, &place, &unit(84, 7)).await.is(400);
    assert_eq!(moved.problems(), ["orgId"]);
    let fixed = bench
        .send(Method::PATCH, &place, &json!({"rid": 85, "name": "South"}))
        .await;
    assert_eq!(fixed.is(400).problems(), ["rid"]);
    assert_eq!(
        bench.get(&format!("{UNITS}?search=north")).await.is(200).body["units"][0]["code"],
        "N"
    );
    let no_number = bench.get(&format!("{UNITS}/north")).await.is(404);
    assert_eq!(no_number.body["error"], "the organization unit \"north\" is not there");
    bench.send(Method::DELETE, &place, &Value::Null).await.is(204);
}

#[tokio::test]
async fn a_unit_is_not_deleted_while_a_subscription_names_it() {
    let bench = Bench::start().await;
    for rid in [84, 85] {
        bench.send(Method::POST, UNITS, &unit(rid, 648)).await.is(201);
    }
    let mut of_unit = outbound("Of the unit");
    of_unit["tenantId"] = json!(84);
    let mut without = outbound("Without the unit");
    without["excludedEntityRids"] = json!([85]);
    for (id, value) in [("of", &of_unit), ("without", &without)] {
        bench
            .send(Method::PUT, &format!("/api/v1/outbound-integrations/{id}"), value)
            .await
            .is(201);
    }
    for (rid, by) in [(84, "of"), (85, "without")] {
        let refused = bench
            .send(Method::DELETE, &format!("{UNITS}/{rid}"), &Value::Null)
            .await
            .is(409);
        let text = format!("unit {rid} is named by outbound integration \"{by}\"; delete or change that first");
        assert_eq!(refused.body["error"], text);
    }
}

#[tokio::test]
async fn an_event_type_lives_from_post_to_delete() {
    let bench = Bench::start().await;
    let made = bench
        .send(Method::POST, EVENT_TYPES, &event_type("bill.generated"))
        .await
        .is(201);
    let place = made.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(made.body["schema"]["required"], json!(["bill"]));
    let found = bench
        .get(&format!("{EVENT_TYPES}?actionId=43&eventType=bill.generated"))
        .await
        .is(200);
    assert_eq!(found.body["eventTypes"][0]["id"], made.body["id"]);
    let patched = bench
        .send(Method::PATCH, &place, &json!({"schema": null}))
        .await
        .is(200);
    assert!(patched.body.get("schema").is_none());
    bench.send(Method::DELETE, &place, &Value::Null).await.is(204);
}

#[tokio::test]
async fn another_organization_s_are_not_there() {
    let bench = Bench::start().await;
    let foreign = [
        (UNITS, "84", json!({"orgId": 7, "name": "North"})),
        (EVENT_TYPES, "paid", json!({"orgId": 7, "eventType": "bill.paid"})),
        ("/api/v1/outbound-integrations", "bills", {
            let mut value = outbound("Bills");
            value["orgId"] = json!(7);
            value
        }),
    ];
    for (path, id, value) in &foreign {
        let place = format!("{path}/{id}");
        bench.send(Method::PUT, &place, value).await.is(201);
        bench.scoped(Method::GET, &place, None).await.is(404);
        bench.scoped(Method::DELETE, &place, None).await.is(404);
        bench
            .scoped(Method::PATCH, &place, Some(&json!({"name": "x"})))
            .await
            .is(404);
        bench.scoped(Method::PUT, &place, Some(value)).await.is(403);
        let mut taken = value.clone();
        taken["orgId"] = json!(648);
        bench.scoped(Method::PUT, &place, Some(&taken)).await.is(404);
        assert_eq!(
            bench.scoped(Method::GET, path, None).await.is(400).problems(),
            ["orgId"]
        );
        let own = bench
            .scoped(Method::GET, &format!("{path}?orgId=648"), None)
            .await
            .is(200);
        assert_eq!(own.body["total"], 0, "{}", own.text);
        bench
            .scoped(Method::GET, &format!("{path}?orgId=7"), None)
            .await
            .is(403);
        let own = format!("{path}/4711");
        bench.scoped(Method::PUT, &own, Some(&taken)).await.is(201);
        bench.scoped(Method::DELETE, &own, None).await.is(204);
        assert_eq!(bench.get(&place).await.is(200).body["orgId"], 7, "it is as it was");
    }
    let kinds = [
        ("unit", json!(84)),
        ("eventType", json!("paid")),
        ("outbound", json!("bills")),
    ];
    let delete: Vec<Value> = kinds.iter().map(|(kind, id)| json!({"kind": kind, "id": id})).collect();
    let applied = bench
        .scoped(Method::POST, "/api/v1/apply", Some(&json!({ "delete": delete })))
        .await
        .is(200);
    assert_eq!(applied.body["deleted"], 0, "{}", applied.text);
}

#[tokio::test]
async fn an_export_of_every_kind_applied_again_changes_nothing() {
    let bench = Bench::start().await;
    bench.send(Method::POST, ORGANIZATIONS, &clinic()).await.is(201);
    bench.send(Method::POST, UNITS, &unit(84, 648)).await.is(201);
    bench
        .send(Method::POST, EVENT_TYPES, &event_type("bill.generated"))
        .await
        .is(201);
    bench
        .send(
            Method::POST,
            "/api/v1/producer-keys",
            &json!({"orgId": 648, "name": "his"}),
        )
        .await
        .is(201);
    bench.put("lab", &integration("lab")).await.is(201);
    bench
        .send(Method::POST, "/api/v1/outbound-integrations", &outbound("Bills"))
        .await
        .is(201);
    let export = bench.get("/api/v1/export?orgId=648").await.is(200).body;
    let mut put = Vec::new();
    for (list, kind) in [
        ("organizations", "organization"),
        ("units", "unit"),
        ("eventTypes", "eventType"),
        ("producerKeys", "producerKey"),
        ("integrations", "integration"),
    ] {
        for value in export[list].as_array().unwrap() {
            let outbound = value["direction"] == "OUTBOUND";
            put.push(json!({"kind": if outbound { "outbound" } else { kind }, "value": value}));
        }
    }
    assert_eq!(put.len(), 6);
    let again = bench
        .send(Method::POST, "/api/v1/apply", &json!({ "put": put }))
        .await
        .is(200)
        .body;
    assert_eq!(
        (&again["unchanged"], &again["changed"]),
        (&json!(6), &json!(0)),
        "{again}"
    );
    let last = bench.get("/api/v1/versions/7").await.is(200).body;
    assert_eq!(last["integrations"][0]["direction"], "OUTBOUND");
    assert_eq!(
        bench.get("/api/v1/versions/3").await.is(200).body["units"][0]["rid"],
        84
    );
    let restarted = bench.restart().await;
    assert_eq!(restarted.get("/api/v1/export?orgId=648").await.is(200).body, export);
}

#[tokio::test]
async fn what_only_one_may_have_is_refused_where_it_was_sent() {
    let bench = Bench::start().await;
    bench.send(Method::POST, ORGANIZATIONS, &clinic()).await.is(201);
    bench.send(Method::POST, UNITS, &unit(84, 648)).await.is(201);
    // Whether the other one comes before or after in the order of identifiers.
    for (at, name) in [("m", "bill.paid"), ("a", "bill.paid"), ("z", "bill.paid")] {
        let mut value = event_type(name);
        value["id"] = json!(at);
        let reply = bench.send(Method::POST, EVENT_TYPES, &value).await;
        if at == "m" {
            reply.is(201);
            continue;
        }
        let refused = reply.is(400);
        assert_eq!(refused.problems(), ["eventType", "actionId"]);
        assert!(refused.text.contains("event type \\\"m\\\""), "{}", refused.text);
    }
    let mut other_organization = event_type("bill.paid");
    other_organization["orgId"] = json!(7);
    bench.send(Method::POST, EVENT_TYPES, &other_organization).await.is(201);

    let key = |id: &str| json!({"id": id, "orgId": 648, "name": "his"});
    bench
        .send(Method::POST, "/api/v1/producer-keys", &key("m"))
        .await
        .is(201);
    for id in ["a", "z"] {
        let refused = bench
            .send(Method::POST, "/api/v1/producer-keys", &key(id))
            .await
            .is(400);
        assert_eq!(refused.problems(), ["name"]);
    }
    let number = bench.send(Method::POST, UNITS, &unit(648, 648)).await.is(400);
    assert_eq!(number.problems(), ["rid"]);
    let number = json!({"orgId": 84});
    assert_eq!(
        bench
            .send(Method::POST, ORGANIZATIONS, &number)
            .await
            .is(400)
            .problems(),
        ["orgId"]
    );
}

#[tokio::test]
async fn problems_of_the_compiler_name_the_field_of_the_body() {
    let bench = Bench::start().await;
    let mut wrong = event_type("bill..paid");
    wrong["schema"] = json!({"type": "objekt"});
    let refused = bench.send(Method::POST, EVENT_TYPES, &wrong).await.is(400);
    let paths = refused.problems();
    assert!(paths.contains(&"eventType"), "{}", refused.text);
    assert!(paths.iter().any(|path| path.starts_with("schema")), "{}", refused.text);
    let verdict = bench
        .send(Method::POST, &format!("{EVENT_TYPES}/validate"), &wrong)
        .await
        .is(200);
    assert_eq!(verdict.body["valid"], false);

    let mut wrong = outbound("Bills");
    wrong["actionId"] = json!(43);
    wrong["retry"] = json!({"type": "list", "delaysMs": []});
    wrong["filter"] = json!({"field": "a"});
    let refused = bench
        .send(Method::POST, "/api/v1/outbound-integrations", &wrong)
        .await
        .is(400);
    for path in ["actionId", "retry", "filter"] {
        assert!(
            refused.problems().iter().any(|found| found.starts_with(path)),
            "{path}: {}",
            refused.text
        );
    }
    let mut zone = unit(84, 648);
    zone["timezone"] = json!("Mars/Phobos");
    assert_eq!(
        bench.send(Method::POST, UNITS, &zone).await.is(400).problems(),
        ["timezone"]
    );
}

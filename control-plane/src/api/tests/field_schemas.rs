//! The fields of event types.

use super::*;

const PATH: &str = "/api/v1/field-schemas/bill.generated?orgId=648";

async fn event_type(bench: &Bench, more: Value) {
    let mut event_type = json!({"orgId": 648, "eventType": "bill.generated"});
    for (name, value) in more.as_object().unwrap() {
        event_type[name] = value.clone();
    }
    let put = bench.send(Method::PUT, "/api/v1/event-types/bill", &event_type).await;
    assert!(put.status.is_success(), "{}", put.text);
}

#[tokio::test]
async fn fields_are_those_written_down_or_those_of_the_schema() {
    let bench = Bench::start().await;
    bench.get(PATH).await.is(404);
    event_type(&bench, json!({})).await;
    let none = bench.get(PATH).await.is(200);
    assert_eq!(
        (&none.body["source"], &none.body["fields"]),
        (&json!("NONE"), &json!([]))
    );
    let schema =
        json!({"schema": {"type": "object", "required": ["total"], "properties": {"total": {"type": "number"}}}});
    event_type(&bench, schema).await;
    let derived = bench.get(PATH).await.is(200);
    let total = json!([{"path": "total", "type": "number", "required": true}]);
    assert_eq!(
        (&derived.body["source"], &derived.body["fields"]),
        (&json!("SCHEMA"), &total)
    );

    let fields = json!({"fields": [{"path": "items[].code", "type": "string", "description": "Code of the test"}]});
    let written = bench.send(Method::PUT, PATH, &fields).await.is(201);
    let read = bench.get(PATH).await.is(200);
    assert_eq!(
        (&read.body["source"], &read.body["fields"]),
        (&json!("WRITTEN"), &written.body["fields"])
    );
    let again = bench.send(Method::PUT, PATH, &fields).await.is(200);
    assert_eq!(again.tag, written.tag);
    let listed = bench.get("/api/v1/field-schemas?orgId=648").await.is(200);
    assert_eq!(listed.body["fieldSchemas"][0]["eventType"], "bill.generated");
    let stale = bench.request(Method::DELETE, PATH).header("If-Match", "\"other\"");
    Reply::of(stale).await.is(412);
    bench.send(Method::DELETE, PATH, &Value::Null).await.is(204);
    assert_eq!(bench.get(PATH).await.is(200).body["source"], "SCHEMA");
    bench.send(Method::DELETE, PATH, &Value::Null).await.is(404);
}

#[tokio::test]
async fn wrong_fields_and_other_organizations_are_refused() {
    let bench = Bench::start().await;
    event_type(&bench, json!({})).await;
    let wrong = json!({"fields": [{"path": "a..b", "type": "string"}, {"path": "a", "type": "string"}, {"path": "a", "type": "any"}]});
    let refused = bench.send(Method::PUT, PATH, &wrong).await.is(400);
    assert_eq!(refused.problems(), ["fields[0].path", "fields[2].path"]);
    let unknown = json!({"fields": [{"path": "a", "type": "colour"}]});
    assert_eq!(
        bench.send(Method::PUT, PATH, &unknown).await.is(400).problems(),
        ["fields[0].type"]
    );
    let other = "/api/v1/field-schemas/bill.generated?orgId=7";
    let fields = json!({"fields": []});
    bench.scoped(Method::GET, other, None).await.is(403);
    bench.scoped(Method::PUT, other, Some(&fields)).await.is(403);
    bench.scoped(Method::DELETE, other, None).await.is(403);
    bench.send(Method::PUT, other, &fields).await.is(404);
}

//! Mapping tables and the schemas of what they get.

use super::*;

const BILLS: &str = "/api/v1/outbound-integrations/bills";

/// A subscription to bills whose table reads `source`.
fn reading(source: &str) -> Value {
    let mut value = outbound("Bills");
    value["id"] = json!("bills");
    value["eventType"] = json!("bill.paid");
    value["transformationMode"] = json!("SIMPLE");
    value["fieldMappings"] = json!([{"sourceField": source, "targetField": "t"}]);
    value
}

fn paid(schema: &Value) -> Value {
    json!({"orgId": 648, "eventType": "bill.paid", "schema": schema})
}

fn closed(field: &str) -> Value {
    json!({"type": "object", "properties": {field: {"type": "string"}}, "additionalProperties": false})
}

async fn put_type(bench: &Bench, schema: &Value) -> Reply {
    bench.send(Method::PUT, "/api/v1/event-types/paid", &paid(schema)).await
}

#[tokio::test]
async fn a_table_that_cannot_work_is_not_saved_and_a_warning_stands_in_no_way() {
    let bench = Bench::start().await;
    put_type(&bench, &closed("amount")).await.is(201);
    let refused = bench.send(Method::PUT, BILLS, &reading("amuont")).await.is(400);
    assert_eq!(refused.problems(), ["fieldMappings[0].sourceField"]);
    assert!(
        refused.text.contains("allows no `amuont`, but amount"),
        "{}",
        refused.text
    );
    let mut warned = reading("amuont");
    warned["fieldMappings"][0]["defaultValue"] = json!("0");
    let verdict = bench
        .send(Method::POST, "/api/v1/outbound-integrations/validate", &warned)
        .await
        .is(200)
        .body;
    assert_eq!((&verdict["valid"], &verdict["problems"]), (&json!(true), &json!([])));
    assert_eq!(verdict["warnings"][0]["path"], "fieldMappings[0].sourceField");
    bench.send(Method::PUT, BILLS, &warned).await.is(201);
    bench.send(Method::PUT, BILLS, &reading("amount")).await.is(200);
}

#[tokio::test]
async fn what_is_stored_goes_on_when_a_type_or_another_object_changes() {
    let bench = Bench::start().await;
    put_type(&bench, &closed("amount")).await.is(201);
    bench.send(Method::PUT, BILLS, &reading("amount")).await.is(201);
    let change = json!({"put": [{"kind": "eventType", "value": {"id": "paid", "orgId": 648, "eventType": "bill.paid",
        "schema": closed("total")}}]});
    let applied = bench.send(Method::POST, "/api/v1/apply", &change).await.is(200).body;
    assert_eq!(
        applied["warnings"][0]["path"],
        "integrations[\"bills\"].fieldMappings[0].sourceField"
    );
    bench
        .send(Method::PUT, "/api/v1/inbound-integrations/lab", &integration("lab"))
        .await
        .is(201);
    // Who changes the subscription has to mend it.
    let mut renamed = reading("amount");
    renamed["name"] = json!("Bills of the ward");
    let refused = bench.send(Method::PUT, BILLS, &renamed).await.is(400);
    assert_eq!(refused.problems(), ["fieldMappings[0].sourceField"]);
}

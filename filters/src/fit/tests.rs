use serde_json::{Value, json};

use super::*;

fn found(document: &Value, changed: &[ObjectId]) -> Findings {
    let snapshot = Snapshot::from_document(document).unwrap();
    let plan = crate::compile(&snapshot, None).unwrap_or_else(|problems| panic!("{problems:?}"));
    mappings(&snapshot, &plan, &changed.iter().cloned().collect())
}

fn places(found: &[Problem]) -> Vec<&str> {
    found.iter().map(|problem| problem.path.as_str()).collect()
}

/// An integration that is to read `a` of each answer.
fn answering(validation: &Value) -> Value {
    json!({"integrations": [{"id": "a", "name": "a", "type": "a", "orgId": 1, "targetUrl": "https://p.example/",
        "responseTransformationMode": "SIMPLE", "responseFieldMappings": [{"sourceField": "a", "targetField": "b"}],
        "validation": validation}]})
}

#[test]
fn answers_are_those_that_the_table_gets() {
    let only_b = json!({"$ref": "#/$defs/b"});
    let rule = |status: &str, schema: &Value| json!({"status": status, "content": [{"contentType": "application/json", "schema": schema}]});
    let definitions = json!({"b": {"type": "object", "properties": {"b": {}}, "additionalProperties": false}});
    let with = |responses: Value, more: Value| {
        let mut validation = json!({"definitions": definitions, "operations": [{"responses": responses}]});
        validation
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        found(&answering(&validation), &[ObjectId::Integration("a".into())]).problems
    };
    let refused = ["integrations[\"a\"].responseFieldMappings[0].sourceField"];
    assert_eq!(places(&with(json!([rule("200", &only_b)]), json!({}))), refused);
    assert_eq!(
        places(&with(json!([rule("2XX", &only_b), {"status": "204"}]), json!({}))),
        refused
    );
    // Errors do not go through the table.
    let with_error = json!([rule("200", &only_b), rule("404", &json!({}))]);
    assert_eq!(places(&with(with_error, json!({}))), refused);
    // An answer that may have it, or that nothing is known of.
    assert!(with(json!([rule("200", &only_b), rule("201", &json!({}))]), json!({})).is_empty());
    assert!(with(json!([rule("404", &only_b)]), json!({})).is_empty());
    assert!(with(json!([rule("200", &only_b)]), json!({"unlisted": "pass"})).is_empty());
}

fn subscribed(fields: &Value) -> Value {
    let closed = json!({"type": "object", "properties": {"bill": {"type": "object"}}, "additionalProperties": false});
    let mut subscription = json!({"id": "s", "orgId": 1, "name": "s", "direction": "OUTBOUND", "tenantId": 1,
        "eventType": "bill.*", "targetUrl": "https://p.example/", "transformationMode": "SIMPLE",
        "fieldMappings": [{"sourceField": "fresh.x", "targetField": "t"}]});
    subscription
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    json!({
        "eventTypes": [
            {"id": "paid", "orgId": 1, "eventType": "bill.paid", "schema": closed},
            {"id": "lost", "orgId": 1, "eventType": "order.lost"},
            {"id": "foreign", "orgId": 2, "eventType": "bill.paid"},
        ],
        "integrations": [subscription],
    })
}

#[test]
fn payloads_are_those_of_the_types_that_are_subscribed_to() {
    let own = [ObjectId::Outbound("s".into())];
    let problems = |fields: Value| found(&subscribed(&fields), &own).problems;
    assert_eq!(
        places(&problems(json!({}))),
        ["integrations[\"s\"].fieldMappings[0].sourceField"]
    );
    // Another type that says nothing of its payloads.
    assert!(problems(json!({"eventType": "*"})).is_empty());
    assert!(problems(json!({"eventType": "order.lost"})).is_empty());
    // What an enrichment puts in, and one that takes the place of all.
    let enrichment =
        |target: Value| json!({"enrichments": [{"name": "e", "url": "https://p.example/x", "targetField": target}]});
    assert!(problems(enrichment(json!("fresh"))).is_empty());
    assert!(problems(enrichment(json!(null))).is_empty());
    assert_eq!(problems(enrichment(json!("other"))).len(), 1);
}

#[test]
fn each_action_is_held_against_them_with_what_came_before() {
    let own = |source: &str| json!([{"sourceField": source, "targetField": "t"}]);
    let actions = json!({"transformationMode": null, "fieldMappings": [], "actions": [
        {"name": "one", "transformationMode": "SIMPLE", "fieldMappings": own("bill")},
        {"name": "two", "transformationMode": "SIMPLE", "fieldMappings": own("steps.one.body.id")},
        {"name": "three", "transformationMode": "SIMPLE", "fieldMappings": own("bil")},
    ]});
    let problems = found(&subscribed(&actions), &[ObjectId::Outbound("s".into())]).problems;
    assert_eq!(
        places(&problems),
        ["integrations[\"s\"].actions[2].fieldMappings[0].sourceField"]
    );
}

#[test]
fn only_what_changed_is_looked_at_and_of_a_type_there_are_warnings() {
    let document = subscribed(&json!({}));
    assert_eq!(found(&document, &[]), Findings::default());
    assert_eq!(
        found(&document, &[ObjectId::EventType("lost".into())]),
        Findings::default()
    );
    let of_type = found(&document, &[ObjectId::EventType("paid".into())]);
    assert!(of_type.problems.is_empty());
    assert_eq!(
        places(&of_type.warnings),
        ["integrations[\"s\"].fieldMappings[0].sourceField"]
    );
}

use serde_json::{Map, Value, json};

use super::*;
use crate::compile;
use crate::model::Entry;
use crate::plan::Plan;

fn snapshot(codes: &Value, other: &Value, name: &str) -> Snapshot {
    let mapping = |table: &str| json!([{"sourceField": "a", "targetField": "b", "transform": [{"type": "lookup", "table": table}]}]);
    let integration = |kind: &str, fields: Value| {
        let mut integration = json!({
            "name": name, "type": kind, "orgId": 1, "targetUrl": "https://partner.example/v1", "hosts": [format!("{kind}.example")]
        });
        integration
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        integration
    };
    let simple = |table: &str| json!({"requestTransformationMode": "SIMPLE", "requestFieldMappings": mapping(table)});
    let script = "fn transform(payload, context) { lookup(\"codes\", payload.a) }";
    Snapshot::from_document(&json!({
        "lookups": [
            {"id": "c", "orgId": 1, "name": "codes", "entries": codes}, {"id": "o", "orgId": 1, "name": "other", "entries": other}
        ],
        "integrations": [
            integration("codes", simple("codes")), integration("other", simple("other")),
            integration("script", json!({"requestTransformationMode": "SCRIPT", "requestTransformScript": script})),
            integration("plain", json!({}))
        ]
    }))
    .unwrap()
}

/// Which integrations of the second plan are those of the first.
fn kept(before: &Plan, now: &Plan) -> Vec<String> {
    let kept = now.integrations().filter(|integration| {
        before
            .integration(&integration.id)
            .is_some_and(|before| Arc::ptr_eq(before, integration))
    });
    kept.map(|integration| integration.source.kind.clone()).collect()
}

fn table<'p>(plan: &'p Plan, name: &str) -> &'p Arc<Table> {
    &plan.tables(1)[name]
}

#[test]
fn only_what_asks_a_table_is_compiled_again_when_it_changes() {
    let first = compile(&snapshot(&json!({"a": 1}), &json!({"a": 2}), "n"), None).unwrap();
    let second = compile(&snapshot(&json!({"a": 3}), &json!({"a": 2}), "n"), Some(&first)).unwrap();
    assert_eq!(kept(&first, &second), ["other", "plain"]);
    assert!(Arc::ptr_eq(table(&first, "other"), table(&second, "other")));
    assert!(!Arc::ptr_eq(table(&first, "codes"), table(&second, "codes")));
}

#[test]
fn a_large_table_is_there_once_whatever_else_changes() {
    let rows: Map<String, Value> = (0..100_000)
        .map(|row| (format!("key-{row:06}"), Value::from(format!("value {row}"))))
        .collect();
    let mut before = snapshot(&json!({}), &json!({}), "before");
    let lookup = json!({"id": "c", "orgId": 1, "name": "codes", "entries": rows});
    before
        .lookups
        .insert("c".into(), Entry::new(serde_json::from_value(lookup).unwrap()));
    let first = compile(&before, None).unwrap();
    let mut after = snapshot(&json!({}), &json!({}), "after");
    after.lookups.insert("c".into(), before.lookups["c"].clone());
    let second = compile(&after, Some(&first)).unwrap();
    assert_eq!(kept(&first, &second), Vec::<String>::new(), "all were renamed");
    let table = table(&second, "codes");
    assert!(Arc::ptr_eq(table, super::tests::table(&first, "codes")));
    assert_eq!(table.len(), 100_000);
    assert_eq!(table.get("key-099999", None), Some(&json!("value 99999")));
    // The snapshot's, the plan's: the rows are shared, not copied.
    assert_eq!(Arc::strong_count(&before.lookups["c"].value), 3);
}

#[test]
fn a_table_that_is_asked_cannot_go() {
    let first = compile(&snapshot(&json!({"a": 1}), &json!({}), "n"), None).unwrap();
    let mut without = snapshot(&json!({"a": 1}), &json!({}), "n");
    without.lookups.remove("o");
    let problems = compile(&without, Some(&first)).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "integrations[\"1-other\"].requestFieldMappings[0].transform[0].table: \"other\" is not there; the organization has codes"
    );
    without.lookups.remove("c");
    without.integrations.remove("1-codes");
    without.integrations.remove("1-other");
    assert!(
        compile(&without, Some(&first)).is_ok(),
        "scripts say when they run that a table is not there"
    );
}

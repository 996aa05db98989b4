use serde_json::{Value, json};

use crate::fit::Findings;
use crate::model::Snapshot;
use crate::model::push::ObjectId;

/// What is found in a table whose bodies are to fit `schema`, and come as `source` says.
fn findings(schema: &Value, source: &Value, lines: &Value) -> Findings {
    let body = json!({"content": [{"contentType": "application/json", "schema": source}]});
    let document = json!({"integrations": [{
        "id": "a", "name": "a", "type": "a", "orgId": 1, "targetUrl": "https://p.example/",
        "requestTransformationMode": "SIMPLE", "requestFieldMappings": lines,
        "requestTargetSchema": {"schema": schema},
        "validation": {"operations": [{"methods": ["POST"], "requestBody": body}]}}]});
    let snapshot = Snapshot::from_document(&document).unwrap();
    let plan = crate::compile(&snapshot, None).unwrap_or_else(|problems| panic!("{problems:?}"));
    crate::fit::mappings(&snapshot, &plan, &[ObjectId::Integration("a".into())].into())
}

fn refused(schema: &Value, lines: &Value) -> Vec<String> {
    let source = json!({"properties": {"id": {"type": "integer"}, "name": {"type": "string"},
        "items": {"type": "array", "items": {"properties": {"sku": {"type": "string"}}}}}});
    let problems = findings(schema, &source, lines).problems;
    let at = "integrations[\"a\"].requestFieldMappings";
    let told = |problem: crate::model::Problem| problem.to_string().replace(at, "");
    problems.into_iter().map(told).collect()
}

fn booking() -> Value {
    json!({
        "type": "object",
        "required": ["patient", "lines"],
        "additionalProperties": false,
        "properties": {
            "patient": {
                "type": "object",
                "required": ["id", "name"],
                "properties": {"id": {"type": "string"}, "name": {"type": "string"}}
            },
            "lines": {"type": "array", "items": {"type": "object", "required": ["code"],
                "properties": {"code": {"type": "string"}, "count": {"type": "integer"}}}},
            "note": {"type": ["string", "null"]}
        }
    })
}

#[test]
fn a_table_that_makes_what_is_taken_is_good() {
    let lines = json!([
        {"sourceField": "id", "targetField": "patient.id", "transform": [{"type": "toText"}]},
        {"sourceField": "name", "targetField": "patient.name"},
        {"sourceField": "items[].sku", "targetField": "lines[].code"},
        {"targetField": "lines[].count", "value": 1},
        {"targetField": "note", "value": null},
    ]);
    assert_eq!(refused(&booking(), &lines), Vec::<String>::new());
}

#[test]
fn what_is_required_and_not_written_is_named_by_its_path() {
    let lines = json!([
        {"sourceField": "name", "targetField": "patient.name"},
        {"targetField": "note", "value": "x"},
    ]);
    let told = refused(&booking(), &lines);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("`patient.id`") && told[1].contains("`lines`"),
        "{told:?}"
    );
    let lines = json!([
        {"sourceField": "name", "targetField": "patient.id"},
        {"sourceField": "name", "targetField": "patient.name"},
        {"sourceField": "items[].sku", "targetField": "lines[].name"},
        {"targetField": "lines[].count", "value": 1},
    ]);
    let told = refused(&booking(), &lines);
    assert!(
        matches!(told.as_slice(), [one] if one.contains("`lines[].code`")),
        "{told:?}"
    );
}

#[test]
fn the_way_that_asks_for_the_least_counts() {
    let either = json!({"anyOf": [{"required": ["a", "b"]}, {"required": ["c"]}], "required": ["d"]});
    let line = |target: &str| json!({"sourceField": "name", "targetField": target});
    assert_eq!(refused(&either, &json!([line("c"), line("d")])), Vec::<String>::new());
    assert_eq!(
        refused(&either, &json!([line("a"), line("b"), line("d")])),
        Vec::<String>::new()
    );
    let told = refused(&either, &json!([line("a")]));
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn a_line_that_writes_what_is_not_taken_is_named() {
    let rest = [
        json!({"sourceField": "name", "targetField": "patient.name"}),
        json!({"sourceField": "items[].sku", "targetField": "lines[].code"}),
    ];
    let beside = |line: Value| {
        let mut lines = vec![line];
        lines.extend(rest.clone());
        refused(&booking(), &Value::from(lines))
    };
    let told = beside(json!({"sourceField": "id", "targetField": "patient.id"}));
    assert!(
        matches!(told.as_slice(), [one] if one.starts_with("[0].targetField") && one.contains("a number")),
        "{told:?}"
    );
    let told = beside(json!({"targetField": "patient.id", "value": null}));
    assert!(
        matches!(told.as_slice(), [one] if one.starts_with("[0].targetField")),
        "{told:?}"
    );
    let mut lines = rest.to_vec();
    lines.push(json!({"sourceField": "name", "targetField": "patient.id"}));
    lines.push(json!({"sourceField": "name", "targetField": "remark"}));
    let told = refused(&booking(), &Value::from(lines));
    assert!(
        matches!(told.as_slice(), [one] if one.starts_with("[3].targetField") && one.contains("remark")),
        "{told:?}"
    );
}

#[test]
fn what_may_go_wrong_is_a_warning() {
    let schema = json!({"properties": {"id": {"type": "string"}, "named": {"type": "string"}}});
    let source = json!({"properties": {"id": {"type": ["string", "integer"]}}});
    let lines = json!([
        {"sourceField": "id", "targetField": "id"},
        {"sourceField": "id", "targetField": "other"},
    ]);
    let found = findings(&schema, &source, &lines);
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    let places: Vec<&str> = found.warnings.iter().map(|warning| warning.path.as_str()).collect();
    let at = |line: usize| format!("integrations[\"a\"].requestFieldMappings[{line}].targetField");
    assert_eq!(places, [at(0), at(1)]);
}

#[test]
fn a_schema_without_a_table_or_that_is_none_is_refused() {
    let problems = |fields: Value| {
        let mut integration =
            json!({"id": "a", "name": "a", "type": "a", "orgId": 1, "targetUrl": "https://p.example/"});
        integration
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let snapshot = Snapshot::from_document(&json!({"integrations": [integration]})).unwrap();
        let problems = crate::compile(&snapshot, None).unwrap_err();
        problems.into_iter().map(|problem| problem.path).collect::<Vec<_>>()
    };
    let alone = json!({"requestTargetSchema": {"schema": {}}});
    assert_eq!(problems(alone), ["integrations[\"a\"].requestTargetSchema"]);
    let none = json!({"responseTargetSchema": {"schema": {"type": "numbr"}}, "responseTransformationMode": "SIMPLE",
        "responseFieldMappings": [{"sourceField": "a", "targetField": "a"}]});
    let told = problems(none);
    assert!(
        matches!(told.as_slice(), [one] if one.starts_with("integrations[\"a\"].responseTargetSchema.schema")),
        "{told:?}"
    );
}

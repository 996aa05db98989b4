use serde_json::{Value, json};

use crate::fit::Findings;
use crate::model::Snapshot;
use crate::model::push::ObjectId;

/// What is found in a table whose requests have `schema`.
fn findings(schema: &Value, lines: &Value) -> Findings {
    let body = json!({"content": [{"contentType": "application/json", "schema": schema}]});
    let document = json!({"integrations": [{
        "id": "a", "name": "a", "type": "a", "orgId": 1, "targetUrl": "https://p.example/",
        "requestTransformationMode": "SIMPLE", "requestFieldMappings": lines,
        "validation": {"operations": [{"methods": ["POST"], "requestBody": body}, {"methods": ["GET"]}]}}]});
    let snapshot = Snapshot::from_document(&document).unwrap();
    let plan = crate::compile(&snapshot, None).unwrap();
    crate::fit::mappings(&snapshot, &plan, &[ObjectId::Integration("a".into())].into())
}

/// The one problem, or the one warning, of a line.
fn told(schema: &Value, line: &Value) -> (Option<String>, Option<String>) {
    let findings = findings(schema, &json!([line]));
    let one = |found: Vec<crate::model::Problem>| {
        assert!(found.len() <= 1, "{found:?}");
        found.first().map(ToString::to_string)
    };
    (one(findings.problems), one(findings.warnings))
}

fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer"},
            "note": {"type": ["string", "null"]},
            "code": {"type": ["string", "integer"]},
            "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
            "free": {"type": "object", "properties": {"a": {}}},
        },
    })
}

const PLACE: &str = "integrations[\"a\"].requestFieldMappings[0]";

#[test]
fn what_cannot_work_is_refused_with_its_place() {
    for (line, place, message) in [
        (
            json!({"sourceField": "nam", "targetField": "t"}),
            "sourceField",
            "allows no `nam`, but name, age",
        ),
        (
            json!({"sourceField": "name.first", "targetField": "t"}),
            "sourceField",
            "there is a text",
        ),
        (
            json!({"sourceField": "lines[].sk.u", "targetField": "t[]"}),
            "sourceField",
            "",
        ),
        (
            json!({"template": "{name} {nam}", "targetField": "t"}),
            "template",
            "allows no `nam`",
        ),
        (
            json!({"sourceField": "age", "targetField": "t", "transform": [{"type": "upper"}]}),
            "transform[0]",
            "`upper` takes a text, and by the schema it gets a number",
        ),
        (
            json!({"sourceField": "name", "targetField": "t", "transform": [{"type": "trim"}, {"type": "sum"}]}),
            "transform[1]",
            "`sum` takes a list, and by the schema it gets a text",
        ),
        (
            json!({"sourceField": "lines", "targetField": "t", "transform": [{"type": "count"}, {"type": "lower"}]}),
            "transform[1]",
            "gets a number",
        ),
    ] {
        let (problem, warning) = told(&schema(), &line);
        if message.is_empty() {
            assert!(
                problem.is_none() && warning.is_some(),
                "{line}: {problem:?} {warning:?}"
            );
            continue;
        }
        let problem = problem.unwrap_or_else(|| panic!("{line}: {warning:?}"));
        assert!(problem.starts_with(&format!("{PLACE}.{place}: ")), "{problem}");
        assert!(problem.contains(message), "{problem}");
        assert_eq!(warning, None);
    }
}

#[test]
fn what_may_be_wrong_is_warned_of() {
    for (line, place, message) in [
        (
            json!({"sourceField": "free.b", "targetField": "t"}),
            "sourceField",
            "does not name `b`, but a",
        ),
        (
            json!({"sourceField": "nam", "targetField": "t", "defaultValue": 1}),
            "sourceField",
            "never has a value",
        ),
        (
            json!({"sourceField": "nam", "targetField": "t", "omitWhen": "absent"}),
            "sourceField",
            "never has a value",
        ),
        (
            json!({"concat": {"fields": ["name", "nam"]}, "targetField": "t"}),
            "concat",
            "never has a value",
        ),
        (
            json!({"sourceField": "code", "targetField": "t", "transform": [{"type": "upper"}]}),
            "transform[0]",
            "it may get a number",
        ),
    ] {
        let (problem, warning) = told(&schema(), &line);
        assert_eq!(problem, None, "{line}");
        let warning = warning.unwrap_or_else(|| panic!("{line}"));
        assert!(warning.starts_with(&format!("{PLACE}.{place}: ")), "{warning}");
        assert!(warning.contains(message), "{warning}");
    }
}

#[test]
fn what_fits_is_said_nothing_of() {
    let lines = json!([
        {"sourceField": "name", "targetField": "a", "transform": [{"type": "upper"}, {"type": "padStart", "length": 3}]},
        {"sourceField": "age", "targetField": "b", "transform": [{"type": "toText"}, {"type": "lower"}]},
        {"sourceField": "note", "targetField": "c", "transform": [{"type": "trim"}]},
        {"sourceField": "lines[].sku", "targetField": "d[].s", "transform": [{"type": "lower"}]},
        {"sourceField": "lines[].sku", "targetField": "e", "transform": [{"type": "join", "separator": ","}]},
        {"sourceField": "lines", "targetField": "f", "transform": [{"type": "first"}]},
        {"sourceField": "$header.X-A", "targetField": "g"},
        {"sourceField": "free", "targetField": "h"},
        {"sourceField": "code", "targetField": "i", "transform": [{"type": "toText"}]},
        {"sourceField": "free.a", "targetField": "j", "transform": [{"type": "upper"}]},
        {"value": 1, "targetField": "k"},
    ]);
    assert_eq!(findings(&schema(), &lines), Findings::default());
}

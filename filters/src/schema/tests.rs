use serde_json::json;

use super::*;

fn compiled(schema: &Value) -> Schema {
    let mut problems = Vec::new();
    let compiled = Schema::compile(schema, "schema", &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    compiled.unwrap()
}

fn refused(schema: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    assert!(Schema::compile(schema, "schema", &mut problems).is_none(), "{schema}");
    problems.iter().map(ToString::to_string).collect()
}

fn violations(schema: &Value, payload: &Value) -> Vec<String> {
    let found = compiled(schema).check(payload, "payload");
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn violations_have_the_place_and_none_of_the_values() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["patient"],
        "properties": {
            "patient": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 3}}},
            "items": {"type": "array", "items": {"$ref": "#/$defs/item"}, "maxItems": 2}
        },
        "$defs": {"item": {"enum": ["a", "b"]}}
    });
    assert!(violations(&schema, &json!({"patient": {"name": "Ada"}, "items": ["a"]})).is_empty());
    let found = violations(
        &schema,
        &json!({"patient": {"name": "SECRET"}, "items": ["a", "SECRET", "b"]}),
    );
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found
            .iter()
            .any(|violation| violation.starts_with("payload.patient.name: ")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|violation| violation.starts_with("payload.items[1]: ")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|violation| violation.starts_with("payload.items: ")),
        "{found:?}"
    );
    assert!(!found.concat().contains("SECRET"), "{found:?}");
}

#[test]
fn there_is_an_end_to_violations() {
    let schema = json!({"items": {"type": "string"}});
    assert_eq!(violations(&schema, &json!(vec![1; 100])).len(), MOST_VIOLATIONS);
}

#[test]
fn true_allows_anything_and_false_nothing() {
    assert!(violations(&json!(true), &json!(1)).is_empty());
    assert_eq!(violations(&json!(false), &json!(1)).len(), 1);
}

#[test]
fn nothing_outside_of_the_schema_is_referred_to() {
    for (reference, path) in [
        (json!({"$ref": "https://example.com/schema.json"}), "schema.$ref: "),
        (json!({"$ref": "file:///etc/passwd"}), "schema.$ref: "),
        (
            json!({"properties": {"a": {"items": [{"$ref": "other.json#/x"}]}}}),
            "schema.properties.a.items[0].$ref: ",
        ),
        (
            json!({"$defs": {"x": {"$dynamicRef": "other"}}}),
            "schema.$defs.x.$dynamicRef: ",
        ),
        (
            json!({"properties": {"const": {"$ref": "https://example.com/"}}}),
            "schema",
        ),
    ] {
        let problems = refused(&reference);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(path), "{problems:?}");
    }
    // Data only looks like a reference.
    assert!(violations(&json!({"const": {"$ref": "x"}}), &json!({"$ref": "x"})).is_empty());
}

#[test]
fn what_is_no_schema_is_refused_with_the_place() {
    for (schema, told) in [
        (json!("x"), "schema: must be an object"),
        (json!({"type": "strin"}), "schema.type: is no JSON Schema 2020-12"),
        (
            json!({"properties": {"a": {"minimum": "1"}}}),
            "schema.properties.a.minimum: is no JSON Schema 2020-12",
        ),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#"}),
            "schema.$schema: must be https://json-schema.org/",
        ),
        (json!({"$ref": "#/$defs/missing"}), "schema"),
        (json!({"pattern": "("}), "schema.pattern: "),
        // Only engines that try every way can look around.
        (json!({"pattern": "(?=a)b"}), "schema.pattern: "),
        (json!({"pattern": "(a{1000}){1000}"}), "schema.pattern: "),
        (json!({"description": "x".repeat(MAX_BYTES)}), "schema: is "),
    ] {
        let problems = refused(&schema);
        assert!(problems[0].starts_with(told), "{problems:?}");
    }
}

#[test]
fn a_pattern_that_would_take_forever_elsewhere_is_decided() {
    let schema = json!({"pattern": "^(a+)+$"});
    let payload = json!(format!("{}b", "a".repeat(50_000)));
    assert_eq!(violations(&schema, &payload).len(), 1);
}

#[test]
fn a_schema_that_refers_to_itself_follows_the_payload() {
    let schema = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
    assert!(violations(&schema, &json!({"next": {"next": {}}})).is_empty());
    assert_eq!(violations(&schema, &json!({"next": {"next": 1}})).len(), 1);
}

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
    let found = compiled(schema).check(payload, payload.to_string().len(), "payload");
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
        (
            json!({"$defs": {"a": {"$id": "https://x.example/"}}}),
            "schema.$defs.a.$id: may stand at the top",
        ),
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

/// `levels` definitions, each of which names the one before as `made` says.
fn chain(levels: usize, made: impl Fn(&Value) -> Value) -> Value {
    let mut definitions = serde_json::Map::new();
    definitions.insert("d0".to_owned(), json!({"type": "string"}));
    for level in 1..=levels {
        let before = json!({"$ref": format!("#/$defs/d{}", level - 1)});
        definitions.insert(format!("d{level}"), made(&before));
    }
    json!({"$ref": format!("#/$defs/d{levels}"), "$defs": definitions})
}

#[test]
fn schemas_that_ask_for_work_without_end_are_refused() {
    for (schema, told) in [
        (json!({"$ref": "#"}), "without going deeper"),
        (json!({"allOf": [{"not": {"$ref": "#"}}]}), "without going deeper"),
        (
            json!({"$ref": "#a", "$defs": {"a": {"$anchor": "a", "anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"if": {"$ref": "#a"}}}}),
            "without going deeper",
        ),
        (
            chain(20, |before| json!({"allOf": [before, before]})),
            "more than 20000 subschemas",
        ),
        (
            chain(20, |before| json!({"properties": {"a": {"oneOf": [before, before]}}})),
            "more than 20000 subschemas",
        ),
        (chain(70, |before| before.clone()), "nested more than 64 levels"),
        (
            chain(40, |before| json!({"items": before})),
            "nested more than 64 levels",
        ),
    ] {
        let problems = refused(&schema);
        assert!(
            problems[0].starts_with("schema: ") && problems[0].contains(told),
            "{told} {problems:?}"
        );
    }
    compiled(&chain(10, |before| json!({"allOf": [before, before]})));
    compiled(&chain(20, |before| json!({"items": before})));
}

#[test]
fn a_schema_that_doubles_the_work_with_each_level_still_decides() {
    let schemas = [
        json!({"type": "object", "properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}}),
        json!({"type": "object", "properties": {"a": {"$ref": "#"}}, "patternProperties": {"a": {"$ref": "#"}}}),
    ];
    let nested = |inner: Value| (0..60).fold(inner, |inner, _| json!({ "a": inner }));
    for schema in schemas {
        assert!(violations(&schema, &nested(json!({}))).is_empty());
        let found = violations(&schema, &nested(json!(1)));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("payload: does not fit the schema; where cannot be told"),
            "{found:?}"
        );
    }
    // A tree has two of itself too, but each looks at a field of its own.
    let tree = json!({"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}});
    let found = violations(&tree, &json!({"left": {"right": 1}, "right": {"left": {"left": 1}}}));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("payload.left.right: "), "{found:?}");
}

#[test]
fn of_a_large_payload_the_first_violation_is_told() {
    let schema = json!({"items": {"type": "string"}});
    let found = violations(&schema, &json!(vec![1; 2_000_000]));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("payload[0]: "), "{found:?}");
}

#[test]
fn the_deepest_schema_and_payload_fit_on_the_stack_of_a_thread() {
    let inner = (0..50).fold(
        json!({"properties": {"a": {"$ref": "#"}}}),
        |inner, _| json!({"allOf": [inner]}),
    );
    let payload = (0..crate::event::MAX_DEPTH).fold(json!(1), |inner, _| json!({ "a": inner }));
    let schema = json!({"allOf": [inner], "type": ["object", "integer"]});
    let bad = json!({"allOf": [schema["allOf"][0]], "type": "object"});
    assert!(violations(&schema, &payload).is_empty());
    assert_eq!(violations(&bad, &payload).len(), 1);
}

use serde_json::json;

use super::*;

fn found(schema: &Value, path: &str, lenient: bool) -> Found {
    let mut shape = Shape::default();
    shape.add(Source {
        schema,
        definitions: None,
    });
    shape.find(&FieldPath::parse(path).unwrap(), lenient)
}

fn kinds(schema: &Value, path: &str) -> String {
    match found(schema, path, false) {
        Found::Kinds(Kinds::ALL) => "anything".to_owned(),
        Found::Kinds(kinds) => kinds.to_string(),
        Found::Unnamed(told) => format!("unnamed: {told}"),
        Found::Nothing(reason) => format!("nothing: {reason}"),
    }
}

#[test]
fn a_path_leads_through_fields_lists_references_and_alternatives() {
    let schema = json!({
        "type": "object",
        "properties": {
            "patient": {"$ref": "#/$defs/person"},
            "items": {"type": "array", "items": {"type": "object", "properties": {"code": {"type": "integer"}}}},
            "pair": {"prefixItems": [{"type": "string"}], "items": {"type": "number"}},
            "either": {"oneOf": [{"type": "string"}, {"type": "object", "properties": {"id": {"type": "number"}}}]},
            "both": {"allOf": [{"properties": {"a": {"type": ["string", "null"]}}}, {"properties": {"a": {"minLength": 1}}}]},
            "one": {"enum": ["a", 1]},
            "map": {"additionalProperties": {"type": "boolean"}},
        },
        "$defs": {"person": {"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": false}},
    });
    for (path, expected) in [
        ("patient", "an object"),
        ("patient.name", "a text"),
        ("items", "a list"),
        ("items[].code", "a number"),
        ("items[0].code", "a number"),
        ("items[-1].code", "a number"),
        ("items[code=1].code", "a number"),
        ("pair[0]", "a text"),
        ("pair[1]", "a number"),
        ("pair[]", "anything"),
        ("either", "a text or an object"),
        ("either.id", "a number"),
        ("both.a", "a text or null"),
        ("one", "a text or a number"),
        ("map.whatever", "a boolean"),
        (
            "patient.nam",
            "nothing: `patient.nam` leads nowhere: the schema allows no `nam`, but name",
        ),
        (
            "patient[0]",
            "nothing: `patient[0]` leads nowhere: by the schema there is an object, not a list",
        ),
        (
            "items.code",
            "nothing: `items.code` leads nowhere: by the schema there is a list, which has no field `code`",
        ),
        (
            "patient[].name",
            "nothing: `patient` leads nowhere: by the schema there is an object, not a list",
        ),
        (
            "other.deep",
            "unnamed: the schema does not name `other`, but patient, items, pair, either, both, one, map",
        ),
    ] {
        assert_eq!(kinds(&schema, path), expected, "{path}");
    }
}

#[test]
fn what_a_schema_leaves_open_is_open() {
    for (schema, path) in [
        (json!(true), "a"),
        (json!({}), "a.b[].c"),
        (json!({"type": "object"}), "a"),
        (
            json!({"patternProperties": {"^a": {}}, "additionalProperties": false}),
            "a",
        ),
        (
            json!({"if": {}, "then": {"properties": {"a": {}}}, "unevaluatedProperties": false}),
            "a",
        ),
        (json!({"type": "array"}), "[].a"),
        (json!({"$ref": "#anchor"}), "a"),
        (json!({"not": {"required": ["a"]}}), "a"),
        (json!({"anyOf": [{"additionalProperties": false}, {}]}), "a"),
    ] {
        assert_eq!(kinds(&schema, path), "anything", "{schema}");
    }
}

#[test]
fn what_all_alternatives_forbid_is_forbidden() {
    for schema in [
        json!({"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": false}]}),
        json!({"properties": {"a": false}}),
        json!({"properties": {"b": {}}, "unevaluatedProperties": false}),
        json!({"allOf": [{"properties": {"a": {"type": "string"}}}], "properties": {"a": {"type": "number"}}}),
        json!({"properties": {"a": {"type": "null"}}}),
        json!(false),
    ] {
        assert!(kinds(&schema, "a").starts_with("nothing: "), "{schema}");
    }
}

#[test]
fn a_single_item_counts_as_a_list_where_bodies_cannot_tell() {
    let schema = json!({"type": "object", "additionalProperties": false,
        "properties": {"line": {"type": "object", "properties": {"n": {"type": "string"}}}}});
    assert_eq!(found(&schema, "line[].n", true), Found::Kinds(Kinds::TEXT));
    assert!(matches!(found(&schema, "line[].n", false), Found::Nothing(_)));
}

#[test]
fn schemas_that_branch_or_refer_to_themselves_without_end_are_answered() {
    let branching: Vec<Value> = (0..100).map(|n| json!({"properties": {format!("f{n}"): {}}})).collect();
    let schema = json!({"allOf": [{"anyOf": branching}, {"anyOf": branching}]});
    assert_eq!(kinds(&schema, "a"), "anything");
    let tree = json!({"anyOf": [{"type": "string"}, {"type": "object", "properties": {"l": {"$ref": "#"}, "r": {"$ref": "#"}},
        "additionalProperties": false}]});
    assert_eq!(kinds(&tree, "l.r.l.r.l"), "a text or an object");
    assert!(kinds(&tree, "l.r.x").starts_with("nothing: "));
    let endless = json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]});
    assert_eq!(kinds(&endless, "a"), "anything");
}

//! Fields of events, derived.

use serde_json::json;

use super::*;

fn brief(fields: &[Field]) -> Vec<(String, FieldType, bool)> {
    fields
        .iter()
        .map(|field| (field.path.clone(), field.kind, field.required))
        .collect()
}

#[test]
fn fields_are_told_from_a_schema() {
    let schema = json!({
        "type": "object",
        "required": ["bill"],
        "properties": {
            "bill": {"$ref": "#/$defs/bill"},
            "patient": {"type": ["object", "null"], "required": ["id"], "properties": {"id": {"type": "integer"}}},
            "odd.name": {"type": "string"}
        },
        "$defs": {"bill": {
            "type": "object", "required": ["total", "items"], "description": "What is to be paid",
            "properties": {
                "total": {"type": "number", "examples": [12.5]},
                "state": {"enum": ["OPEN", "PAID"], "type": "string", "description": "How far it is"},
                "items": {"type": "array", "items": {"type": "object", "required": ["code"], "properties": {
                    "code": {"type": "string"}, "parent": {"$ref": "#/$defs/bill"}}}}
            }
        }}
    });
    let fields = of_schema(&schema);
    let shallow: Vec<_> = brief(&fields)
        .into_iter()
        .filter(|(path, ..)| !path.contains("parent"))
        .collect();
    let field = |path: &str, kind, required| (path.to_owned(), kind, required);
    assert_eq!(
        shallow,
        [
            field("bill", FieldType::Object, true),
            field("bill.items", FieldType::Array, true),
            field("bill.items[].code", FieldType::String, false),
            field("bill.state", FieldType::String, false),
            field("bill.total", FieldType::Number, true),
            field("patient", FieldType::Object, false),
            field("patient.id", FieldType::Integer, false),
        ]
    );
    let of = |path: &str| fields.iter().find(|field| field.path == path).unwrap();
    assert_eq!(of("bill").description, "What is to be paid");
    assert_eq!(of("bill.total").example, Some(json!(12.5)));
    assert_eq!(of("bill.state").values, [json!("OPEN"), json!("PAID")]);
    // It refers to itself and ends all the same.
    assert!(fields.len() <= MOST_FIELDS);
}

#[test]
fn fields_are_told_from_payloads_without_their_values() {
    let payloads = [
        json!({"id": 1, "name": "Jane Doe", "items": [{"code": "x"}, {"code": 1, "n": 2.5}], "note": null}),
        json!({"id": 2.5, "name": "John Doe", "items": [], "note": "n", "more": true}),
    ];
    let fields = of_payloads(&payloads);
    let field = |path: &str, kind, required| (path.to_owned(), kind, required);
    assert_eq!(
        brief(&fields),
        [
            field("id", FieldType::Number, true),
            field("items", FieldType::Array, true),
            field("items[].code", FieldType::Any, false),
            field("items[].n", FieldType::Number, false),
            field("more", FieldType::Boolean, false),
            field("name", FieldType::String, true),
            field("note", FieldType::String, true),
        ]
    );
    assert!(!serde_json::to_string(&fields).unwrap().contains("Doe"));
}

use http::{HeaderMap, Method};
use serde_json::json;

use super::*;
use crate::model::validation::{ParameterEncoding, ParameterPlace};
use crate::validation::{Found, Head, Validator};

const ALL: Wanted = Wanted { answers: true };

fn imported(document: &Value) -> Imported {
    import(document, ALL).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn problems(document: &Value) -> Vec<String> {
    let problems = import(document, ALL).map(|_| ()).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

fn compiled(imported: &Imported) -> Validator {
    let mut problems = Vec::new();
    let compiled = validation::compile(&imported.validation, &[], &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    compiled.unwrap()
}

/// A document with this one operation at `POST /things/{thing-id}`.
fn with(version: &str, operation: Value, schemas: Value) -> Value {
    json!({
        "openapi": version,
        "info": {"title": "Things & More (v2)", "version": "1"},
        "servers": [{"url": "https://api.partner.example/v2"}],
        "paths": {"/things/{thing-id}": {
            "parameters": [{"name": "thing-id", "in": "path", "required": true, "schema": {"type": "integer"}}],
            "post": operation
        }},
        "components": {"schemas": schemas}
    })
}

#[test]
fn paths_methods_and_target_come_from_the_document() {
    let document = json!({
        "openapi": "3.1.0",
        "info": {"title": "Things & More (v2)", "version": "1"},
        "servers": [{"url": "https://api.partner.example/v2"}],
        "paths": {
            "/things": {"get": {"responses": {}}, "post": {"operationId": "make", "responses": {}}},
            "/things/{thing-id}": {"get": {
                "parameters": [{"name": "thing-id", "in": "path", "required": true, "schema": {"type": "string"}}],
                "responses": {}
            }},
            "x-extra": {}
        }
    });
    let imported = imported(&document);
    assert_eq!(imported.kind().as_deref(), Some("things-more-v2"));
    let mut integration: InboundIntegration =
        serde_json::from_value(json!({"name": "", "type": "t", "orgId": 1, "validation": null})).unwrap();
    imported.apply(&mut integration);
    assert_eq!(integration.name, "Things & More (v2)");
    assert_eq!(
        integration.target_url.as_deref(),
        Some("https://api.partner.example/v2")
    );
    assert_eq!(integration.path_rewrite, Some(PathRewrite::AppendPath));
    assert_eq!(integration.methods, [HttpMethod::Get, HttpMethod::Post]);
    let expected = [
        PathMatch::Exact("/things".to_owned()),
        PathMatch::Template("/things/{thing_id}".to_owned()),
    ];
    assert_eq!(integration.paths, expected);
    let validator = compiled(&imported);
    assert!(matches!(validator.find("/things/7", &Method::GET), Found::Operation(_, values) if values == ["7"]));
    assert!(matches!(validator.find("/things/7", &Method::POST), Found::NoMethod(_)));
}

#[test]
fn what_the_operator_said_stays() {
    let imported = imported(&with("3.0.3", json!({"responses": {}}), json!({})));
    let mut integration: InboundIntegration = serde_json::from_value(json!({
        "name": "Mine", "type": "t", "orgId": 1, "targetUrl": "https://other.example/", "pathRewrite": "target"
    }))
    .unwrap();
    imported.apply(&mut integration);
    assert_eq!(
        (&*integration.name, integration.target_url.as_deref()),
        ("Mine", Some("https://other.example/"))
    );
    assert_eq!(integration.path_rewrite, Some(PathRewrite::Target));
}

#[test]
fn parameters_have_their_style() {
    let list = json!({"type": "array", "items": {"type": "string"}});
    let operation = json!({
        "parameters": [
            {"name": "a", "in": "query", "schema": list},
            {"name": "b", "in": "query", "schema": list, "explode": false},
            {"name": "c", "in": "query", "schema": list, "style": "pipeDelimited", "explode": false},
            {"name": "d", "in": "query", "content": {"application/json": {"schema": {"type": "object"}}}},
            {"name": "X-List", "in": "header", "required": true, "schema": list},
            {"name": "e", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
            {"name": "Authorization", "in": "header", "schema": {"type": "string"}},
            {"name": "thing-id", "in": "path", "required": true, "schema": {"type": "integer", "minimum": 1}}
        ],
        "responses": {}
    });
    let imported = imported(&with("3.0.3", operation, json!({})));
    let [operation] = imported.validation.operations.as_slice() else {
        panic!("{:?}", imported.validation.operations);
    };
    let told: Vec<_> = operation
        .parameters
        .iter()
        .map(|parameter| (&*parameter.name, parameter.place, parameter.encoding))
        .collect();
    let expected = [
        ("a", ParameterPlace::Query, Some(ParameterEncoding::Repeated)),
        ("b", ParameterPlace::Query, Some(ParameterEncoding::Comma)),
        ("c", ParameterPlace::Query, Some(ParameterEncoding::Pipe)),
        ("d", ParameterPlace::Query, Some(ParameterEncoding::Json)),
        ("X-List", ParameterPlace::Header, Some(ParameterEncoding::Comma)),
        ("thing_id", ParameterPlace::Path, None),
    ];
    assert_eq!(told, expected);
    // The operation's own one counts, not the path's.
    assert_eq!(operation.parameters[5].schema["minimum"], 1);
    assert_eq!(imported.notes.len(), 1, "{:?}", imported.notes);
    assert_eq!(imported.notes[0].path, "paths./things/{thing-id}.post.parameters[5]");
}

#[test]
fn schemas_of_3_0_become_those_of_2020_12() {
    let schemas = json!({
        "Thing": {
            "type": "object",
            "required": ["id", "size", "next"],
            "properties": {
                "id": {"type": "integer", "readOnly": true},
                "size": {"type": "number", "minimum": 0, "exclusiveMinimum": true, "nullable": true, "example": 1},
                "kind": {"type": "string", "enum": ["a"], "nullable": true},
                "next": {"$ref": "#/components/schemas/Thing", "description": "ignored"}
            },
            "discriminator": {"propertyName": "kind"},
            "x-internal": true
        }
    });
    let body =
        json!({"content": {"application/json; charset=utf-8": {"schema": {"$ref": "#/components/schemas/Thing"}}}});
    let imported = imported(&with("3.0.3", json!({"requestBody": body, "responses": {}}), schemas));
    let expected = json!({
        "type": "object",
        "required": ["size", "next"],
        "properties": {
            "id": {"type": "integer"},
            "size": {"type": ["number", "null"], "exclusiveMinimum": 0},
            "kind": {"type": ["string", "null"], "enum": ["a", null]},
            "next": {"$ref": "#/$defs/Thing"}
        }
    });
    assert_eq!(imported.validation.definitions["Thing"], expected);
    compiled(&imported);
}

#[test]
fn references_to_components_are_followed_and_only_what_is_needed_is_taken() {
    let document = json!({
        "openapi": "3.1.0",
        "paths": {"/a": {"post": {
            "parameters": [{"$ref": "#/components/parameters/Limit"}],
            "requestBody": {"$ref": "#/components/requestBodies/Thing"},
            "responses": {"200": {"$ref": "#/components/responses/Thing"}, "4XX": {"description": "none"}}
        }}},
        "components": {
            "parameters": {"Limit": {"name": "limit", "in": "query", "schema": {"$ref": "#/components/schemas/Count"}}},
            "requestBodies": {"Thing": {"required": true, "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/Thing"}},
                "multipart/form-data": {"schema": {"type": "object"}}
            }}},
            "responses": {"Thing": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}},
            "schemas": {
                "Thing": {"type": "object", "properties": {"count": {"$ref": "#/components/schemas/Count"}}},
                "Count": {"type": "integer"},
                "Unused": {"type": "strin"}
            },
            "securitySchemes": {"key": {"type": "apiKey"}}
        }
    });
    let imported = imported(&document);
    let names: Vec<_> = imported.validation.definitions.keys().collect();
    assert_eq!(names, ["Count", "Thing"]);
    let validator = compiled(&imported);
    let headers = HeaderMap::new();
    let head = Head {
        path: &[],
        query: Some("limit=x"),
        own_query: &[],
        headers: &headers,
        has_body: None,
    };
    assert!(validator.operation(0).unwrap().check_head(&head).is_err());
    let notes: Vec<_> = imported.notes.iter().map(|note| note.path.as_str()).collect();
    let expected = [
        "paths./a.post.requestBody.content.multipart/form-data.schema",
        "components.securitySchemes",
    ];
    assert_eq!(notes, expected);
    let without = import(&document, Wanted { answers: false }).unwrap();
    assert!(without.validation.operations[0].responses.is_empty());
}

#[test]
fn more_paths_than_routes_may_have_are_one_prefix() {
    let paths: Map<String, Value> = (0..150)
        .map(|number| {
            (
                format!("/api/v1/things/{number}/{{id}}"),
                json!({"get": {"responses": {}}}),
            )
        })
        .collect();
    let imported = imported(&json!({"openapi": "3.1.0", "paths": paths}));
    assert_eq!(imported.paths, [PathMatch::Prefix("/api/v1/things".to_owned())]);
    assert_eq!(imported.validation.operations.len(), 150);
}

#[test]
fn every_problem_is_told_with_its_place() {
    let operation = json!({
        "parameters": [
            {"in": "query"},
            {"name": "a", "in": "body"},
            {"$ref": "#/components/parameters/Missing"},
            {"name": "b", "in": "query", "schema": {"type": "strin"}}
        ],
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "other.yaml#/Thing"}}}},
        "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/None"}}}}}
    });
    let mut document = with("3.1.0", operation, json!({}));
    document["paths"]["/a/{x}.json"] = json!({"get": {"responses": {}}});
    document["paths"]["/b"] = json!({"trace": {}});
    let told = problems(&document);
    let base = "paths./things/{thing-id}.post";
    for place in [
        format!("{base}.parameters[0].name: "),
        format!("{base}.parameters[1].in: "),
        format!("{base}.parameters[2].$ref: "),
        format!("{base}.requestBody.content.application/json.schema.$ref: "),
        format!("{base}.responses.200.content.application/json.schema.$ref: "),
        "paths./a/{x}.json: ".to_owned(),
        "paths./b.trace: ".to_owned(),
    ] {
        assert!(
            told.iter().any(|problem| problem.starts_with(&place)),
            "{place} {told:?}"
        );
    }
    assert_eq!(told.len(), 7, "{told:?}");
}

#[test]
fn problems_of_schemas_are_told_where_they_stand() {
    let body = json!({"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}});
    let document = with(
        "3.1.0",
        json!({"requestBody": body, "responses": {"20": {}}}),
        json!({"A": {"type": "strin"}}),
    );
    let told = problems(&document);
    assert!(
        told.iter()
            .any(|problem| problem.starts_with("components.schemas.A.type: ")),
        "{told:?}"
    );
    let place = "paths./things/{thing-id}.post.responses[0].status: ";
    assert!(told.iter().any(|problem| problem.starts_with(place)), "{told:?}");
}

#[test]
fn what_is_no_openapi_document_is_said_so() {
    for (document, told) in [
        (json!({"swagger": "2.0"}), "swagger: is version 2"),
        (json!({"openapi": "4.0.0"}), "openapi: \"4.0.0\" must be"),
        (json!([]), "openapi: "),
        (json!({"openapi": "3.1.0", "paths": {}}), "paths: must hold"),
        (
            json!({"openapi": "3.1.0", "paths": {"/a": {}}}),
            "paths: hold no operation",
        ),
        (
            json!({"openapi": "3.1.0", "paths": {"/a": {"$ref": "#/paths/~1a"}}}),
            "paths./a.$ref: leads from one",
        ),
    ] {
        let problems = problems(&document);
        assert!(problems[0].starts_with(told), "{problems:?}");
    }
}

#[test]
fn a_schema_without_end_is_refused() {
    let deep = (0..200).fold(json!({"type": "string"}), |inner, _| json!({"items": inner}));
    let body = json!({"content": {"application/json": {"schema": deep}}});
    let told = problems(&with("3.1.0", json!({"requestBody": body, "responses": {}}), json!({})));
    assert!(told[0].contains("nested more than"), "{told:?}");
}

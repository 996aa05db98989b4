use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use super::*;
use crate::model::validation::Validation;

/// Compiles `operations`, for an integration each of whose paths has the parameter `id`.
fn compiled(validation: Value) -> Validator {
    let mut problems = Vec::new();
    let validation: Validation = serde_json::from_value(validation).unwrap();
    let compiled = crate::compile::validation::compile(&validation, &["id".to_owned()], &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    compiled.unwrap()
}

fn refused(validation: Value) -> Vec<String> {
    let mut problems = Vec::new();
    let validation: Validation = serde_json::from_value(validation).unwrap();
    assert!(crate::compile::validation::compile(&validation, &["id".to_owned()], &mut problems).is_none());
    problems.iter().map(ToString::to_string).collect()
}

/// The violations of a request with this query to the one operation with these parameters.
fn of_query(parameters: Value, query: &str) -> Vec<String> {
    of_head(parameters, Some(query), &[], &[])
}

fn of_head(parameters: Value, query: Option<&str>, headers: &[(&str, &str)], path: &[(&str, &str)]) -> Vec<String> {
    let validator = compiled(json!({"operations": [{"parameters": parameters, "unlistedQuery": "reject"}]}));
    let headers = fields(headers);
    let head = Head {
        path,
        query,
        own_query: &["apiKey"],
        headers: &headers,
        has_body: Some(false),
    };
    match validator.operations[0].check_head(&head) {
        Ok(()) => Vec::new(),
        Err(HeadRefusal::Parameters(problems)) => problems.iter().map(ToString::to_string).collect(),
        Err(other) => panic!("{other:?}"),
    }
}

fn fields(headers: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (
            HeaderName::try_from(*name).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )
    };
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter().map(pair) {
        map.append(name, value);
    }
    map
}

fn of_body(content: Value, content_type: &str, body: &str) -> Vec<String> {
    let validator = compiled(json!({"operations": [{"requestBody": {"required": true, "content": content}}]}));
    let headers = fields(&[("content-type", content_type)]);
    match validator.operations[0].check_body(&headers, body.as_bytes()) {
        Ok(()) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_operation_is_found_by_path_and_method() {
    let validator = compiled(json!({"operations": [
        {"name": "list", "path": {"exact": "/patients"}, "methods": ["GET"]},
        {"name": "make", "path": {"exact": "/patients"}, "methods": ["POST"]},
        {"name": "read", "path": {"template": "/patients/{number}"}, "methods": ["GET"]},
        {"name": "probe", "path": {"template": "/patients/{other}"}, "methods": ["HEAD"]},
        {"name": "mine", "path": {"exact": "/patients/me"}, "methods": ["GET"]}
    ]}));
    let name = |path, method| match validator.find(path, &method) {
        Found::Operation(index, values) => format!("{} {values:?}", validator.operations[index].name.as_ref().unwrap()),
        other => format!("{other:?}"),
    };
    assert_eq!(name("/patients", Method::GET), "list []");
    assert_eq!(name("/patients", Method::HEAD), "list []");
    assert_eq!(name("/patients", Method::POST), "make []");
    assert_eq!(name("/patients/7", Method::GET), "read [\"7\"]");
    assert_eq!(name("/patients/7", Method::HEAD), "probe [\"7\"]");
    assert_eq!(name("/patients/me", Method::GET), "mine []");
    assert_eq!(name("/bills", Method::GET), "NoPath");
    match validator.find("/patients", &Method::DELETE) {
        Found::NoMethod(allowed) => assert_eq!(allowed.allow(), "GET, POST"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_listed_passes_where_that_is_said() {
    let validator = compiled(json!({"operations": [{"path": {"exact": "/a"}}], "unlisted": "pass"}));
    assert!(matches!(validator.find("/b", &Method::GET), Found::Unchecked));
}

#[test]
fn parameters_are_read_as_their_schema_says() {
    let parameters = json!([
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 50}},
        {"name": "active", "in": "query", "schema": {"type": "boolean"}},
        {"name": "unit", "in": "query", "schema": {"type": "array", "items": {"type": "integer"}, "maxItems": 2}},
        {"name": "sort", "in": "query", "encoding": "comma", "schema": {"type": "array", "items": {"enum": ["a", "b"]}}},
        {"name": "where", "in": "query", "encoding": "json", "schema": {"type": "object", "required": ["x"]}}
    ]);
    let good = "limit=7&active=true&unit=1&unit=2&sort=a,b&where=%7B%22x%22%3A1%7D&apiKey=k";
    assert_eq!(of_query(parameters.clone(), good), [""; 0]);
    assert_eq!(of_query(parameters.clone(), ""), [""; 0]);
    let bad = "limit=51&active=yes&unit=1&unit=x&sort=a,c&where=%7B%7D&other=1";
    let found = of_query(parameters.clone(), bad);
    let places: Vec<&str> = found.iter().filter_map(|text| text.split(": ").next()).collect();
    let expected = [
        "/query/limit",
        "/query/active",
        "/query/unit/1",
        "/query/sort/1",
        "/query/where",
        "/query/other",
    ];
    assert_eq!(places, expected, "{found:?}");
    assert!(!found.concat().contains("51"), "a value is shown: {found:?}");
    // Programs disagree which of them counts.
    let twice = of_query(parameters, "limit=7&limit=8");
    assert_eq!(twice, ["/query/limit: is there 2 times; give it once"]);
}

#[test]
fn parameters_stand_in_path_header_and_cookie_too() {
    let parameters = json!([
        {"name": "id", "in": "path", "schema": {"type": "string", "pattern": "^[A-Z] [0-9]+$"}},
        {"name": "X-Units", "in": "header", "required": true, "schema": {"type": "array", "items": {"type": "integer"}}},
        {"name": "session", "in": "cookie", "required": true, "schema": {"type": "string", "minLength": 4}}
    ]);
    let good = [("x-units", "1, 2"), ("x-units", "3"), ("cookie", "a=b; session=abcd")];
    assert_eq!(of_head(parameters.clone(), None, &good, &[("id", "P%207")]), [""; 0]);
    let bad = [("x-units", "1, z"), ("cookie", "session=abc")];
    let found = of_head(parameters.clone(), None, &bad, &[("id", "p7")]);
    let places: Vec<&str> = found.iter().filter_map(|text| text.split(": ").next()).collect();
    assert_eq!(
        places,
        ["/path/id", "/header/x-units/1", "/cookie/session"],
        "{found:?}"
    );
    let none = of_head(parameters, None, &[], &[("id", "%FF")]);
    let expected = [
        "/path/id: is not UTF-8",
        "/header/x-units: is required",
        "/cookie/session: is required",
    ];
    assert_eq!(none, expected);
}

#[test]
fn a_body_is_read_by_its_content_type() {
    let schema = json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer", "maximum": 150},
            "tags": {"type": "array", "items": {"type": "integer"}}
        },
        "additionalProperties": false
    });
    let content = json!([
        {"contentType": "application/json", "schema": schema},
        {"contentType": "application/x-www-form-urlencoded", "schema": schema},
        {"contentType": "text/*"}
    ]);
    let json_type = "Application/JSON; charset=utf-8";
    assert_eq!(
        of_body(content.clone(), json_type, r#"{"name": "A", "age": 7, "tags": [1]}"#),
        [""; 0]
    );
    let form = "application/x-www-form-urlencoded";
    assert_eq!(of_body(content.clone(), form, "name=A&age=7&tags=1&tags=2"), [""; 0]);
    assert_eq!(of_body(content.clone(), "text/plain", "anything"), [""; 0]);
    for (kind, body) in [
        (json_type, r#"{"age": 151, "tags": ["x"], "more": 1}"#),
        (form, "age=151&tags=x&more=1"),
    ] {
        let found = of_body(content.clone(), kind, body);
        assert_eq!(found.len(), 4, "{found:?}");
        for place in ["/body: ", "/body/age: ", "/body/tags/0: "] {
            assert!(found.iter().any(|text| text.starts_with(place)), "{place} {found:?}");
        }
        assert!(!found.concat().contains("151 "), "{found:?}");
    }
    assert_eq!(of_body(content, json_type, ""), ["/body: a body is required"]);
}

#[test]
fn a_content_type_that_is_not_listed_is_refused_with_those_that_are() {
    let validator = compiled(json!({"operations": [{"requestBody": {"content": [
        {"contentType": "application/json"}, {"contentType": "image/*"}
    ]}}]}));
    let refused = |headers: &[(&str, &str)], has_body| {
        let headers = fields(headers);
        let head = Head {
            path: &[],
            query: None,
            own_query: &[],
            headers: &headers,
            has_body,
        };
        match validator.operations[0].check_head(&head) {
            Ok(()) => None,
            Err(HeadRefusal::ContentType(accepted)) => Some(accepted),
            Err(other) => panic!("{other:?}"),
        }
    };
    let accepted = Some("application/json or image/*".to_owned());
    assert_eq!(refused(&[("content-type", "text/plain")], Some(true)), accepted);
    assert_eq!(refused(&[], Some(true)), accepted);
    assert_eq!(refused(&[("content-type", "text/plain")], None), accepted);
    for (headers, has_body) in [
        (&[("content-type", "image/png")][..], Some(true)),
        (&[("content-type", "text/plain")][..], Some(false)),
        (&[][..], None),
    ] {
        assert_eq!(refused(headers, has_body), None);
    }
}

#[test]
fn answers_are_checked_by_status_then_class_then_default() {
    let of = |name: &str| json!([{"contentType": "application/json", "schema": {"required": [name]}}]);
    let validator = compiled(json!({"operations": [{"responses": [
        {"status": "default", "content": of("error")},
        {"status": "2XX", "content": of("any")},
        {"status": "200", "content": of("one")},
        {"status": "204"}
    ]}]}));
    let operation = &validator.operations[0];
    let headers = fields(&[("content-type", "application/json")]);
    for (status, body, fits) in [
        (200, r#"{"one": 1}"#, true),
        (200, r#"{"any": 1}"#, false),
        (201, r#"{"any": 1}"#, true),
        (500, r#"{"error": 1}"#, true),
        (404, "{}", false),
        (204, "x", true),
    ] {
        assert_eq!(
            operation.check_answer(status, &headers, body.as_bytes()).is_ok(),
            fits,
            "{status} {body}"
        );
    }
    let html = fields(&[("content-type", "text/html")]);
    let wrong = operation.check_answer_head(200, &html).unwrap_err();
    assert_eq!(wrong[0].to_string(), "/header/content-type: must be application/json");
    assert!(operation.check_answer_head(204, &html).is_ok());
}

#[test]
fn definitions_are_shared_and_may_refer_to_themselves() {
    let validator = compiled(json!({
        "operations": [{"requestBody": {"content": [
            {"contentType": "application/json", "schema": {"$ref": "#/$defs/Node"}}
        ]}}],
        "definitions": {
            "Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "id": {"$ref": "#/$defs/Id"}}},
            "Id": {"type": "string", "format": "uuid"}
        },
        "formats": true
    }));
    let headers = fields(&[("content-type", "application/json")]);
    let violations = |body: &str| validator.operations[0].check_body(&headers, body.as_bytes());
    assert!(violations(r#"{"next": {"id": "01890a5d-ac96-774b-bcce-b302099a8057"}}"#).is_ok());
    let found = violations(r#"{"next": {"id": "7"}}"#).unwrap_err();
    assert_eq!(found[0].path, "/body/next/id");
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[test]
fn what_cannot_work_is_refused_with_its_place() {
    let parameter = |fields: Value| {
        let mut parameter = json!({"name": "a", "in": "query", "schema": {"type": "string"}});
        parameter
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        json!({"operations": [{"parameters": [parameter]}]})
    };
    let content = |content: Value| json!({"operations": [{"requestBody": {"content": content}}]});
    for (validation, told) in [
        (json!({"operations": []}), "validation.operations: holds 0 operations"),
        (
            json!({"operations": [{"path": {"template": "/a/{x}"}}, {"path": {"template": "/a/{y}"}, "methods": ["GET"]}]}),
            "validation.operations[1]: has the path and a method of validation.operations[0]",
        ),
        (
            json!({"operations": [{"path": {"exact": "a"}}]}),
            "validation.operations[0].path: the path must start",
        ),
        (
            json!({"operations": [{"name": ""}]}),
            "validation.operations[0].name: must be 1 to 200",
        ),
        (
            parameter(json!({"in": "path", "name": "b"})),
            "validation.operations[0].parameters[0].name: {b} is not a parameter",
        ),
        (
            parameter(json!({"in": "header", "name": "a b"})),
            "validation.operations[0].parameters[0].name: \"a b\" is not",
        ),
        (
            parameter(json!({"schema": {"type": "object"}})),
            "validation.operations[0].parameters[0].schema: is that of an object",
        ),
        (
            parameter(json!({"schema": {"minimum": 1}})),
            "validation.operations[0].parameters[0].schema: limits a number",
        ),
        (
            parameter(json!({"schema": {"type": 1}})),
            "validation.operations[0].parameters[0].schema.type: is no JSON Schema",
        ),
        (
            parameter(json!({"encoding": "pipe"})),
            "validation.operations[0].parameters[0].encoding: needs a schema",
        ),
        (
            parameter(json!({"in": "header", "encoding": "repeated", "schema": {"type": "array"}})),
            "validation.operations[0].parameters[0].encoding: repeated is possible in the query only",
        ),
        (
            content(json!([])),
            "validation.operations[0].requestBody.content: must name a content type",
        ),
        (
            content(json!([{"contentType": "json"}])),
            "validation.operations[0].requestBody.content[0].contentType: \"json\" must be",
        ),
        (
            content(json!([{"contentType": "a/b"}, {"contentType": "A/B"}])),
            "validation.operations[0].requestBody.content[1].contentType: a/b is there twice",
        ),
        (
            content(json!([{"contentType": "image/png", "schema": {}}])),
            "validation.operations[0].requestBody.content[0].schema: image/png is neither JSON nor a form",
        ),
        (
            json!({"operations": [{"responses": [{"status": "20"}]}]}),
            "validation.operations[0].responses[0].status: \"20\" must be a status",
        ),
        (
            json!({"operations": [{}], "definitions": {"A": {"$ref": "#/$defs/Missing"}}}),
            "validation.definitions.A",
        ),
    ] {
        let problems = refused(validation);
        assert!(problems[0].starts_with(told), "{told}: {problems:?}");
    }
}

#[test]
fn a_bad_definition_is_told_once() {
    let problems = refused(json!({
        "operations": [
            {"requestBody": {"content": [{"contentType": "application/json", "schema": {"$ref": "#/$defs/A"}}]}},
            {"path": {"exact": "/a"}, "requestBody": {"content": [{"contentType": "application/json", "schema": {"$ref": "#/$defs/A"}}]}}
        ],
        "definitions": {"A": {"type": "strin"}}
    }));
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("validation.definitions.A.type: is no JSON Schema"),
        "{problems:?}"
    );
}

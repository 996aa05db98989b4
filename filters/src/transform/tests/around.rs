//! What is around the body, as a source and as a target.

use http::{HeaderName, HeaderValue};

use super::*;

fn compiled_for(side: Side, lines: &Value) -> Result<Mapping, Vec<String>> {
    let lines: Vec<FieldMapping> = serde_json::from_value(lines.clone()).unwrap();
    let mut problems = Vec::new();
    let rules = Rules {
        side,
        ..Rules::default()
    };
    Mapping::compile_for(rules, &lines, "lines", &mut problems)
        .ok_or_else(|| problems.iter().map(ToString::to_string).collect())
}

fn context() -> ScriptContext {
    serde_json::from_value::<ScriptContext>(json!({
        "orgId": 648, "entityRid": 7001, "eventType": "bill.generated",
        "headers": {"x-ward": "A"}, "params": {"id": "42"}, "status": 200,
        "metadata": {"eventId": "e-1", "attempt": 2},
        "caller": {"name": "his", "claims": {"sub": "u1", "roles": ["a", "b"]}}
    }))
    .map(|context| ScriptContext {
        pairs: [("page", "1"), ("tag", "x"), ("tag", "y")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..context
    })
    .unwrap()
}

#[test]
fn what_is_around_the_body_is_read() {
    let lines = json!([
        {"sourceField": "$header.X-Ward", "targetField": "ward"},
        {"sourceField": "$query.page", "targetField": "page", "transform": [{"type": "toInteger"}]},
        {"sourceField": "$query.tag[]", "targetField": "tags[].name"},
        {"sourceField": "$query.tag", "targetField": "tag"},
        {"sourceField": "$query.other", "targetField": "other"},
        {"sourceField": "$path.id", "targetField": "id"},
        {"sourceField": "$caller.name", "targetField": "caller"},
        {"sourceField": "$caller.claims.sub", "targetField": "sub"},
        {"sourceField": "$caller.claims.roles[-1]", "targetField": "role"},
        {"sourceField": "$status", "targetField": "status"},
        {"sourceField": "$event.type", "targetField": "type"},
        {"sourceField": "$event.id", "targetField": "event"},
        {"sourceField": "$event.entityRid", "targetField": "rid"},
        {"targetField": "text", "template": "{$path.id}-{a}"},
        {"sourceField": "a", "targetField": "a", "when": {"field": "$header.x-ward", "equals": "A"}}
    ]);
    let mapping = compiled_for(Side::Any, &lines).unwrap();
    assert!(mapping.asks_around() && !mapping.edits_around());
    let mapped = mapping.apply_within(br#"{"a": 1}"#, &context()).unwrap();
    let body: Value = serde_json::from_slice(&mapped.body.unwrap()).unwrap();
    assert_eq!(
        body,
        json!({"ward": "A", "page": 1, "tags": [{"name": "x"}, {"name": "y"}], "tag": "x", "id": "42", "caller": "his",
            "sub": "u1", "role": "b", "status": 200, "type": "bill.generated", "event": "e-1", "rid": 7001, "text": "42-1",
            "a": 1})
    );
}

#[test]
fn what_is_around_the_body_is_written() {
    let lines = json!([
        {"sourceField": "ward", "targetField": "$header.X-Ward"},
        {"sourceField": "gone", "targetField": "$header.X-Gone"},
        {"sourceField": "absent", "targetField": "$header.X-Absent"},
        {"sourceField": "page", "targetField": "$query.page"},
        {"sourceField": "gone", "targetField": "$query.tag"},
        {"sourceField": "name", "targetField": "$path.id"},
        {"sourceField": "items[].code", "targetField": "$header.X-Codes", "transform": [{"type": "join", "separator": ","}]}
    ]);
    let mapping = compiled_for(Side::Request, &lines).unwrap();
    let body = br#"{"ward": "A", "gone": null, "page": 2, "name": "a b/c", "items": [{"code": 1}, {"code": 2}]}"#;
    let mapped = mapping.apply_within(body, &context()).unwrap();
    assert_eq!(mapped.body, None, "no line writes to the body");
    let field = |name: &'static str, value: Option<&'static str>| {
        (HeaderName::from_static(name), value.map(HeaderValue::from_static))
    };
    assert_eq!(
        mapped.edits.headers,
        [
            field("x-ward", Some("A")),
            field("x-gone", None),
            field("x-codes", Some("1,2"))
        ]
    );
    assert_eq!(mapped.edits.query_of("tag=x&a=b&p%61ge=1&tag=y"), "a=b&page=2");
    assert_eq!(mapped.edits.query_of(""), "page=2");
    assert_eq!(mapped.edits.path, [("id".into(), "a%20b%2Fc".to_owned())]);
}

#[test]
fn the_status_follows_the_first_line_that_applies() {
    let lines = json!([
        {"targetField": "$status", "value": 404, "when": {"field": "error.code", "equals": "NONE"}},
        {"targetField": "$status", "value": 422, "when": {"field": "error", "exists": true}},
        {"sourceField": "error", "targetField": "problem"}
    ]);
    let mapping = compiled_for(Side::Response, &lines).unwrap();
    let status = |body: &str| {
        let mapped = mapping.apply_within(body.as_bytes(), &context()).unwrap();
        mapped.edits.status.map(|status| status.as_u16())
    };
    assert_eq!(status(r#"{"error": {"code": "NONE"}}"#), Some(404));
    assert_eq!(status(r#"{"error": "x"}"#), Some(422));
    assert_eq!(status("{}"), None);
}

#[test]
fn values_that_cannot_stand_there_are_named() {
    for (target, value, expected) in [
        (
            "$header.X-A",
            json!("a\nb"),
            "$header.X-A: \"a\\nb\" cannot be the value of a header field",
        ),
        (
            "$header.X-A",
            json!([1]),
            "$header.X-A: a list cannot be the value of a header field",
        ),
        (
            "$query.a",
            json!({}),
            "$query.a: an object cannot be a parameter of the query",
        ),
        ("$path.a", json!(".."), "$path.a: \"..\" cannot be a part of the path"),
        ("$path.a", json!(null), "$path.a: null cannot be a part of the path"),
        (
            "$status",
            json!(204),
            "$status: 204 cannot be the status of an answer with a body",
        ),
        ("$status", json!("abc"), "$status: \"abc\" cannot be the status"),
    ] {
        let mapping = compiled_for(Side::Any, &json!([{"sourceField": "v", "targetField": target}])).unwrap();
        let fault = mapping
            .apply_within(json!({"v": value}).to_string().as_bytes(), &context())
            .unwrap_err();
        assert!(fault.to_string().starts_with(expected), "{fault}");
    }
}

#[test]
fn names_that_are_not_there_are_refused() {
    let source = |side: Side, name: &str| compiled_for(side, &json!([{"sourceField": name, "targetField": "x"}]));
    let target = |side: Side, name: &str| compiled_for(side, &json!([{"sourceField": "x", "targetField": name}]));
    for (outcome, expected) in [
        (source(Side::Request, "$header.Authorization"), "may carry credentials"),
        (source(Side::Request, "$header"), "a name is missing"),
        (
            source(Side::Request, "$header.a b"),
            "cannot be the name of a header field",
        ),
        (source(Side::Request, "$status"), "a request has"),
        (source(Side::Response, "$query.a"), "an answer has"),
        (source(Side::Event, "$path.a"), "an event has `$event`"),
        (source(Side::Event, "$event.other"), "of the event there are"),
        (source(Side::Request, "$caller.secret"), "of the caller there are"),
        (
            target(Side::Request, "$header.Host"),
            "the gateway writes this field itself",
        ),
        (target(Side::Request, "$status"), "a request can be given"),
        (target(Side::Response, "$query.a"), "an answer can be given"),
        (target(Side::Event, "$path.a"), "a delivery can be given"),
        (target(Side::Request, "$path"), "a name is missing"),
    ] {
        let found = outcome.map(|_| ()).unwrap_err();
        assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
    }
}

#[test]
fn a_missing_environment_variable_is_a_fault() {
    let mapping = compiled_for(Side::Event, &json!([{"targetField": "x", "template": "{{env.NOPE}}"}])).unwrap();
    let fault = mapping.apply_within(b"{}", &context()).unwrap_err();
    assert!(fault.to_string().contains("`{{env.NOPE}}` is not set"), "{fault}");
}

use std::borrow::Cow;

use http::HeaderMap;
use serde_json::{Value as Json, json};

use super::*;

struct Request;

impl Facts for Request {
    fn value(&self, source: &Source) -> Option<Cow<'_, str>> {
        match source {
            Source::Path(name) => (name == "id").then_some(Cow::Borrowed("P-7")),
            Source::Query(name) => (name == "evil").then_some(Cow::Borrowed("a\r\nb: c")),
            Source::CallerName => Some(Cow::Borrowed("clinic")),
            _ => None,
        }
    }
}

fn compiled(edits: Json) -> Result<Edits, Vec<String>> {
    let mut problems = Vec::new();
    let config = serde_json::from_value(json!({ "request": edits })).unwrap();
    let compiled = crate::compile::edits::headers(&config, &["id".to_owned()], &mut problems);
    compiled
        .map(|edits| edits.request)
        .ok_or_else(|| problems.iter().map(ToString::to_string).collect())
}

fn edited(edits: Json) -> Vec<(String, String)> {
    let mut fields = HeaderMap::new();
    for (name, value) in [
        ("x-internal-a", "1"),
        ("x-internal-b", "2"),
        ("x-kept", "3"),
        ("x-kept", "4"),
    ] {
        fields.append(name, HeaderValue::from_static(value));
    }
    let edits = compiled(edits).unwrap();
    edits.ready(&Request).apply(&mut fields);
    let pair = |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
    let mut pairs: Vec<_> = fields.iter().map(pair).collect();
    pairs.sort();
    pairs
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

#[test]
fn fields_are_removed_set_appended_and_filled_in() {
    let edits = json!({
        "remove": ["X-Internal-*"],
        "set": [{"name": "X-Kept", "value": "new"}, {"name": "X-Who", "value": "{{caller.name}}/{{ path.id }}"}],
        "append": [{"name": "X-Kept", "value": "more"}],
        "default": [{"name": "X-Kept", "value": "no"}, {"name": "X-Brace", "value": "{}"}]
    });
    let expected = [
        ("x-brace", "{}"),
        ("x-kept", "more"),
        ("x-kept", "new"),
        ("x-who", "clinic/P-7"),
    ];
    assert_eq!(edited(edits), pairs(expected));
}

#[test]
fn a_value_that_is_not_there_or_would_break_out_is_not_written() {
    let edits = json!({
        "remove": ["x-*"],
        "set": [{"name": "X-A", "value": "{{query.none}}"}, {"name": "X-B", "value": "{{query.evil}}"}]
    });
    assert_eq!(edited(edits), []);
}

#[test]
fn values_can_be_kept_for_the_answer() {
    let edits =
        compiled(json!({"set": [{"name": "X-A", "value": "1"}, {"name": "X-B", "value": "{{path.id}}"}]})).unwrap();
    let kept = edits.ready(&Request).kept();
    let mut fields = HeaderMap::new();
    edits.ready_from(&kept).apply(&mut fields);
    assert_eq!(
        (&fields["x-a"], &fields["x-b"]),
        (&HeaderValue::from_static("1"), &HeaderValue::from_static("P-7"))
    );
}

#[test]
fn what_belongs_to_the_connection_or_is_no_field_is_refused() {
    for (edits, told) in [
        (
            json!({"set": [{"name": "Host", "value": "x"}]}),
            "headers.request.set[0].name: \"Host\" belongs to",
        ),
        (
            json!({"remove": ["Content-Length"]}),
            "headers.request.remove[0]: \"Content-Length\" belongs to",
        ),
        (json!({"remove": ["*"]}), "headers.request.remove[0]: \"*\" is not"),
        (
            json!({"append": [{"name": "a b", "value": "x"}]}),
            "headers.request.append[0].name: \"a b\" is not",
        ),
        (
            json!({"set": [{"name": "a", "value": "x\ny"}]}),
            "headers.request.set[0].value: must not hold",
        ),
        (
            json!({"set": [{"name": "a", "value": "{{path.other}}"}]}),
            "headers.request.set[0].value: {{path.other}} is not a parameter",
        ),
        (
            json!({"set": [{"name": "a", "value": "{{what}}"}]}),
            "headers.request.set[0].value: {{what}} is not known",
        ),
        (
            json!({"set": [{"name": "a", "value": "{{status}}"}]}),
            "headers.request.set[0].value: ",
        ),
        (
            json!({"set": [{"name": "a", "value": "{{path.id"}]}),
            "headers.request.set[0].value: holds a {{ without",
        ),
    ] {
        let problems = compiled(edits).unwrap_err();
        assert!(problems[0].starts_with(told), "{told}: {problems:?}");
    }
}

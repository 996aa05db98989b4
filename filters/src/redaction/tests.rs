use proptest::prelude::*;
use serde_json::json;

use super::*;

fn redactor(headers: &[&str], paths: &[&str]) -> Redactor {
    let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    let redaction = Redaction {
        headers: texts(headers),
        json_paths: texts(paths),
    };
    let mut problems = Vec::new();
    let redactor = Redactor::default().with(Some(&redaction), "redaction", &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    redactor
}

fn problems(headers: &[&str], paths: &[&str]) -> Vec<String> {
    let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    let redaction = Redaction {
        headers: texts(headers),
        json_paths: texts(paths),
    };
    let mut problems = Vec::new();
    let _ = Redactor::default().with(Some(&redaction), "redaction", &mut problems);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn parameters_of_a_query_are_shown_by_name_and_secrets_are_not() {
    let redactor = redactor(&[], &["$..ssn"]);
    let shown = redactor.query("a=1&ssn=078&api_key=k&a=%C3%A9&b");
    let shown: Vec<_> = shown
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(shown, [("a", "1, é"), ("api_key", MASK), ("b", ""), ("ssn", MASK)]);
    let long = format!("a=1&b={}&c=2", "x".repeat(MOST_HEADER_BYTES));
    assert_eq!(redactor.query(&long).len(), 1, "what does not fit is left out");
}

#[test]
fn fields_are_masked_where_the_paths_lead() {
    let body = json!({
        "patient": {"ssn": "1-2-3", "name": "Ann", "odd.name": "x"},
        "items": [{"note": "a", "code": 1}, {"note": "b", "code": 2}],
        "deep": {"list": [{"birthDate": "2000-01-01"}]},
        "password": "hunter2",
    });
    let shown = redactor(
        &[],
        &[
            "$.patient.ssn",
            "$.patient['odd.name']",
            "$.items[*].note",
            "$.items[1].code",
            "$..birthDate",
            "$.none.there",
        ],
    )
    .body(body.to_string().as_bytes(), None, true, 10_000)
    .unwrap();
    let wanted = json!({
        "patient": {"ssn": "***", "name": "Ann", "odd.name": "***"},
        "items": [{"note": "***", "code": 1}, {"note": "***", "code": "***"}],
        "deep": {"list": [{"birthDate": "***"}]},
        "password": "***",
    });
    assert_eq!(shown, wanted);
}

#[test]
fn in_a_body_that_is_cut_the_last_name_decides() {
    let text = r#"{"patient":{"ssn":"1-2-3","name":"Ann"},"other":{"ssn":"4-5-6"},"rest":"0123456789"#;
    let shown = redactor(&[], &["$.patient.ssn"])
        .body(text.as_bytes(), None, false, 1_000)
        .unwrap();
    assert_eq!(
        shown,
        json!(r#"{"patient":{"ssn":"***","name":"Ann"},"other":{"ssn":"***"},"rest":"0123456789"#)
    );
    let by_place = redactor(&[], &["$[*]"])
        .body(br#"["a","b"#, None, false, 1_000)
        .unwrap();
    assert_eq!(by_place, json!(CUT_OFF));
}

#[test]
fn forms_are_masked_and_what_cannot_be_read_is_not_shown() {
    let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
    let redactor = redactor(&[], &["$.ssn"]);
    let shown = redactor.body(b"user=ann&password=hunter2&ssn=1-2-3", Some(&form), true, 1_000);
    assert_eq!(shown, Some(json!("user=ann&password=***&ssn=***")));
    let cut = redactor.body(b"user=ann&password=hunter2", Some(&form), true, 12);
    assert_eq!(cut, Some(json!("user=ann…")));
    let xml = redactor.body(b"<password>hunter2</password>", None, true, 1_000);
    assert_eq!(xml, Some(json!(NO_JSON)));
    assert_eq!(redactor.body(b"ssn 1-2-3", None, true, 1_000), Some(json!(NO_JSON)));
    let words = Redactor::default().body(b"no such patient", None, true, 7);
    assert_eq!(words, Some(json!("no such")));
    assert_eq!(redactor.body(b"", None, true, 1_000), None);
    assert_eq!(redactor.body(b"{}", None, true, 0), None);
}

#[test]
fn named_headers_and_queries_in_addresses_are_masked() {
    let mut fields = HeaderMap::new();
    for (name, value) in [
        ("x-patient-id", "hunter2"),
        ("x-key", "hunter2"),
        ("location", "https://a.example/next?ticket=hunter2"),
        ("referer", "https://a.example/#hunter2"),
        ("accept", "text/html"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    let shown = redactor(&["X-Patient-Id"], &[]).headers(&fields, &[HeaderName::from_static("x-key")]);
    assert!(!format!("{shown:?}").contains("hunter2"), "{shown:?}");
    assert_eq!(shown["location"], "https://a.example/next");
    assert_eq!(shown["accept"], "text/html");
}

#[test]
fn wrong_rules_are_named() {
    for (headers, paths, wanted) in [
        (&["a b"][..], &[][..], "redaction.headers[0]"),
        (
            &[],
            &["patient.ssn"],
            "redaction.jsonPaths[0]: \"patient.ssn\" must begin with `$`",
        ),
        (&[], &["$.ok", "$"], "redaction.jsonPaths[1]: \"$\" names no field"),
        (&[], &["$.a..*"], "no name"),
        (&[], &["$.a[x]"], "neither `*` nor a number"),
        (&[], &["$.a[0"], "without its `]`"),
        (&[], &["$['a]"], "does not end"),
        (&[], &["$a"], "needs a `.`"),
    ] {
        let found = problems(headers, paths);
        assert!(found.len() == 1 && found[0].contains(wanted), "{paths:?}: {found:?}");
    }
    assert!(problems(&[], &vec!["$.a"; 101])[0].contains("at most 100"));
}

proptest! {
    /// Wherever a body is cut, a field that a rule names does not show.
    #[test]
    fn no_cut_shows_a_named_field(secret in "[A-Z]{12}", before in "[a-z\"\\\\{}\\[\\]:,äß ]{0,20}", cut_at in 1_usize..120) {
        let text = json!({"before": before, "note": [{"x": secret}], "z": {"note": secret}}).to_string();
        let shown = redactor(&[], &["$..note"]).body(text.as_bytes(), None, true, cut_at);
        prop_assert!(!shown.unwrap_or_default().to_string().contains(&secret[..6]));
    }

    #[test]
    fn no_rule_and_no_body_makes_it_fail(path in "\\$[.\\[\\]'\"*a-c0-9$]{0,12}", body in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(path) = JsonPath::parse(&path) {
            let redactor = Redactor { headers: Vec::new(), paths: vec![path] };
            let _ = redactor.body(&body, None, true, 50);
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            let _ = redactor.body(&body, Some(&form), false, 50);
        }
    }
}

mod around;
mod check;
mod composed;
mod lists;
mod operations;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn compiled(lines: &Value) -> Result<Mapping, Vec<Problem>> {
    let lines: Vec<FieldMapping> = serde_json::from_value(lines.clone()).unwrap();
    let mut problems = Vec::new();
    match Mapping::compile(&lines, "lines", &mut problems) {
        Some(mapping) => {
            assert!(problems.is_empty(), "{problems:?}");
            Ok(mapping)
        }
        None => Err(problems),
    }
}

fn mapped(lines: Value, source: Value) -> Value {
    let output = compiled(&lines).unwrap().apply(source.to_string().as_bytes()).unwrap();
    serde_json::from_slice(&output).unwrap()
}

fn fault(lines: Value, source: Value) -> String {
    let fault = compiled(&lines)
        .unwrap()
        .apply(source.to_string().as_bytes())
        .unwrap_err();
    fault.to_string()
}

fn problems(lines: Value) -> Vec<String> {
    compiled(&lines).unwrap_err().iter().map(Problem::to_string).collect()
}

#[test]
fn what_the_table_names_goes_out_in_its_order_and_nothing_else() {
    let lines = json!([
        {"sourceField": "patient.name", "targetField": "person.fullName"},
        {"targetField": "system", "value": "HIS"},
        {"sourceField": "patient.id", "targetField": "person.id"},
        {"sourceField": "visits[1].ward", "targetField": "ward"}
    ]);
    let source = json!({
        "patient": {"id": 7, "name": "Ada", "ssn": "secret"},
        "visits": [{"ward": "A"}, {"ward": "B"}]
    });
    let output = compiled(&lines).unwrap().apply(source.to_string().as_bytes()).unwrap();
    assert_eq!(
        String::from_utf8(output).unwrap(),
        r#"{"person":{"fullName":"Ada","id":7},"system":"HIS","ward":"B"}"#
    );
}

#[test]
fn lists_are_filled_side_by_side() {
    let lines = json!([
        {"sourceField": "items[].code", "targetField": "lines[].sku"},
        {"sourceField": "quantities[]", "targetField": "lines[].quantity"},
        {"targetField": "lines[].unit", "value": "piece"},
        {"sourceField": "items[].tests[].name", "targetField": "lines[].tests[]"}
    ]);
    let source = json!({
        "items": [{"code": "a", "tests": [{"name": "x"}, {"name": "y"}]}, {"code": "b", "tests": []}],
        "quantities": [1, 2, 3]
    });
    assert_eq!(
        mapped(lines, source),
        json!({"lines": [
            {"sku": "a", "quantity": 1, "unit": "piece", "tests": ["x", "y"]},
            {"sku": "b", "quantity": 2, "unit": "piece", "tests": []},
            {"quantity": 3, "unit": "piece"}
        ]})
    );
}

#[test]
fn bodies_that_are_lists_map_to_lists() {
    let lines = json!([{"sourceField": "[].id", "targetField": "[].key"}]);
    assert_eq!(
        mapped(lines.clone(), json!([{"id": 1}, {"id": 2}])),
        json!([{"key": 1}, {"key": 2}])
    );
    assert_eq!(mapped(lines.clone(), json!([])), json!([]));
    assert_eq!(compiled(&lines).unwrap().apply(b"").unwrap(), b"[]");
    assert!(fault(lines, json!({"id": 1})).contains("`the body` is an object, not a list"));
}

#[test]
fn fixed_places_make_a_list_that_closes_up() {
    let lines = json!([
        {"sourceField": "mobile", "targetField": "phones[1].number"},
        {"sourceField": "home", "targetField": "phones[0].number"}
    ]);
    assert_eq!(
        mapped(lines.clone(), json!({"home": "1", "mobile": "2"})),
        json!({"phones": [{"number": "1"}, {"number": "2"}]})
    );
    assert_eq!(
        mapped(lines, json!({"mobile": "2"})),
        json!({"phones": [{"number": "2"}]})
    );
}

#[test]
fn absent_null_and_empty_are_told_apart() {
    let line = |omit: Value| {
        let mut line = json!({"sourceField": "a", "targetField": "b"});
        if !omit.is_null() {
            line["omitWhen"] = omit;
        }
        json!([line])
    };
    for (omit, absent, null, empty) in [
        (json!(null), json!({}), json!({"b": null}), json!({"b": ""})),
        (json!("absent"), json!({}), json!({"b": null}), json!({"b": ""})),
        (json!("null"), json!({}), json!({}), json!({"b": ""})),
        (json!("empty"), json!({}), json!({}), json!({})),
    ] {
        assert_eq!(mapped(line(omit.clone()), json!({})), absent, "{omit}");
        assert_eq!(mapped(line(omit.clone()), json!({"a": null})), null, "{omit}");
        assert_eq!(mapped(line(omit.clone()), json!({"a": ""})), empty, "{omit}");
    }
    assert_eq!(mapped(line(json!("empty")), json!({"a": 0})), json!({"b": 0}));
}

#[test]
fn objects_and_items_without_anything_in_them_are_left_out() {
    let lines = json!([
        {"sourceField": "a.b", "targetField": "x.y.z"},
        {"sourceField": "items[].code", "targetField": "codes[].code"}
    ]);
    assert_eq!(
        mapped(lines, json!({"items": [{"code": 1}, {}, {"code": 3}]})),
        json!({"codes": [{"code": 1}, {"code": 3}]})
    );
}

#[test]
fn a_default_takes_the_place_of_an_absent_or_null_source_untouched() {
    let lines = json!([{
        "sourceField": "a", "targetField": "b", "transform": [{"type": "upper"}], "defaultValue": "none"
    }]);
    assert_eq!(mapped(lines.clone(), json!({})), json!({"b": "none"}));
    assert_eq!(mapped(lines.clone(), json!({"a": null})), json!({"b": "none"}));
    assert_eq!(mapped(lines, json!({"a": "x"})), json!({"b": "X"}));
}

#[test]
fn null_can_be_written_on_purpose() {
    let lines = json!([
        {"targetField": "a", "value": null},
        {"sourceField": "x", "targetField": "b", "defaultValue": null}
    ]);
    assert_eq!(mapped(lines, json!({})), json!({"a": null, "b": null}));
}

#[test]
fn transformers_run_in_order() {
    let lines = json!([
        {"sourceField": "a", "targetField": "a", "transform": [{"type": "trim"}, {"type": "default", "value": "none"}, {"type": "upper"}]},
        {"sourceField": "b", "targetField": "b", "transform": [{"type": "lower"}]}
    ]);
    assert_eq!(
        mapped(lines.clone(), json!({"a": "  ", "b": "ÄB"})),
        json!({"a": "NONE", "b": "äb"})
    );
    assert_eq!(
        mapped(lines, json!({"a": " x y ", "b": null})),
        json!({"a": "X Y", "b": null})
    );
}

#[test]
fn a_value_of_the_wrong_type_is_an_error_that_names_the_field() {
    let lines =
        json!([{"sourceField": "items[].code", "targetField": "lines[].sku", "transform": [{"type": "upper"}]}]);
    assert_eq!(
        fault(lines, json!({"items": [{"code": "a"}, {"code": 5}]})),
        "lines[1].sku: `upper` needs a text, but the value is a number"
    );
}

#[test]
fn a_required_field_that_is_missing_is_named_with_its_place() {
    let lines = json!([
        {"sourceField": "orders[].items[].code", "targetField": "o[].lines[].sku", "required": true},
        {"sourceField": "name", "targetField": "name", "required": true}
    ]);
    let source = |items: Value| json!({"name": "n", "orders": [{"items": []}, {"items": items}]});
    assert_eq!(
        fault(lines.clone(), source(json!([{"code": 1}, {"code": null}]))),
        "o[1].lines[1].sku: required, but `orders[1].items[1].code` is absent or null"
    );
    assert_eq!(
        fault(lines.clone(), source(Value::Null)),
        "o[1].lines[].sku: required, but `orders[1].items` is absent or null"
    );
    assert_eq!(
        fault(lines.clone(), json!({"orders": []})),
        "name: required, but `name` is absent or null"
    );
    assert_eq!(
        mapped(lines.clone(), json!({"name": "n", "orders": []})),
        json!({"o": [], "name": "n"})
    );
    let nothing = compiled(&lines).unwrap().apply(b"").unwrap_err().to_string();
    assert_eq!(nothing, "o[].lines[].sku: required, but `orders` is absent or null");
}

#[test]
fn a_list_that_is_something_else_is_an_error() {
    let lines = json!([{"sourceField": "orders[].items[].code", "targetField": "o[].lines[].sku"}]);
    assert_eq!(
        fault(lines, json!({"orders": [{"items": {"code": 1}}]})),
        "o[0].lines[].sku: `orders[0].items` is an object, not a list"
    );
}

#[test]
fn lines_apply_where_their_condition_holds() {
    let holds = |test: Value, source: Value| {
        let mut when = json!({"field": "a.b"});
        when.as_object_mut().unwrap().extend(test.as_object().unwrap().clone());
        mapped(json!([{"targetField": "yes", "value": true, "when": when}]), source) == json!({"yes": true})
    };
    let with = |value: Value| json!({"a": {"b": value}});
    for (test, source, expected) in [
        (json!({"equals": "x"}), with(json!("x")), true),
        (json!({"equals": "x"}), with(json!("y")), false),
        (json!({"equals": "x"}), json!({}), false),
        (json!({"equals": 1}), with(json!(1.0)), true),
        (
            json!({"equals": {"p": 1, "q": [2]}}),
            with(json!({"q": [2.0], "p": 1})),
            true,
        ),
        (json!({"equals": null}), with(json!(null)), true),
        (json!({"equals": null}), json!({}), false),
        (json!({"notEquals": "x"}), json!({}), true),
        (json!({"notEquals": "x"}), with(json!("x")), false),
        (json!({"oneOf": ["x", "y"]}), with(json!("y")), true),
        (json!({"oneOf": ["x", "y"]}), with(json!("z")), false),
        (json!({"exists": true}), with(json!(false)), true),
        (json!({"exists": true}), with(json!(null)), false),
        (json!({"exists": false}), with(json!(null)), true),
        (json!({"exists": false}), json!({"a": 1}), true),
    ] {
        assert_eq!(holds(test.clone(), source.clone()), expected, "{test} {source}");
    }
}

#[test]
fn a_line_that_does_not_apply_requires_nothing_and_fills_no_list() {
    let lines = json!([
        {"sourceField": "items[].code", "targetField": "lines[].sku", "required": true, "when": {"field": "kind", "equals": "full"}},
        {"sourceField": "name", "targetField": "name"}
    ]);
    assert_eq!(
        mapped(lines.clone(), json!({"kind": "short", "name": "n"})),
        json!({"name": "n"})
    );
    assert_eq!(
        mapped(lines, json!({"kind": "short", "name": "n", "items": [{}]})),
        json!({"name": "n"})
    );
}

#[test]
fn dates_are_read_and_written_in_the_forms_asked_for() {
    let date = |settings: Value, value: Value| {
        let mut transformer = json!({"type": "date"});
        transformer
            .as_object_mut()
            .unwrap()
            .extend(settings.as_object().unwrap().clone());
        mapped(
            json!([{"sourceField": "d", "targetField": "d", "transform": [transformer]}]),
            json!({"d": value}),
        )["d"]
            .take()
    };
    for (settings, value, expected) in [
        (json!({}), json!("2024-01-31"), json!("2024-01-31T00:00:00Z")),
        (
            json!({}),
            json!("2024-01-31T10:00:00+02:00"),
            json!("2024-01-31T08:00:00Z"),
        ),
        (json!({}), json!(1_706_659_200_000_i64), json!("2024-01-31T00:00:00Z")),
        (json!({}), json!("  "), json!(null)),
        (
            json!({"format": "%d.%m.%Y"}),
            json!("2024-01-31T23:30:00Z"),
            json!("31.01.2024"),
        ),
        (
            json!({"format": "%d.%m.%Y", "zone": "Europe/Berlin"}),
            json!("2024-01-31T23:30:00Z"),
            json!("01.02.2024"),
        ),
        (
            json!({"zone": "Europe/Berlin"}),
            json!("2024-07-01T12:00:00"),
            json!("2024-07-01T12:00:00+02:00"),
        ),
        (
            json!({"from": "%d/%m/%Y %H:%M", "zone": "Asia/Kolkata", "format": "%s"}),
            json!("01/01/1970 05:30"),
            json!("0"),
        ),
        (
            json!({"from": "%Y%m%d", "format": "%Y-%m-%d"}),
            json!(20_240_131),
            json!("2024-01-31"),
        ),
        (
            json!({"from": "%s"}),
            json!("1706659200"),
            json!("2024-01-31T00:00:00Z"),
        ),
    ] {
        assert_eq!(date(settings.clone(), value.clone()), expected, "{settings} {value}");
    }
}

#[test]
fn a_date_that_does_not_read_is_an_error_that_names_the_field() {
    let lines = json!([{"sourceField": "v[].d", "targetField": "lines[].date", "transform": [{"type": "date"}]}]);
    let with = |value: Value| fault(lines.clone(), json!({"v": [{"d": "2024-01-31"}, {"d": value}]}));
    assert!(
        with(json!("x")).starts_with("lines[1].date: \"x\" is not a date in ISO 8601"),
        "{}",
        with(json!("x"))
    );
    assert!(with(json!(1.5)).contains("1.5 is not a date"));
    assert!(with(json!(true)).contains("true is not a date"));
    assert!(with(json!({"private": 1})).contains("an object is not a date"));
    assert!(with(json!(i64::MAX)).contains("cannot be written as a date"));
    let long = with(json!("9".repeat(1_000)));
    assert!(long.len() < 250 && long.contains("9\"..."), "{long}");
    let form = json!([{"sourceField": "d", "targetField": "d", "transform": [{"type": "date", "from": "%d.%m.%Y"}]}]);
    assert_eq!(
        fault(form, json!({"d": "2024-02-30"})),
        "d: \"2024-02-30\" is not a date of the form `%d.%m.%Y`"
    );
}

#[test]
fn bodies_that_are_not_json_or_too_deep_are_errors() {
    let mapping = compiled(&json!([{"sourceField": "a", "targetField": "b"}])).unwrap();
    for body in [&b"{"[..], b" ", b"{} x", b"\xff\xff", b"{\"a\": nan}"] {
        assert!(matches!(mapping.apply(body), Err(MappingFault::NotJson(_))), "{body:?}");
    }
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(mapping.apply(deep(127).as_bytes()).is_ok());
    let fault = mapping.apply(deep(100_000).as_bytes()).unwrap_err().to_string();
    assert!(fault.contains("recursion limit"), "{fault}");
}

#[test]
fn the_result_has_a_cap() {
    let lines = json!([
        {"sourceField": "big", "targetField": "a"},
        {"sourceField": "big", "targetField": "b"}
    ]);
    let body = json!({"big": "x".repeat(1_000)}).to_string();
    let mapping = compiled(&lines).unwrap().with_max_output(2_015);
    assert_eq!(mapping.apply(body.as_bytes()).unwrap().len(), 2_015);
    let fault = mapping.with_max_output(2_014).apply(body.as_bytes()).unwrap_err();
    assert!(matches!(fault, MappingFault::TooLarge { limit: 2_014 }), "{fault}");
}

#[test]
fn work_has_a_cap_even_where_nothing_is_written() {
    let lines: Vec<Value> = (0..MAX_LINES)
        .map(|index| json!({"sourceField": "items[].x", "targetField": format!("lines[].f{index}")}))
        .collect();
    let body = json!({"items": vec![0; 10_000]}).to_string();
    let fault = compiled(&json!(lines)).unwrap().apply(body.as_bytes()).unwrap_err();
    assert!(matches!(fault, MappingFault::TooManySteps { .. }), "{fault}");
}

#[test]
fn every_problem_is_reported_at_once_with_its_path() {
    let found = problems(json!([
        {"sourceField": "a", "targetField": ""},
        {"sourceField": "a", "value": 1, "targetField": "b"},
        {"targetField": "c"},
        {"targetField": "d", "value": 1, "required": true, "transform": [{"type": "trim"}], "defaultValue": 2, "omitWhen": "null"},
        {"sourceField": "items[].a", "targetField": "e"},
        {"sourceField": "f", "targetField": "f", "transform": [{"type": "date", "zone": "Mars/North", "format": "%!", "from": "%H:%M"}]},
        {"sourceField": "g", "targetField": "g", "transform": [{"type": "trim"}, {"type": "lookup", "table": "t"}]},
        {"sourceField": "h", "targetField": "h", "when": {"field": "x[].y", "equals": 1, "exists": true}},
        {"sourceField": "i", "targetField": "i", "when": {"field": "x"}},
        {"sourceField": "j", "targetField": "j", "when": {"field": "x", "oneOf": []}},
        {"sourceField": "$querry.id", "targetField": "k"},
        {"targetField": "l[].x", "value": 1},
        {"targetField": "m[1]", "value": 1}
    ]));
    for expected in [
        "lines[0].targetField: the path is empty",
        "lines[1]: exactly one of `sourceField`, `value`, `template`, `concat` and `filter` is needed",
        "lines[2]: exactly one of",
        "lines[3].required: has no meaning beside `value`",
        "lines[3].transform: has no meaning beside `value`",
        "lines[3].defaultValue: has no meaning beside `value`",
        "lines[3].omitWhen: has no meaning beside `value`",
        "lines[4].targetField: `items[].a` is one value for each item of a list, and `e` has one place",
        "lines[5].transform[0].zone: `Mars/North` is not an IANA time zone",
        "lines[5].transform[0].format: `%!` is not a date form",
        "lines[5].transform[0].from: `%H:%M` does not hold a whole date",
        "lines[6].transform[1].table: \"t\" is not there: the organization has no lookup table",
        "lines[7].when: needs exactly one comparison beside `field`, not 2",
        "lines[8].when: needs exactly one comparison beside `field`, not 0",
        "lines[9].when.oneOf: holds 0 values",
        "lines[10].sourceField: `$querry.id`: names that start with `$` are",
        "lines[11].targetField: nothing says how long this list is",
        "lines[12].targetField: place [1] is given, but not [0]",
    ] {
        assert!(
            found.iter().any(|problem| problem.starts_with(expected)),
            "{expected}\n{found:#?}"
        );
    }
    assert_eq!(found.len(), 18, "{found:#?}");
}

#[test]
fn targets_in_each_others_way_are_refused() {
    let pair = |first: &str, second: &str| {
        let line = |target: &str| {
            let source = if target.contains("[]") { "s[]" } else { "s" };
            json!({"sourceField": source, "targetField": target})
        };
        problems(json!([line(first), line(second)]))
    };
    for (first, second, message) in [
        ("a", "a", "`a` is the target of lines[0].targetField already"),
        ("a.b", "a.b", "already"),
        ("a[]", "a[]", "already"),
        ("a[0]", "a[0]", "already"),
        ("a", "a.b", "in the way of `a`"),
        ("a.b", "a", "in the way of `a.b`"),
        ("a", "a[]", "in the way of `a`"),
        ("a[]", "a[].b", "in the way of `a[]`"),
        ("a[]", "a.b", "does not go together with `a[]`"),
        ("a[]", "a[0]", "does not go together with `a[]`"),
        ("a[0]", "a.b", "does not go together with `a[0]`"),
        ("[].a", "b", "does not go together with `[].a`"),
    ] {
        let found = pair(first, second);
        assert_eq!(found.len(), 1, "{first} {second}: {found:?}");
        assert!(
            found[0].starts_with("lines[1].targetField") && found[0].contains(message),
            "{found:?}"
        );
    }
}

#[test]
fn tables_have_limits() {
    assert!(problems(json!([]))[0].contains("the mapping table is empty"));
    let lines: Vec<Value> = (0..=MAX_LINES)
        .map(|index| json!({"targetField": format!("f{index}"), "value": 1}))
        .collect();
    assert_eq!(
        problems(json!(lines)),
        ["lines: 501 lines are too many: at most 500 are allowed"]
    );
    assert!(compiled(&json!(lines[..MAX_LINES])).is_ok());
    let deep = vec!["a"; 33].join(".");
    assert!(problems(json!([{"targetField": deep, "value": 1}]))[0].contains("more than 32 steps"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c0-9: T-]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[ab]", inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Lines whose paths often fit each other and [`any_json`], and often do not.
fn any_line() -> impl Strategy<Value = FieldMapping> {
    let path = prop_oneof![4 => "[ab](\\[\\]|\\[[01]\\]|\\.[ab]){0,4}", 1 => ".{0,12}"];
    let transformer = prop_oneof![
        Just(json!({"type": "trim"})),
        Just(json!({"type": "upper"})),
        Just(json!({"type": "default", "value": "x"})),
        "(%[a-zA-Z]){1,3}".prop_map(|form| json!({"type": "date", "from": form, "format": form})),
        Just(json!({"type": "date", "zone": "Europe/Berlin"})),
    ];
    (
        path.clone(),
        path,
        prop::collection::vec(transformer, 0..3),
        any::<bool>(),
    )
        .prop_map(|(source, target, transform, required)| {
            serde_json::from_value(json!({
                "sourceField": source, "targetField": target, "transform": transform, "required": required
            }))
            .unwrap()
        })
}

proptest! {
    #[test]
    fn any_table_over_any_body_gives_json_or_an_error(
        lines in prop::collection::vec(any_line(), 1..5),
        body in any_json(),
    ) {
        if let Some(mapping) = Mapping::compile(&lines, "lines", &mut Vec::new())
            && let Ok(output) = mapping.apply(body.to_string().as_bytes())
        {
            prop_assert!(serde_json::from_slice::<Value>(&output).is_ok(), "{}", String::from_utf8_lossy(&output));
        }
    }

    #[test]
    fn numbers_pass_through_exactly(whole in any::<i64>(), fraction in any::<f64>().prop_filter("finite", |f| f.is_finite())) {
        let source = json!({"a": [whole, fraction]});
        let passed = mapped(json!([{"sourceField": "a", "targetField": "a"}]), source.clone());
        prop_assert_eq!(passed.to_string(), source.to_string());
    }

    #[test]
    fn any_bytes_give_json_or_an_error(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let lines = json!([{"sourceField": "[].a", "targetField": "[].b"}]);
        if let Ok(output) = compiled(&lines).unwrap().apply(&body) {
            prop_assert!(serde_json::from_slice::<Value>(&output).is_ok());
        }
    }

    #[test]
    fn a_path_that_parses_reads_back_as_it_was_written(text in "([ab]|\\.|\\[\\]|\\[[0-9]\\]){1,10}") {
        if let Ok(path) = path::FieldPath::parse(&text) {
            prop_assert_eq!(path.at(&[]), text);
        }
    }
}

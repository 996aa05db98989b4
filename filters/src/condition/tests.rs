use serde_json::json;

use super::*;

fn compiled(filter: &Value) -> Result<Condition, Vec<String>> {
    let filter: Filter = serde_json::from_value(filter.clone()).unwrap();
    let mut problems = Vec::new();
    let condition = Condition::compile(&filter, "filter", &mut problems);
    assert_eq!(condition.is_none(), !problems.is_empty(), "{problems:?}");
    condition.ok_or_else(|| problems.iter().map(ToString::to_string).collect())
}

fn holds(filter: &Value, payload: &Value) -> bool {
    compiled(filter).unwrap().holds(Some(payload))
}

#[test]
fn each_comparison_does_what_it_says() {
    let payload = json!({
        "n": 5, "big": 9_007_199_254_740_993_u64, "text": "Lab-7", "null": null, "yes": true,
        "list": ["a", 2, {"x": 1}], "deep": {"items": [{"code": "X"}]}
    });
    for (filter, expected) in [
        (json!({"field": "n", "equals": 5}), true),
        (json!({"field": "n", "equals": 5.0}), true),
        (json!({"field": "n", "equals": "5"}), false),
        (json!({"field": "big", "equals": 9_007_199_254_740_992_u64}), false),
        (json!({"field": "null", "equals": null}), true),
        (json!({"field": "absent", "equals": null}), false),
        (json!({"field": "n", "notEquals": 6}), true),
        (json!({"field": "n", "notEquals": 5.0}), false),
        (json!({"field": "absent", "notEquals": 1}), true),
        (json!({"field": "text", "oneOf": ["x", "Lab-7"]}), true),
        (json!({"field": "text", "oneOf": ["x"]}), false),
        (json!({"field": "absent", "oneOf": [null]}), false),
        (json!({"field": "n", "exists": true}), true),
        (json!({"field": "null", "exists": true}), false),
        (json!({"field": "null", "exists": false}), true),
        (json!({"field": "absent.deeper", "exists": false}), true),
        (json!({"field": "n", "greaterThan": 5}), false),
        (json!({"field": "n", "greaterThan": 4.9}), true),
        (json!({"field": "n", "atLeast": 5}), true),
        (json!({"field": "n", "lessThan": 5}), false),
        (json!({"field": "n", "lessThan": 5.1}), true),
        (json!({"field": "n", "atMost": 5}), true),
        (json!({"field": "text", "greaterThan": 1}), false),
        (json!({"field": "text", "startsWith": "Lab"}), true),
        (json!({"field": "text", "startsWith": "lab"}), false),
        (json!({"field": "text", "endsWith": "-7"}), true),
        (json!({"field": "n", "endsWith": "5"}), false),
        (json!({"field": "text", "contains": "b-"}), true),
        (json!({"field": "list", "contains": 2.0}), true),
        (json!({"field": "list", "contains": {"x": 1.0}}), true),
        (json!({"field": "list", "contains": "b"}), false),
        (json!({"field": "text", "contains": 7}), false),
        (json!({"field": "deep.items[0].code", "equals": "X"}), true),
        (json!({"field": "deep.items[1].code", "exists": true}), false),
        (json!({"field": "deep", "equals": {"items": [{"code": "X"}]}}), true),
    ] {
        assert_eq!(holds(&filter, &payload), expected, "{filter}");
    }
}

#[test]
fn groups_combine_what_is_in_them() {
    let (yes, no) = (json!({"field": "a", "equals": 1}), json!({"field": "a", "equals": 2}));
    for (filter, expected) in [
        (json!({"all": [yes, yes]}), true),
        (json!({"all": [yes, no]}), false),
        (json!({"any": [no, yes]}), true),
        (json!({"any": [no, no]}), false),
        (json!({"not": no}), true),
        (json!({"not": {"any": [no, {"all": [yes]}]}}), false),
    ] {
        assert_eq!(holds(&filter, &json!({"a": 1})), expected, "{filter}");
    }
}

#[test]
fn in_a_payload_that_is_no_json_every_field_is_absent() {
    let absent = compiled(&json!({"field": "a", "exists": false})).unwrap();
    assert!(absent.holds(None));
    let present = compiled(&json!({"field": "a", "equals": 1})).unwrap();
    assert!(!present.holds(None));
}

#[test]
fn filters_that_say_too_little_or_too_much_are_refused_with_the_place() {
    let deep = (0..20).fold(
        json!({"field": "a", "exists": true}),
        |inner, _| json!({ "not": inner }),
    );
    let wide = json!({"any": vec![json!({"field": "a", "exists": true}); 201]});
    for (filter, told) in [
        (json!({}), "filter: must be either `field` with one comparison"),
        (
            json!({"field": "a"}),
            "filter: needs exactly one comparison beside `field`, not 0",
        ),
        (
            json!({"field": "a", "equals": 1, "exists": true}),
            "filter: needs exactly one comparison beside `field`, not 2",
        ),
        (json!({"equals": 1}), "filter: needs `field`"),
        (json!({"field": "a", "equals": 1, "all": []}), "filter: must be either"),
        (json!({"all": [], "any": []}), "filter: must be either"),
        (json!({"all": []}), "filter.all: must hold at least one condition"),
        (
            json!({"any": [{"field": "a[].b", "equals": 1}]}),
            "filter.any[0].field: `a[].b` has a `[]`",
        ),
        (json!({"not": {"field": "a..b", "equals": 1}}), "filter.not.field: "),
        (json!({"field": "a", "oneOf": []}), "filter.oneOf: holds 0 values"),
        (deep, "filter.not.not.not"),
        (wide, "filter: has 202 conditions"),
    ] {
        let problems = compiled(&filter).unwrap_err();
        assert!(problems[0].starts_with(told), "{filter} {problems:?}");
    }
}

#[test]
fn each_bad_condition_is_told() {
    let filter = json!({"all": [{"field": "a"}, {"field": "b", "exists": true}, {"equals": 1}]});
    let problems = compiled(&filter).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[1].starts_with("filter.all[2]: "), "{problems:?}");
}

//! Lists: filtered, flattened, repeated, picked from, brought together.

use super::*;

#[test]
fn lists_within_lists_are_written_as_one_with_what_they_are_in() {
    let lines = json!([
        {"sourceField": "orders[].items[].code", "targetField": "lines[].sku"},
        {"sourceField": "orders[].id", "targetField": "lines[].order"},
        {"sourceField": "patient.id", "targetField": "lines[].patient"},
        {"targetField": "lines[].unit", "value": "piece"}
    ]);
    let source = json!({"patient": {"id": 7}, "orders": [
        {"id": 1, "items": [{"code": "a"}, {"code": "b"}]}, {"id": 2}, {"id": 3, "items": [{"code": "c"}]}
    ]});
    let line = |sku: &str, order: u8| json!({"sku": sku, "order": order, "patient": 7, "unit": "piece"});
    assert_eq!(
        mapped(lines.clone(), source),
        json!({"lines": [line("a", 1), line("b", 1), line("c", 3)]})
    );
    assert_eq!(mapped(lines.clone(), json!({"orders": []})), json!({"lines": []}));
    assert_eq!(
        fault(lines, json!({"orders": [{"items": 5}]})),
        "lines[].sku: `orders[].items` is a number, not a list"
    );
}

#[test]
fn only_the_last_list_of_the_target_is_flat() {
    let lines = json!([{"sourceField": "a[].b[].c[].d", "targetField": "x[].y[].z"}]);
    let source = json!({"a": [{"b": [{"c": [{"d": 1}, {"d": 2}]}, {"c": [{"d": 3}]}]}, {"b": []}]});
    assert_eq!(
        mapped(lines, source),
        json!({"x": [{"y": [{"z": 1}, {"z": 2}, {"z": 3}]}, {"y": []}]})
    );
}

#[test]
fn a_source_outside_of_a_list_repeats_for_its_items() {
    let lines = json!([
        {"sourceField": "orders[].items[].code", "targetField": "o[].lines[].sku"},
        {"sourceField": "orders[].id", "targetField": "o[].lines[].order"},
        {"sourceField": "ward", "targetField": "o[].ward"}
    ]);
    let source = json!({"ward": "A", "orders": [{"id": 1, "items": [{"code": "a"}, {"code": "b"}]}]});
    assert_eq!(
        mapped(lines, source),
        json!({"o": [{"lines": [{"sku": "a", "order": 1}, {"sku": "b", "order": 1}], "ward": "A"}]})
    );
}

#[test]
fn a_filter_lets_items_through_that_pass_it() {
    let lines = json!([
        {"targetField": "labs[]", "filter": {"all": [
            {"field": "items[].kind", "equals": "LAB"}, {"field": "mode", "equals": "full"}
        ]}},
        {"sourceField": "items[].code", "targetField": "labs[].sku"},
        {"targetField": "labs[].unit", "value": "piece"}
    ]);
    let source = |mode: &str| {
        json!({"mode": mode, "items": [
            {"kind": "LAB", "code": "a"}, {"kind": "XRAY", "code": "b"}, {"kind": "LAB", "code": "c"}
        ]})
    };
    assert_eq!(
        mapped(lines.clone(), source("full")),
        json!({"labs": [{"sku": "a", "unit": "piece"}, {"sku": "c", "unit": "piece"}]})
    );
    assert_eq!(mapped(lines, source("short")), json!({"labs": []}));
}

#[test]
fn filters_see_each_level_that_they_are_in() {
    let lines = json!([
        {"sourceField": "orders[].items[].code", "targetField": "codes[]"},
        {"targetField": "codes[]", "filter": {"all": [
            {"field": "orders[].open", "equals": true}, {"field": "orders[].items[].code", "notEquals": "x"}
        ]}}
    ]);
    let source = json!({"orders": [
        {"open": true, "items": [{"code": "a"}, {"code": "x"}]}, {"open": false, "items": [{"code": "b"}]}
    ]});
    assert_eq!(mapped(lines, source), json!({"codes": ["a"]}));
}

#[test]
fn a_condition_of_items_is_asked_for_each() {
    let lines = json!([
        {"sourceField": "items[].price", "targetField": "lines[].amount", "when": {"field": "items[].paid", "equals": true}},
        {"sourceField": "items[].code", "targetField": "lines[].sku"}
    ]);
    let source = json!({"items": [{"code": "a", "price": 1, "paid": true}, {"code": "b", "price": 2, "paid": false}]});
    assert_eq!(
        mapped(lines, source),
        json!({"lines": [{"amount": 1, "sku": "a"}, {"sku": "b"}]})
    );
}

#[test]
fn items_are_picked_and_brought_together() {
    let lines = json!([
        {"sourceField": "telecom[system=phone].value", "targetField": "phone"},
        {"sourceField": "visits[-1].ward", "targetField": "lastWard"},
        {"sourceField": "items[].code", "targetField": "codes", "transform": [{"type": "join", "separator": ", "}]},
        {"sourceField": "items[].price", "targetField": "total", "transform": [{"type": "sum"}]},
        {"sourceField": "items[].code", "targetField": "first", "transform": [{"type": "first"}, {"type": "upper"}]},
        {"sourceField": "items[].code", "targetField": "last", "transform": [{"type": "last"}]},
        {"sourceField": "items[].tags[]", "targetField": "tags", "transform": [{"type": "count"}]},
        {"sourceField": "items[].tags[]", "targetField": "lines[].tags", "transform": [{"type": "join", "separator": "+"}]}
    ]);
    let source = json!({
        "telecom": [{"system": "fax", "value": "1"}, {"system": "phone", "value": "2"}],
        "visits": [{"ward": "A"}, {"ward": "B"}],
        "items": [{"code": "a", "price": 10.1, "tags": ["x", "y"]}, {"code": "b", "price": 0.2, "tags": ["z"]}]
    });
    assert_eq!(
        mapped(lines.clone(), source),
        json!({"phone": "2", "lastWard": "B", "codes": "a, b", "total": 10.3, "first": "A", "last": "b", "tags": 3,
            "lines": [{"tags": "x+y"}, {"tags": "z"}]})
    );
    assert_eq!(mapped(lines.clone(), json!({})), json!({}));
    assert_eq!(
        mapped(lines, json!({"items": []})),
        json!({"codes": "", "total": 0, "first": null, "last": null, "tags": 0, "lines": []})
    );
}

#[test]
fn what_goes_together_in_no_way_is_refused() {
    for (lines, expected) in [
        (
            json!([{"sourceField": "a[].b[].x", "targetField": "l[].x"}, {"sourceField": "a[].c[].y", "targetField": "l[].y"},
                {"sourceField": "a[].id", "targetField": "l[].id"}]),
            "lines[2].targetField: several lists go on from the one",
        ),
        (
            json!([{"targetField": "l[]", "filter": {"field": "a[].x", "exists": true}}]),
            "lines[0].targetField: is no list that other lines fill",
        ),
        (
            json!([{"sourceField": "a[].x", "targetField": "l[].x"},
                {"targetField": "l[]", "filter": {"field": "b[].x", "exists": true}}]),
            "lines[1].filter: a condition tests one value, and `b[].x` is one for each item",
        ),
        (
            json!([{"sourceField": "x", "targetField": "x", "when": {"field": "a[].x", "exists": true}}]),
            "lines[0].when: a condition tests one value",
        ),
        (
            json!([{"sourceField": "x", "targetField": "$header.X-A", "when": {"field": "a[].x", "exists": true}}]),
            "lines[0].when: a condition tests one value",
        ),
        (
            json!([{"sourceField": "a[].x", "targetField": "l[-1].x"}]),
            "lines[0].targetField: `l[-1].x` picks an item",
        ),
        (
            json!([{"targetField": "$status", "filter": {"field": "x", "exists": true}}]),
            "lines[0].targetField: a `filter` is for a list",
        ),
    ] {
        let found = problems(lines.clone());
        assert_eq!(found.len(), 1, "{lines}: {found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

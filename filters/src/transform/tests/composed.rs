//! Texts that are put together, and targets that several lines write.

use super::*;

#[test]
fn templates_have_fields_and_variables_in_them() {
    let lines = json!([
        {"targetField": "name", "template": "{name.first} {name.last} \\{{id}\\}"},
        {"targetField": "lines[].label", "template": "{items[].code}/{ward}"},
        {"targetField": "by", "template": "{{config.tenantId}} of {{config.orgId}}", "transform": [{"type": "upper"}]},
        {"targetField": "none", "template": "{absent} {name.middle}"},
        {"targetField": "fixed", "template": "no field"}
    ]);
    let source = json!({"name": {"first": "Asha", "last": "Rao", "middle": null}, "id": 7, "ward": "A",
        "items": [{"code": "x"}, {"code": "y"}]});
    assert_eq!(
        mapped(lines, source),
        json!({"name": "Asha Rao {7}", "lines": [{"label": "x/A"}, {"label": "y/A"}], "by": "0 OF 0", "fixed": "no field"})
    );
}

#[test]
fn concatenations_leave_out_what_is_empty() {
    let lines = json!([{
        "targetField": "name", "concat": {"fields": ["first", "middle", "last"], "separator": " "}, "required": true
    }]);
    for (source, expected) in [
        (json!({"first": "Asha", "middle": "", "last": "Rao"}), "Asha Rao"),
        (json!({"middle": "M", "last": 7}), "M 7"),
        (json!({"first": true, "last": null}), "true"),
    ] {
        assert_eq!(mapped(lines.clone(), source), json!({"name": expected}));
    }
    assert_eq!(
        fault(lines.clone(), json!({"first": ""})),
        "name: required, but `first` is absent or null"
    );
    assert_eq!(
        fault(lines, json!({"first": [1]})),
        "name: `concat` needs texts, numbers or booleans, but the value is a list"
    );
}

#[test]
fn the_first_line_that_writes_something_wins() {
    let lines = json!([
        {"sourceField": "mobile", "targetField": "phone", "omitWhen": "empty"},
        {"sourceField": "home", "targetField": "phone", "when": {"field": "homeAllowed", "equals": true}},
        {"targetField": "phone", "value": "unknown"}
    ]);
    for (source, expected) in [
        (json!({"mobile": "1", "home": "2", "homeAllowed": true}), "1"),
        (json!({"mobile": "", "home": "2", "homeAllowed": true}), "2"),
        (json!({"mobile": null, "home": "2"}), "unknown"),
    ] {
        assert_eq!(mapped(lines.clone(), source), json!({"phone": expected}));
    }
}

#[test]
fn a_line_that_is_never_reached_is_refused() {
    let found = problems(json!([
        {"sourceField": "a", "targetField": "x", "omitWhen": "null"},
        {"sourceField": "b", "targetField": "x"},
        {"sourceField": "c", "targetField": "x"},
        {"sourceField": "a", "targetField": "$header.X-A"},
        {"sourceField": "b", "targetField": "$header.x-a"}
    ]));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("lines[2].targetField: `x` is the target of lines[1].targetField already"));
    assert!(found[1].starts_with("lines[4].targetField: `$header.x-a` is written already"));
}

#[test]
fn texts_that_do_not_read_are_refused() {
    for (line, expected) in [
        (json!({"template": "{a"}), "template: a `{` is not closed"),
        (json!({"template": "{{date.now()}"}), "template: a `{{` is not closed"),
        (json!({"template": "a}"}), "template: a `}` has no `{` before it"),
        (json!({"template": "{}"}), "template: the path is empty"),
        (
            json!({"template": "{{date.soon()}}"}),
            "template: `{{date.soon()}}` is no variable",
        ),
        (json!({"concat": {"fields": []}}), "concat.fields: holds 0 fields"),
        (
            json!({"concat": {"fields": ["a", "b."]}}),
            "concat.fields[1]: `b.`: a name is missing",
        ),
        (
            json!({"template": "{a[].b}"}),
            "targetField: `a[].b` is one value for each item of a list",
        ),
        (json!({"template": "x", "value": 1}), ": exactly one of"),
    ] {
        let mut whole = json!({"targetField": "x"});
        whole.as_object_mut().unwrap().extend(line.as_object().unwrap().clone());
        let found = problems(json!([whole]));
        let expected = format!("lines[0].{expected}").replace(".:", ":");
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{line}: {found:?}");
    }
}

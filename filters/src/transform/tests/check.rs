//! Tables held against samples.

use super::*;

fn found(lines: &Value, sample: &Value) -> Vec<String> {
    let mapping = compiled(lines).unwrap();
    let problems = mapping.check_sample(sample, false, "lines");
    problems.iter().map(ToString::to_string).collect()
}

fn sample() -> Value {
    json!({
        "patient": {"id": 7, "name": "Asha", "born": "07/03/1990", "tags": ["a"]},
        "items": [{"code": "a", "price": 1.5}, {"code": "b"}], "note": null, "empty": []
    })
}

#[test]
fn a_table_that_fits_has_no_problem() {
    let lines = json!([
        {"sourceField": "patient.name", "targetField": "a", "transform": [{"type": "upper"}]},
        {"sourceField": "items[].price", "targetField": "l[].p"},
        {"sourceField": "items[].code", "targetField": "codes", "transform": [{"type": "join"}]},
        {"sourceField": "patient.tags", "targetField": "tags", "transform": [{"type": "count"}]},
        {"sourceField": "patient.middle", "targetField": "b", "omitWhen": "absent"},
        {"sourceField": "ward", "targetField": "c", "defaultValue": "none"},
        {"sourceField": "ward", "targetField": "d", "when": {"field": "ward", "exists": true}},
        {"sourceField": "note", "targetField": "e", "transform": [{"type": "trim"}]},
        {"sourceField": "$header.x-a", "targetField": "f"},
        {"targetField": "g", "concat": {"fields": ["patient.name", "patient.middle"]}}
    ]);
    assert_eq!(found(&lines, &sample()), Vec::<String>::new());
}

#[test]
fn what_does_not_fit_is_told_with_its_place() {
    let lines = json!([
        {"sourceField": "patient.nam", "targetField": "a"},
        {"sourceField": "patient.name.first", "targetField": "b"},
        {"sourceField": "patient[].id", "targetField": "c[]"},
        {"sourceField": "items.code", "targetField": "d"},
        {"sourceField": "patient.id", "targetField": "e", "transform": [{"type": "trim"}]},
        {"sourceField": "patient.born", "targetField": "f", "transform": [{"type": "date", "from": "%Y-%m-%d"}]},
        {"sourceField": "items[].code", "targetField": "g[]", "transform": [{"type": "toNumber"}]},
        {"sourceField": "items[].code", "targetField": "h", "transform": [{"type": "sum"}]},
        {"targetField": "i", "template": "{patient.name} {patient.middle}"},
        {"sourceField": "items[].qty", "targetField": "g2[]"}
    ]);
    let found = found(&lines, &sample());
    for (problem, expected) in found.iter().zip([
        "lines[0].sourceField: the sample has no `patient.nam`, but there id, name, born, tags: correct the path",
        "lines[1].sourceField: `patient.name.first` leads nowhere in the sample: a text has no field `first`",
        "lines[2].sourceField: in the sample `patient` is an object, not a list",
        "lines[3].sourceField: `items.code` leads nowhere in the sample: a list has no field `code`: take each item with `[]`",
        "lines[4].transform[0]: does not fit the sample: `trim` needs a text, but the value is a number",
        "lines[5].transform[0]: does not fit the sample: \"07/03/1990\" is not a date of the form `%Y-%m-%d`",
        "lines[6].transform[0]: does not fit the sample: `toNumber` cannot read \"a\"",
        "lines[7].transform[0]: does not fit the sample: `sum` cannot read \"a\"",
        "lines[8].template: the sample has no `patient.middle`",
        "lines[9].sourceField: the sample has no `items[].qty`, but there code, price",
    ]) {
        assert!(problem.starts_with(expected), "{problem}\n{expected}");
    }
    assert_eq!(found.len(), 10, "{found:#?}");
}

#[test]
fn a_single_element_may_be_a_list() {
    let mapping = compiled(&json!([{"sourceField": "line[].code", "targetField": "l[]"}])).unwrap();
    let sample = json!({"line": {"code": "a"}});
    assert_eq!(mapping.check_sample(&sample, true, "").len(), 0);
    assert_eq!(mapping.check_sample(&sample, false, "").len(), 1);
}

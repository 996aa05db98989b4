//! Transformers that change types, texts and lists, and that ask tables.

use std::sync::Arc;

use super::*;
use crate::lookup::Table;

fn tables() -> Tables {
    let lookup = json!({"id": "t", "orgId": 1, "name": "codes", "entries": {
        "F": "female", "M": "male", "7": {"name": "Ward A", "beds": 12}
    }});
    let table = Table::new(Arc::new(serde_json::from_value(lookup).unwrap()), [0; 32]);
    Tables::from([(table.name().into(), Arc::new(table))])
}

fn transformed(transform: &Value, value: Value) -> Result<Value, String> {
    let lines: Vec<FieldMapping> =
        serde_json::from_value(json!([{"sourceField": "v", "targetField": "v", "transform": transform}])).unwrap();
    let mut problems = Vec::new();
    let tables = tables();
    let rules = Rules {
        side: Side::Any,
        tables: &tables,
    };
    let mapping = Mapping::compile_for(rules, &lines, "", &mut problems).unwrap_or_else(|| panic!("{problems:?}"));
    let output = mapping.apply(json!({"v": value}).to_string().as_bytes());
    let output: Value = serde_json::from_slice(&output.map_err(|fault| fault.to_string())?).unwrap();
    Ok(output["v"].clone())
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[test]
fn values_change_their_type() {
    for (transform, value, expected) in [
        (json!({"type": "toText"}), json!(12.5), json!("12.5")),
        (json!({"type": "toText"}), json!(true), json!("true")),
        (json!({"type": "toText"}), json!("a"), json!("a")),
        (json!({"type": "toText", "decimals": 2}), json!("12.5"), json!("12.50")),
        (json!({"type": "toText", "decimals": 0}), json!(7), json!("7")),
        (json!({"type": "toNumber"}), json!(" 12 "), json!(12)),
        (json!({"type": "toNumber"}), json!("007"), json!(7)),
        (json!({"type": "toNumber"}), json!("-1.5e3"), json!(-1500.0)),
        (json!({"type": "toNumber"}), json!(""), json!(null)),
        (
            json!({"type": "toNumber", "decimals": 2}),
            json!(2.345_678),
            json!(2.35),
        ),
        (json!({"type": "toInteger"}), json!("12"), json!(12)),
        (json!({"type": "toInteger"}), json!(12.0), json!(12)),
        (json!({"type": "toInteger"}), json!(u64::MAX), json!(u64::MAX)),
        (json!({"type": "toBoolean"}), json!("TRUE"), json!(true)),
        (json!({"type": "toBoolean"}), json!(0), json!(false)),
        (
            json!({"type": "toBoolean", "yes": ["Y"], "no": ["N", "X"]}),
            json!("x"),
            json!(false),
        ),
        (json!({"type": "toBoolean"}), json!(" "), json!(null)),
        (
            json!({"type": "replace", "find": "-", "with": "/"}),
            json!("1-2-3"),
            json!("1/2/3"),
        ),
        (
            json!({"type": "substring", "start": 2, "length": 3}),
            json!("äbcdef"),
            json!("cde"),
        ),
        (json!({"type": "substring", "start": 9}), json!("abc"), json!("")),
        (
            json!({"type": "padStart", "length": 5, "with": "0"}),
            json!(42),
            json!("00042"),
        ),
        (json!({"type": "padStart", "length": 2}), json!("abc"), json!("abc")),
        (
            json!({"type": "split", "separator": ","}),
            json!("a, b,c"),
            json!(["a", "b", "c"]),
        ),
        (json!({"type": "split", "separator": ","}), json!(""), json!([])),
        (
            json!({"type": "join", "separator": "-"}),
            json!(["a", null, 2]),
            json!("a-2"),
        ),
        (json!({"type": "sum"}), json!([1, "2", null, 3]), json!(6)),
        (json!({"type": "sum"}), json!([0.1, 0.2]), json!(0.3)),
        (json!({"type": "count"}), json!([1, 2]), json!(2)),
        (
            json!({"type": "date", "sourceZone": "Asia/Kolkata", "zone": "UTC"}),
            json!("2026-03-02T05:30:00"),
            json!("2026-03-02T00:00:00Z"),
        ),
    ] {
        assert_eq!(
            transformed(&json!([transform]), value.clone()),
            Ok(expected),
            "{transform} {value}"
        );
    }
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[test]
fn what_does_not_fit_is_named() {
    for (transform, value, expected) in [
        (
            json!({"type": "toNumber"}),
            json!("1,5"),
            "v: `toNumber` cannot read \"1,5\" as a number",
        ),
        (
            json!({"type": "toNumber"}),
            json!("inf"),
            "v: `toNumber` cannot read \"inf\"",
        ),
        (
            json!({"type": "toInteger"}),
            json!(1.5),
            "v: `toInteger` cannot read 1.5 as a whole number",
        ),
        (
            json!({"type": "toText"}),
            json!([1]),
            "v: `toText` needs a text, number or boolean, but the value is a list",
        ),
        (
            json!({"type": "toBoolean"}),
            json!("maybe"),
            "v: `toBoolean` cannot read \"maybe\"",
        ),
        (
            json!({"type": "join"}),
            json!("a"),
            "v: `join` needs a list, but the value is a text",
        ),
        (json!({"type": "join"}), json!([[1]]), "v: `join` needs a list of texts"),
        (
            json!({"type": "sum"}),
            json!(["x"]),
            "v: `sum` cannot read \"x\" as a number",
        ),
        (
            json!({"type": "split", "separator": ","}),
            json!(5),
            "v: `split` needs a text, but the value is a number",
        ),
        (
            json!({"type": "replace", "find": "a", "with": "b".repeat(20_000)}),
            json!("a".repeat(1_000)),
            "v: `replace` makes more than 10000000 bytes",
        ),
        (
            json!({"type": "lookup", "table": "codes"}),
            json!("X"),
            "v: \"X\" is not in the lookup table `codes`",
        ),
        (
            json!({"type": "lookup", "table": "codes"}),
            json!({}),
            "v: `lookup` needs a text, number or boolean",
        ),
    ] {
        let fault = transformed(&json!([transform]), value).unwrap_err();
        assert!(fault.starts_with(expected), "{transform}: {fault}");
    }
}

#[test]
fn tables_are_asked_in_both_directions() {
    let lookup = |more: Value| {
        let mut lookup = json!({"type": "lookup", "table": "codes"});
        lookup
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!([lookup])
    };
    for (more, value, expected) in [
        (json!({}), json!("F"), json!("female")),
        (json!({"column": "name"}), json!(7), json!("Ward A")),
        (json!({"reverse": true}), json!("male"), json!("M")),
        (json!({"reverse": true, "column": "beds"}), json!("12"), json!("7")),
        (json!({"fallback": "other"}), json!("X"), json!("other")),
        (json!({"fallback": null}), json!("X"), json!(null)),
        (json!({"onMissing": "keep"}), json!("X"), json!("X")),
        (json!({"onMissing": "null", "column": "name"}), json!("F"), json!(null)),
        (json!({}), json!(null), json!(null)),
    ] {
        assert_eq!(
            transformed(&lookup(more.clone()), value.clone()),
            Ok(expected),
            "{more} {value}"
        );
    }
}

#[test]
fn settings_of_transformers_are_checked() {
    let line = |transform: Value| json!([{"sourceField": "v", "targetField": "v", "transform": [transform]}]);
    for (transform, expected) in [
        (
            json!({"type": "toText", "decimals": 16}),
            "decimals: 16 must be at most 15",
        ),
        (
            json!({"type": "toBoolean", "yes": ["Y"]}),
            "no: must hold at least one value",
        ),
        (
            json!({"type": "toBoolean", "yes": ["Y"], "no": ["Y"]}),
            "no: \"Y\" stands in `yes` too",
        ),
        (
            json!({"type": "replace", "find": "", "with": ""}),
            "find: must not be empty",
        ),
        (
            json!({"type": "split", "separator": ""}),
            "separator: must not be empty",
        ),
        (
            json!({"type": "padStart", "length": 0}),
            "length: must be between 1 and 1000",
        ),
        (
            json!({"type": "date", "sourceZone": "Mars/North"}),
            "sourceZone: `Mars/North` is not an IANA time zone",
        ),
        (json!({"type": "lookup", "table": "x"}), "table: \"x\" is not there"),
    ] {
        let found = problems(line(transform.clone()));
        let expected = format!("lines[0].transform[0].{expected}");
        assert!(
            found.len() == 1 && found[0].starts_with(&expected),
            "{transform}: {found:?}"
        );
    }
}

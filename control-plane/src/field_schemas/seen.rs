//! Fields told from payloads. Only paths and types are taken from them: their values are of real people.

use std::collections::BTreeMap;

use serde_json::Value;

use super::derived::below;
use super::{Field, FieldType, MOST_FIELDS};

/// The fields that `payloads` have, by path; at most [`MOST_FIELDS`].
pub(crate) fn of_payloads<'p>(payloads: impl IntoIterator<Item = &'p Value>) -> Vec<Field> {
    let (mut found, mut count) = (BTreeMap::new(), 0);
    for payload in payloads {
        count += 1;
        let mut here = BTreeMap::new();
        visit(payload, "", &mut here, 0);
        for (path, kind) in here {
            if found.len() < MOST_FIELDS || found.contains_key(&path) {
                let known = found.entry(path).or_insert((kind, 0_usize));
                known.0 = either(known.0, kind);
                known.1 += 1;
            }
        }
    }
    let fields = found.into_iter().map(|(path, (kind, times))| Field {
        required: times == count && !path.contains("[]"),
        path,
        kind,
        description: String::new(),
        example: None,
        values: Vec::new(),
    });
    fields.collect()
}

fn visit(value: &Value, path: &str, found: &mut BTreeMap<String, FieldType>, depth: usize) {
    if depth > DEEPEST || found.len() > MOST_FIELDS {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let Some(below) = below(path, name) else { continue };
                let kind = kind_of(value);
                let known = found.entry(below.clone()).or_insert(kind);
                *known = either(*known, kind);
                visit(value, &below, found, depth + 1);
            }
        }
        Value::Array(items) if !path.is_empty() => {
            let below = format!("{path}[]");
            for item in items.iter().take(MOST_ITEMS) {
                visit(item, &below, found, depth + 1);
            }
        }
        _ => {}
    }
}

fn kind_of(value: &Value) -> FieldType {
    match value {
        Value::Null => FieldType::Any,
        Value::Bool(_) => FieldType::Boolean,
        Value::Number(number) if number.is_f64() => FieldType::Number,
        Value::Number(_) => FieldType::Integer,
        Value::String(_) => FieldType::String,
        Value::Array(_) => FieldType::Array,
        Value::Object(_) => FieldType::Object,
    }
}

/// What is both; what was empty once says nothing.
fn either(one: FieldType, other: FieldType) -> FieldType {
    match (one, other) {
        (one, other) if one == other => one,
        (FieldType::Any, kind) | (kind, FieldType::Any) => kind,
        (FieldType::Integer, FieldType::Number) | (FieldType::Number, FieldType::Integer) => FieldType::Number,
        _ => FieldType::Any,
    }
}

const DEEPEST: usize = 16;
/// Of one list; later items have the same fields as a rule.
const MOST_ITEMS: usize = 20;

//! JSON merge patch (RFC 7396) on an object.

use filters::model::Problem;
use serde_json::{Map, Value};

use super::{Resource, read_value};

/// Refuses a patch of what cannot be changed.
pub(in crate::api) fn check_patch(patch: &Value) -> Result<(), Vec<Problem>> {
    let Value::Object(fields) = patch else {
        return Err(vec![Problem::new("", "must be an object with the fields to change")]);
    };
    let fixed = fields.keys().filter(|name| FIXED.contains(&name.as_str()));
    let problems: Vec<_> = fixed
        .map(|name| Problem::new(name.as_str(), "cannot be changed"))
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// `object` with the patch in it. Its secrets stay where the patch does not name them.
pub(in crate::api) fn merged<T: Resource>(object: &T, patch: &Value) -> Result<T, Vec<Problem>> {
    let mut value = serde_json::to_value(object).map_err(|error| {
        vec![Problem::new(
            "",
            format!("the stored {} cannot be patched: {error}", T::NOUN),
        )]
    })?;
    merge(&mut value, patch);
    read_value(&value, "")
}

/// Puts the patch into the fields of an object.
pub(in crate::api) fn merge_into(fields: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        if value.is_null() {
            fields.shift_remove(name);
        } else {
            merge(fields.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        patch.clone_into(target);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    merge_into(target, patch);
}

const FIXED: [&str; 6] = ["id", "rid", "orgId", "direction", "createdAt", "updatedAt"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc_hold() {
        // RFC 7396 appendix A.
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (mut target, patch, wanted) in cases {
            merge(&mut target, &patch);
            assert_eq!(target, wanted);
        }
    }

    #[test]
    fn identity_cannot_be_patched() {
        let problems = check_patch(&json!({"id": "x", "orgId": 2, "name": "n"})).unwrap_err();
        assert_eq!(problems.len(), 2);
        assert!(check_patch(&json!(true)).is_err());
    }
}

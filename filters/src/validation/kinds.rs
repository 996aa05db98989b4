//! Which kinds of values a schema speaks of, so that a text can be read as one of them.

use serde_json::{Map, Number, Value};

/// Kinds of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds {
    pub(crate) text: bool,
    pub(crate) number: bool,
    pub(crate) truth: bool,
    pub(crate) null: bool,
    pub(crate) list: bool,
    pub(crate) object: bool,
}

impl Kinds {
    /// The kinds that `schema` names, its references followed in `root`. None at all if it names none.
    pub(crate) fn of(schema: &Value, root: &Value) -> Self {
        let mut kinds = Self::default();
        let mut steps = MOST_STEPS;
        kinds.add(schema, root, &mut steps);
        kinds
    }

    /// True if no kind is named.
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// What `text` may be read as: what it looks like first, the text itself where texts are allowed or nothing else fits.
    pub(crate) fn read(self, text: &str) -> Vec<Value> {
        let mut readings = Vec::new();
        if self.number
            && let Ok(number) = serde_json::from_str::<Number>(text)
            && !text.starts_with(char::is_whitespace)
            && !text.ends_with(char::is_whitespace)
        {
            readings.push(Value::Number(number));
        }
        match text {
            "true" | "false" if self.truth => readings.push(Value::Bool(text == "true")),
            "null" if self.null => readings.push(Value::Null),
            _ => {}
        }
        if self.text || readings.is_empty() {
            readings.push(Value::String(text.to_owned()));
        }
        readings
    }

    fn add(&mut self, schema: &Value, root: &Value, steps: &mut usize) {
        let (Some(fields), Some(left)) = (schema.as_object(), steps.checked_sub(1)) else {
            return;
        };
        *steps = left;
        match fields.get("type") {
            Some(Value::String(name)) => self.name(name),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).for_each(|name| self.name(name)),
            _ => self.add_values(fields),
        }
        if let Some(target) = fields.get("$ref").and_then(Value::as_str)
            && let Some(pointer) = target.strip_prefix('#')
            && let Some(target) = root.pointer(pointer)
        {
            self.add(target, root, steps);
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            let parts = fields.get(keyword).and_then(Value::as_array);
            for part in parts.into_iter().flatten() {
                self.add(part, root, steps);
            }
        }
    }

    fn add_values(&mut self, fields: &Map<String, Value>) {
        let listed = fields.get("enum").and_then(Value::as_array);
        for value in listed.into_iter().flatten().chain(fields.get("const")) {
            match value {
                Value::String(_) => self.text = true,
                Value::Number(_) => self.number = true,
                Value::Bool(_) => self.truth = true,
                Value::Null => self.null = true,
                Value::Array(_) => self.list = true,
                Value::Object(_) => self.object = true,
            }
        }
    }

    fn name(&mut self, name: &str) {
        match name {
            "string" => self.text = true,
            "number" | "integer" => self.number = true,
            "boolean" => self.truth = true,
            "null" => self.null = true,
            "array" => self.list = true,
            "object" => self.object = true,
            _ => {}
        }
    }
}

/// The most subschemas that are looked at.
const MOST_STEPS: usize = 1_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn readings(schema: &Value, text: &str) -> Vec<Value> {
        Kinds::of(schema, schema).read(text)
    }

    #[test]
    fn a_text_is_read_as_what_the_schema_names() {
        let number = json!({"type": "integer"});
        assert_eq!(readings(&number, "12"), [json!(12)]);
        // No JSON number: stays a text, which the schema then refuses.
        for text in ["012", "+1", " 1", "1 ", "0x1", "", "NaN", "١"] {
            assert_eq!(readings(&number, text), [json!(text)], "{text:?}");
        }
        assert_eq!(readings(&json!({"type": "boolean"}), "true"), [json!(true)]);
        assert_eq!(readings(&json!({"type": "string"}), "12"), [json!("12")]);
        assert_eq!(readings(&json!({}), "12"), [json!("12")]);
        assert_eq!(readings(&json!({"type": ["number", "null"]}), "null"), [json!(null)]);
        assert_eq!(readings(&json!({"enum": [1, "a"]}), "1"), [json!(1), json!("1")]);
    }

    #[test]
    fn references_and_alternatives_are_followed() {
        let schema = json!({
            "anyOf": [{"$ref": "#/$defs/count"}, {"const": true}],
            "$defs": {"count": {"allOf": [{"type": "integer"}]}}
        });
        assert_eq!(readings(&schema, "7"), [json!(7)]);
        assert_eq!(readings(&schema, "true"), [json!(true)]);
    }

    #[test]
    fn a_schema_that_branches_into_itself_is_walked_in_time() {
        let schema = json!({"anyOf": [{"type": "string"}, {"$ref": "#"}, {"$ref": "#"}]});
        assert!(Kinds::of(&schema, &schema).text);
    }
}

//! Fields told from a JSON Schema.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Field, FieldType, MOST_FIELDS};

/// The fields that `schema` names, by path; at most [`MOST_FIELDS`].
pub(crate) fn of_schema(schema: &Value) -> Vec<Field> {
    let mut survey = Survey {
        root: schema,
        fields: BTreeMap::new(),
    };
    survey.visit(schema, "", true, 0);
    survey.fields.into_values().collect()
}

struct Survey<'s> {
    root: &'s Value,
    fields: BTreeMap<String, Field>,
}

impl Survey<'_> {
    /// Notes the fields below `path`. `required` says whether `path` itself is always there.
    fn visit(&mut self, schema: &Value, path: &str, required: bool, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        if let Some(target) = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|text| self.target(text))
        {
            let target = target.clone();
            self.visit(&target, path, required, depth + 1);
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.visit(part, path, required, depth + 1);
        }
        for name in ["anyOf", "oneOf"] {
            for part in schema.get(name).and_then(Value::as_array).into_iter().flatten() {
                self.visit(part, path, false, depth + 1);
            }
        }
        if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
            let below = format!("{path}[]");
            // Fields of the items of a list that is the whole payload have no path in a mapping.
            if !path.is_empty() {
                self.visit(items, &below, false, depth + 1);
            }
        }
        let needed: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map_or_else(Vec::new, |names| names.iter().filter_map(Value::as_str).collect());
        for (name, field) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let Some(below) = below(path, name) else { continue };
            let required = required && needed.contains(&name.as_str());
            self.note(&below, field, required);
            self.visit(field, &below, required, depth + 1);
        }
    }

    fn note(&mut self, path: &str, schema: &Value, required: bool) {
        let resolved = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|text| self.target(text));
        let resolved = resolved.cloned();
        let text = |schema: &Value| {
            schema
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let own = text(schema);
        let field = Field {
            path: path.to_owned(),
            kind: kind_of(resolved.as_ref().unwrap_or(schema)),
            required,
            description: match (&resolved, own.is_empty()) {
                (Some(resolved), true) => text(resolved),
                _ => own,
            },
            example: schema.get("examples").and_then(|examples| examples.get(0)).cloned(),
            values: schema
                .get("enum")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
        };
        if self.fields.len() < MOST_FIELDS || self.fields.contains_key(path) {
            self.fields
                .entry(path.to_owned())
                .and_modify(|known| {
                    known.required |= required;
                    if known.kind != field.kind {
                        known.kind = FieldType::Any;
                    }
                })
                .or_insert(field);
        }
    }

    /// What a reference into the same document leads to.
    fn target(&self, reference: &str) -> Option<&Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }
}

fn kind_of(schema: &Value) -> FieldType {
    let named = |name: &str| match name {
        "string" => FieldType::String,
        "number" => FieldType::Number,
        "integer" => FieldType::Integer,
        "boolean" => FieldType::Boolean,
        "object" => FieldType::Object,
        "array" => FieldType::Array,
        _ => FieldType::Any,
    };
    match schema.get("type") {
        Some(Value::String(name)) => named(name),
        Some(Value::Array(names)) => {
            let mut kinds = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            match (kinds.next(), kinds.next()) {
                (Some(name), None) => named(name),
                _ => FieldType::Any,
            }
        }
        _ if schema.get("properties").is_some() => FieldType::Object,
        _ if schema.get("items").is_some() => FieldType::Array,
        _ => FieldType::Any,
    }
}

/// The path of a field; `None` for names that no path can hold.
pub(super) fn below(path: &str, name: &str) -> Option<String> {
    let below = if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    };
    let is_plain = !name.is_empty() && !name.contains(['.', '[', ']']);
    (is_plain && filters::transform::check_path(&below).is_ok()).then_some(below)
}

/// Levels of a schema that are looked at, references followed.
const DEEPEST: usize = 16;

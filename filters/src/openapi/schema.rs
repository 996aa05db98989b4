//! Schemas of the document as JSON Schema 2020-12.

use serde_json::{Map, Value, json};

use super::Reading;
use crate::model::problem::join;

impl Reading<'_> {
    /// The schema at `place`, with its references leading to the definitions of the validation.
    pub(super) fn schema(&mut self, schema: &Value, place: &str) -> Value {
        self.converted(schema, place, MAX_DEPTH)
    }

    fn converted(&mut self, schema: &Value, place: &str, depth: usize) -> Value {
        let Value::Object(fields) = schema else {
            return schema.clone();
        };
        let Some(depth) = depth.checked_sub(1) else {
            self.refuse(place.to_owned(), format!("is nested more than {MAX_DEPTH} levels deep"));
            return Value::Bool(true);
        };
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            let target = self.reference(reference, place);
            // What stands beside a reference is ignored in 3.0.
            if self.is_older {
                return json!({ "$ref": target });
            }
            let mut rest = fields.clone();
            rest.shift_remove("$ref");
            let mut converted = self.fields(&rest, place, depth);
            converted.insert("$ref".to_owned(), Value::String(target));
            return Value::Object(converted);
        }
        let mut converted = self.fields(fields, place, depth);
        if self.is_older {
            allow_null(&mut converted);
            convert_bounds(&mut converted);
        }
        Value::Object(converted)
    }

    fn fields(&mut self, fields: &Map<String, Value>, place: &str, depth: usize) -> Map<String, Value> {
        let mut converted = Map::new();
        for (keyword, value) in fields {
            let below = join(place, keyword);
            let value = match keyword.as_str() {
                // They describe, and some of them with schemas that are none.
                "example" | "examples" | "xml" | "externalDocs" | "discriminator" | "deprecated" | "$schema"
                | "description" | "title" | "readOnly" | "writeOnly" | "default" | "$comment" => continue,
                _ if keyword.starts_with("x-") => continue,
                "properties" | "patternProperties" | "dependentSchemas" => self.named(value, &below, depth),
                "$defs" | "definitions" => {
                    self.refuse(below, "must stand in `components.schemas`, where references lead to");
                    continue;
                }
                "items"
                | "additionalProperties"
                | "not"
                | "if"
                | "then"
                | "else"
                | "contains"
                | "propertyNames"
                | "unevaluatedItems"
                | "unevaluatedProperties" => self.converted(value, &below, depth),
                "allOf" | "anyOf" | "oneOf" | "prefixItems" => self.list(value, &below, depth),
                "required" => required(value, fields),
                _ => value.clone(),
            };
            converted.insert(keyword.clone(), value);
        }
        converted
    }

    fn named(&mut self, schemas: &Value, place: &str, depth: usize) -> Value {
        let Value::Object(schemas) = schemas else {
            return schemas.clone();
        };
        let convert = |(name, schema): (&String, &Value)| {
            let converted = self.converted(schema, &join(place, name), depth);
            (name.clone(), converted)
        };
        Value::Object(schemas.iter().map(convert).collect())
    }

    fn list(&mut self, schemas: &Value, place: &str, depth: usize) -> Value {
        let Value::Array(schemas) = schemas else {
            return schemas.clone();
        };
        let convert = |(index, schema): (usize, &Value)| self.converted(schema, &format!("{place}[{index}]"), depth);
        Value::Array(schemas.iter().enumerate().map(convert).collect())
    }

    /// Where a reference leads to in the validation.
    fn reference(&mut self, reference: &str, place: &str) -> String {
        let Some((name, after)) = self.schema_name(reference) else {
            let message = format!("{reference:?} must lead to a schema that is there in #/components/schemas");
            self.refuse(join(place, "$ref"), message);
            return "#".to_owned();
        };
        let escaped = name.replace('~', "~0").replace('/', "~1").replace('%', "%25");
        self.needed.insert(name);
        format!("#/$defs/{escaped}{after}")
    }
}

/// `required` without the properties that only one direction has: neither may be refused for their absence.
fn required(names: &Value, fields: &Map<String, Value>) -> Value {
    let is_one_way = |name: &Value| {
        let property = name.as_str().and_then(|name| fields.get("properties")?.get(name));
        property.is_some_and(|property| ["readOnly", "writeOnly"].iter().any(|word| property[word] == true))
    };
    match names {
        Value::Array(names) => Value::Array(names.iter().filter(|name| !is_one_way(name)).cloned().collect()),
        other => other.clone(),
    }
}

/// `nullable` of 3.0 as the type that it stands for.
fn allow_null(schema: &mut Map<String, Value>) {
    if schema.shift_remove("nullable") != Some(Value::Bool(true)) {
        return;
    }
    if let Some(Value::String(name)) = schema.get("type") {
        let types = json!([name, "null"]);
        schema.insert("type".to_owned(), types);
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

/// `exclusiveMinimum: true` of 3.0 as the number that it stands for.
fn convert_bounds(schema: &mut Map<String, Value>) {
    for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        let Some(Value::Bool(is_exclusive)) = schema.get(exclusive) else {
            continue;
        };
        let is_exclusive = *is_exclusive;
        schema.shift_remove(exclusive);
        if is_exclusive && let Some(number) = schema.shift_remove(bound) {
            schema.insert(exclusive.to_owned(), number);
        }
    }
}

/// The deepest nesting of a schema.
const MAX_DEPTH: usize = 64;

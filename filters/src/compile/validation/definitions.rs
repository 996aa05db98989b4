//! Schemas with the definitions that they refer to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::model::Problem;
use crate::schema::Schema;

/// Compiles schemas, each once however often it stands there.
pub(super) struct Schemas<'d> {
    definitions: &'d Map<String, Value>,
    formats: bool,
    compiled: BTreeMap<String, Option<Arc<Schema>>>,
    /// Bytes of the schemas that were compiled, with their definitions.
    bytes: usize,
}

impl<'d> Schemas<'d> {
    /// Checks the definitions.
    pub(super) fn new(definitions: &'d Map<String, Value>, formats: bool, problems: &mut Vec<Problem>) -> Self {
        let mut schemas = Self {
            definitions,
            formats,
            compiled: BTreeMap::new(),
            bytes: 0,
        };
        if definitions.len() > MOST_DEFINITIONS {
            let message = format!(
                "holds {} entries; at most {MOST_DEFINITIONS} are allowed",
                definitions.len()
            );
            problems.push(Problem::new("validation.definitions", message));
            return schemas;
        }
        for (name, definition) in definitions {
            let path = format!("validation.definitions.{name}");
            if definition.get("$defs").is_some() {
                let message = "must not have `$defs` of its own; name them in `validation.definitions`";
                problems.push(Problem::new(path, message));
                continue;
            }
            schemas.compile(definition, &path, problems);
        }
        schemas
    }

    /// The schema at `path`, compiled, and its text with all that it refers to.
    pub(super) fn compile(
        &mut self,
        schema: &Value,
        path: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<(Arc<Schema>, Value)> {
        let whole = self.with_definitions(schema);
        let text = whole.to_string();
        if let Some(known) = self.compiled.get(&text) {
            return known.clone().map(|schema| (schema, whole));
        }
        self.bytes += text.len();
        if self.bytes > MOST_BYTES {
            return None;
        }
        let mut own = Vec::new();
        let compiled = Schema::compile_with(&whole, path, self.formats, &mut own).map(Arc::new);
        // What is wrong with a definition is told where it stands.
        let elsewhere = format!("{path}.$defs.");
        let defined = |problem: &Problem| problem.path.starts_with(&elsewhere) && schema.get("$defs").is_none();
        problems.extend(own.into_iter().filter(|problem| !defined(problem)));
        self.compiled.insert(text, compiled.clone());
        compiled.map(|schema| (schema, whole))
    }

    /// Adds a problem if the schemas are too large together.
    pub(super) fn check_total(&self, problems: &mut Vec<Problem>) {
        if self.bytes > MOST_BYTES {
            let message = format!(
                "the schemas have more than {MOST_BYTES} bytes together, each with the definitions that it refers to; \
                 split the integration or leave schemas out"
            );
            problems.push(Problem::new("validation", message));
        }
    }

    /// `schema` with each definition that it leads to in its `$defs`, where it has none of that name itself.
    fn with_definitions(&self, schema: &Value) -> Value {
        let Value::Object(fields) = schema else {
            return schema.clone();
        };
        let own = fields.get("$defs").and_then(Value::as_object).cloned();
        let mut defined = own.unwrap_or_default();
        let mut waiting = Vec::new();
        references(schema, &mut waiting);
        let mut added = false;
        while let Some(name) = waiting.pop() {
            if defined.contains_key(&name) {
                continue;
            }
            if let Some(definition) = self.definitions.get(&name) {
                references(definition, &mut waiting);
                defined.insert(name, definition.clone());
                added = true;
            }
        }
        let mut whole = fields.clone();
        if added {
            whole.insert("$defs".to_owned(), Value::Object(defined));
        }
        Value::Object(whole)
    }
}

/// Adds the names of the definitions that a schema refers to.
fn references(part: &Value, names: &mut Vec<String>) {
    match part {
        Value::Object(fields) => {
            for (keyword, value) in fields {
                match value {
                    Value::String(target) if keyword == "$ref" => {
                        let rest = target.strip_prefix("#/$defs/").map(|rest| rest.split('/').next());
                        names.extend(rest.flatten().map(unescaped));
                    }
                    _ if matches!(keyword.as_str(), "const" | "enum" | "default" | "examples") => {}
                    other => references(other, names),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, names)),
        _ => {}
    }
}

/// A segment of a JSON pointer in a URI fragment as the name that it stands for.
fn unescaped(segment: &str) -> String {
    let decoded = percent_encoding::percent_decode_str(segment).decode_utf8_lossy();
    decoded.replace("~1", "/").replace("~0", "~")
}

const MOST_DEFINITIONS: usize = 2_000;
/// The most bytes of all schemas, each with its definitions.
const MOST_BYTES: usize = 4 * 1_024 * 1_024;

//! JSON Schema (2020-12) of the payloads of an event type, compiled once.
//!
//! Nothing is fetched: a `$ref` leads into the same document. Patterns run on an engine whose time grows with the text and
//! not faster. `format` describes and refuses nothing, as 2020-12 has it by default.

use std::fmt;

use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::model::Problem;
use crate::model::problem::join;

/// The most violations that are told of one payload.
pub const MOST_VIOLATIONS: usize = 20;
/// The most bytes of a schema.
pub const MAX_BYTES: usize = 256 * 1_024;

/// A compiled schema.
pub struct Schema {
    validator: Validator,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

impl Schema {
    /// Compiles the schema at `path` of its document, adding its problems.
    pub fn compile(schema: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
            problems.push(Problem::new(path, "must be an object, or true or false"));
            return None;
        }
        let bytes = schema.to_string().len();
        if bytes > MAX_BYTES {
            let message = format!("is {bytes} bytes long; at most {MAX_BYTES} are allowed");
            problems.push(Problem::new(path, message));
            return None;
        }
        check_dialect(schema, path, problems);
        Survey { problems }.references(schema, path);
        if problems.len() > before {
            return None;
        }
        let built = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES))
            .build(schema);
        match built {
            Ok(validator) => Some(Self { validator }),
            Err(error) => {
                let place = below(path, error.instance_path());
                problems.push(Problem::new(place, format!("is no JSON Schema 2020-12: {error}")));
                None
            }
        }
    }

    /// What is wrong with `payload`, which stands at `path` of its document: at most [`MOST_VIOLATIONS`]. The messages name
    /// fields and limits, and show nothing of the values.
    pub fn check(&self, payload: &Value, path: &str) -> Vec<Problem> {
        if self.validator.is_valid(payload) {
            return Vec::new();
        }
        let violations = self.validator.iter_errors(payload).take(MOST_VIOLATIONS);
        violations
            .map(|error| Problem::new(below(path, error.instance_path()), error.masked().to_string()))
            .collect()
    }
}

fn check_dialect(schema: &Value, path: &str, problems: &mut Vec<Problem>) {
    let Some(dialect) = schema.get("$schema") else {
        return;
    };
    let is_known = dialect
        .as_str()
        .is_some_and(|dialect| dialect.trim_end_matches('#') == "https://json-schema.org/draft/2020-12/schema");
    if !is_known {
        let message = "must be https://json-schema.org/draft/2020-12/schema, or left out";
        problems.push(Problem::new(join(path, "$schema"), message));
    }
}

/// Looks for what would lead out of the document.
struct Survey<'p> {
    problems: &'p mut Vec<Problem>,
}

impl Survey<'_> {
    fn references(&mut self, part: &Value, path: &str) {
        match part {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let place = join(path, name);
                    match value {
                        Value::String(target) if matches!(name.as_str(), "$ref" | "$dynamicRef") => {
                            self.reference(target, place);
                        }
                        // Data, which may look like anything.
                        _ if matches!(name.as_str(), "const" | "enum" | "default" | "examples") => {}
                        other => self.references(other, &place),
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.references(item, &format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
    }

    fn reference(&mut self, target: &str, place: String) {
        if !target.starts_with('#') {
            let message = format!(
                "{target:?} leads out of the schema, and nothing is fetched; copy it into `$defs` and write #/$defs/..."
            );
            self.problems.push(Problem::new(place, message));
        }
    }
}

/// `path` and a place below it, in the way of all problems: `payload.items[0].code`.
fn below(path: &str, place: &Location) -> String {
    place.iter().fold(path.to_owned(), |path, segment| match segment {
        LocationSegment::Property(name) => join(&path, &name),
        LocationSegment::Index(index) => format!("{path}[{index}]"),
    })
}

/// The most bytes of a compiled pattern.
const PATTERN_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests;

//! JSON Schema (2020-12) of payloads, bodies and parameters, compiled once.
//!
//! Nothing is fetched: a `$ref` leads into the same document. Patterns run on an engine whose time grows with the text and
//! not faster, and a schema that would cost too much is refused. `format` describes and refuses nothing, as 2020-12 has it
//! by default, unless that is asked for.

mod shape;

use std::fmt;

use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::model::Problem;
use crate::model::problem::join;
use shape::Shape;

/// The most violations that are told of one payload.
pub const MOST_VIOLATIONS: usize = 20;
/// The most bytes of a schema.
pub const MAX_BYTES: usize = 256 * 1_024;

/// A compiled schema.
pub struct Schema {
    validator: Validator,
    shape: Shape,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

impl Schema {
    /// Compiles the schema at `path` of its document, adding its problems.
    pub fn compile(schema: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        Self::compile_with(schema, path, false, problems)
    }

    /// The same; with `formats`, values must have the `format` of their schema.
    pub fn compile_with(schema: &Value, path: &str, formats: bool, problems: &mut Vec<Problem>) -> Option<Self> {
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
        Survey { problems }.references(schema, path, true);
        if problems.len() > before {
            return None;
        }
        let shape = Shape::of(schema)
            .map_err(|excess| problems.push(Problem::new(path, excess.to_string())))
            .ok()?;
        let built = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .should_validate_formats(formats)
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES))
            .build(schema);
        match built {
            Ok(validator) => Some(Self { validator, shape }),
            Err(error) => {
                let place = below(path, error.instance_path());
                problems.push(Problem::new(place, format!("is no JSON Schema 2020-12: {error}")));
                None
            }
        }
    }

    /// True if `value` fits.
    pub fn is_valid(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }

    /// What is wrong with `payload`, which stands at `path` of its document and is `bytes` long as text: at most
    /// [`MOST_VIOLATIONS`]; of a large payload the first. The messages name fields and limits, and show nothing of the values.
    pub fn check(&self, payload: &Value, bytes: usize, path: &str) -> Vec<Problem> {
        self.violations(payload, bytes, MOST_VIOLATIONS, |place| match place {
            Some(place) => below(path, place),
            None => path.to_owned(),
        })
    }

    /// The same with at most `most` violations, and with JSON pointers that begin with `pointer`: `/body/items/0/code`.
    pub fn check_at(&self, value: &Value, bytes: usize, pointer: &str, most: usize) -> Vec<Problem> {
        self.violations(value, bytes, most, |place| match place {
            Some(place) => format!("{pointer}{}", place.as_str()),
            None => pointer.to_owned(),
        })
    }

    fn violations(
        &self,
        value: &Value,
        bytes: usize,
        most: usize,
        at: impl Fn(Option<&Location>) -> String,
    ) -> Vec<Problem> {
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        let told =
            |error: ValidationError<'_>| Problem::new(at(Some(error.instance_path())), error.masked().to_string());
        // The verdict remembers what it has seen, and finding the places does not: there the work may double with each level.
        if self.shape.is_tangled {
            let message =
                "does not fit the schema; where cannot be told, as the schema refers to itself several times over";
            return vec![Problem::new(at(None), message)];
        }
        // All violations are found before the first is told.
        let cost = self.shape.weight.saturating_mul(bytes as u64);
        if cost > MOST_WORK {
            return self.validator.validate(value).err().map(told).into_iter().collect();
        }
        self.validator.iter_errors(value).take(most).map(told).collect()
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
    fn references(&mut self, part: &Value, path: &str, is_root: bool) {
        match part {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let place = join(path, name);
                    match value {
                        Value::String(target) if matches!(name.as_str(), "$ref" | "$dynamicRef") => {
                            self.reference(target, place);
                        }
                        Value::String(_) if name == "$id" && !is_root => {
                            let message = "may stand at the top of the schema only, as references lead from there";
                            self.problems.push(Problem::new(place, message));
                        }
                        // Data, which may look like anything.
                        _ if matches!(name.as_str(), "const" | "enum" | "default" | "examples") => {}
                        other => self.references(other, &place, false),
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.references(item, &format!("{path}[{index}]"), false);
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

/// Subschemas times bytes of a payload up to which all violations are looked for.
const MOST_WORK: u64 = 4_000_000;
/// The most bytes of a compiled pattern.
const PATTERN_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests;

//! The fields of an event type, for those who write mappings: written by people, or else derived from its JSON Schema, or
//! else from payloads that were seen.

mod derived;
mod seen;

use filters::model::Problem;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use derived::of_schema;
pub(crate) use seen::of_payloads;

use crate::store::{Shelf, Shelved};

/// The fields of one event type, as somebody wrote them down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FieldSchema {
    /// The organization.
    pub(crate) org_id: u64,
    /// Name of the event type.
    pub(crate) event_type: String,
    /// The fields.
    pub(crate) fields: Vec<Field>,
    /// When it was written first (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(crate) created_at: Option<Timestamp>,
    /// When it was changed last (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub(crate) updated_at: Option<Timestamp>,
    /// Its identifier, made of organization and event type.
    #[serde(default)]
    pub(crate) id: String,
}

/// A field of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Field {
    /// Its path, as mappings write it: `patient.name`, `items[].code`.
    pub(crate) path: String,
    /// What its value is.
    #[serde(rename = "type")]
    pub(crate) kind: FieldType,
    /// True if each event has it.
    #[serde(default)]
    pub(crate) required: bool,
    /// What it means.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    /// A value that it could have; never of a real event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) example: Option<Value>,
    /// The only values that it has; any if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) values: Vec<Value>,
}

/// What the value of a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum FieldType {
    /// A text.
    String,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// Fields of its own.
    Object,
    /// A list.
    Array,
    /// Anything, or several of these.
    Any,
}

/// Where fields are known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum FieldSource {
    /// Somebody wrote them down.
    Written,
    /// The JSON Schema of the event type.
    Schema,
    /// Payloads of dead letters; their values are not shown.
    Seen,
    /// Nowhere: there is neither of them.
    None,
}

impl FieldSchema {
    /// The identifier of what is written of an event type.
    pub(crate) fn id_of(org_id: u64, event_type: &str) -> String {
        format!("{org_id}/{event_type}")
    }

    /// Everything that is wrong with it.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.fields.len() > MOST_FIELDS {
            let message = format!("has {} fields; at most {MOST_FIELDS} are allowed", self.fields.len());
            problems.push(Problem::new("fields", message));
        }
        let mut known = std::collections::HashSet::new();
        for (at, field) in self.fields.iter().enumerate() {
            if let Err(message) = filters::transform::check_path(&field.path) {
                problems.push(Problem::new(format!("fields[{at}].path"), message));
            }
            if !known.insert(field.path.as_str()) {
                let message = format!("{:?} is there twice", field.path);
                problems.push(Problem::new(format!("fields[{at}].path"), message));
            }
            if field.description.len() > LONGEST_TEXT {
                let message = format!("is longer than {LONGEST_TEXT} bytes");
                problems.push(Problem::new(format!("fields[{at}].description"), message));
            }
            problems.truncate(MOST_PROBLEMS);
        }
        problems
    }
}

impl Shelved for FieldSchema {
    const SHELF: Shelf = Shelf::FieldSchemas;
    const NAME: &'static str = "field schema";

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        Some(self.org_id)
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("eventType", self.event_type.clone())]
    }
}

/// The most fields of one event type.
pub(crate) const MOST_FIELDS: usize = 1_000;
const MOST_PROBLEMS: usize = 100;
const LONGEST_TEXT: usize = 4_096;

#[cfg(test)]
mod tests;

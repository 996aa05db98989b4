//! Field mappings and transformation modes.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// How a body is transformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TransformationMode {
    /// By a list of field mappings.
    Simple,
    /// By a script: `fn transform(payload, context)` returns the new body.
    Script,
}

/// One line of a mapping table. Either `sourceField` (with the rest) or `value` (a static field) is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldMapping {
    /// Where the value comes from: `patient.name`, `items[0].code`, or `items[].code` for each item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_field: Option<String>,
    /// Where it goes: `person.fullName`; `lines[].sku` for each item of the source.
    pub target_field: String,
    /// The static value, instead of `sourceField`; `null` writes null.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Changes to the value, in order. An absent value and null pass through all of them but `default`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transform: Vec<Transformer>,
    /// Taken where the source is absent or null, as it is: the transformers do not touch it. `null` writes null.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub default_value: Option<Value>,
    /// True makes it an error, which names the field, if there is no value after the transformers (absent or null) and no
    /// default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// When the target field is left out; `absent` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omit_when: Option<OmitWhen>,
    /// The line applies only where this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
}

/// When a target field is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OmitWhen {
    /// The source is absent.
    Absent,
    /// The source is absent or the result null.
    Null,
    /// Absent, null, or an empty text, list or object.
    Empty,
}

/// A change to a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub enum Transformer {
    /// Takes white space off both ends of a text.
    Trim {},
    /// To upper case.
    Upper {},
    /// To lower case.
    Lower {},
    /// Reads a date and writes it in another form. A text without anything in it becomes null.
    #[serde(rename_all = "camelCase")]
    Date {
        /// Form of the source in strftime notation; ISO 8601 or a number of milliseconds if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// Form of the result in strftime notation; ISO 8601 if left out (with `Z` in UTC, else with the zone's offset).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
        /// IANA time zone for a source without an offset and for the result; `UTC` if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
    },
    /// Takes the place of an absent, null or empty value.
    Default {
        /// The replacement.
        value: Value,
    },
    /// Looks the value up in a table. Not supported yet.
    Lookup {
        /// Name of the table.
        table: String,
    },
}

/// A test of a field of the source: exactly one of the four is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// The field, as in `sourceField`, without `[]`; always from the root of the body.
    pub field: String,
    /// Holds if the field has this value; numbers are compared by value, and `null` is not the same as absent.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// Holds if the field has another value or is absent.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub not_equals: Option<Value>,
    /// Holds if the field has one of these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Value>>,
    /// Holds if the field is present and not null (true), or absent or null (false).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

/// Keeps a `null` that is given apart from a setting that is left out.
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

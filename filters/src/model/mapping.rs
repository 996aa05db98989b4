//! Field mappings and transformation modes.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::outbound::Filter;

/// How a body is transformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TransformationMode {
    /// By a list of field mappings.
    Simple,
    /// By a script: `fn transform(payload, context)` returns the new body.
    Script,
}

/// The language of scripts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ScriptLanguage {
    /// rhai: `fn transform(payload, context)`.
    #[default]
    Rhai,
    /// JavaScript: `function transform(payload, context)`. Programs must be built with the feature `javascript`.
    Javascript,
}

impl ScriptLanguage {
    /// True for the language of scripts that say nothing.
    pub(crate) fn is_rhai(&self) -> bool {
        *self == Self::Rhai
    }
}

/// One line of a mapping table. It says where its value comes from by exactly one of `sourceField`, `value`, `template` and
/// `concat`; or it is a `filter` of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldMapping {
    /// Where the value comes from: `patient.name`, `items[0].code`, or `items[].code` for each item; `$header.NAME` and the
    /// like for what is around the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_field: Option<String>,
    /// Where it goes: `person.fullName`; `lines[].sku` for each item of the source; `$header.NAME`, `$query.NAME`,
    /// `$path.NAME` or `$status`. Several lines may have the same target if each but the last has a `when` or an
    /// `omitWhen`: the first that writes something wins.
    pub target_field: String,
    /// The static value, instead of `sourceField`; `null` writes null.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// A text with fields of the source in braces, `{patient.first} {patient.last}`, and variables in two,
    /// `{{date.today()}}`. It counts as absent if it has fields and all of them are absent or null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Several fields as one text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concat: Option<Concat>,
    /// Of the list `targetField` only the items for which this holds are written. Its fields may be those of the items:
    /// `items[].kind`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
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
    /// The line applies only where this holds. Its fields may be those of the items that the target repeats for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Filter>,
}

/// Fields that are put together to one text; those that are absent, null or empty are left out, with their separator. It
/// counts as absent if all of them are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Concat {
    /// The fields, as in `sourceField`; at most 50.
    pub fields: Vec<String>,
    /// What stands between them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub separator: String,
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
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Transformer {
    /// Takes white space off both ends of a text.
    Trim {},
    /// To upper case.
    Upper {},
    /// To lower case.
    Lower {},
    /// Reads a date and writes it in another form. A text without anything in it becomes null.
    Date(DateForms),
    /// Takes the place of an absent, null or empty value.
    Default {
        /// The replacement.
        value: Value,
    },
    /// Looks the value up in a table.
    Lookup(LookupIn),
    /// To text: numbers and booleans as JSON writes them.
    ToText {
        /// How many decimals a number gets; as many as it has if left out. At most 15.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decimals: Option<u8>,
    },
    /// To a number, of a text that is one. A text without anything in it becomes null.
    ToNumber {
        /// Rounds to so many decimals; at most 15.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decimals: Option<u8>,
    },
    /// To a whole number, of a text or fraction that is one. A text without anything in it becomes null.
    ToInteger {},
    /// To true or false. A text without anything in it becomes null.
    ToBoolean {
        /// What stands for true, whatever the case; `true` and `1` if both lists are left out.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        yes: Vec<Value>,
        /// What stands for false; `false` and `0` if both lists are left out.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        no: Vec<Value>,
    },
    /// Writes one text wherever another stands.
    Replace {
        /// The text to look for.
        find: String,
        /// What is written instead.
        with: String,
    },
    /// A part of a text.
    Substring {
        /// Characters to leave out at the start.
        #[serde(default, skip_serializing_if = "is_zero")]
        start: usize,
        /// Characters to take; all that follow if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        length: Option<usize>,
    },
    /// Fills a text or number up at its start.
    PadStart {
        /// Characters that it has then, at least; at most 1,000.
        length: usize,
        /// What it is filled with; a space if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        with: Option<char>,
    },
    /// Makes a list of a text, each part trimmed.
    Split {
        /// What stands between the parts.
        separator: String,
    },
    /// Makes a text of a list; what is null or empty is left out.
    Join {
        /// What stands between the items.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        separator: String,
    },
    /// The first item of a list; null if it has none.
    First {},
    /// The last item of a list; null if it has none.
    Last {},
    /// How many items a list has.
    Count {},
    /// The sum of the numbers of a list.
    Sum {},
}

/// Forms of a date.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DateForms {
    /// Form of the source in strftime notation; ISO 8601 or a number of milliseconds if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Form of the result in strftime notation; ISO 8601 if left out (with `Z` in UTC, else with the zone's offset).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// IANA time zone of the result; `UTC` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// IANA time zone of a source without an offset; `zone` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_zone: Option<String>,
}

/// A search in a lookup table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LookupIn {
    /// Name of the table, which belongs to the same organization.
    pub table: String,
    /// The field of the row that is taken, where rows are objects; the whole row if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// True goes from the value (or its column) to the key: the first key that has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reverse: bool,
    /// Taken where no row fits; `null` writes null.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Value>,
    /// What happens where no row fits and there is no `fallback`; an error if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_missing: Option<OnMissing>,
}

/// What happens to a value that is in no row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnMissing {
    /// An error that names the field.
    Error,
    /// Null is written.
    Null,
    /// The value stays as it is.
    Keep,
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}

/// Keeps a `null` that is given apart from a setting that is left out.
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

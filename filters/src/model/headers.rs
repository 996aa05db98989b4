//! Header fields and query parameters that are added, changed and taken out on the way.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Edits of header fields in both directions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HeaderEdits {
    /// Of the request that the partner gets.
    #[serde(skip_serializing_if = "Edits::is_empty")]
    pub request: Edits,
    /// Of the answer that the client gets from the partner.
    #[serde(skip_serializing_if = "Edits::is_empty")]
    pub response: Edits,
}

/// Edits of one set of fields, in this order. Up to 100 of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Edits {
    /// Names to take out; `X-Internal-*` stands for all that begin so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// Fields to write in the place of what is there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<Edit>,
    /// Fields to write beside what is there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub append: Vec<Edit>,
    /// Fields to write where there is none of the name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub default: Vec<Edit>,
}

impl Edits {
    /// True if nothing is edited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A field to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Edit {
    /// Its name.
    pub name: String,
    /// Its value, up to 4,096 bytes, with places for values of the request: `{{path.id}}`, `{{query.name}}`,
    /// `{{header.X-Name}}`, `{{caller.name}}`, `{{client.ip}}`, `{{request.id}}`, `{{request.host}}`. A field whose value
    /// has one that is not there is not written.
    pub value: String,
}

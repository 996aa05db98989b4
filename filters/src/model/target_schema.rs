//! What whoever gets a mapped body takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a mapped body must be: the mapping table is held against it when it is saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetSchema {
    /// JSON Schema (2020-12) of the body as JSON, before it is written in another format.
    pub schema: Value,
    /// True checks each mapped body as well, before it is sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub validate: bool,
}

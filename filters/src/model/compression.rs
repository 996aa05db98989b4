//! Answers that are compressed on their way to the client.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which answers are compressed, with Brotli or gzip, where the client takes that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compression {
    /// Answers that are known to be smaller stay as they are; 1,024 if left out.
    #[serde(default = "one_kibibyte")]
    pub min_bytes: u64,
    /// Content types, such as `application/json` or `text/*`, up to 50; those of texts if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content_types: Vec<String>,
}

fn one_kibibyte() -> u64 {
    1_024
}

//! Answers that are kept for the next request.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which answers to GET requests are kept, in memory, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cache {
    /// How long an answer is kept whose partner says nothing of that, in seconds; 0 to 86,400. 0, as if left out, keeps only
    /// what the partner allows.
    #[serde(default)]
    pub ttl_seconds: u32,
    /// True answers all callers alike; each caller gets only what it asked for itself otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// Header fields of requests that answers depend on, up to 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vary: Vec<String>,
    /// Larger answers are not kept; 1 MiB if left out, at most 16 MiB.
    #[serde(default = "one_mebibyte")]
    pub max_body_bytes: u64,
    /// How long after its time an answer still stands in for an error of the partner, in seconds; 0 to 86,400, 0 if left
    /// out.
    #[serde(default)]
    pub stale_if_error_seconds: u32,
}

fn one_mebibyte() -> u64 {
    1 << 20
}

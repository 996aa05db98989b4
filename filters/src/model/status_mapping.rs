//! Statuses of a partner, and what clients get in their place.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A status that takes the place of others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusMapping {
    /// The partner's: statuses as `"404"`, or classes as `"5xx"`; from 200 to 599, each once in all lines. A status comes
    /// before its class.
    pub statuses: Vec<String>,
    /// What the client gets: 200 to 599, but none of an answer without a body (204, 205, 304).
    pub status: u16,
}

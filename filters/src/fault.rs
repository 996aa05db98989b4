//! The one shape of an error that people and programs receive.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Problem;

/// The body of every error answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// What happened, for people.
    pub error: String,
    /// What happened, for programs: `NOT_FOUND`, `RATE_LIMITED`, ...
    pub code: String,
    /// The HTTP status.
    pub status_code: u16,
    /// When (RFC 3339, UTC).
    pub timestamp: String,
    /// Identifier of the request, as in its log line.
    pub request_id: String,
    /// What is wrong, field by field, where validation failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

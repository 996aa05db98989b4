//! What records of calls hold besides figures, and what is masked in them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the record of a call holds of the call itself. Secrets are masked in all of it, whatever [`Redaction`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordContent {
    /// True for the header fields of the client's request and of the answer that it got.
    #[serde(default)]
    pub headers: bool,
    /// The most bytes of the client's body, and of the partner's: up to 32,768; none if 0. Bodies that are streamed are
    /// never held.
    #[serde(default)]
    pub body_bytes: u32,
}

impl RecordContent {
    /// The most bytes of a body that may be asked for.
    pub const MOST_BODY_BYTES: u32 = 32_768;
}

/// What is masked in records, on top of what says by its name that it is a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redaction {
    /// Names of header fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// Fields of JSON bodies: `$.patient.ssn`, `$.items[*].note`, `$..birthDate` for a name at any depth.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub json_paths: Vec<String>,
}

//! Which pages of browsers may call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::route::HttpMethod;

/// Cross-origin calls from browsers: the gateway answers their preflight requests itself and puts its own words in the
/// place of the partner's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cors {
    /// Origins, 1 to 100: `https://app.example`, `https://*.clinic.example` for any name below, `null`, or `*` for all.
    pub allow_origins: Vec<String>,
    /// Methods that pages may use; those of the integration if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_methods: Vec<HttpMethod>,
    /// Header fields that pages may send beside the harmless ones, up to 100; `*` for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_headers: Vec<String>,
    /// Header fields of answers that pages may read beside the harmless ones, up to 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<String>,
    /// True lets pages send cookies and other credentials of the browser; not with origin `*`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_credentials: bool,
    /// How long a browser may remember the answer to a preflight request, in seconds; 0 to 86,400, 600 if left out.
    #[serde(default = "ten_minutes")]
    pub max_age_seconds: u32,
}

fn ten_minutes() -> u32 {
    600
}

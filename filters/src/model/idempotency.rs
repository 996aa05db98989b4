//! Idempotency keys: how a repeated request gets the answer of the first one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::route::HttpMethod;

/// What an integration does about `Idempotency-Key` (or `X-Idempotency-Key`) of its clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Idempotency {
    /// False keeps the settings, and passes keys on as any other field.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Methods that it holds for: `POST` and `PATCH` if left out.
    #[serde(default = "methods")]
    pub methods: Vec<HttpMethod>,
    /// True refuses requests of these methods without a key.
    #[serde(default)]
    pub required: bool,
    /// Seconds for which an answer is kept; 60 to 604,800, a day if left out.
    #[serde(default = "day")]
    pub keep_seconds: u32,
}

fn yes() -> bool {
    true
}

fn methods() -> Vec<HttpMethod> {
    vec![HttpMethod::Post, HttpMethod::Patch]
}

fn day() -> u32 {
    86_400
}

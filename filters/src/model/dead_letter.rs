//! Dead letters of proxied calls: which calls leave one, and what operators see of the call.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::route::HttpMethod;

/// Which calls of an integration become dead letters when they fail for good. Only an operator has them made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallDeadLetters {
    /// False keeps the settings, and no calls.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The failures that it is for; all but `rateLimited` if left out.
    #[serde(default = "failures")]
    pub on: Vec<CallFailure>,
    /// Methods that it is for: `POST`, `PUT`, `PATCH` and `DELETE` if left out.
    #[serde(default = "methods")]
    pub methods: Vec<HttpMethod>,
    /// False leaves the bodies of calls out.
    #[serde(default = "yes")]
    pub body: bool,
    /// Bytes of the largest body that is kept, up to 16,777,216; of a larger one nothing is. 262,144 if left out.
    #[serde(default = "body_bytes")]
    pub max_body_bytes: u64,
    /// The most dead letters of the integration at a gateway, 1 to 100,000; calls beyond are lost and counted. 1,000 if left
    /// out.
    #[serde(default = "letters")]
    pub max_letters: u32,
}

impl Default for CallDeadLetters {
    fn default() -> Self {
        Self {
            enabled: true,
            on: failures(),
            methods: methods(),
            body: true,
            max_body_bytes: body_bytes(),
            max_letters: letters(),
        }
    }
}

/// How a call failed for good, after all of its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CallFailure {
    /// The partner could not be reached, or broke off before its answer.
    Network,
    /// The partner did not answer in time.
    Timeout,
    /// The partner answered with 5xx.
    ServerError,
    /// The partner answered with 429.
    RateLimited,
    /// No target took the call: those there are fail too often, or have as much as they bear.
    CircuitOpen,
    /// The gateway could not sign in to the partner.
    SignIn,
}

impl CallFailure {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Network,
        Self::Timeout,
        Self::ServerError,
        Self::RateLimited,
        Self::CircuitOpen,
        Self::SignIn,
    ];
}

/// What operators see of a call that became a dead letter. Secrets are masked, and credentials are not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeadCall {
    /// The client's path.
    pub path: String,
    /// Parameters of its query, by name; those that are there more than once are joined by commas.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Its header fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Who called, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The `Idempotency-Key` that the partner gets: the client's, or one that was made with the dead letter.
    pub idempotency_key: String,
    /// What became of the client's body.
    pub body: CallBody,
}

/// What became of the body of a call that became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CallBody {
    /// It is kept as a whole.
    Kept,
    /// There was none.
    None,
    /// It was streamed to the partner, and nothing of it was kept.
    Streamed,
    /// It is larger than `maxBodyBytes`, or than the gateway had memory for.
    TooLarge,
    /// It did not arrive as a whole.
    Incomplete,
    /// Bodies are not to be kept.
    NotKept,
}

impl CallBody {
    /// True if the call can be made again as it was.
    pub const fn is_whole(self) -> bool {
        match self {
            Self::Kept | Self::None => true,
            Self::Streamed | Self::TooLarge | Self::Incomplete | Self::NotKept => false,
        }
    }
}

fn yes() -> bool {
    true
}

fn failures() -> Vec<CallFailure> {
    let all = CallFailure::ALL.into_iter();
    all.filter(|failure| *failure != CallFailure::RateLimited).collect()
}

fn methods() -> Vec<HttpMethod> {
    vec![HttpMethod::Post, HttpMethod::Put, HttpMethod::Patch, HttpMethod::Delete]
}

fn body_bytes() -> u64 {
    256 * 1024
}

fn letters() -> u32 {
    1_000
}

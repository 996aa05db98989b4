//! What becomes of a delivery: attempts, order, speed, and what is kept of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a failed attempt is repeated. `Retry-After` is honoured up to a day, and never makes it earlier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Retry {
    /// After 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h, each up to a tenth later; after a timeout, and after 429, 502
    /// and 504 without `Retry-After`, no sooner than after a minute.
    Standard {},
    /// After 1, 2 and 4 s, each up to a fifth later: the schedule of the product's source documents.
    Seed {},
    /// After each of these times.
    List {
        /// Milliseconds from one attempt to the next; 1 to 50 of them, each 1 to 604,800,000 (seven days).
        delays_ms: Vec<u64>,
        /// The largest share that is added at random; 0 to 1, 0.1 if left out.
        #[serde(default = "tenth")]
        jitter: f64,
    },
    /// After times that grow by a factor.
    Exponential {
        /// Milliseconds to the second attempt; 1 to 604,800,000 (seven days).
        base_ms: u64,
        /// What each delay is multiplied by for the next; 1 to 10, 2 if left out.
        #[serde(default = "two")]
        factor: f64,
        /// The longest delay in milliseconds; from `baseMs` to 604,800,000 (seven days).
        max_ms: u64,
        /// Attempts after the first; 1 to 50.
        max_retries: u32,
        /// The largest share that is added at random; 0 to 1, 0.1 if left out.
        #[serde(default = "tenth")]
        jitter: f64,
    },
    /// Never.
    None {},
}

impl Default for Retry {
    fn default() -> Self {
        Self::Standard {}
    }
}

/// What statuses of an endpoint mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusRule {
    /// Statuses as `"404"`, or classes as `"5xx"`; from 200 to 599, each once in all rules. A status comes before its class.
    pub statuses: Vec<String>,
    /// What they mean.
    pub treat_as: StatusMeaning,
}

/// What a status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StatusMeaning {
    /// The event was delivered.
    Success,
    /// The attempt is repeated by the schedule.
    Retry,
    /// The event goes to the dead letters at once.
    DeadLetter,
    /// The event goes to the dead letters and the endpoint gets no more events until an operator enables it.
    Disable,
}

/// Which deliveries of a subscription wait for each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Ordering {
    /// Which events are in one order.
    pub mode: OrderingMode,
    /// Field of the payload whose value is the key of `perKey`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What happens to those behind one that fails.
    pub on_blocked: OnBlocked,
}

/// Which events are in one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OrderingMode {
    /// Those of the same entity and type.
    #[default]
    PerTenantAndType,
    /// Those with the same value in a field of the payload.
    PerKey,
    /// None: each goes out as soon as there is room.
    None,
}

/// What happens to the deliveries behind one that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnBlocked {
    /// They wait for as many attempts at it; then it goes to the dead letters, and they go on.
    DeadLetterAfter(u32),
    /// They wait until its own retry schedule is over.
    Block,
}

impl Default for OnBlocked {
    fn default() -> Self {
        Self::DeadLetterAfter(3)
    }
}

/// When an endpoint is left alone for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Breaker {
    /// False never leaves it alone.
    pub enabled: bool,
    /// Failures in a row that open the breaker; at least 1.
    pub consecutive_failures: u32,
    /// Share of failed attempts in the window that opens it, in percent; 1 to 100.
    pub failure_percent: u32,
    /// Length of the window in seconds; 1 to 3,600.
    pub window_seconds: u32,
    /// Attempts in the window below which the share means nothing; at least 1.
    pub minimum_attempts: u32,
    /// Seconds from opening to the first probe; 1 to 86,400.
    pub open_seconds: u32,
    /// What `consecutiveFailures` do.
    pub on_consecutive: OnConsecutive,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            enabled: true,
            consecutive_failures: 5,
            failure_percent: 50,
            window_seconds: 60,
            minimum_attempts: 20,
            open_seconds: 30,
            on_consecutive: OnConsecutive::Open,
        }
    }
}

/// What failures in a row do to an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnConsecutive {
    /// It is probed after a while, and events go on when it works again.
    #[default]
    Open,
    /// It gets no more events until an operator enables it; they are kept.
    Deactivate,
}

/// When dead letters are tried again without an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeadLetterRetry {
    /// False leaves them to operators.
    pub enabled: bool,
    /// Milliseconds from the dead letter to each retry; at most 20. After the last one it is abandoned, with an alert.
    pub delays_ms: Vec<u64>,
}

impl Default for DeadLetterRetry {
    fn default() -> Self {
        Self {
            enabled: true,
            delays_ms: vec![3_600_000, 21_600_000, 86_400_000],
        }
    }
}

/// How fast an endpoint is delivered to, and how much of its answers is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeliveryLimits {
    /// False switches the rate limit off without losing it.
    pub enabled: bool,
    /// Attempts in a window; no limit if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u32>,
    /// Length of that window in seconds; 60 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_seconds: Option<u32>,
    /// Attempts that are under way at a time; 1 to 1,000.
    pub max_concurrency: u32,
    /// The most bytes that are read of an answer; beyond it the connection is dropped. The status counts all the same.
    pub max_response_bytes: u64,
}

impl Default for DeliveryLimits {
    fn default() -> Self {
        Self {
            enabled: true,
            max_requests: None,
            window_seconds: None,
            max_concurrency: 16,
            max_response_bytes: 64 * 1024,
        }
    }
}

/// Of which attempts the record holds the bodies, redacted and cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RecordBodies {
    /// Of each.
    All,
    /// Of those that failed.
    #[default]
    Errors,
    /// Of none.
    None,
}

fn tenth() -> f64 {
    0.1
}

fn two() -> f64 {
    2.0
}

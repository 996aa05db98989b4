//! What an integration does about a partner that fails, is slow, or is in several places.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outbound::Retry;
use super::route::HttpMethod;

/// When a call that failed is made again, while its client waits. The timeouts of the integration hold for all attempts
/// together: `totalMs` is never exceeded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CallRetry {
    /// How long to wait before each further attempt. Another target is tried at once.
    pub schedule: RetrySchedule,
    /// Statuses as `"503"`, or classes as `"5xx"`, that are worth another attempt.
    pub statuses: Vec<String>,
    /// Methods that may be repeated although they are not idempotent by themselves.
    pub body_methods: Vec<HttpMethod>,
    /// How many retries there may be beside the calls.
    pub budget: RetryBudget,
}

impl Default for CallRetry {
    fn default() -> Self {
        Self {
            schedule: RetrySchedule::default(),
            statuses: ["408", "429", "500", "502", "503", "504"].map(str::to_owned).into(),
            body_methods: Vec::new(),
            budget: RetryBudget::default(),
        }
    }
}

/// Waits between the attempts at one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum RetrySchedule {
    /// After 100 and 400 ms, each up to a half later: three attempts within a second, as a client waits for them.
    Quick {},
    /// After 1, 2 and 4 s, each up to a fifth later: the schedule of the product's source documents.
    Seed {},
    /// After each of these times.
    List {
        /// Milliseconds from one attempt to the next; 1 to 10 of them, each below `timeouts.totalMs`.
        delays_ms: Vec<u64>,
        /// The largest share that is added at random; 0 to 1, 0.1 if left out.
        #[serde(default = "tenth")]
        jitter: f64,
    },
    /// After times that grow by a factor.
    Exponential {
        /// Milliseconds to the second attempt; below `timeouts.totalMs`.
        base_ms: u64,
        /// What each delay is multiplied by for the next; 1 to 10, 2 if left out.
        #[serde(default = "two")]
        factor: f64,
        /// The longest delay in milliseconds.
        max_ms: u64,
        /// Attempts after the first; 1 to 10.
        max_retries: u32,
        /// The largest share that is added at random; 0 to 1, 0.1 if left out.
        #[serde(default = "tenth")]
        jitter: f64,
    },
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self::Quick {}
    }
}

impl RetrySchedule {
    /// The same as a schedule of deliveries, which are counted by the same arithmetic.
    pub fn as_retry(&self) -> Retry {
        match self {
            Self::Quick {} => Retry::List {
                delays_ms: QUICK_MS.to_vec(),
                jitter: 0.5,
            },
            Self::Seed {} => Retry::Seed {},
            Self::List { delays_ms, jitter } => Retry::List {
                delays_ms: delays_ms.clone(),
                jitter: *jitter,
            },
            Self::Exponential {
                base_ms,
                factor,
                max_ms,
                max_retries,
                jitter,
            } => Retry::Exponential {
                base_ms: *base_ms,
                factor: *factor,
                max_ms: *max_ms,
                max_retries: *max_retries,
                jitter: *jitter,
            },
        }
    }
}

/// A limit of retries, so that they do not bring down a partner that is overloaded already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetryBudget {
    /// Retries in ten seconds, in percent of the calls in the same time; 0 to 100.
    pub percent: u32,
    /// Retries in ten seconds that are always allowed, however few calls there are; 0 to 10,000.
    pub min_retries: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            percent: 20,
            min_retries: 10,
        }
    }
}

fn tenth() -> f64 {
    0.1
}

fn two() -> f64 {
    2.0
}

const QUICK_MS: [u64; 2] = [100, 400];

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

/// How requests are spread over the targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Balancing {
    /// By their weights.
    Weighted {},
    /// In turn, whatever their weights are; a weight of 0 takes a target out.
    RoundRobin {},
    /// To the one of two, picked by chance, that has fewer requests under way for its weight.
    LeastRequests {},
    /// Requests with the same key to the same target, as long as it takes them.
    ConsistentHash {
        /// Where the key is. A request without one goes by the weights.
        key: HashKey,
    },
}

/// Where the key of a request is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum HashKey {
    /// In this header field.
    Header(String),
    /// In this parameter of the query.
    Query(String),
    /// In this cookie.
    Cookie(String),
    /// It is the client's address.
    ClientIp,
    /// It is the name of the caller.
    Caller,
    /// It is the path.
    Path,
}

/// When a target that fails gets no requests for a while, as long as there are others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PassiveHealth {
    /// Failures in a row that take it out; at least 1.
    pub consecutive_failures: u32,
    /// Seconds that it stays out the first time; each further time in a row as many more. 1 to 3,600.
    pub eject_seconds: u32,
    /// The most targets that are out at a time, in percent; 1 to 100.
    pub max_ejected_percent: u32,
}

impl Default for PassiveHealth {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            eject_seconds: 30,
            max_ejected_percent: 50,
        }
    }
}

/// Requests of the gateway's own that show whether a target works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthCheck {
    /// Path and query that are asked for with GET, without any credential; they take the place of those of the target.
    pub path: String,
    /// Seconds from one check to the next; 1 to 3,600, 10 if left out.
    #[serde(default = "ten")]
    pub interval_seconds: u32,
    /// Milliseconds that a check may take; 1 to 60,000, 2,000 if left out.
    #[serde(default = "two_seconds")]
    pub timeout_ms: u64,
    /// Good checks in a row after which a target that was out is in again; 1 to 100, 2 if left out.
    #[serde(default = "twice")]
    pub healthy_after: u32,
    /// Bad checks in a row after which it is out; 1 to 100, 3 if left out.
    #[serde(default = "thrice")]
    pub unhealthy_after: u32,
    /// Statuses of a good check, as `"200"` or `"2xx"`; `2xx` if left out.
    #[serde(default = "successes")]
    pub statuses: Vec<String>,
}

/// What is a target beside the addresses that the configuration names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub enum Discovery {
    /// Each address that the name of a target resolves to is a target of its own, with its target's weight. They follow
    /// DNS by its TTL.
    Dns {},
}

/// A limit of the requests under way at each target, that is learnt from how long answers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AdaptiveConcurrency {
    /// The limit is never below this; at least 1.
    pub min_limit: u32,
    /// The limit before anything is known.
    pub initial_limit: u32,
    /// The limit is never above this; at most 10,000.
    pub max_limit: u32,
    /// How long answers may take before the limit shrinks, in percent of the usual; 110 to 1,000.
    pub tolerance_percent: u32,
}

impl Default for AdaptiveConcurrency {
    fn default() -> Self {
        Self {
            min_limit: 4,
            initial_limit: 20,
            max_limit: 1_000,
            tolerance_percent: 150,
        }
    }
}

/// What a client gets in the place of an answer where there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fallback {
    /// Its status; 200 to 599, 200 if left out.
    #[serde(default = "ok")]
    pub status: u16,
    /// Its `Content-Type`; JSON if left out, or plain text if the body is a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Its body: a text as it stands, anything else as JSON; at most 64 KiB.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub body: serde_json::Value,
    /// Statuses of the partner, as `"503"` or `"5xx"`, that are answered with it, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<String>,
}

fn ten() -> u32 {
    10
}

fn twice() -> u32 {
    2
}

fn thrice() -> u32 {
    3
}

fn two_seconds() -> u64 {
    2_000
}

fn successes() -> Vec<String> {
    vec!["2xx".to_owned()]
}

fn ok() -> u16 {
    200
}

fn tenth() -> f64 {
    0.1
}

fn two() -> f64 {
    2.0
}

const QUICK_MS: [u64; 2] = [100, 400];

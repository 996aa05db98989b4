//! Rate limits, timeouts and body sizes.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits of one integration. Nothing is limited until it is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimits {
    /// False switches all limits of the integration off without losing them.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Requests to the integration in any window, by all clients together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u32>,
    /// Length of that window in seconds; 60 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_seconds: Option<u32>,
    /// Requests to the integration in any second: how many may come at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_second: Option<u32>,
    /// Requests to the integration on a calendar day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_day: Option<u64>,
    /// Requests to the integration that are under way at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
    /// IANA name of the time zone that days begin in, for the integration and each key; that of the organization if left
    /// out, and `UTC` if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Limit of each caller: of each inbound credential, or of each name in a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_key: Option<Limit>,
    /// Limit of each client address (an IPv6 client counts as its /64), by window and second only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_client_ip: Option<Limit>,
    /// What becomes of a call beyond a limit. Its client gets 429 either way.
    #[serde(default, skip_serializing_if = "OnExceeded::is_reject")]
    pub on_exceeded: OnExceeded,
}

/// What becomes of a call beyond a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnExceeded {
    /// Nothing.
    #[default]
    Reject,
    /// It becomes a dead letter, which only an operator has made again.
    Dlq,
}

impl OnExceeded {
    fn is_reject(&self) -> bool {
        *self == Self::Reject
    }
}

/// What somebody may use up. At least one of the four is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// Requests in any window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u32>,
    /// Length of the window in seconds; 1 to 86,400, 60 if left out.
    #[serde(default = "minute")]
    pub window_seconds: u32,
    /// Requests in any second: how many may come at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_second: Option<u32>,
    /// Requests on a calendar day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_day: Option<u64>,
    /// Requests that are under way at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
}

impl Default for Limit {
    /// Nothing is limited.
    fn default() -> Self {
        Self {
            max_requests: None,
            window_seconds: minute(),
            max_per_second: None,
            max_per_day: None,
            max_concurrent: None,
        }
    }
}

/// So many requests in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Requests in a window; at least 1.
    pub max_requests: u32,
    /// Length of the window in seconds; 1 to 86,400, 60 if left out.
    #[serde(default = "minute")]
    pub window_seconds: u32,
}

/// How much of a limit is used up at one gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitStatus {
    /// Whose limit it is.
    pub scope: LimitScope,
    /// Organization.
    pub org_id: u64,
    /// The integration or consumer; left out for an organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Arc<str>>,
    /// Name of the caller, of a limit that each caller has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// How it counts.
    pub kind: LimitKind,
    /// Requests that it allows.
    pub limit: u64,
    /// How many of them are used up.
    pub used: u64,
    /// Seconds until all of them are there again if no request comes.
    pub reset_seconds: u32,
}

/// Whose requests a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LimitScope {
    /// All requests of an organization.
    Organization,
    /// All requests to an integration.
    Integration,
    /// Those of one caller of an integration.
    Caller,
    /// Those of one consumer, whichever integration it calls.
    Consumer,
}

/// How a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LimitKind {
    /// Requests in any window of its length.
    Window,
    /// Requests in any second.
    Second,
    /// Requests on a calendar day.
    Day,
    /// Requests under way at a time.
    Concurrent,
}

/// Timeouts in milliseconds, each 1 to 3,600,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timeouts {
    /// To connect to the partner, TLS included.
    pub connect_ms: u64,
    /// From the end of the request to the head of the answer.
    pub first_byte_ms: u64,
    /// For everything, the body of the answer included.
    pub total_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_ms: 5_000,
            first_byte_ms: 30_000,
            total_ms: 30_000,
        }
    }
}

/// The most bytes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BodyLimits {
    /// Of a client's request; more is answered with 413.
    pub request_bytes: u64,
    /// Of a partner's answer where it is read as a whole; more is answered with 502.
    pub response_bytes: u64,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            request_bytes: 10 * 1024 * 1024,
            response_bytes: 10 * 1024 * 1024,
        }
    }
}

fn yes() -> bool {
    true
}

fn minute() -> u32 {
    60
}

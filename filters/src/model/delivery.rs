//! What became of deliveries: records of attempts and dead letters, in the shapes of the product's source documents.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::command::CommandResult;
use super::dead_letter::DeadCall;

/// Which way a delivery goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryDirection {
    /// An event, to an endpoint.
    #[default]
    Outbound,
    /// A client system's call, to a partner.
    Inbound,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryStatus {
    /// Scheduled, not tried yet.
    Pending,
    /// It failed and is tried again.
    Retrying,
    /// The endpoint has it.
    Success,
    /// It failed for good and became a dead letter.
    Failed,
    /// Nobody tries again.
    Abandoned,
}

/// State of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeadLetterStatus {
    /// It waits for its next retry.
    PendingRetry,
    /// It waits for an operator: it is never retried by itself.
    PendingOperator,
    /// It is being tried again.
    Retrying,
    /// Nobody tries again, unless an operator does.
    Abandoned,
}

/// What made a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TriggerType {
    /// An event.
    #[default]
    Event,
    /// An operator: a test, a retry of a dead letter.
    Manual,
    /// A schedule, or the automatic retry of a dead letter.
    Scheduled,
    /// An operator's replay of delivered events.
    Replay,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCategory {
    /// The name cannot be resolved.
    Dns,
    /// No connection: refused, unreachable, reset before the answer.
    Network,
    /// The certificate is not trusted, or the handshake failed.
    Tls,
    /// No answer in time, or not a whole one.
    Timeout,
    /// The address may not be connected to.
    BlockedAddress,
    /// The endpoint asked for less: 429.
    RateLimited,
    /// The endpoint answered with 5xx or 408.
    ServerError,
    /// The endpoint answered with 401 or 403.
    Auth,
    /// The endpoint answered with another 4xx: the configuration or this event is wrong.
    ClientError,
    /// The endpoint answered with 3xx.
    Redirect,
    /// The endpoint answered with 410, or asked to be disabled.
    Gone,
    /// The answer is no HTTP.
    Protocol,
    /// The payload could not be transformed.
    Transformation,
    /// The data of an enrichment could not be fetched.
    Enrichment,
    /// The outgoing sign-in failed.
    SignIn,
    /// No target took the call: those there are fail too often, or have as much as they bear.
    Unavailable,
    /// A fault of the gateway.
    Internal,
}

/// One attempt at a delivery (`delivery_logs`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeliveryLog {
    /// Identifier of the record: a version 7 UUID.
    pub id: String,
    /// The delivery, stable over its attempts; receivers see it as `webhook-id` and `Idempotency-Key`.
    pub message_id: String,
    /// The subscription.
    pub integration_config_id: Arc<str>,
    /// Its name at the time.
    pub integration_name: Arc<str>,
    /// Organization.
    pub org_id: u64,
    /// Unit of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_rid: Option<u64>,
    /// The event's identifier.
    pub event_id: String,
    /// The event's type.
    pub event_type: String,
    /// `OUTBOUND`, or `INBOUND` for a proxied call.
    #[serde(default)]
    pub direction: DeliveryDirection,
    /// How the attempt ended.
    pub status: DeliveryStatus,
    /// What made the delivery.
    #[serde(default)]
    pub trigger_type: TriggerType,
    /// Name of the action, where the subscription has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_name: Option<String>,
    /// Its place among them, from 0.
    #[serde(default)]
    pub action_index: u16,
    /// True for the call that undoes a step.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compensation: bool,
    /// Address without its query.
    pub target_url: String,
    /// Method.
    pub http_method: String,
    /// Status of the answer; `None` if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_status: Option<u16>,
    /// Milliseconds from the start of the attempt to the end of the answer.
    pub response_time_ms: u64,
    /// Which attempt it was, from 1.
    pub attempt_count: u32,
    /// True if another attempt follows.
    pub should_retry: bool,
    /// When the next attempt is due (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_retry_at: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_category: Option<ErrorCategory>,
    /// What happened, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The request's headers, secrets masked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub request_headers: BTreeMap<String, String>,
    /// What was sent: JSON, or a text that was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_payload: Option<Value>,
    /// The answer's headers, secrets masked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub response_headers: BTreeMap<String, String>,
    /// The answer: JSON, or a text that was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<Value>,
    /// Name of the secret that signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The attempt as a curl command, secrets masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curl_command: Option<String>,
    /// The event's correlation id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The event's trace.
    pub trace_id: String,
    /// When the attempt began (RFC 3339, UTC, milliseconds).
    pub created_at: String,
    /// When the endpoint had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<String>,
    /// The gateway that made it.
    pub gateway_id: Arc<str>,
}

/// A delivery or a proxied call that failed for good (`dlq`). Of a call, the integration stands in the place of the
/// subscription, its `type` in that of the event's type, and its request id in that of the event's identifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeadLetter {
    /// Identifier: that of the delivery.
    pub id: String,
    /// The subscription.
    pub integration_config_id: Arc<str>,
    /// Its name at the time.
    pub integration_name: Arc<str>,
    /// Organization.
    pub org_id: u64,
    /// Unit of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_rid: Option<u64>,
    /// The event's identifier.
    pub event_id: String,
    /// The event's source.
    pub source: String,
    /// The event's type.
    pub event_type: String,
    /// `OUTBOUND`, or `INBOUND` for a proxied call.
    #[serde(default)]
    pub direction: DeliveryDirection,
    /// Its state.
    pub status: DeadLetterStatus,
    /// The event's payload, or what an operator made of it: JSON, or base64 text where it is not JSON. The body of a call is
    /// masked, and `null` if none is kept.
    pub original_payload: Value,
    /// The call, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Box<DeadCall>>,
    /// Name of the action that failed, where the subscription has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_name: Option<String>,
    /// Its place among them, from 0.
    #[serde(default)]
    pub action_index: u16,
    /// Address without its query.
    pub target_url: String,
    /// Method.
    pub http_method: String,
    /// What happened last, for people.
    pub last_error: String,
    /// Why it failed last.
    pub error_category: ErrorCategory,
    /// Status of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status: Option<u16>,
    /// Attempts before it became a dead letter, and retries since.
    pub attempt_count: u32,
    /// Automatic retries since it is one.
    pub retry_count: u32,
    /// The most automatic retries.
    pub max_retries: u32,
    /// When the next automatic retry is due (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_retry_at: Option<String>,
    /// The event's correlation id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The event's trace.
    pub trace_id: String,
    /// When it became a dead letter (RFC 3339).
    pub created_at: String,
    /// When it changed last (RFC 3339).
    pub updated_at: String,
    /// The gateway that owns the event.
    pub gateway_id: Arc<str>,
}

/// State of a scheduled delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ScheduledStatus {
    /// It waits for its time.
    Pending,
    /// It was delivered, and for the last time.
    Completed,
    /// It failed for good.
    Failed,
    /// An operator called it off.
    Cancelled,
}

/// A delivery that waits for its time (`scheduled_integrations`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduledDelivery {
    /// Identifier: `{event's place in the queue}-{number}` at the gateway that owns it, after the gateway's name and a colon.
    pub id: String,
    /// The subscription.
    pub integration_config_id: Arc<str>,
    /// Its name at the time.
    pub integration_name: Arc<str>,
    /// Organization.
    pub org_id: u64,
    /// Unit or organization of the subscription.
    pub tenant_id: u64,
    /// The event's identifier.
    pub original_event_id: String,
    /// The event's type.
    pub event_type: String,
    /// When it is due next (RFC 3339, UTC).
    pub scheduled_for: String,
    /// Its state.
    pub status: ScheduledStatus,
    /// Deliveries so far, of a recurring one.
    #[serde(default)]
    pub occurrences: u32,
    /// True for a recurring one.
    #[serde(default)]
    pub recurring: bool,
    /// Address without its query.
    pub target_url: String,
    /// Method.
    pub http_method: String,
    /// When it was scheduled first (RFC 3339).
    pub created_at: String,
    /// When it changed last (RFC 3339).
    pub updated_at: String,
    /// The gateway that owns the event.
    pub gateway_id: Arc<str>,
}

/// Something of the event flow that the control plane keeps. A repeat changes nothing: each has an identifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "value", rename_all = "camelCase", deny_unknown_fields)]
pub enum DeliveryRecord {
    /// An attempt.
    Log(Box<DeliveryLog>),
    /// A dead letter, new or changed.
    DeadLetter(Box<DeadLetter>),
    /// A dead letter that is none any more, by identifier.
    DeadLetterGone(String),
    /// A scheduled delivery, new or changed.
    Scheduled(Box<ScheduledDelivery>),
    /// What became of a command.
    Commanded {
        /// The command.
        id: String,
        /// What became of it.
        result: CommandResult,
    },
}

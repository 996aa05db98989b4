//! Records of the calls that a gateway carried: what operators look at when they ask what became of a request.
//!
//! A record has no query. It has header fields and bodies only where the integration's `recordContent` asks for them, and
//! these are masked before the record is kept anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::integration::Direction;

/// Of which calls records are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RecordPolicy {
    /// Of each.
    All,
    /// Of those that failed.
    Errors,
    /// Of those that failed, and of one in a hundred of the others.
    #[default]
    Sampled,
    /// Of none.
    None,
}

impl RecordPolicy {
    /// True if the `ticket`-th call is to be recorded; `failed` if it failed.
    pub fn takes(self, ticket: u64, failed: bool) -> bool {
        match self {
            Self::All => true,
            Self::Errors => failed,
            // The fraction of the square root of two spreads the samples evenly, and not in step with the choice of
            // targets, which goes by the golden ratio.
            Self::Sampled => failed || ticket.wrapping_mul(0x6a09_e667_f3bc_c909) < u64::MAX / 100,
            Self::None => false,
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RecordStatus {
    /// Answered, with a status below 400.
    Success,
    /// Answered with a status of 400 or more, or not to the end.
    Failed,
}

/// One call of a client system to a partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecutionRecord {
    /// Identifier of the record: a version 7 UUID.
    pub id: String,
    /// Identifier of the trace, as in `traceparent`; several calls may be part of one.
    pub trace_id: String,
    /// Identifier of the request, as in `X-Request-Id`.
    pub request_id: String,
    /// Organization of the integration.
    pub org_id: u64,
    /// Identifier of the integration.
    pub integration_config_id: Arc<str>,
    /// Its name at the time of the call.
    pub integration_name: String,
    /// `INBOUND`.
    pub direction: Direction,
    /// How the call ended.
    pub status: RecordStatus,
    /// The client's method.
    pub http_method: String,
    /// The client's path, cut at 1,024 bytes; without the query.
    pub path: String,
    /// Status of the answer; `None` if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_status: Option<u16>,
    /// Status of the partner's last answer; `None` if there was none. The client may have been told another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
    /// The gateway's code of the fault, as in the error answer; `None` if the partner answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_category: Option<String>,
    /// What happened, as in the access log; cut at 1,024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// How often the partner was tried.
    pub attempts: u32,
    /// Bytes of the client's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body.
    pub response_bytes: u64,
    /// From the first byte of the request to the end of the answer, in milliseconds.
    pub duration_ms: u64,
    /// From calling the partner to the end of its answer's head, in milliseconds; `None` if it was not called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_ms: Option<u64>,
    /// From calling the partner to having a connection for the last attempt, in milliseconds; `None` if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u64>,
    /// The partner's scheme, host and port; `None` if no partner was picked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_url: Option<String>,
    /// Name of the client's credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<Arc<str>>,
    /// Header fields of the client's request, masked; empty unless `recordContent` asks for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub request_headers: BTreeMap<String, String>,
    /// The client's body, masked: JSON if it is whole, else text. It is cut at `recordContent.bodyBytes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_payload: Option<Value>,
    /// Header fields of the answer that the client got, masked; empty unless `recordContent` asks for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub response_headers: BTreeMap<String, String>,
    /// The body of the partner's answer, before it was transformed; masked and cut likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<Value>,
    /// When the request came (RFC 3339, UTC, milliseconds).
    pub created_at: String,
    /// The gateway that carried it.
    pub gateway_id: Arc<str>,
}

impl ExecutionRecord {
    /// The most bytes of its path, and of its message.
    pub const MOST_TEXT_BYTES: usize = 1_024;

    /// `text` cut to [`Self::MOST_TEXT_BYTES`].
    pub fn cut(text: &str) -> String {
        text[..text.floor_char_boundary(Self::MOST_TEXT_BYTES)].to_owned()
    }

    /// Bytes of its texts.
    pub fn text_bytes(&self) -> usize {
        let optional = [
            self.error_category.as_deref(),
            self.error_message.as_deref(),
            self.target_url.as_deref(),
            self.consumer.as_deref(),
        ];
        let always = [
            self.id.as_str(),
            &self.trace_id,
            &self.request_id,
            &self.integration_config_id,
            &self.integration_name,
            &self.http_method,
            &self.path,
            &self.created_at,
            &self.gateway_id,
        ];
        let texts = always.into_iter().chain(optional.into_iter().flatten());
        texts.map(str::len).sum::<usize>() + self.content_bytes()
    }

    /// Bytes of its header fields and bodies, about.
    pub fn content_bytes(&self) -> usize {
        let fields = self.request_headers.iter().chain(&self.response_headers);
        let fields: usize = fields.map(|(name, value)| name.len() + value.len() + 6).sum();
        let bodies = self.request_payload.iter().chain(&self.response_body);
        fields + bodies.map(json_bytes).sum::<usize>()
    }

    /// The record without header fields and bodies, as lists show it.
    #[must_use]
    pub fn without_content(self) -> Self {
        Self {
            request_headers: BTreeMap::new(),
            request_payload: None,
            response_headers: BTreeMap::new(),
            response_body: None,
            ..self
        }
    }
}

/// Bytes of a value as JSON, about: those of its texts and names, and some for each thing in it.
fn json_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| json_bytes(item) + 1).sum::<usize>(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| name.len() + 4 + json_bytes(value));
            2 + fields.sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_takes_its_calls() {
        let taken = |policy: RecordPolicy, failed| (0..10_000).filter(|ticket| policy.takes(*ticket, failed)).count();
        assert_eq!(taken(RecordPolicy::All, false), 10_000);
        assert_eq!(taken(RecordPolicy::Errors, false), 0);
        assert_eq!(taken(RecordPolicy::Errors, true), 10_000);
        assert_eq!(taken(RecordPolicy::Sampled, true), 10_000);
        assert_eq!(taken(RecordPolicy::None, true), 0);
        let sampled = taken(RecordPolicy::Sampled, false);
        assert!((95..=105).contains(&sampled), "{sampled}");
    }

    #[test]
    fn samples_are_spread_evenly_whatever_the_rhythm_of_the_traffic() {
        // As if every second, third, ... hundredth call were of one route.
        for rhythm in 1..=100 {
            let mine = (0..100_000_u64).map(|call| call * rhythm);
            let taken = mine
                .filter(|ticket| RecordPolicy::Sampled.takes(*ticket, false))
                .count();
            assert!(
                (800..=1_200).contains(&taken),
                "{taken} of 100,000 in the rhythm of {rhythm}"
            );
        }
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        let cut = ExecutionRecord::cut(&"é".repeat(1_000));
        assert_eq!(cut.len(), 1_024);
        let cut = ExecutionRecord::cut(&format!("a{}", "é".repeat(1_000)));
        assert_eq!(cut.len(), 1_023);
        assert_eq!(ExecutionRecord::cut("short"), "short");
    }
}

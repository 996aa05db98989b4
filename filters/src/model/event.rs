//! Events as they are kept and delivered, whatever form they came in.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything of an event but its payload. An event's identity is (`orgId`, `source`, `id`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventHead {
    /// Organization that it happened in.
    pub org_id: u64,
    /// Identifier that its producer gave it, or a version 7 UUID.
    pub id: String,
    /// What it comes from: CloudEvents `source`; the producer key's name for events in the plain form.
    pub source: String,
    /// Its type, as `bill.generated`.
    pub event_type: String,
    /// The type's action id, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_id: Option<i64>,
    /// Unit that it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_rid: Option<u64>,
    /// CloudEvents `subject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened, as its producer says (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Media type of the payload; `application/json` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_content_type: Option<String>,
    /// Identifier of the business transaction that it belongs to, as its producer says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Trace that it belongs to: 32 hexadecimal digits.
    pub trace_id: String,
    /// Where the producer wants to be told of the outcome (`integration_status_callback`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_callback: Option<String>,
    /// CloudEvents extension attributes that have no place of their own here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, Value>,
}

impl EventHead {
    /// The entity that it happened in: the unit, or the organization itself.
    pub fn entity(&self) -> u64 {
        self.entity_rid.unwrap_or(self.org_id)
    }
}

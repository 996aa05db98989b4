//! The audit: who changed what, and what it was before and after, without secrets.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// One thing that somebody did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Identifier (UUIDv7).
    pub id: String,
    /// When.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// The organization that it is about; none for what concerns the whole installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<u64>,
    /// Name of the user or key.
    pub actor: String,
    /// What was done, as `user.create`.
    pub action: String,
    /// What it was done to, as `user 0190a5c3-...`.
    pub target: String,
    /// What was there before, secrets masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What is there now, secrets masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// The request that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl AuditEntry {
    /// Of now, with neither before nor after.
    pub fn new(actor: &str, action: &str, target: String, org_id: Option<u64>) -> Self {
        Self {
            id: Uuid::now_v7().to_string(),
            created_at: Timestamp::now(),
            org_id,
            actor: actor.to_owned(),
            action: action.to_owned(),
            target,
            before: None,
            after: None,
            request_id: None,
        }
    }
}

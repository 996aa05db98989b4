//! The audit: who changed what, and what it was before and after, without secrets.

mod changes;

pub(crate) use changes::of_version;

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
    /// The version of the configuration that it is part of, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// Who does something, for the audit.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Name of the user or key.
    pub name: String,
    /// The request that does it.
    pub request_id: Option<String>,
}

impl Actor {
    /// An entry about what they do now to `target`, of organization `org_id`; with neither before nor after.
    pub fn did(&self, action: &str, target: String, org_id: Option<u64>) -> AuditEntry {
        AuditEntry {
            request_id: self.request_id.clone(),
            ..AuditEntry::new(&self.name, action, target, org_id)
        }
    }
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
            version: None,
        }
    }

    /// The same with what was there before and what is there now, of which secrets are masked already.
    #[must_use]
    pub fn with(mut self, before: Option<&impl Serialize>, after: Option<&impl Serialize>) -> Self {
        self.before = before.map(|value| serde_json::to_value(value).unwrap_or_default());
        self.after = after.map(|value| serde_json::to_value(value).unwrap_or_default());
        self
    }
}

//! Event types: what an organization's products may hand over.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A type of events of one organization. It links the type's name and its action id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventType {
    /// Identifier; made by the control plane when left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Organization that it belongs to.
    pub org_id: u64,
    /// Its name: letters, digits, hyphens and underscores in segments between dots, as `bill.generated`. Unique in its
    /// organization.
    pub event_type: String,
    /// Stable number that products may use in the place of the name. Unique in its organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_id: Option<i64>,
    /// Name for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// JSON Schema (2020-12) of the payload; anything if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// When it was made (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it was changed last (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

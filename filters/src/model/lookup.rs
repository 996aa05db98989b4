//! Lookup tables: what mappings and scripts turn one value into another by.

mod entries;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use entries::Entries;

/// A table of one organization. It is stored in clear: there is no place for secrets in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lookup {
    /// Identifier; made by the control plane when left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Organization that it belongs to.
    pub org_id: u64,
    /// Name by which mappings and scripts refer to it. Unique in its organization.
    pub name: String,
    /// Values by key: texts, numbers, booleans, or objects whose fields are the columns of the row.
    #[schemars(with = "std::collections::BTreeMap<String, serde_json::Value>")]
    pub entries: Entries,
    /// When it was made (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it was changed last (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

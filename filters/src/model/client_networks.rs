//! Where clients may call from.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Address ranges of clients, such as `203.0.113.0/24`. A client's address is the one that it connects from, or the one
/// that a trusted proxy in front says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClientNetworks {
    /// If not empty, only clients in one of these ranges.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub allow: Vec<IpNet>,
    /// Never clients in one of these ranges; wins over `allow`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub deny: Vec<IpNet>,
}

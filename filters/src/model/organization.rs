//! Organizations: the only isolation boundary.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limits::Limit;
use super::redaction::Redaction;
use super::subject::SubjectPath;

/// What the gateways need to know of an organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Organization {
    /// Its number.
    pub org_id: u64,
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Short code for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Mail address for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Telephone number for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Postal address for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Region for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// IANA name of its time zone, that schedules of its subscriptions and days of its quotas go by; `UTC` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Limit of all requests to all its integrations together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<Limit>,
    /// Private address ranges that its targets may lie in, as `10.1.0.0/16`; none if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub allowed_networks: Vec<IpNet>,
    /// Hosts that its integrations may answer to: exact, or `*.example.com` for it and any name below. If empty,
    /// any host that no other organization has; but then only a key for all organizations may give it one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// What is masked in the records of all its calls and deliveries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redaction: Option<Redaction>,
    /// Where the identifiers of persons stand in payloads, so that erasures find them there and not elsewhere by chance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subject_paths: Vec<SubjectPath>,
    /// When it was made (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it was changed last (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

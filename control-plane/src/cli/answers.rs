//! What the control plane answers, as far as this program looks at it; fields that it does not know are passed over.

use std::collections::BTreeSet;

use filters::model::{Certificate, Consumer, EventType, Lookup, OrgUnit, Organization, Problem, ProducerKey, Snapshot};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::client::Client;
use super::failure::Failure;
use super::history::Difference;

/// What an `apply` did, or would do.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Applied {
    pub(super) version: u64,
    pub(super) dry_run: bool,
    pub(super) created: usize,
    pub(super) changed: usize,
    pub(super) unchanged: usize,
    pub(super) deleted: usize,
    /// Object by object, without the unchanged ones.
    pub(super) objects: Vec<Done>,
}

/// What was done to an object.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Done {
    pub(super) kind: String,
    /// A number or a text.
    id: Value,
    pub(super) action: String,
}

impl Done {
    /// The identifier as text.
    pub(super) fn id(&self) -> String {
        shown(&self.id)
    }

    /// The object as differences name it: `integration/648-slots`.
    pub(super) fn object(&self) -> String {
        format!("{}/{}", self.kind, self.id())
    }
}

/// The gateways that the control plane knows.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Gateways {
    pub(super) gateways: Vec<Gateway>,
}

/// One gateway.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Gateway {
    pub(super) gateway_id: String,
    pub(super) connected: bool,
    pub(super) applied_version: Option<u64>,
    pub(super) target_version: Option<u64>,
    pub(super) lag_versions: Option<u64>,
    pub(super) lag_ms: Option<u64>,
    pub(super) last_nack: Option<Nack>,
    /// Why it is told nothing, if so.
    pub(super) reason: Option<String>,
    /// What is shown to programs only.
    #[serde(flatten)]
    pub(super) more: Map<String, Value>,
}

/// The last version that a gateway refused.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Nack {
    pub(super) version: u64,
    pub(super) problems: Vec<Problem>,
    pub(super) at: Option<String>,
}

/// The newest versions, newest first.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Versions {
    pub(super) versions: Vec<Version>,
    pub(super) has_more: bool,
}

/// One version.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Version {
    pub(super) version: u64,
    pub(super) created_at: String,
    pub(super) author: String,
    pub(super) message: String,
    pub(super) put: u64,
    pub(super) deleted: u64,
    /// What is shown to programs only.
    #[serde(flatten)]
    pub(super) more: Map<String, Value>,
}

/// One version with what it changed.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VersionWithChange {
    pub(super) organizations: Vec<Organization>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) units: Vec<OrgUnit>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) event_types: Vec<EventType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) producer_keys: Vec<ProducerKey>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) certificates: Vec<Certificate>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) lookups: Vec<Lookup>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) consumers: Vec<Consumer>,
    pub(super) integrations: Vec<Value>,
    pub(super) delete: Vec<Reference>,
    #[serde(default)]
    pub(super) differences: Vec<Difference>,
    #[serde(flatten)]
    pub(super) version: Version,
}

/// Names an object.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reference {
    pub(super) kind: String,
    id: Value,
}

impl Reference {
    /// The identifier as text.
    pub(super) fn id(&self) -> String {
        shown(&self.id)
    }
}

/// An identifier as text.
pub(super) fn shown(id: &Value) -> String {
    match id {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Fetches what is configured, with masked secrets: of these organizations, or of all if there are many or none.
///
/// Several organizations are asked for one by one, as a key may be limited to them.
pub(super) fn export(client: &Client, organizations: &BTreeSet<u64>) -> Result<Snapshot, Failure> {
    if organizations.is_empty() || organizations.len() > MOST_CALLS {
        return export_of(client, &[]);
    }
    let mut all = Snapshot::default();
    for organization in organizations {
        let part = export_of(client, &[("orgId", organization.to_string())])?;
        part.objects().into_iter().for_each(|object| all.put(object));
    }
    Ok(all)
}

fn export_of(client: &Client, query: &[(&str, String)]) -> Result<Snapshot, Failure> {
    let mut export: Map<String, Value> = client.get(&["export"], query)?;
    export.remove("version");
    Snapshot::from_document(&Value::Object(export)).map_err(|problems| {
        client.strange(format!(
            "its export does not read; it may be newer than this gwctl: {}",
            problems.first().map(ToString::to_string).unwrap_or_default()
        ))
    })
}

/// Organizations that are asked for one by one.
const MOST_CALLS: usize = 16;

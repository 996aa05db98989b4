//! What the control plane answers, as far as this program looks at it; fields that it does not know are passed over.

use filters::model::{InboundIntegration, Problem, Snapshot};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::client::Client;
use super::failure::Failure;

/// What an `apply` did, or would do.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Applied {
    pub(super) version: u64,
    pub(super) created: usize,
    pub(super) changed: usize,
    pub(super) unchanged: usize,
    pub(super) deleted: usize,
}

/// A page of integrations.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    pub(super) integrations: Vec<InboundIntegration>,
    pub(super) has_more: bool,
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
    pub(super) lag_ms: Option<u64>,
    pub(super) last_nack: Option<Nack>,
}

/// The last version that a gateway refused.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Nack {
    pub(super) version: u64,
    pub(super) problems: Vec<Problem>,
    pub(super) at: Option<String>,
}

/// The versions, newest first.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Versions {
    pub(super) versions: Vec<Version>,
}

/// One version.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Version {
    pub(super) version: u64,
    pub(super) created_at: Option<String>,
    pub(super) author: Option<String>,
    pub(super) message: Option<String>,
}

/// Everything that is configured, with masked secrets.
#[derive(Deserialize)]
struct Export {
    version: u64,
    #[serde(flatten)]
    document: Map<String, Value>,
}

/// Fetches what is configured: of one organization, or all of it. Secrets are masked.
pub(super) fn export(client: &Client, organization: Option<u64>) -> Result<Snapshot, Failure> {
    let query: Vec<_> = organization.map(|id| ("orgId", id.to_string())).into_iter().collect();
    let export: Export = client.get(&["export"], &query)?;
    let mut snapshot = Snapshot::from_document(&Value::Object(export.document)).map_err(|problems| {
        client.strange(format!(
            "its export does not read, so that its version may not be that of this gwctl: {}",
            problems.first().map(ToString::to_string).unwrap_or_default()
        ))
    })?;
    snapshot.version = export.version;
    Ok(snapshot)
}

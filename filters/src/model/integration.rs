//! An inbound integration: one partner API behind the gateway.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::auth::InboundAuthType;
use super::client_networks::ClientNetworks;
use super::limits::{BodyLimits, RateLimits, Timeouts};
use super::mapping::{FieldMapping, TransformationMode};
use super::outgoing::OutgoingAuthType;
use super::record::RecordPolicy;
use super::route::{HttpMethod, PathMatch, PathRewrite, Target, TargetHosts};
use super::secret;

/// Which way an integration works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Direction {
    /// Client systems call a partner through the gateway.
    #[default]
    Inbound,
}

/// How many metric series an integration gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MetricsDetail {
    /// Its own series while the budget lasts, else counted under `other`.
    #[default]
    Basic,
    /// Always its own series.
    Detailed,
}

/// An inbound integration, in the shape of the product's source documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InboundIntegration {
    /// Identifier; made by the control plane when left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// `INBOUND`.
    #[serde(default)]
    pub direction: Direction,
    /// Name for people.
    pub name: String,
    /// Last part of the runtime address `/api/v1/integrations/{type}`; unique among the active ones of an organization.
    #[serde(rename = "type")]
    pub kind: String,
    /// Organization that owns it.
    pub org_id: u64,
    /// Unit of the organization that it belongs to; the organization itself if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<u64>,
    /// False keeps it but answers its requests with 404.
    #[serde(default = "yes")]
    pub is_active: bool,

    /// Host names it answers to: exact, or `*.example.com` for any name below (one or more labels).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Paths it answers to on those hosts; every path if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathMatch>,
    /// Methods it answers to on those hosts; every method if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<HttpMethod>,

    /// The partner's address; instead of `targets`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_url: Option<String>,
    /// Several addresses that share the requests by weight; instead of `targetUrl`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// Method to call the partner with; the client's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_method: Option<HttpMethod>,
    /// How the client's path becomes the partner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_rewrite: Option<PathRewrite>,
    /// Which hosts the targets may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_hosts: Option<TargetHosts>,

    /// How clients show who they are.
    #[serde(default)]
    pub inbound_auth_type: InboundAuthType,
    /// Configuration of that kind; see [`super::auth::InboundAuth`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbound_auth_config: Option<Value>,
    /// True passes the client's own credential on to the partner; it is stripped otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forward_credentials: bool,
    /// How the gateway signs in to the partner.
    #[serde(default)]
    /// Where clients may call from; from anywhere if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_networks: Option<ClientNetworks>,
    pub outgoing_auth_type: OutgoingAuthType,
    /// Configuration of that kind; see [`super::outgoing::OutgoingAuth`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing_auth_config: Option<Value>,

    /// How the request body is transformed; not at all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_transformation_mode: Option<TransformationMode>,
    /// Mapping table of mode `SIMPLE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_field_mappings: Vec<FieldMapping>,
    /// Script of mode `SCRIPT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_transform_script: Option<String>,
    /// How the body of the partner's answer is transformed; not at all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_transformation_mode: Option<TransformationMode>,
    /// Mapping table of mode `SIMPLE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub response_field_mappings: Vec<FieldMapping>,
    /// Script of mode `SCRIPT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_transform_script: Option<String>,

    /// Rate limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limits: Option<RateLimits>,
    /// Timeouts.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Sizes of bodies.
    #[serde(default)]
    pub body_limits: BodyLimits,
    /// Metric series.
    #[serde(default)]
    pub metrics: MetricsDetail,
    /// Of which calls the control plane gets records.
    #[serde(default)]
    pub records: RecordPolicy,

    /// When it was made (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it was changed last (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

impl InboundIntegration {
    /// A copy for people and logs, with the mask in the place of each secret.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mut shown = self.clone();
        for config in [&mut shown.inbound_auth_config, &mut shown.outgoing_auth_config]
            .into_iter()
            .flatten()
        {
            secret::mask(config);
        }
        shown
    }

    /// Puts the secrets of the stored `previous` version back where this one carries the mask.
    pub fn restore_secrets(&mut self, previous: &Self) {
        let pairs = [
            (&mut self.inbound_auth_config, &previous.inbound_auth_config),
            (&mut self.outgoing_auth_config, &previous.outgoing_auth_config),
        ];
        for (config, old) in pairs {
            if let (Some(config), Some(old)) = (config, old) {
                secret::restore(config, old);
            }
        }
    }
}

fn yes() -> bool {
    true
}

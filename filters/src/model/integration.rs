//! An inbound integration: one partner API behind the gateway.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::auth::InboundAuthType;
use super::cache::Cache;
use super::client_networks::ClientNetworks;
use super::compression::Compression;
use super::cors::Cors;
use super::dead_letter::CallDeadLetters;
use super::error_page::ErrorPage;
use super::format::BodyFormat;
use super::headers::HeaderEdits;
use super::idempotency::Idempotency;
use super::limits::{BodyLimits, RateLimits, Timeouts};
use super::mapping::{FieldMapping, ScriptLanguage, TransformationMode, present};
use super::outbound::Breaker;
use super::outgoing::OutgoingAuthType;
use super::protocol::{HttpsRule, TargetProtocol};
use super::record::RecordPolicy;
use super::redaction::{RecordContent, Redaction};
use super::resilience::{AdaptiveConcurrency, Balancing, CallRetry, Discovery, Fallback, HealthCheck, PassiveHealth};
use super::route::{HttpMethod, PathMatch, PathRewrite, Target, TargetHosts};
use super::secret;
use super::status_mapping::StatusMapping;
use super::target_schema::TargetSchema;
use super::validation::Validation;

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
    /// The protocol that is spoken with the partner.
    #[serde(default, skip_serializing_if = "TargetProtocol::is_default")]
    pub target_protocol: TargetProtocol,
    /// What is demanded of requests that come without TLS; nothing if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<HttpsRule>,

    /// How clients show who they are.
    #[serde(default)]
    pub inbound_auth_type: InboundAuthType,
    /// Configuration of that kind; see [`super::auth::InboundAuth`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbound_auth_config: Option<Value>,
    /// True passes the client's own credential on to the partner; it is stripped otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forward_credentials: bool,
    /// Where clients may call from; from anywhere if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_networks: Option<ClientNetworks>,
    /// How the gateway signs in to the partner.
    #[serde(default)]
    pub outgoing_auth_type: OutgoingAuthType,
    /// Configuration of that kind; see [`super::outgoing::OutgoingAuth`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing_auth_config: Option<Value>,
    /// TLS with the partner; see [`OutgoingTls`](super::outgoing::OutgoingTls).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing_tls: Option<Value>,

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
    /// The language of both scripts; rhai if left out.
    #[serde(default, skip_serializing_if = "ScriptLanguage::is_rhai")]
    pub script_language: ScriptLanguage,
    /// Formats of the request body; JSON in and out if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_format: Option<BodyFormat>,
    /// Formats of the answer's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<BodyFormat>,
    /// A request body as JSON: the mapping table is checked against it when it is saved.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub request_sample: Option<Value>,
    /// An answer's body as JSON, likewise.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub response_sample: Option<Value>,
    /// What the partner takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_target_schema: Option<TargetSchema>,
    /// What clients take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_target_schema: Option<TargetSchema>,
    /// True transforms answers with an error status too. One whose body cannot be read stays as it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transform_errors: bool,
    /// Statuses of the partner, and what clients get in their place; before the answer is transformed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status_mapping: Vec<StatusMapping>,

    /// What requests and answers must look like; anything goes if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
    /// Which pages of browsers may call; the partner says so itself if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Header fields that are added, changed and taken out on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<HeaderEdits>,
    /// Error answers in the integration's own words, up to 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub error_pages: Vec<ErrorPage>,
    /// Which answers are compressed; those that the partner compresses if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Which answers are kept for the next request; none if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,

    /// Rate limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limits: Option<RateLimits>,
    /// What is done about the idempotency keys of clients; they are passed on if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<Idempotency>,
    /// Timeouts.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// When a call that failed is made again; never if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<CallRetry>,
    /// When a target that fails is called no more for a while; never if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    /// How requests are spread over the targets; by their weights if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<Balancing>,
    /// When a target that fails is passed over while there are others; never if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passive_health: Option<PassiveHealth>,
    /// Requests of the gateway's own that show whether a target works; none if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// What is a target beside the addresses named here; nothing if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Discovery>,
    /// A limit of the requests under way at each target, learnt from how long answers take; none if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive_concurrency: Option<AdaptiveConcurrency>,
    /// What a client gets where there is no answer; an error if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// Which calls become dead letters when they fail for good; none if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<CallDeadLetters>,
    /// Sizes of bodies.
    #[serde(default)]
    pub body_limits: BodyLimits,
    /// Metric series.
    #[serde(default)]
    pub metrics: MetricsDetail,
    /// Of which calls the control plane gets records.
    #[serde(default)]
    pub records: RecordPolicy,
    /// What of a call its record holds besides figures; nothing if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_content: Option<RecordContent>,
    /// What is masked in records, on top of what the organization masks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redaction: Option<Redaction>,

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
        let configs = [
            &mut shown.inbound_auth_config,
            &mut shown.outgoing_auth_config,
            &mut shown.outgoing_tls,
        ];
        for config in configs.into_iter().flatten() {
            secret::mask(config);
        }
        shown
    }

    /// Puts the secrets of the stored `previous` version back where this one carries the mask.
    pub fn restore_secrets(&mut self, previous: &Self) {
        let pairs = [
            (&mut self.inbound_auth_config, &previous.inbound_auth_config),
            (&mut self.outgoing_auth_config, &previous.outgoing_auth_config),
            (&mut self.outgoing_tls, &previous.outgoing_tls),
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

//! An outbound integration: a subscription to events, and the endpoint that they are delivered to.

pub mod filter;
pub mod handling;
pub mod schedule;
pub mod signing;
pub mod step;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::format::BodyFormat;
use super::integration::MetricsDetail;
use super::limits::Timeouts;
use super::mapping::{FieldMapping, ScriptLanguage, TransformationMode, present};
use super::outgoing::OutgoingAuthType;
use super::redaction::Redaction;
use super::route::TargetHosts;
use super::secret;
use super::target_schema::TargetSchema;
pub use filter::Filter;
pub use handling::{Breaker, DeadLetterRetry, DeliveryLimits, Ordering, RecordBodies, Retry, StatusRule};
pub use schedule::{ScheduleConfig, SchedulingMode};
pub use signing::SigningType;
pub use step::{Action, Compensation, Enrichment};

/// Which way an outbound integration works: there is one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutboundDirection {
    /// Events are delivered to an endpoint.
    #[default]
    Outbound,
}

/// Methods that an endpoint may be called with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum DeliveryMethod {
    /// RFC 9110 section 9.3.3.
    #[default]
    Post,
    /// RFC 9110 section 9.3.4.
    Put,
    /// RFC 5789.
    Patch,
    /// RFC 9110 section 9.3.5; for compensations.
    Delete,
}

/// Of whose events a subscription of a whole organization gets its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Scope {
    /// Of the organization and of all its units but the excluded ones.
    #[default]
    AllEntities,
    /// Of the one entity that `tenantId` names.
    EntityOnly,
}

/// An outbound integration, in the shape of the product's source documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutboundIntegration {
    /// Identifier; made by the control plane when left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// `OUTBOUND`.
    #[serde(default)]
    pub direction: OutboundDirection,
    /// Name for people.
    pub name: String,
    /// Organization that owns it.
    pub org_id: u64,
    /// The unit whose events it gets (its `rid`), or the organization's own number for all of them; the latter if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<u64>,
    /// False keeps it but matches no event.
    #[serde(default = "yes")]
    pub is_active: bool,

    /// Type of the events that it gets; `*` stands for one or more whole segments between dots. Instead of `actionId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Action id of the events that it gets. Instead of `eventType`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_id: Option<i64>,
    /// With an organization's own number as `tenantId`: of which of its entities.
    #[serde(default)]
    pub scope: Scope,
    /// Units that `ALL_ENTITIES` leaves out, by `rid`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded_entity_rids: Vec<u64>,
    /// Which of these events, by their payload; all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,

    /// Where the events are delivered. May be left out if each action has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_url: Option<String>,
    /// Method to call it with.
    #[serde(default)]
    pub http_method: DeliveryMethod,
    /// Which hosts the targets may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_hosts: Option<TargetHosts>,
    /// How the payload is transformed; not at all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transformation_mode: Option<TransformationMode>,
    /// Mapping table of mode `SIMPLE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub field_mappings: Vec<FieldMapping>,
    /// Script of mode `SCRIPT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform_script: Option<String>,
    /// The language of its scripts and those of its actions; rhai if left out.
    #[serde(default, skip_serializing_if = "ScriptLanguage::is_rhai")]
    pub script_language: ScriptLanguage,
    /// Format of what is sent; JSON if left out. It holds for all actions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_format: Option<BodyFormat>,
    /// A payload: the mapping tables are checked against it when they are saved.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub sample: Option<Value>,
    /// What the receiver takes; of actions, those without a transformation of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_schema: Option<TargetSchema>,
    /// Calls before each attempt that fetch fresh data into the payload, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enrichments: Vec<Enrichment>,
    /// Steps that take the place of the one delivery, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,

    /// How the gateway signs in to the endpoint.
    #[serde(default)]
    pub outgoing_auth_type: OutgoingAuthType,
    /// Configuration of that kind; see [`super::outgoing::OutgoingAuth`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing_auth_config: Option<Value>,
    /// TLS with the endpoint, and with those of actions that say nothing themselves; see
    /// [`OutgoingTls`](super::outgoing::OutgoingTls).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing_tls: Option<Value>,
    /// How deliveries are signed.
    #[serde(default)]
    pub signing_type: SigningType,
    /// Configuration of that kind; see [`signing::Signing`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_config: Option<Value>,

    /// When events are delivered.
    #[serde(default)]
    pub scheduling_mode: SchedulingMode,
    /// Configuration of that mode; see [`ScheduleConfig`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling_config: Option<ScheduleConfig>,
    /// When a failed attempt is repeated.
    #[serde(default)]
    pub retry: Retry,
    /// What statuses mean, before the built-in table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status_handling: Vec<StatusRule>,
    /// Which deliveries wait for each other.
    #[serde(default)]
    pub ordering: Ordering,
    /// When the endpoint is left alone.
    #[serde(default)]
    pub breaker: Breaker,
    /// When dead letters are tried again without an operator.
    #[serde(default)]
    pub dead_letter_retry: DeadLetterRetry,
    /// Speed and size.
    #[serde(default)]
    pub rate_limits: DeliveryLimits,
    /// Timeouts of one attempt.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Of which attempts the record holds the bodies.
    #[serde(default)]
    pub record_bodies: RecordBodies,
    /// What is masked in records, on top of what the organization masks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redaction: Option<Redaction>,
    /// Metric series.
    #[serde(default)]
    pub metrics: MetricsDetail,

    /// When it was made (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it was changed last (RFC 3339); set by the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

impl OutboundIntegration {
    /// A copy for people and logs, with the mask in the place of each secret.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mut shown = self.clone();
        shown.for_each_config(&mut secret::mask);
        shown
    }

    /// Puts the secrets of the stored `previous` version back where this one carries the mask. Actions and enrichments
    /// belong together by name.
    pub fn restore_secrets(&mut self, previous: &Self) {
        restore(&mut self.outgoing_auth_config, previous.outgoing_auth_config.as_ref());
        restore(&mut self.outgoing_tls, previous.outgoing_tls.as_ref());
        restore(&mut self.signing_config, previous.signing_config.as_ref());
        for action in &mut self.actions {
            if let Some(old) = previous.actions.iter().find(|old| old.name == action.name) {
                action.restore_secrets(old);
            }
        }
        for enrichment in &mut self.enrichments {
            if let Some(old) = previous.enrichments.iter().find(|old| old.name == enrichment.name) {
                restore(&mut enrichment.outgoing_auth_config, old.outgoing_auth_config.as_ref());
                restore(&mut enrichment.outgoing_tls, old.outgoing_tls.as_ref());
            }
        }
    }

    /// Calls `visit` with each configuration that may hold secrets: to mask, encrypt or decrypt them in place.
    pub fn for_each_config(&mut self, visit: &mut dyn FnMut(&mut Value)) {
        let own = [
            &mut self.outgoing_auth_config,
            &mut self.outgoing_tls,
            &mut self.signing_config,
        ];
        own.into_iter().flatten().for_each(&mut *visit);
        for action in &mut self.actions {
            action.for_each_config(visit);
        }
        let enrichments = self.enrichments.iter_mut();
        enrichments
            .flat_map(|enrichment| [&mut enrichment.outgoing_auth_config, &mut enrichment.outgoing_tls])
            .flatten()
            .for_each(visit);
    }

    /// Each configuration that may hold secrets, with its path.
    pub fn configs(&self) -> Vec<(String, &Value)> {
        let own = [
            ("outgoingAuthConfig", &self.outgoing_auth_config),
            ("outgoingTls", &self.outgoing_tls),
            ("signingConfig", &self.signing_config),
        ];
        let own = own.into_iter().map(|(path, config)| (path.to_owned(), config));
        let actions = self.actions.iter().enumerate();
        let actions = actions.flat_map(|(index, call)| {
            [
                (
                    format!("actions[{index}].outgoingAuthConfig"),
                    &call.outgoing_auth_config,
                ),
                (format!("actions[{index}].outgoingTls"), &call.outgoing_tls),
            ]
        });
        let enrichments = self.enrichments.iter().enumerate();
        let enrichments = enrichments.flat_map(|(index, call)| {
            [
                (
                    format!("enrichments[{index}].outgoingAuthConfig"),
                    &call.outgoing_auth_config,
                ),
                (format!("enrichments[{index}].outgoingTls"), &call.outgoing_tls),
            ]
        });
        let all = own.chain(actions).chain(enrichments);
        all.filter_map(|(path, config)| Some((path, config.as_ref()?)))
            .collect()
    }

    /// The unit or organization whose events it gets.
    pub fn tenant(&self) -> u64 {
        self.tenant_id.unwrap_or(self.org_id)
    }
}

pub(super) fn restore(config: &mut Option<Value>, previous: Option<&Value>) {
    if let (Some(config), Some(previous)) = (config, previous) {
        secret::restore(config, previous);
    }
}

fn yes() -> bool {
    true
}

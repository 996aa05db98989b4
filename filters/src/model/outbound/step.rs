//! The calls of a delivery beside the plain one: actions, compensations, enrichments.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DeliveryMethod, restore};
use crate::model::mapping::{FieldMapping, TransformationMode};
use crate::model::outgoing::OutgoingAuthType;
use crate::model::route::HttpMethod;

/// One step of a subscription that has several. A step starts when the one before it has succeeded. Its transformation
/// sees the event's payload, with the answers of earlier steps in `steps.{name}` (`status` and `body`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Action {
    /// Its name, unique within the subscription.
    pub name: String,
    /// Where it goes; that of the subscription if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_url: Option<String>,
    /// Method; that of the subscription if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_method: Option<DeliveryMethod>,
    /// How its payload is made; that of the subscription if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transformation_mode: Option<TransformationMode>,
    /// Mapping table of mode `SIMPLE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub field_mappings: Vec<FieldMapping>,
    /// Script of mode `SCRIPT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform_script: Option<String>,
    /// How the gateway signs in; as for the subscription if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing_auth_type: Option<OutgoingAuthType>,
    /// Configuration of that kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing_auth_config: Option<Value>,
    /// TLS with its target; as for the subscription if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing_tls: Option<Value>,
    /// Milliseconds after the step before it, or after the event was accepted; at most 86,400,000 (a day).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay_ms: u64,
    /// What undoes it if a later step fails for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate: Option<Compensation>,
}

/// What undoes a step. It is sent with the sign-in of its action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compensation {
    /// Where it goes.
    pub target_url: String,
    /// Method.
    #[serde(default)]
    pub http_method: DeliveryMethod,
    /// How its payload is made; the action's own payload if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transformation_mode: Option<TransformationMode>,
    /// Mapping table of mode `SIMPLE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub field_mappings: Vec<FieldMapping>,
    /// Script of mode `SCRIPT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform_script: Option<String>,
}

/// A call before each attempt that fetches fresh data by id, so that queued events stay small and a retry sends what is
/// right by then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Enrichment {
    /// Its name, unique within the subscription.
    pub name: String,
    /// Address, with fields of the payload in braces: `https://his.example/bills/{bill.id}`. They are percent-encoded.
    pub url: String,
    /// `GET` if left out; `POST` sends the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_method: Option<HttpMethod>,
    /// How the gateway signs in.
    #[serde(default)]
    pub outgoing_auth_type: OutgoingAuthType,
    /// Configuration of that kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing_auth_config: Option<Value>,
    /// TLS with whom it calls; see [`OutgoingTls`](crate::model::outgoing::OutgoingTls).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing_tls: Option<Value>,
    /// What the answer is taken as.
    #[serde(default)]
    pub encoding: EnrichmentEncoding,
    /// Field of the payload that it is put into, before the transformation. If left out, the answer takes the place of
    /// the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_field: Option<String>,
    /// The most bytes of the answer; more fails the attempt. 1 MiB if left out; at most 16 MiB of JSON, 256 MiB of base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

/// What the answer of an enrichment is taken as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EnrichmentEncoding {
    /// JSON.
    #[default]
    Json,
    /// Any bytes, which become base64 text; needs `targetField`.
    Base64,
}

impl Action {
    pub(super) fn restore_secrets(&mut self, previous: &Self) {
        restore(&mut self.outgoing_auth_config, previous.outgoing_auth_config.as_ref());
        restore(&mut self.outgoing_tls, previous.outgoing_tls.as_ref());
    }

    pub(super) fn for_each_config(&mut self, visit: &mut dyn FnMut(&mut Value)) {
        let own = [&mut self.outgoing_auth_config, &mut self.outgoing_tls];
        own.into_iter().flatten().for_each(visit);
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

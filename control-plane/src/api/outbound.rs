//! Outbound integrations.

use filters::model::OutboundIntegration;
use schemars::JsonSchema;
use serde::Deserialize;

use super::resource::{Filter, Resource, kept_in};

/// Parameters of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only active ones, or only inactive ones.
    #[serde(default)]
    is_active: Option<bool>,
    /// Only those of this event type, as it is written in them.
    #[serde(default)]
    event_type: Option<String>,
    /// Only those of this action id.
    #[serde(default)]
    action_id: Option<i64>,
    /// Only those of this unit, or of the organization as a whole.
    #[serde(default)]
    tenant_id: Option<u64>,
}

impl Filter<OutboundIntegration> for Wanted {
    fn picks(&self, integration: &OutboundIntegration) -> bool {
        self.is_active.is_none_or(|wanted| wanted == integration.is_active)
            && (self.event_type.is_none() || self.event_type == integration.event_type)
            && (self.action_id.is_none() || self.action_id == integration.action_id)
            && self.tenant_id.is_none_or(|wanted| wanted == integration.tenant())
    }
}

impl Resource for OutboundIntegration {
    type Filter = Wanted;

    const PATH: &'static str = "outbound-integrations";
    const NOUN: &'static str = "outbound integration";
    const LIST: &'static str = "integrations";

    kept_in!(outbound as Outbound, named);

    fn shown(&self) -> Self {
        self.masked()
    }

    fn is_active(&self) -> Option<bool> {
        Some(self.is_active)
    }

    fn switch(&mut self, active: bool) {
        self.is_active = active;
    }

    fn texts(&self) -> Vec<&str> {
        let mut texts = vec![self.id.as_str(), &self.name];
        texts.extend(self.event_type.as_deref());
        texts.extend(self.target_url.as_deref());
        for action in &self.actions {
            texts.push(&action.name);
            texts.extend(action.target_url.as_deref());
        }
        texts
    }
}

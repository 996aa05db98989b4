//! Inbound integrations.

use filters::model::InboundIntegration;
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
    /// Only of this type.
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

impl Filter<InboundIntegration> for Wanted {
    fn picks(&self, integration: &InboundIntegration) -> bool {
        self.is_active.is_none_or(|wanted| wanted == integration.is_active)
            && self.kind.as_ref().is_none_or(|kind| *kind == integration.kind)
    }
}

impl Resource for InboundIntegration {
    type Filter = Wanted;

    const PATH: &'static str = "inbound-integrations";
    const NOUN: &'static str = "integration";
    const LIST: &'static str = "integrations";

    kept_in!(integrations as Integration, named);

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
        let mut texts = vec![self.id.as_str(), &self.name, &self.kind];
        texts.extend(self.target_url.as_deref());
        texts.extend(self.hosts.iter().map(String::as_str));
        texts.extend(self.targets.iter().map(|target| target.url.as_str()));
        texts
    }
}

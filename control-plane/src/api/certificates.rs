//! Certificates of the listeners.

use filters::model::Certificate;
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
}

impl Filter<Certificate> for Wanted {
    fn picks(&self, certificate: &Certificate) -> bool {
        self.is_active.is_none_or(|wanted| wanted == certificate.is_active)
    }
}

impl Resource for Certificate {
    type Filter = Wanted;

    const PATH: &'static str = "certificates";
    const NOUN: &'static str = "certificate";
    const LIST: &'static str = "certificates";

    kept_in!(certificates as Certificate, named);

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
        vec![&self.id, &self.name]
    }
}

//! Client systems.

use filters::model::Consumer;
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

impl Filter<Consumer> for Wanted {
    fn picks(&self, consumer: &Consumer) -> bool {
        self.is_active.is_none_or(|wanted| wanted == consumer.is_active)
    }
}

impl Resource for Consumer {
    type Filter = Wanted;

    const PATH: &'static str = "consumers";
    const NOUN: &'static str = "consumer";
    const LIST: &'static str = "consumers";

    kept_in!(consumers as Consumer, named);

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

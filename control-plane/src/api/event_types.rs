//! Types of events.

use filters::model::EventType;
use schemars::JsonSchema;
use serde::Deserialize;

use super::resource::{Filter, Resource, kept_in};

/// Parameters of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only the one of this name.
    #[serde(default)]
    event_type: Option<String>,
    /// Only the one with this action id.
    #[serde(default)]
    action_id: Option<i64>,
}

impl Filter<EventType> for Wanted {
    fn picks(&self, event_type: &EventType) -> bool {
        self.event_type
            .as_ref()
            .is_none_or(|wanted| *wanted == event_type.event_type)
            && (self.action_id.is_none() || self.action_id == event_type.action_id)
    }
}

impl Resource for EventType {
    type Filter = Wanted;

    const PATH: &'static str = "event-types";
    const NOUN: &'static str = "event type";
    const LIST: &'static str = "eventTypes";

    kept_in!(event_types as EventType, named);

    fn texts(&self) -> Vec<&str> {
        vec![&self.id, &self.event_type, &self.name, &self.description]
    }
}

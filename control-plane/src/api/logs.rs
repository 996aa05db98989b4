//! Attempts at deliveries.

use filters::model::delivery::{DeliveryLog, DeliveryStatus};
use filters::model::outbound::OutboundDirection;
use schemars::JsonSchema;
use serde::Deserialize;

use super::history::{Listed, Narrow, given, name_of};
use crate::store::Field;

/// Parameters of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only attempts that ended so.
    #[serde(default)]
    status: Option<DeliveryStatus>,
    /// Only attempts for this subscription.
    #[serde(default)]
    integration_config_id: Option<String>,
    /// Only attempts for events of this type.
    #[serde(default)]
    event_type: Option<String>,
    /// Only attempts for this event.
    #[serde(default)]
    event_id: Option<String>,
    /// Only attempts at this delivery.
    #[serde(default)]
    message_id: Option<String>,
    /// Only attempts in this direction.
    #[serde(default)]
    direction: Option<OutboundDirection>,
}

impl Narrow for Wanted {
    fn equal(self) -> Vec<(Field, String)> {
        given([
            (Field::Status, self.status.and_then(name_of)),
            (Field::Integration, self.integration_config_id),
            (Field::EventType, self.event_type),
            (Field::Event, self.event_id),
            (Field::Message, self.message_id),
            (Field::Direction, self.direction.and_then(name_of)),
        ])
    }
}

impl Listed for DeliveryLog {
    type Filter = Wanted;

    const LIST: &'static str = "logs";

    fn org_id(&self) -> u64 {
        self.org_id
    }

    /// Without what was sent and answered, which one attempt shows.
    fn brief(self) -> Self {
        Self {
            request_headers: Default::default(),
            request_payload: None,
            response_headers: Default::default(),
            response_body: None,
            curl_command: None,
            ..self
        }
    }
}

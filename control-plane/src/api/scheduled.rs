//! Deliveries that wait for their time.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::extract::State;
use filters::model::command::Command;
use filters::model::delivery::{ScheduledDelivery, ScheduledStatus};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::App;
use super::answer::Accepted;
use super::commands::Given;
use super::error::ApiError;
use super::history::{Listed, Narrow, find, given, name_of};
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Named, Params, Place, Within};
use crate::commands::Draft;
use crate::store::Field;

/// Parameters of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only those in this state.
    #[serde(default)]
    status: Option<ScheduledStatus>,
    /// Only those of this subscription.
    #[serde(default)]
    integration_config_id: Option<String>,
    /// Only those of events of this type.
    #[serde(default)]
    event_type: Option<String>,
}

impl Narrow for Wanted {
    fn equal(self) -> Vec<(Field, String)> {
        given([
            (Field::Status, self.status.and_then(name_of)),
            (Field::Integration, self.integration_config_id),
            (Field::EventType, self.event_type),
        ])
    }
}

impl Listed for ScheduledDelivery {
    type Filter = Wanted;

    const LIST: &'static str = "scheduledIntegrations";

    fn org_id(&self) -> u64 {
        self.org_id
    }
}

/// Calls a scheduled delivery off.
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Accepted<Given>, ApiError> {
    let delivery: ScheduledDelivery = find(&app, &caller, &id, &within).await?;
    if delivery.status != ScheduledStatus::Pending {
        let state = name_of(delivery.status).unwrap_or_default();
        let message = format!("scheduled delivery {id:?} is {state}, so there is nothing to cancel");
        return Err(ApiError::new(StatusCode::CONFLICT, message));
    }
    let draft = Draft {
        org_id: delivery.org_id,
        gateway_id: delivery.gateway_id,
        command: Command::CancelScheduled { ids: vec![id] },
    };
    Given::of(&app, &caller, vec![draft]).await
}

pub(super) fn cancel_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Call a scheduled delivery off, with all that would follow of a recurring one")
        .errors(&[409])
}

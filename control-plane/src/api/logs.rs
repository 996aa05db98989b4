//! Attempts at deliveries, and calls in the same list.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::delivery::{DeliveryLog, DeliveryStatus};
use filters::model::record::RecordStatus;
use filters::model::{ExecutionRecord, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::error::ApiError;
use super::execution_logs;
use super::history::{self, Listed, Listing, Narrow, Position, given, name_of};
use super::operator::Caller;
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
    /// `OUTBOUND` for attempts at deliveries, which is what is listed if it is left out; `INBOUND` for the calls that
    /// gateways carried, as `/execution-logs` lists them.
    #[serde(default)]
    direction: Option<Way>,
    /// Only attempts, or calls, that failed by this category of error.
    #[serde(default)]
    error_category: Option<String>,
}

/// Which way records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Way {
    /// From client systems to partners.
    Inbound,
    /// From products to subscribers.
    Outbound,
}

/// A page of either kind.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Page {
    /// Attempts at deliveries.
    Attempts(history::Page<DeliveryLog>),
    /// Calls.
    Calls(Calls),
}

/// A page of calls, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Calls {
    /// Those on the page.
    logs: Vec<ExecutionRecord>,
    #[serde(flatten)]
    position: Position,
}

/// Lists attempts at deliveries, or calls.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    listing: Listing<Wanted>,
) -> Result<Json<Page>, ApiError> {
    caller.allow(listing.common.org_id)?;
    Ok(Json(match listing.rest.direction {
        Some(Way::Inbound) => {
            let (query, page) = history::asked(of_calls(listing)?)?;
            let (logs, position) = history::found(&app, query, page).await?;
            Page::Calls(Calls { logs, position })
        }
        Some(Way::Outbound) | None => {
            let (query, page) = history::asked(listing)?;
            Page::Attempts(history::page(&app, query, page).await?)
        }
    }))
}

/// The same question about calls.
pub(super) fn of_calls(listing: Listing<Wanted>) -> Result<Listing<execution_logs::Wanted>, ApiError> {
    let mut problems = Vec::new();
    let wanted = listing.rest;
    for (field, given) in [
        ("eventType", wanted.event_type),
        ("eventId", wanted.event_id),
        ("messageId", wanted.message_id),
    ] {
        if given.is_some() {
            problems.push(Problem::new(field, "goes with OUTBOUND only: calls belong to no event"));
        }
    }
    let status = wanted.status.and_then(|status| match status {
        DeliveryStatus::Success => Some(RecordStatus::Success),
        DeliveryStatus::Failed => Some(RecordStatus::Failed),
        DeliveryStatus::Pending | DeliveryStatus::Retrying | DeliveryStatus::Abandoned => {
            problems.push(Problem::new("status", "of calls is SUCCESS or FAILED"));
            None
        }
    });
    if !problems.is_empty() {
        return Err(ApiError::validation(problems));
    }
    Ok(Listing {
        common: listing.common,
        rest: execution_logs::Wanted {
            status,
            integration_config_id: wanted.integration_config_id,
            error_category: wanted.error_category,
        },
    })
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List attempts at deliveries, or with `direction=INBOUND` calls, newest first")
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
            (Field::ErrorCategory, self.error_category),
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

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
use super::history::{self, Listed, Listing, Narrow, given, name_of};
use super::operator::Caller;
use crate::store::{Field, RecordQuery};

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
    /// Number of the page.
    page: u32,
    /// The most on a page.
    limit: u32,
    /// True if there are further pages.
    has_more: bool,
}

/// Lists attempts at deliveries, or calls.
pub(super) async fn list(
    state: State<Arc<App>>,
    caller: Caller,
    listing: Listing<Wanted>,
) -> Result<Json<Page>, ApiError> {
    if listing.rest.direction != Some(Way::Inbound) {
        let Json(page) = history::list::<DeliveryLog>(state, caller, listing).await?;
        return Ok(Json(Page::Attempts(page)));
    }
    caller.allow(listing.common.org_id)?;
    let (query, page) = calls_asked(listing)?;
    let limit = query.limit - 1;
    let (logs, has_more) = execution_logs::found(&state.0, &query).await?;
    Ok(Json(Page::Calls(Calls {
        logs,
        page,
        limit,
        has_more,
    })))
}

/// What is asked of the records of calls; and the number of the page.
fn calls_asked(listing: Listing<Wanted>) -> Result<(RecordQuery, u32), ApiError> {
    let mut problems = Vec::new();
    let wanted = &listing.rest;
    for (field, given) in [
        ("eventType", &wanted.event_type),
        ("eventId", &wanted.event_id),
        ("messageId", &wanted.message_id),
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
    let (error_category, integration) = (wanted.error_category.clone(), wanted.integration_config_id.clone());
    let (query, page) = match history::asked(listing) {
        Ok((query, Some(page))) => (query, page),
        Ok((_, None)) => {
            problems.push(Problem::new("cursor", "goes with OUTBOUND only; give a `page`"));
            return Err(ApiError::validation(problems));
        }
        Err(error) => return Err(error),
    };
    if !problems.is_empty() {
        return Err(ApiError::validation(problems));
    }
    let query = RecordQuery {
        org_id: query.org_id.unwrap_or_default(),
        status,
        integration,
        error_category,
        from: query.from,
        before: query.before,
        search: query.search,
        skip: query.skip,
        limit: query.limit,
    };
    Ok((query, page))
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

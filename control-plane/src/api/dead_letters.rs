//! Dead letters, and what operators do with single ones.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::command::Command;
use filters::model::delivery::{DeadLetter, DeadLetterStatus, DeliveryDirection, DeliveryLog, ErrorCategory};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::App;
use super::answer::Accepted;
use super::commands::Given;
use super::error::ApiError;
use super::history::{Listed, Narrow, find, given, name_of};
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::{Document, Named, Params, Place, Within};
use crate::commands::Draft;
use crate::store::{Field, Query};

/// Parameters of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only those in this state.
    #[serde(default)]
    pub(super) status: Option<DeadLetterStatus>,
    /// Only those of this subscription.
    #[serde(default)]
    pub(super) integration_config_id: Option<String>,
    /// Only those of events of this type.
    #[serde(default)]
    pub(super) event_type: Option<String>,
    /// Only those of this event.
    #[serde(default)]
    event_id: Option<String>,
    /// Only those that failed last for this reason.
    #[serde(default)]
    pub(super) error_category: Option<ErrorCategory>,
    /// Only those of deliveries, or only those of proxied calls.
    #[serde(default)]
    direction: Option<DeliveryDirection>,
}

impl Narrow for Wanted {
    fn equal(self) -> Vec<(Field, String)> {
        given([
            (Field::Status, self.status.and_then(name_of)),
            (Field::Integration, self.integration_config_id),
            (Field::EventType, self.event_type),
            (Field::Event, self.event_id),
            (Field::ErrorCategory, self.error_category.and_then(name_of)),
            (Field::Direction, self.direction.and_then(name_of)),
        ])
    }
}

impl Listed for DeadLetter {
    type Filter = Wanted;

    const LIST: &'static str = "deadLetters";

    fn org_id(&self) -> u64 {
        self.org_id
    }
}

/// A dead letter, with what was tried.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TracedDeadLetter")]
pub(super) struct Traced {
    #[serde(flatten)]
    letter: DeadLetter,
    /// The attempts at delivering the event to this subscription, oldest first; the newest 200 of them.
    trace: Vec<DeliveryLog>,
}

/// How a dead letter is tried again. Without a body it is tried as it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "DeadLetterRetryRequest")]
pub(super) struct Retry {
    /// Takes the place of the payload; `null` does, too.
    #[serde(default, deserialize_with = "present")]
    payload: Option<Value>,
}

/// Shows a dead letter with its trace.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Json<Traced>, ApiError> {
    let letter: DeadLetter = find(&app, &caller, &id, &within).await?;
    let query = Query {
        org_id: Some(letter.org_id),
        equal: vec![
            (Field::Trace, letter.trace_id.clone()),
            (Field::Event, letter.event_id.clone()),
            (Field::Integration, letter.integration_config_id.to_string()),
        ],
        limit: MOST_OF_A_LETTER,
        ..Query::default()
    };
    let mut trace: Vec<DeliveryLog> = app.store.list(&query).await?;
    trace.reverse();
    Ok(Json(Traced { letter, trace }))
}

/// Tries a dead letter again.
pub(super) async fn retry(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    Params(within): Params<Within>,
    body: Option<Document<Retry>>,
) -> Result<Accepted<Given>, ApiError> {
    let Retry { payload } = body.map(|body| body.read()).transpose()?.unwrap_or_default();
    let command = |id| Command::RetryDeadLetters { ids: vec![id], payload };
    give(&app, &caller, named, &within, command).await
}

/// Gives a dead letter up.
pub(super) async fn abandon(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Accepted<Given>, ApiError> {
    let command = |id| Command::AbandonDeadLetters { ids: vec![id] };
    give(&app, &caller, named, &within, command).await
}

/// Deletes a dead letter.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(named): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Accepted<Given>, ApiError> {
    let command = |id| Command::DeleteDeadLetters { ids: vec![id] };
    give(&app, &caller, named, &within, command).await
}

/// Gives a command to the gateway that owns the dead letter.
async fn give(
    app: &App,
    caller: &Caller,
    Named { id }: Named,
    within: &Within,
    command: impl FnOnce(String) -> Command,
) -> Result<Accepted<Given>, ApiError> {
    let letter: DeadLetter = find(app, caller, &id, within).await?;
    let draft = Draft {
        org_id: letter.org_id,
        gateway_id: letter.gateway_id,
        command: command(id),
    };
    Given::of(app, caller, vec![draft]).await
}

/// A field that is there, whatever it holds.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read a dead letter, with its payload and what was tried")
}

pub(super) fn retry_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Try a dead letter again, with another payload if one is given")
        .errors(&[404])
}

pub(super) fn abandon_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Give a dead letter up: only an operator tries it again")
}

pub(super) fn delete_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Delete a dead letter: its event is not delivered")
}

/// Attempts that are shown with a dead letter.
const MOST_OF_A_LETTER: u32 = 200;

//! Retries of many dead letters.

use std::collections::BTreeSet;
use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::Problem;
use filters::model::delivery::{DeadLetter, DeadLetterStatus, DeliveryDirection, ErrorCategory};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::answer::Accepted;
use super::commands::text;
use super::error::ApiError;
use super::history::{moment, name_of};
use super::operator::Caller;
use super::request::{Document, Named, Params, Place, Within};
use crate::store::{Bulk, BulkFilter, BulkProgress};

/// Which dead letters to try again: `ids`, or a `filter`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "BulkRetryRequest")]
pub(super) struct Wanted {
    /// Organization of all of them.
    org_id: u64,
    /// These, at most 100.
    #[serde(default)]
    ids: Option<Vec<String>>,
    /// All that it lets through, in the background; `{}` is all of the organization. Those that are being tried again
    /// already are passed over.
    #[serde(default)]
    filter: Option<Filter>,
}

/// Picks dead letters. What is left out does not narrow.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "DeadLetterFilter")]
pub(super) struct Filter {
    /// Only those in this state.
    #[serde(default)]
    status: Option<DeadLetterStatus>,
    /// Only those of this subscription.
    #[serde(default)]
    integration_config_id: Option<String>,
    /// Only those of events of this type.
    #[serde(default)]
    event_type: Option<String>,
    /// Only those that failed last for this reason.
    #[serde(default)]
    error_category: Option<ErrorCategory>,
    /// Only those of deliveries (`OUTBOUND`), or of calls (`INBOUND`).
    #[serde(default)]
    direction: Option<DeliveryDirection>,
    /// Only those that became dead letters from this moment on: RFC 3339, or a date (UTC).
    #[serde(default)]
    start_date: Option<String>,
    /// Only those that became dead letters before this moment: RFC 3339; or a date (UTC), which is included.
    #[serde(default)]
    end_date: Option<String>,
}

/// How far a retry of many is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum BulkState {
    /// Commands are being made.
    Queuing,
    /// All commands are made; gateways have not answered all of them.
    Running,
    /// Gateways have answered all of them.
    Done,
}

/// A retry of many dead letters.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "BulkRetry")]
pub(super) struct Shown {
    /// Identifier.
    id: String,
    /// Organization.
    org_id: u64,
    /// How far it is.
    state: BulkState,
    /// How many dead letters there were when it began.
    total: u64,
    /// How many of them gateways are told to try again.
    queued: u64,
    /// How many of them gateways try again; what becomes of them is in the logs, and in `/dlq` if they fail once more.
    done: u64,
    /// How many of them are not tried again; the commands say why.
    failed: u64,
    /// The commands; left out where they are made in the background.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    command_ids: Vec<String>,
    /// The operator who wanted it.
    created_by: String,
    /// When (RFC 3339).
    created_at: String,
}

impl Shown {
    fn of(bulk: Bulk, progress: BulkProgress, command_ids: Vec<String>) -> Self {
        let state = match bulk.queued_at {
            None => BulkState::Queuing,
            Some(_) if progress.waiting > 0 => BulkState::Running,
            Some(_) => BulkState::Done,
        };
        Self {
            id: bulk.id,
            org_id: bulk.org_id,
            state,
            total: bulk.total,
            queued: bulk.queued,
            done: progress.done,
            failed: progress.failed,
            command_ids,
            created_by: bulk.created_by,
            created_at: text(bulk.created_at),
        }
    }
}

/// Tries many dead letters again.
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Document<Wanted>,
) -> Result<Accepted<Shown>, ApiError> {
    let Wanted { org_id, ids, filter } = body.read()?;
    caller.allow(org_id)?;
    match (ids, filter) {
        (Some(ids), None) => named(&app, &caller, org_id, ids).await,
        (None, Some(filter)) => {
            let bulk = app.bulks.begin(org_id, filter.read()?, caller.name()).await?;
            Ok(Accepted(Shown::of(bulk, BulkProgress::default(), Vec::new())))
        }
        (Some(_), Some(_)) => Err(wrong("filter", "cannot be given beside `ids`")),
        (None, None) => Err(wrong(
            "ids",
            "give `ids`, or a `filter`; `{}` is all of the organization",
        )),
    }
}

async fn named(app: &App, caller: &Caller, org_id: u64, ids: Vec<String>) -> Result<Accepted<Shown>, ApiError> {
    let ids: BTreeSet<String> = ids.into_iter().collect();
    if !(1..=MOST_NAMED).contains(&ids.len()) {
        let message = format!("has {} identifiers; give 1 to {MOST_NAMED}, or a `filter`", ids.len());
        return Err(wrong("ids", &message));
    }
    let mut letters: Vec<DeadLetter> = Vec::with_capacity(ids.len());
    let mut missing = Vec::new();
    for id in ids {
        match app.store.find::<DeadLetter>(&id).await? {
            Some(letter) if letter.org_id == org_id => letters.push(letter),
            _ => missing.push(Problem::new("ids", format!("dead letter {id:?} is not there"))),
        }
    }
    if !missing.is_empty() {
        return Err(ApiError::validation(missing));
    }
    let (bulk, commands) = app.bulks.retry(org_id, &letters, caller.name()).await?;
    let progress = BulkProgress {
        waiting: commands.len() as u64,
        ..BulkProgress::default()
    };
    let ids = commands.into_iter().map(|command| command.id).collect();
    Ok(Accepted(Shown::of(bulk, progress, ids)))
}

/// Shows how far a retry of many is.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(within): Params<Within>,
) -> Result<Json<Shown>, ApiError> {
    let scope = caller.scope(within.org_id)?;
    let found = app.store.bulk(&id).await?;
    let found = found.filter(|(bulk, _)| caller.sees(bulk.org_id, scope));
    let (bulk, progress) = found.ok_or_else(|| ApiError::not_found(&format!("bulk retry {id:?}")))?;
    Ok(Json(Shown::of(bulk, progress, Vec::new())))
}

impl Filter {
    fn read(self) -> Result<BulkFilter, ApiError> {
        let mut problems = Vec::new();
        let filter = BulkFilter {
            status: self.status.and_then(name_of),
            integration_config_id: self.integration_config_id,
            event_type: self.event_type,
            error_category: self.error_category.and_then(name_of),
            direction: self.direction.and_then(name_of),
            from: moment("filter.startDate", self.start_date.as_deref(), 0, &mut problems),
            before: moment("filter.endDate", self.end_date.as_deref(), 1, &mut problems),
        };
        if problems.is_empty() {
            Ok(filter)
        } else {
            Err(ApiError::validation(problems))
        }
    }
}

fn wrong(path: &str, message: &str) -> ApiError {
    ApiError::validation(vec![Problem::new(path, message)])
}

pub(super) fn begin_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Try many dead letters again: some by identifier, or all that a filter lets through")
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read how far a retry of many dead letters is")
}

/// Dead letters that can be named in one call.
const MOST_NAMED: usize = 100;

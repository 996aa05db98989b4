//! Records of the calls that gateways carried, and traces of calls and deliveries.

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
use super::history::{check_search, moment, skipped};
use super::operator::Caller;
use super::request::{Params, Place, Within};
use crate::store::{Field, MOST_OF_A_TRACE, Query, RecordQuery};

/// Which records, and which page of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Listing {
    /// Of this organization.
    org_id: u64,
    /// Only calls that ended so.
    #[serde(default)]
    status: Option<RecordStatus>,
    /// Only calls to this integration.
    #[serde(default)]
    integration_config_id: Option<String>,
    /// Only calls that failed by this fault of the gateway, such as `UPSTREAM_TIMEOUT`.
    #[serde(default)]
    error_category: Option<String>,
    /// Only calls from this moment on: RFC 3339, or a date (UTC).
    #[serde(default)]
    start_date: Option<String>,
    /// Only calls before this moment: RFC 3339; or a date (UTC), which is included.
    #[serde(default)]
    end_date: Option<String>,
    /// Only calls with this text in the request id, the integration's name, the path or the error, upper and lower case
    /// being the same. It is looked for in the newest 20,000 calls that fit the rest.
    #[serde(default)]
    search: Option<String>,
    /// Number of the page, from 1. Pages reach 20,000 calls back; older ones are found by dates.
    #[serde(default = "first")]
    page: u32,
    /// Records on a page, 1 to 200.
    #[serde(default = "fifty")]
    limit: u32,
}

/// A page of records, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    /// Those on the page.
    execution_logs: Vec<ExecutionRecord>,
    /// Number of the page.
    page: u32,
    /// The most on a page.
    limit: u32,
    /// True if there are further pages.
    has_more: bool,
}

/// A trace in the path.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Traced {
    /// Its identifier, as in `traceparent`: 32 hexadecimal digits.
    trace_id: String,
}

/// The calls and the attempts at deliveries of one trace.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Trace {
    /// Identifier of the trace.
    trace_id: String,
    /// Both in the order in which they began.
    steps: Vec<Step>,
    /// Its calls, oldest first, at most 200, with what was recorded of header fields and bodies (4 MiB of it).
    execution_logs: Vec<ExecutionRecord>,
    /// Its attempts at deliveries, oldest first; the newest 200 of them.
    delivery_logs: Vec<DeliveryLog>,
}

/// A call or an attempt in short.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Step {
    /// What it is.
    kind: StepKind,
    /// Identifier of its record.
    id: String,
    /// When it began (RFC 3339).
    created_at: String,
    /// Name of the integration.
    integration_name: String,
    /// How it ended.
    status: StepStatus,
    /// Status of the answer, if there was one.
    response_status: Option<u16>,
    /// Milliseconds that it took.
    duration_ms: u64,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
}

/// What a step of a trace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum StepKind {
    /// A call that a gateway carried.
    Call,
    /// An attempt at a delivery.
    Attempt,
}

/// How a step of a trace ended.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum StepStatus {
    Call(RecordStatus),
    Attempt(DeliveryStatus),
}

/// Calls and attempts in the order in which they began.
fn steps(calls: &[ExecutionRecord], attempts: &[DeliveryLog]) -> Vec<Step> {
    let calls = calls.iter().map(|call| Step {
        kind: StepKind::Call,
        id: call.id.clone(),
        created_at: call.created_at.clone(),
        integration_name: call.integration_name.clone(),
        status: StepStatus::Call(call.status),
        response_status: call.response_status,
        duration_ms: call.duration_ms,
        error_message: call.error_message.clone(),
    });
    let attempts = attempts.iter().map(|attempt| Step {
        kind: StepKind::Attempt,
        id: attempt.id.clone(),
        created_at: attempt.created_at.clone(),
        integration_name: attempt.integration_name.to_string(),
        status: StepStatus::Attempt(attempt.status),
        response_status: attempt.response_status,
        duration_ms: attempt.response_time_ms,
        error_message: attempt.error_message.clone(),
    });
    let mut steps: Vec<Step> = calls.chain(attempts).collect();
    // UTC with milliseconds, so that texts sort as times do.
    steps.sort_by(|one, other| one.created_at.cmp(&other.created_at));
    steps
}

/// Lists records.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(listing): Params<Listing>,
) -> Result<Json<Page>, ApiError> {
    caller.allow(listing.org_id)?;
    let (page, limit) = (listing.page, listing.limit);
    let (execution_logs, has_more) = found(&app, &listing.query()?).await?;
    Ok(Json(Page {
        execution_logs,
        page,
        limit,
        has_more,
    }))
}

/// The records of a page without header fields and bodies, which their trace shows; and whether there are more.
pub(super) async fn found(app: &App, query: &RecordQuery) -> Result<(Vec<ExecutionRecord>, bool), ApiError> {
    // One more than is shown tells whether there are more.
    let limit = query.limit.saturating_sub(1) as usize;
    let mut records = app.store.records(query).await?;
    let has_more = records.len() > limit;
    records.truncate(limit);
    let records = records.into_iter().map(ExecutionRecord::without_content).collect();
    Ok((records, has_more))
}

/// The records with as much of their header fields and bodies as one answer holds, the oldest first.
fn within_an_answer(records: Vec<ExecutionRecord>) -> Vec<ExecutionRecord> {
    let mut bytes = 0;
    let shown = records.into_iter().map(|record| {
        bytes += record.content_bytes();
        if bytes <= MOST_CONTENT_BYTES {
            record
        } else {
            record.without_content()
        }
    });
    shown.collect()
}

/// Reads the records of a trace.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Traced { trace_id }): Place<Traced>,
    Params(Within { org_id }): Params<Within>,
) -> Result<Json<Trace>, ApiError> {
    let scope = caller.scope(org_id)?;
    let execution_logs = within_an_answer(app.store.trace(&trace_id, scope).await?);
    let attempts = Query {
        org_id: scope,
        equal: vec![(Field::Trace, trace_id.clone())],
        limit: MOST_OF_A_TRACE,
        ..Query::default()
    };
    let mut delivery_logs: Vec<DeliveryLog> = app.store.list(&attempts).await?;
    delivery_logs.reverse();
    if execution_logs.is_empty() && delivery_logs.is_empty() {
        return Err(ApiError::not_found(&format!("a record of trace {trace_id:?}")));
    }
    Ok(Json(Trace {
        trace_id,
        steps: steps(&execution_logs, &delivery_logs),
        execution_logs,
        delivery_logs,
    }))
}

impl Listing {
    fn query(self) -> Result<RecordQuery, ApiError> {
        let mut problems = Vec::new();
        if !(1..=MOST).contains(&self.limit) {
            let message = format!("{} is not between 1 and {MOST}", self.limit);
            problems.push(Problem::new("limit", message));
        }
        let skip = skipped(self.page, self.limit, &mut problems);
        check_search(self.search.as_deref(), &mut problems);
        let query = RecordQuery {
            org_id: self.org_id,
            status: self.status,
            integration: self.integration_config_id,
            error_category: self.error_category,
            from: moment("startDate", self.start_date.as_deref(), 0, &mut problems),
            before: moment("endDate", self.end_date.as_deref(), 1, &mut problems),
            search: self.search,
            skip,
            limit: self.limit.saturating_add(1),
        };
        if problems.is_empty() {
            Ok(query)
        } else {
            Err(ApiError::validation(problems))
        }
    }
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List records of calls, newest first; which calls are recorded is up to each integration")
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read the calls and the attempts at deliveries of one trace, oldest first")
}

fn first() -> u32 {
    1
}

fn fifty() -> u32 {
    50
}

const MOST: u32 = 200;
/// Bytes of header fields and bodies that one trace shows; later calls are shown without theirs.
const MOST_CONTENT_BYTES: usize = 4 * 1024 * 1024;

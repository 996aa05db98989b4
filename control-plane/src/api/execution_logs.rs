//! Records of the calls that gateways carried, and traces of calls and deliveries.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::ExecutionRecord;
use filters::model::delivery::{DeliveryLog, DeliveryStatus};
use filters::model::record::RecordStatus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::error::ApiError;
use super::history::{Listed, Narrow, given, name_of};
use super::operator::Caller;
use super::request::{Params, Place, Within};
use crate::store::{Field, MOST_OF_A_TRACE, Query};

/// Parameters of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only calls that ended so.
    #[serde(default)]
    pub(super) status: Option<RecordStatus>,
    /// Only calls to this integration.
    #[serde(default)]
    pub(super) integration_config_id: Option<String>,
    /// Only calls that failed by this fault of the gateway, such as `UPSTREAM_TIMEOUT`.
    #[serde(default)]
    pub(super) error_category: Option<String>,
}

impl Narrow for Wanted {
    fn equal(self) -> Vec<(Field, String)> {
        given([
            (Field::Status, self.status.and_then(name_of)),
            (Field::Integration, self.integration_config_id),
            (Field::ErrorCategory, self.error_category),
        ])
    }
}

impl Listed for ExecutionRecord {
    type Filter = Wanted;

    const LIST: &'static str = "executionLogs";

    fn org_id(&self) -> u64 {
        self.org_id
    }

    /// Without header fields and bodies, which their trace shows.
    fn brief(self) -> Self {
        self.without_content()
    }
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
    /// Its calls, oldest first; the newest 200 of them, with what was recorded of header fields and bodies (4 MiB of it).
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
    let of_trace = Query {
        org_id: scope,
        equal: vec![(Field::Trace, trace_id.clone())],
        limit: MOST_OF_A_TRACE,
        ..Query::default()
    };
    let (mut calls, mut delivery_logs): (Vec<ExecutionRecord>, Vec<DeliveryLog>) =
        tokio::try_join!(app.store.list(&of_trace), app.store.list(&of_trace))?;
    calls.reverse();
    delivery_logs.reverse();
    let execution_logs = within_an_answer(calls);
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

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List records of calls, newest first; which calls are recorded is up to each integration")
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read the calls and the attempts at deliveries of one trace, oldest first")
}

/// Bytes of header fields and bodies that one trace shows; later calls are shown without theirs.
const MOST_CONTENT_BYTES: usize = 4 * 1024 * 1024;

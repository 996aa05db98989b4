//! Records of the calls that gateways carried.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::record::RecordStatus;
use filters::model::{ExecutionRecord, Problem};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::error::ApiError;
use super::operator::Caller;
use super::request::{Params, Place, Within};
use crate::store::{MOST_SEARCHED, RecordQuery};

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

/// The calls of one trace.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Trace {
    /// Identifier of the trace.
    trace_id: String,
    /// Its calls, oldest first, at most 200.
    execution_logs: Vec<ExecutionRecord>,
}

/// Lists records.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(listing): Params<Listing>,
) -> Result<Json<Page>, ApiError> {
    caller.allow(listing.org_id)?;
    let (page, limit) = (listing.page, listing.limit);
    // One more than is shown tells whether there are more.
    let mut execution_logs = app.store.records(&listing.query()?).await?;
    let has_more = execution_logs.len() > limit as usize;
    execution_logs.truncate(limit as usize);
    Ok(Json(Page {
        execution_logs,
        page,
        limit,
        has_more,
    }))
}

/// Reads the records of a trace.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Traced { trace_id }): Place<Traced>,
    Params(Within { org_id }): Params<Within>,
) -> Result<Json<Trace>, ApiError> {
    let scope = caller.scope(org_id)?;
    let execution_logs = app.store.trace(&trace_id, scope).await?;
    if execution_logs.is_empty() {
        return Err(ApiError::not_found(&format!("a record of trace {trace_id:?}")));
    }
    Ok(Json(Trace {
        trace_id,
        execution_logs,
    }))
}

impl Listing {
    fn query(self) -> Result<RecordQuery, ApiError> {
        let mut problems = Vec::new();
        if !(1..=MOST).contains(&self.limit) {
            let message = format!("{} is not between 1 and {MOST}", self.limit);
            problems.push(Problem::new("limit", message));
        }
        let skip = self.page.checked_sub(1).map(|pages| pages.saturating_mul(self.limit));
        match skip {
            None => problems.push(Problem::new("page", "pages are counted from 1")),
            Some(skip) if skip >= MOST_SEARCHED => problems.push(Problem::new(
                "page",
                format!("reaches back more than {MOST_SEARCHED} calls; give an `endDate` instead"),
            )),
            Some(_) => {}
        }
        let empty_or_long = |text: &String| !(1..=MOST_SEARCH_BYTES).contains(&text.len());
        if self.search.as_ref().is_some_and(empty_or_long) {
            let message = format!("must be 1 to {MOST_SEARCH_BYTES} bytes long");
            problems.push(Problem::new("search", message));
        }
        let query = RecordQuery {
            org_id: self.org_id,
            status: self.status,
            integration: self.integration_config_id,
            from: moment("startDate", self.start_date.as_deref(), 0, &mut problems),
            before: moment("endDate", self.end_date.as_deref(), 1, &mut problems),
            search: self.search,
            skip: skip.unwrap_or(0),
            limit: self.limit.saturating_add(1),
        };
        if problems.is_empty() {
            Ok(query)
        } else {
            Err(ApiError::validation(problems))
        }
    }
}

/// The moment that `text` names; of a date the midnight that is `days_later`.
fn moment(field: &str, text: Option<&str>, days_later: i64, problems: &mut Vec<Problem>) -> Option<Timestamp> {
    let text = text?;
    let midnight = |date: Date| {
        let date = date.checked_add(jiff::Span::new().days(days_later)).ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let read = match text.parse::<Timestamp>() {
        Ok(moment) => Some(moment),
        // A time without an offset is nobody's time.
        Err(_) if text.len() == "2026-01-15".len() => text.parse().ok().and_then(midnight),
        Err(_) => None,
    };
    if read.is_none() {
        let message = format!("{text:?} is no time such as 2026-01-15T10:00:00Z, and no date such as 2026-01-15");
        problems.push(Problem::new(field, message));
    }
    read
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List records of calls, newest first; which calls are recorded is up to each integration")
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read the records of one trace, oldest first")
}

fn first() -> u32 {
    1
}

fn fifty() -> u32 {
    50
}

const MOST: u32 = 200;
const MOST_SEARCH_BYTES: usize = 200;

//! How calls and deliveries went over a time: rates, percentiles, reasons, by integration, by hour or day.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::Problem;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::error::ApiError;
use super::figures::{Explained, OfIntegration, Period, Point, zone_of};
use super::history::moment_in;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::Params;
use crate::rollups::{Flow, Span};
use crate::store::{Counted, Sums};

/// Of what, and of when.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// Of this organization.
    org_id: u64,
    /// From this moment on: RFC 3339, or a date in the organization's time zone. Left out, 7 days back by hours and 30
    /// days back by days. The whole hour or day counts.
    #[serde(default)]
    start_date: Option<String>,
    /// Before this moment: RFC 3339; or a date in the organization's time zone, which is included. Now if left out.
    #[serde(default)]
    end_date: Option<String>,
    /// By hours, at most 31 days of them, or by days, at most 800; by days if left out.
    #[serde(default)]
    interval: Option<Span>,
    /// Only calls (`INBOUND`), or only attempts at deliveries (`OUTBOUND`).
    #[serde(default)]
    direction: Option<Flow>,
    /// Only of this integration.
    #[serde(default)]
    integration_config_id: Option<String>,
}

/// Figures of a time.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Analytics {
    /// The organization.
    org_id: u64,
    /// Its time zone, which hours and days go by.
    timezone: String,
    /// By hours or by days.
    interval: Span,
    /// When the first one begins (RFC 3339).
    from: String,
    /// When the last one ends (RFC 3339).
    to: String,
    /// All calls; left out if only attempts are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    inbound: Option<Explained>,
    /// All attempts at deliveries; left out if only calls are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    outbound: Option<Explained>,
    /// By hour or day, the oldest first.
    trend: Vec<Point>,
    /// By integration, those with most calls and attempts first; at most 200.
    integrations: Vec<OfIntegration>,
    /// The integrations with most failures, at most 10.
    top_failures: Vec<OfIntegration>,
}

/// Reads the figures of a time.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Analytics>, ApiError> {
    caller.allow(wanted.org_id)?;
    let period = wanted.period(&app)?;
    let integration = wanted.integration_config_id.as_deref();
    let trend = async |flow| match wanted.direction {
        Some(direction) if direction != flow => Ok(None),
        _ => period.trend(&app, flow, integration).await.map(Some),
    };
    let sums = Sums {
        org_id: Some(period.org_id),
        span: period.span,
        from: period.from,
        before: period.before,
    };
    let sums = async { app.store.sums(&sums).await.map_err(ApiError::from) };
    let (inbound, outbound, sums) = tokio::try_join!(trend(Flow::Inbound), trend(Flow::Outbound), sums)?;
    let picked = |counted: &Counted| {
        wanted.direction.is_none_or(|direction| direction == counted.flow)
            && integration.is_none_or(|integration| integration == counted.integration)
    };
    let mut sums: Vec<_> = sums.into_iter().filter(|(counted, _)| picked(counted)).collect();
    let state = app.publisher.state();
    let mut shown = |most: usize, has: fn(&filters::model::Tally) -> u64| {
        sums.sort_by_key(|(_, tally)| std::cmp::Reverse(has(tally)));
        let with_some = sums.iter().filter(|(_, tally)| has(tally) > 0).take(most);
        with_some
            .map(|(counted, tally)| OfIntegration::of(counted.clone(), tally, &state))
            .collect()
    };
    Ok(Json(Analytics {
        org_id: period.org_id,
        timezone: period.zone.iana_name().unwrap_or("UTC").to_owned(),
        interval: period.span,
        from: period.shown(period.from),
        to: period.shown(period.before),
        top_failures: shown(MOST_FAILURES, |tally| tally.failed),
        integrations: shown(MOST_INTEGRATIONS, filters::model::Tally::total),
        trend: period.points(inbound.as_ref(), outbound.as_ref()),
        inbound: inbound.map(|trend| Explained::of(&trend.sum())),
        outbound: outbound.map(|trend| Explained::of(&trend.sum())),
    }))
}

impl Wanted {
    fn period(&self, app: &App) -> Result<Period, ApiError> {
        let zone = zone_of(app, self.org_id)?;
        let span = self.interval.unwrap_or(Span::Day);
        let (usual_hours, most) = match span {
            Span::Hour => (24 * 7, MOST_HOURS),
            Span::Day => (24 * 30, MOST_DAYS),
        };
        let mut problems = Vec::new();
        let before = moment_in(&zone, "endDate", self.end_date.as_deref(), 1, &mut problems);
        let before = before.unwrap_or_else(Timestamp::now);
        let from = moment_in(&zone, "startDate", self.start_date.as_deref(), 0, &mut problems);
        let usual = || before.checked_sub(SignedDuration::from_hours(usual_hours));
        let from = from.or_else(|| usual().ok()).unwrap_or(Timestamp::MIN);
        let period = Period::of(self.org_id, zone, span, from, before);
        if problems.is_empty() && period.from >= period.before {
            problems.push(Problem::new(
                "startDate",
                "is not before the end; give an `endDate` after it",
            ));
        } else if problems.is_empty() && period.starts(most).len() > most {
            let message = match span {
                Span::Hour => format!("more than {most} hours; give dates that are closer, or `interval=DAY`"),
                Span::Day => format!("more than {most} days; give dates that are closer"),
            };
            problems.push(Problem::new("startDate", message));
        }
        if problems.is_empty() {
            Ok(period)
        } else {
            Err(ApiError::validation(problems))
        }
    }
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Read how calls and deliveries went: rates, percentiles, reasons, by integration, by hour or day")
        .errors(&[404])
}

const MOST_HOURS: usize = 24 * 31;
const MOST_DAYS: usize = 800;
const MOST_INTEGRATIONS: usize = 200;
pub(super) const MOST_FAILURES: usize = 10;

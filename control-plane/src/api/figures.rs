//! Figures of calls and attempts, as the dashboard and the analytics show them.

use std::collections::BTreeMap;

use filters::model::Tally;
use filters::model::push::ObjectId;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use super::App;
use super::error::ApiError;
use crate::publish::State;
use crate::rollups::{Flow, Span};
use crate::store::{Counted, Series};

/// How many calls, or attempts at deliveries, ended in which way, and how long they took.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    /// All of them.
    total: u64,
    /// Those that succeeded.
    succeeded: u64,
    /// Those that failed.
    failed: u64,
    /// Of those that failed, those that were tried again.
    retried: u64,
    /// The share of those that succeeded, from 0 to 1; `null` of nothing.
    success_rate: Option<f64>,
    /// The share of those that failed, from 0 to 1; `null` of nothing.
    error_rate: Option<f64>,
    /// The mean time in milliseconds; `null` of nothing, as all the following.
    mean_ms: Option<f64>,
    /// Milliseconds that half of them did not exceed. Below 32 it is exact, above that it may be a sixteenth too high, as
    /// the following.
    p50_ms: Option<u64>,
    /// Milliseconds that 95 of a hundred did not exceed.
    p95_ms: Option<u64>,
    /// Milliseconds that 99 of a hundred did not exceed.
    p99_ms: Option<u64>,
}

/// Figures with the reasons of failures.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explained {
    #[serde(flatten)]
    figures: Figures,
    /// Failures by category, those with most first.
    errors: Vec<Errors>,
}

/// Failures of one category.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Errors {
    /// The category.
    category: String,
    /// How many.
    count: u64,
}

/// Figures of one integration.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfIntegration {
    /// The integration.
    integration_config_id: String,
    /// Its name; left out if there is none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_name: Option<String>,
    /// `INBOUND` for calls, `OUTBOUND` for attempts at deliveries.
    direction: Flow,
    #[serde(flatten)]
    figures: Explained,
}

/// An hour or a day.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Point {
    /// When it begins (RFC 3339, with the offset of the organization's time zone).
    start: String,
    /// Calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    inbound: Option<Figures>,
    /// Attempts at deliveries.
    #[serde(skip_serializing_if = "Option::is_none")]
    outbound: Option<Figures>,
}

/// Hours or days of an organization.
#[derive(Clone, Debug)]
pub(super) struct Period {
    pub(super) org_id: u64,
    pub(super) zone: TimeZone,
    pub(super) span: Span,
    /// The begin of the first one.
    pub(super) from: Timestamp,
    /// The end of the last one.
    pub(super) before: Timestamp,
}

/// Counts by hour or day, all of a period, also those in which there was nothing.
#[derive(Debug)]
pub(super) struct Trend(BTreeMap<Timestamp, Tally>);

impl Figures {
    pub(super) fn of(tally: &Tally) -> Self {
        let rate = |part: u64| (tally.total() > 0).then(|| rounded(part as f64 / tally.total() as f64));
        let latency = &tally.latency;
        Self {
            total: tally.total(),
            succeeded: tally.succeeded,
            failed: tally.failed,
            retried: tally.retried,
            success_rate: rate(tally.succeeded),
            error_rate: rate(tally.failed),
            mean_ms: latency.mean_ms().map(rounded),
            p50_ms: latency.percentile(50),
            p95_ms: latency.percentile(95),
            p99_ms: latency.percentile(99),
        }
    }
}

impl Explained {
    pub(super) fn of(tally: &Tally) -> Self {
        let mut errors: Vec<Errors> = tally
            .errors
            .iter()
            .map(|(category, count)| Errors {
                category: category.clone(),
                count: *count,
            })
            .collect();
        errors.sort_by_key(|errors| std::cmp::Reverse(errors.count));
        Self {
            figures: Figures::of(tally),
            errors,
        }
    }
}

impl OfIntegration {
    pub(super) fn of(counted: Counted, tally: &Tally, state: &State) -> Self {
        let snapshot = &state.snapshot;
        let id = counted.integration.as_str();
        let name = match counted.flow {
            Flow::Inbound => snapshot.integrations.get(id).map(|entry| entry.value.name.clone()),
            Flow::Outbound => snapshot.outbound.get(id).map(|entry| entry.value.name.clone()),
        };
        Self {
            integration_name: name,
            direction: counted.flow,
            integration_config_id: counted.integration,
            figures: Explained::of(tally),
        }
    }
}

impl Period {
    /// The period of an organization that has `from` and what is just before `before`.
    pub(super) fn of(org_id: u64, zone: TimeZone, span: Span, from: Timestamp, before: Timestamp) -> Self {
        let last = span.start_of(before, &zone);
        let before = if last == before {
            before
        } else {
            span.after(last, &zone)
        };
        Self {
            org_id,
            span,
            from: span.start_of(from, &zone),
            before,
            zone,
        }
    }

    /// When its hours or days begin; one more than `most` at the most.
    pub(super) fn starts(&self, most: usize) -> Vec<Timestamp> {
        let next = |start: &Timestamp| Some(self.span.after(*start, &self.zone));
        let starts = std::iter::successors(Some(self.from), next);
        starts
            .take_while(|start| *start < self.before)
            .take(most.saturating_add(1))
            .collect()
    }

    /// The counts of its hours or days; those of one integration, or of all together.
    pub(super) async fn trend(&self, app: &App, flow: Flow, integration: Option<&str>) -> Result<Trend, ApiError> {
        let series = Series {
            org_id: self.org_id,
            span: self.span,
            flow,
            integration: integration.map(str::to_owned),
            from: self.from,
            before: self.before,
        };
        let starts = self.starts(usize::MAX - 1);
        let mut trend: BTreeMap<Timestamp, Tally> = starts.into_iter().map(|start| (start, Tally::default())).collect();
        for (start, tally) in app.store.series(&series).await? {
            // They were counted by the clock of that time, which may have been another.
            let start = self.span.start_of(start, &self.zone).max(self.from);
            trend.entry(start).or_default().add(&tally);
        }
        Ok(Trend(trend))
    }

    /// `at` on the organization's clock.
    pub(super) fn shown(&self, at: Timestamp) -> String {
        at.display_with_offset(self.zone.to_offset(at)).to_string()
    }

    /// The points of one or both trends, the oldest first.
    pub(super) fn points(&self, inbound: Option<&Trend>, outbound: Option<&Trend>) -> Vec<Point> {
        let Some(Trend(starts)) = inbound.or(outbound) else {
            return Vec::new();
        };
        let figures = |trend: Option<&Trend>, start| trend.map(|trend| Figures::of(&trend.at(start)));
        let points = starts.keys().map(|start| Point {
            start: self.shown(*start),
            inbound: figures(inbound, *start),
            outbound: figures(outbound, *start),
        });
        points.collect()
    }
}

impl Trend {
    /// All its counts together.
    pub(super) fn sum(&self) -> Tally {
        self.since(Timestamp::MIN)
    }

    /// Those of hours or days that begin at `start` or later.
    pub(super) fn since(&self, start: Timestamp) -> Tally {
        let mut sum = Tally::default();
        self.0.range(start..).for_each(|(_, tally)| sum.add(tally));
        sum
    }

    fn at(&self, start: Timestamp) -> Tally {
        self.0.get(&start).cloned().unwrap_or_default()
    }
}

/// The time zone of an organization, if there is one of this number.
pub(super) fn zone_of(app: &App, org_id: u64) -> Result<TimeZone, ApiError> {
    let state = app.publisher.state();
    if state.snapshot.object(&ObjectId::Organization(org_id)).is_none() {
        return Err(ApiError::not_found(&format!("organization {org_id}")));
    }
    Ok(app.publisher.clocks().zone(org_id))
}

/// Four decimals, as more of them would only pretend.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

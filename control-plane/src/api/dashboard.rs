//! How an organization is doing: what happened today, what fails, what waits.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::delivery::{DeadLetter, DeadLetterStatus};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::analytics::MOST_FAILURES;
use super::error::ApiError;
use super::figures::{Explained, OfIntegration, Period, Point, zone_of};
use super::history::name_of;
use super::openapi::Describe as _;
use super::operator::Caller;
use super::request::Params;
use crate::alerts::{Alert, AlertStatus};
use crate::rollups::{Flow, Span};
use crate::store::{Field, Query, StoreError, Sums};

/// Of whom.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    /// The organization.
    org_id: u64,
}

/// How an organization is doing.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dashboard {
    /// The organization.
    org_id: u64,
    /// Its time zone, which hours and days go by.
    timezone: String,
    /// When this was read (RFC 3339).
    at: String,
    /// Since midnight.
    today: Both,
    /// The hour that began 23 hours before this one, and those since then.
    last_24_hours: Both,
    /// By hour: the last 24, this one included; the oldest first.
    trend: Vec<Point>,
    /// The integrations with most failures today and yesterday, at most 10.
    top_failures: Vec<OfIntegration>,
    /// Deliveries that failed for good.
    dead_letters: DeadLetters,
    /// Deliveries that are not settled.
    lag: Lag,
    /// The integrations that are configured.
    integrations: Integrations,
    /// The gateways of the installation.
    gateways: Gateways,
    /// Open alerts about the organization.
    open_alerts: u64,
}

/// Both ways.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Both {
    /// Calls.
    inbound: Explained,
    /// Attempts at deliveries.
    outbound: Explained,
}

/// Dead letters by state.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DeadLetters {
    /// Those that wait for their next retry, or for an operator.
    pending_retry: u64,
    /// Those that are being retried.
    retrying: u64,
    /// Those that were given up.
    abandoned: u64,
}

/// What is not delivered yet, at all gateways.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Lag {
    /// Deliveries.
    deliveries: u64,
    /// Subscriptions that they are for.
    endpoints: u64,
    /// When the oldest of their events was accepted (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<String>,
}

/// Integrations by direction and state.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Integrations {
    /// Inbound ones that are active.
    inbound_active: u64,
    /// Inbound ones that are not.
    inbound_inactive: u64,
    /// Outbound ones that are active.
    outbound_active: u64,
    /// Outbound ones that are not.
    outbound_inactive: u64,
}

/// Gateways by state.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "GatewayCounts")]
struct Gateways {
    /// Those on the push stream.
    connected: u64,
    /// All that are known.
    known: u64,
}

/// Reads the dashboard.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(Wanted { org_id }): Params<Wanted>,
) -> Result<Json<Dashboard>, ApiError> {
    caller.allow(org_id)?;
    let zone = zone_of(&app, org_id)?;
    let now = Timestamp::now();
    let day_ago = now.checked_sub(SignedDuration::from_hours(23)).unwrap_or(now);
    let hours = Period::of(org_id, zone.clone(), Span::Hour, day_ago, now);
    let yesterday = now.checked_sub(SignedDuration::from_hours(24)).unwrap_or(now);
    let days = Period::of(org_id, zone.clone(), Span::Day, yesterday, now);
    let today = Span::Day.start_of(now, &zone);
    let letters = async {
        let (pending_retry, retrying, abandoned) = tokio::try_join!(
            letters(&app, org_id, DeadLetterStatus::PendingRetry),
            letters(&app, org_id, DeadLetterStatus::Retrying),
            letters(&app, org_id, DeadLetterStatus::Abandoned),
        )?;
        Ok(DeadLetters {
            pending_retry,
            retrying,
            abandoned,
        })
    };
    let (inbound, outbound, in_days, out_days, top_failures, dead_letters, open_alerts) = tokio::try_join!(
        hours.trend(&app, Flow::Inbound, None),
        hours.trend(&app, Flow::Outbound, None),
        days.trend(&app, Flow::Inbound, None),
        days.trend(&app, Flow::Outbound, None),
        top_failures(&app, &days),
        letters,
        open_alerts(&app, org_id),
    )?;
    let both = |inbound, outbound| Both {
        inbound: Explained::of(&inbound),
        outbound: Explained::of(&outbound),
    };
    Ok(Json(Dashboard {
        org_id,
        timezone: zone.iana_name().unwrap_or("UTC").to_owned(),
        at: hours.shown(now),
        today: both(in_days.since(today), out_days.since(today)),
        last_24_hours: both(inbound.sum(), outbound.sum()),
        trend: hours.points(Some(&inbound), Some(&outbound)),
        top_failures,
        dead_letters,
        lag: Lag::of(&app, org_id),
        integrations: Integrations::of(&app, org_id),
        gateways: Gateways::of(&app),
        open_alerts,
    }))
}

async fn top_failures(app: &App, days: &Period) -> Result<Vec<OfIntegration>, ApiError> {
    let sums = Sums {
        org_id: Some(days.org_id),
        span: days.span,
        from: days.from,
        before: days.before,
    };
    let sums = app.store.sums(&sums).await?;
    let mut failing: Vec<_> = sums.into_iter().filter(|(_, tally)| tally.failed > 0).collect();
    failing.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.failed));
    failing.truncate(MOST_FAILURES);
    let state = app.publisher.state();
    let shown = failing
        .into_iter()
        .map(|(counted, tally)| OfIntegration::of(counted, &tally, &state));
    Ok(shown.collect())
}

async fn letters(app: &App, org_id: u64, status: DeadLetterStatus) -> Result<u64, ApiError> {
    counted::<DeadLetter>(app, org_id, name_of(status)).await
}

async fn open_alerts(app: &App, org_id: u64) -> Result<u64, ApiError> {
    counted::<Alert>(app, org_id, Some(AlertStatus::Open.name().to_owned())).await
}

async fn counted<K: crate::store::Kept>(app: &App, org_id: u64, status: Option<String>) -> Result<u64, ApiError> {
    let query = Query {
        org_id: Some(org_id),
        equal: status.map(|status| (Field::Status, status)).into_iter().collect(),
        ..Query::default()
    };
    let counted: Result<u64, StoreError> = app.store.count::<K>(&query, u64::MAX).await;
    Ok(counted?)
}

impl Lag {
    fn of(app: &App, org_id: u64) -> Self {
        let mut lag = Self::default();
        let mut endpoints = std::collections::BTreeSet::new();
        for standing in app.fleet.standing() {
            let all = standing.endpoints.iter().flat_map(|endpoints| endpoints.iter());
            for endpoint in all.filter(|endpoint| endpoint.org_id == org_id) {
                lag.deliveries = lag.deliveries.saturating_add(endpoint.open);
                endpoints.insert(Arc::clone(&endpoint.integration_config_id));
                // UTC with the same digits, so that texts sort as times do.
                let oldest = endpoint.oldest.clone();
                lag.oldest = [lag.oldest.take(), oldest].into_iter().flatten().min();
            }
        }
        lag.endpoints = endpoints.len() as u64;
        lag
    }
}

impl Integrations {
    fn of(app: &App, org_id: u64) -> Self {
        let state = app.publisher.state();
        let mut counts = Self::default();
        for inbound in state.snapshot.integrations.values() {
            if inbound.value.org_id == org_id {
                let is_active = inbound.value.is_active;
                counts.inbound_active += u64::from(is_active);
                counts.inbound_inactive += u64::from(!is_active);
            }
        }
        for outbound in state.snapshot.outbound.values() {
            if outbound.value.org_id == org_id {
                let is_active = outbound.value.is_active;
                counts.outbound_active += u64::from(is_active);
                counts.outbound_inactive += u64::from(!is_active);
            }
        }
        counts
    }
}

impl Gateways {
    fn of(app: &App) -> Self {
        let gateways = app.fleet.list(&app.publisher.state());
        Self {
            connected: gateways.iter().filter(|gateway| gateway.connected).count() as u64,
            known: gateways.len() as u64,
        }
    }
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Read how an organization is doing: today, the last 24 hours, failures, dead letters, lag, alerts")
        .errors(&[404])
}

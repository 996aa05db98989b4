//! Counts of calls and attempts by hour and by day, of which the dashboard and the analytics are made.
//!
//! Counts are written with the records that they count, so that a batch that comes twice counts once. Hours and days are
//! those that the organization's own clock shows when something is counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use filters::model::delivery::{DeliveryDirection, DeliveryLog, DeliveryStatus};
use filters::model::tally::CallTally;
use filters::model::{Organization, Tally};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long a time one count is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Span {
    /// An hour.
    Hour,
    /// A day.
    Day,
}

/// Which way something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Flow {
    /// From client systems to partners: calls.
    Inbound,
    /// From products to subscribers: attempts at deliveries.
    Outbound,
}

/// What one count is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    /// Organization.
    pub org_id: u64,
    /// Hour or day.
    pub span: Span,
    /// Calls or attempts.
    pub flow: Flow,
    /// The integration; empty for all of the organization together.
    pub integration: Arc<str>,
    /// When the hour or day begins.
    pub start: Timestamp,
}

/// The time zones of organizations.
#[derive(Clone, Debug, Default)]
pub struct Clocks(BTreeMap<u64, TimeZone>);

/// An attempt as it is counted.
#[derive(Clone, Debug)]
pub struct Sample {
    flow: Flow,
    org_id: u64,
    integration: Arc<str>,
    hour: Timestamp,
    day: Timestamp,
    tally: Tally,
}

/// Counts to be added to those that are kept.
#[derive(Clone, Debug, Default)]
pub struct Deltas(BTreeMap<Bucket, Tally>);

impl Span {
    /// Its name in both stores.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "HOUR",
            Self::Day => "DAY",
        }
    }

    /// The span of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Hour, Self::Day].into_iter().find(|span| span.name() == name)
    }

    /// When the hour or day begins that `at` is in.
    pub fn start_of(self, at: Timestamp, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Hour => {
                // The clock may be half an hour off those of others.
                let offset = i64::from(zone.to_offset(at).seconds());
                let second = at.as_millisecond().div_euclid(1_000);
                let past = (second + offset).rem_euclid(SECONDS_OF_AN_HOUR);
                Timestamp::from_second(second - past).unwrap_or(at)
            }
            Self::Day => {
                let day = at.to_zoned(zone.clone()).start_of_day();
                day.map_or(at, |day| day.timestamp())
            }
        }
    }

    /// When the next one begins, after the one that begins at `start`.
    pub fn after(self, start: Timestamp, zone: &TimeZone) -> Timestamp {
        let next = match self {
            Self::Hour => start.checked_add(SignedDuration::from_hours(1)).ok(),
            Self::Day => {
                let tomorrow = start.to_zoned(zone.clone()).date().tomorrow();
                let tomorrow = tomorrow.and_then(|day| day.to_zoned(zone.clone()));
                tomorrow.ok().map(|day| day.timestamp())
            }
        };
        next.unwrap_or(Timestamp::MAX)
    }
}

impl Flow {
    /// Its name in both stores.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "INBOUND",
            Self::Outbound => "OUTBOUND",
        }
    }

    /// The flow of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Inbound, Self::Outbound]
            .into_iter()
            .find(|flow| flow.name() == name)
    }
}

impl Clocks {
    /// Those of these organizations. One without a time zone goes by UTC.
    pub fn of<'a>(organizations: impl IntoIterator<Item = &'a Organization>) -> Self {
        let zones = organizations.into_iter().filter_map(|organization| {
            let zone = TimeZone::get(organization.timezone.as_deref()?).ok()?;
            Some((organization.org_id, zone))
        });
        Self(zones.collect())
    }

    /// The time zone of an organization.
    pub fn zone(&self, org_id: u64) -> TimeZone {
        self.0.get(&org_id).cloned().unwrap_or(TimeZone::UTC)
    }
}

impl Sample {
    /// An attempt.
    pub fn of(log: &DeliveryLog, at: Timestamp, clocks: &Clocks) -> Self {
        let zone = clocks.zone(log.org_id);
        let mut tally = Tally::default();
        if log.status == DeliveryStatus::Success {
            tally.success(log.response_time_ms);
        } else {
            let category = log
                .error_category
                .and_then(|category| serde_json::to_value(category).ok());
            let category = category.as_ref().and_then(serde_json::Value::as_str);
            tally.failure(category, log.should_retry, log.response_time_ms);
        }
        Self {
            flow: match log.direction {
                DeliveryDirection::Outbound => Flow::Outbound,
                // A call that an operator had made again.
                DeliveryDirection::Inbound => Flow::Inbound,
            },
            org_id: log.org_id,
            integration: Arc::clone(&log.integration_config_id),
            hour: Span::Hour.start_of(at, &zone),
            day: Span::Day.start_of(at, &zone),
            tally,
        }
    }
}

impl Deltas {
    /// Counts an attempt, for itself and for its organization, in its hour and its day.
    pub fn count(&mut self, sample: &Sample) {
        let Sample {
            flow,
            org_id,
            integration,
            hour,
            day,
            tally,
        } = sample;
        for integration in [integration, &Arc::from("")] {
            for (span, start) in [(Span::Hour, *hour), (Span::Day, *day)] {
                let bucket = Bucket {
                    org_id: *org_id,
                    span,
                    flow: *flow,
                    integration: Arc::clone(integration),
                    start,
                };
                self.0.entry(bucket).or_default().add(tally);
            }
        }
    }

    /// What a gateway counted of its calls.
    pub fn of_calls(tallies: &[CallTally], clocks: &Clocks) -> Self {
        let mut deltas = Self::default();
        for counted in tallies {
            let at = Timestamp::from_second(counted.from).unwrap_or_default();
            let zone = clocks.zone(counted.org_id);
            for integration in [&counted.integration_config_id, &Arc::from("")] {
                for span in [Span::Hour, Span::Day] {
                    let bucket = Bucket {
                        org_id: counted.org_id,
                        span,
                        flow: Flow::Inbound,
                        integration: Arc::clone(integration),
                        start: span.start_of(at, &zone),
                    };
                    deltas.0.entry(bucket).or_default().add(&counted.tally);
                }
            }
        }
        deltas
    }

    /// True if there is nothing to add.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is to be added, in an order that does not change, so that two who add at the same time do not wait for each
    /// other.
    pub fn iter(&self) -> impl Iterator<Item = (&Bucket, &Tally)> {
        self.0.iter()
    }
}

const SECONDS_OF_AN_HOUR: i64 = 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    #[test]
    fn hours_and_days_begin_as_the_clock_on_the_wall_shows() {
        let kolkata = zone("Asia/Kolkata");
        let morning = at("2026-01-15T20:17:00.123Z");
        assert_eq!(Span::Hour.start_of(morning, &kolkata), at("2026-01-15T19:30:00Z"));
        assert_eq!(Span::Day.start_of(morning, &kolkata), at("2026-01-15T18:30:00Z"));
        assert_eq!(Span::Hour.start_of(morning, &TimeZone::UTC), at("2026-01-15T20:00:00Z"));
        assert_eq!(Span::Day.start_of(morning, &TimeZone::UTC), at("2026-01-15T00:00:00Z"));
        let before_1970 = at("1969-12-31T23:59:59.5Z");
        assert_eq!(
            Span::Hour.start_of(before_1970, &TimeZone::UTC),
            at("1969-12-31T23:00:00Z")
        );
    }

    #[test]
    fn a_day_has_as_many_hours_as_it_has() {
        let berlin = zone("Europe/Berlin");
        for (day, hours) in [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)] {
            let date: jiff::civil::Date = day.parse().unwrap();
            let start = date.to_zoned(berlin.clone()).unwrap().timestamp();
            let end = Span::Day.after(start, &berlin);
            let mut hour = start;
            let mut count = 0;
            while hour < end {
                assert_eq!(Span::Hour.start_of(hour, &berlin), hour);
                assert_eq!(Span::Day.start_of(hour, &berlin), start);
                hour = Span::Hour.after(hour, &berlin);
                count += 1;
            }
            assert_eq!((hour, count), (end, hours), "{day}");
        }
    }
}

//! When the daily report is told.

use filters::model::Problem;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// What failed in a day, told once a day to everybody whom no list of organizations limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReportConfig {
    /// True sends it.
    pub enabled: bool,
    /// When, as `07:00`.
    pub at: String,
    /// IANA name of the time zone of that time.
    pub timezone: String,
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            at: "07:00".to_owned(),
            timezone: "UTC".to_owned(),
        }
    }
}

impl ReportConfig {
    /// The last moment up to `now` that a report was due at; `None` if there are none.
    pub(crate) fn due(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.enabled {
            return None;
        }
        let (time, zone) = (self.time()?, TimeZone::get(&self.timezone).ok()?);
        let today = now.to_zoned(zone.clone()).date();
        let at = |date: jiff::civil::Date| Some(date.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp());
        let due = at(today)?;
        if due <= now {
            Some(due)
        } else {
            at(today.yesterday().ok()?)
        }
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if self.time().is_none() {
            let message = format!("{:?} is no time of the day such as 07:00", self.at);
            problems.push(Problem::new("alerts.dailyReport.at", message));
        }
        if TimeZone::get(&self.timezone).is_err() {
            let message = format!(
                "{:?} is no IANA name of a time zone such as Europe/Berlin",
                self.timezone
            );
            problems.push(Problem::new("alerts.dailyReport.timezone", message));
        }
    }

    fn time(&self) -> Option<Time> {
        let (hour, minute) = self.at.split_once(':')?;
        let two = |digits: &str| (digits.len() == 2).then(|| digits.parse::<i8>().ok()).flatten();
        Time::new(two(hour)?, two(minute)?, 0, 0).ok()
    }
}

/// A report that could not be told for so long is left out; the next one follows.
pub(crate) const LATEST: SignedDuration = SignedDuration::from_hours(6);

#[cfg(test)]
mod tests {
    use super::*;

    fn due(at: &str, timezone: &str, now: &str) -> String {
        let config = ReportConfig {
            enabled: true,
            at: at.to_owned(),
            timezone: timezone.to_owned(),
        };
        config.due(now.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn the_last_moment_of_that_time_on_the_wall_counts() {
        assert_eq!(due("07:00", "UTC", "2026-01-15T07:00:00Z"), "2026-01-15T07:00:00Z");
        assert_eq!(due("07:00", "UTC", "2026-01-15T06:59:59Z"), "2026-01-14T07:00:00Z");
        assert_eq!(
            due("07:00", "Asia/Kolkata", "2026-01-15T01:30:00Z"),
            "2026-01-15T01:30:00Z"
        );
        // The clocks went forward that night.
        assert_eq!(
            due("02:30", "Europe/Berlin", "2026-03-29T12:00:00Z"),
            "2026-03-29T01:30:00Z"
        );
    }

    #[test]
    fn a_wrong_time_is_named() {
        let config = ReportConfig {
            at: "7".to_owned(),
            timezone: "Mars/Olympus".to_owned(),
            ..ReportConfig::default()
        };
        let mut problems = Vec::new();
        config.check(&mut problems);
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["alerts.dailyReport.at", "alerts.dailyReport.timezone"]);
        assert_eq!(ReportConfig::default().due(Timestamp::now()), None);
    }
}

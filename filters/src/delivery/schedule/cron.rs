//! Times of a cron expression.
//!
//! When the clock is changed, an expression that names one time of day still runs once that day: right after the gap if
//! its time is skipped, the first time if it happens twice. Any other runs at each matching time that the clock shows.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::Problem;

/// A checked cron expression.
#[derive(Clone, Debug)]
pub(super) struct CronTimes {
    cron: Box<Cron>,
}

impl CronTimes {
    pub(super) fn compile(text: &str, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let times = read(text);
        times.map_err(|message| problems.push(Problem::new(path, message))).ok()
    }

    /// The first time after `start`, or at it if `inclusive`.
    pub(super) fn next(&self, start: Timestamp, inclusive: bool, zone: &TimeZone) -> Option<Timestamp> {
        let found = self.search(start, inclusive, zone);
        // The library gives up at a gap that is longer than two hours; the search goes on behind it.
        let mut changes = zone.following(start).take(CHANGES).map(|change| change.timestamp());
        found.or_else(|| changes.find_map(|change| self.search(change, true, zone)))
    }

    fn search(&self, start: Timestamp, inclusive: bool, zone: &TimeZone) -> Option<Timestamp> {
        let found = self.cron.find_next_occurrence(&start.to_zoned(zone.clone()), inclusive);
        found.ok().map(|found| found.timestamp())
    }
}

fn read(text: &str) -> Result<CronTimes, String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != 5 || text.len() > MAX_LENGTH {
        return Err(format!(
            "`{}` has {} fields; a cron expression has five (minute, hour, day of the month, month, day of the week), such as \
             `0 9 * * 1-5`",
            text.chars().take(MAX_LENGTH).collect::<String>(),
            fields.len()
        ));
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    let cron = parser
        .parse(&fields.join(" "))
        .map_err(|error| format!("`{text}` is no cron expression: {error}"))?;
    let times = CronTimes { cron: Box::new(cron) };
    if times.search(Timestamp::UNIX_EPOCH, true, &TimeZone::UTC).is_none() {
        return Err(format!("`{text}` never comes: there is no such day"));
    }
    Ok(times)
}

/// Changes of the clock that are looked behind.
const CHANGES: usize = 8;
const MAX_LENGTH: usize = 200;

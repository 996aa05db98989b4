//! When a delivery is due.

mod cron;
mod window;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::model::Problem;
use crate::model::outbound::{ScheduleConfig, SchedulingMode};
use crate::model::problem::join;
use crate::transform::path::{FieldPath, resolve};
use cron::CronTimes;
use window::WeekWindow;

/// A checked schedule.
#[derive(Clone, Debug)]
pub struct SchedulePlan {
    timing: Timing,
    window: Option<WeekWindow>,
    zone: TimeZone,
}

#[derive(Clone, Debug)]
enum Timing {
    Immediate,
    Delayed {
        delay_ms: i64,
        until: Option<FieldPath>,
    },
    Recurring {
        every: Every,
        count: Option<u32>,
        end_ms: Option<i64>,
    },
}

#[derive(Clone, Debug)]
enum Every {
    Interval(i64),
    Cron(CronTimes),
}

/// Why an event has no time to be delivered at. The messages show nothing of the payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleFault {
    /// The payload has no such field, or it is null, or the payload is no JSON.
    #[error("the payload has no `{field}`, which says when the event is to be delivered")]
    Missing {
        /// The field, as in `untilField`.
        field: String,
    },
    /// The field is no time.
    #[error(
        "`{field}` of the payload, which says when the event is to be delivered, is no time: give one in RFC 3339 such as \
         2024-01-31T10:00:00Z, or without an offset for the local time"
    )]
    NotATime {
        /// The field, as in `untilField`.
        field: String,
    },
    /// The schedule was over before the event came.
    #[error("the schedule was over (`end`) before the event came")]
    Ended,
    /// The time is beyond the years that can be counted.
    #[error("the time of the delivery is beyond the year 9999")]
    OutOfRange,
}

impl SchedulePlan {
    /// Checks `config`, which stands at `path`. `zone` is the one of the unit or organization.
    pub fn compile(
        mode: SchedulingMode,
        config: Option<&ScheduleConfig>,
        zone: Option<&str>,
        path: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let before = problems.len();
        let config = match (mode, config) {
            (SchedulingMode::Immediate, None) => return Some(Self::immediate()),
            (SchedulingMode::Immediate, Some(_)) => {
                problems.push(Problem::new(
                    path,
                    "must be left out when the scheduling mode is IMMEDIATE",
                ));
                return None;
            }
            (SchedulingMode::Delayed | SchedulingMode::Recurring, None) => {
                let message =
                    "is missing; DELAYED needs `delayMs`, `untilField` or `window`, RECURRING `intervalMs` or `cron`";
                problems.push(Problem::new(path, message));
                return None;
            }
            (SchedulingMode::Delayed | SchedulingMode::Recurring, Some(config)) => config,
        };
        refuse_strangers(mode, config, path, problems);
        let zone = read_zone(config.timezone.as_deref().or(zone), path, problems);
        let window = config.window.as_ref();
        let window = window.and_then(|window| WeekWindow::compile(window, &join(path, "window"), problems));
        let timing = if mode == SchedulingMode::Delayed {
            delayed(config, path, problems)
        } else {
            recurring(config, path, problems)
        };
        if problems.len() > before {
            return None;
        }
        Some(Self {
            timing: timing?,
            window,
            zone: zone?,
        })
    }

    /// Delivers at once.
    pub fn immediate() -> Self {
        Self {
            timing: Timing::Immediate,
            window: None,
            zone: TimeZone::UTC,
        }
    }

    /// True if every event is due when it is accepted.
    pub fn is_immediate(&self) -> bool {
        matches!(self.timing, Timing::Immediate)
    }

    /// True if an event is delivered again and again.
    pub fn is_recurring(&self) -> bool {
        matches!(self.timing, Timing::Recurring { .. })
    }

    /// True if the time is in the payload.
    pub fn reads_payload(&self) -> bool {
        matches!(self.timing, Timing::Delayed { until: Some(_), .. })
    }

    /// When an event that was accepted at `accepted_ms` is due first. The payload is parsed only if the time is in it.
    ///
    /// # Errors
    /// The payload does not say when, or the schedule is over.
    pub fn first(&self, accepted_ms: i64, payload: &[u8]) -> Result<i64, ScheduleFault> {
        if !self.reads_payload() {
            return self.first_of(accepted_ms, None);
        }
        let payload: Option<Value> = serde_json::from_slice(payload).ok();
        self.first_of(accepted_ms, payload.as_ref())
    }

    /// As [`Self::first`] for a payload that is parsed already; `None` if it is no JSON or if nobody reads it.
    ///
    /// # Errors
    /// The payload does not say when, or the schedule is over.
    pub fn first_of(&self, accepted_ms: i64, payload: Option<&Value>) -> Result<i64, ScheduleFault> {
        let due_ms = match &self.timing {
            Timing::Immediate => return Ok(accepted_ms),
            Timing::Delayed { delay_ms, until: None } => accepted_ms.saturating_add(*delay_ms),
            Timing::Delayed {
                delay_ms,
                until: Some(field),
            } => {
                let until_ms = self.read_time(payload, field)?;
                until_ms.saturating_add(*delay_ms).max(accepted_ms)
            }
            Timing::Recurring { every, .. } => match every {
                Every::Interval(_) => accepted_ms,
                Every::Cron(cron) => cron
                    .next(timestamp(accepted_ms)?, true, &self.zone)
                    .ok_or(ScheduleFault::OutOfRange)?
                    .as_millisecond(),
            },
        };
        let due_ms = self.within_window(due_ms)?;
        match self.timing {
            Timing::Recurring {
                end_ms: Some(end_ms), ..
            } if due_ms > end_ms => Err(ScheduleFault::Ended),
            _ => Ok(due_ms),
        }
    }

    /// When a recurring delivery is due again, that was due at `previous_due_ms` and made at `now_ms`, `occurrences` times so
    /// far. `None` after the last one. Times that have passed meanwhile are left out, so that a gateway that was down for a day does
    /// not make up for it all at once.
    pub fn following(&self, previous_due_ms: i64, now_ms: i64, occurrences: u32) -> Option<i64> {
        let Timing::Recurring { every, count, end_ms } = &self.timing else {
            return None;
        };
        if count.is_some_and(|count| occurrences >= count) {
            return None;
        }
        let due_ms = match every {
            Every::Interval(interval_ms) => {
                let late_ms = now_ms.saturating_sub(previous_due_ms).max(1);
                // Whole intervals, so that one slow delivery does not shift those after it.
                let steps = late_ms.saturating_add(interval_ms - 1) / interval_ms;
                previous_due_ms.checked_add(steps.checked_mul(*interval_ms)?)?
            }
            Every::Cron(cron) => {
                let after = timestamp(previous_due_ms.max(now_ms)).ok()?;
                cron.next(after, false, &self.zone)?.as_millisecond()
            }
        };
        let due_ms = self.within_window(due_ms).ok()?;
        end_ms.is_none_or(|end_ms| due_ms <= end_ms).then_some(due_ms)
    }

    fn within_window(&self, due_ms: i64) -> Result<i64, ScheduleFault> {
        let due = timestamp(due_ms)?;
        let Some(window) = &self.window else {
            return Ok(due_ms);
        };
        let moved = window.next(due, &self.zone).ok_or(ScheduleFault::OutOfRange)?;
        Ok(if moved == due { due_ms } else { moved.as_millisecond() })
    }

    fn read_time(&self, payload: Option<&Value>, field: &FieldPath) -> Result<i64, ScheduleFault> {
        let name = || field.text().to_owned();
        let found = payload.and_then(|payload| resolve(payload, field.segments().first()?));
        let text = match found {
            None | Some(Value::Null) => return Err(ScheduleFault::Missing { field: name() }),
            Some(Value::String(text)) => text.trim(),
            Some(_) => return Err(ScheduleFault::NotATime { field: name() }),
        };
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(time.as_millisecond());
        }
        let local: DateTime = text.parse().map_err(|_| ScheduleFault::NotATime { field: name() })?;
        // A time that the clock skips is moved on by as much as the clock; of one that happens twice the first counts.
        let zoned = local
            .to_zoned(self.zone.clone())
            .map_err(|_| ScheduleFault::OutOfRange)?;
        Ok(zoned.timestamp().as_millisecond())
    }
}

fn delayed(config: &ScheduleConfig, path: &str, problems: &mut Vec<Problem>) -> Option<Timing> {
    let delay_ms = config.delay_ms.unwrap_or(0);
    let least = if config.until_field.is_some() { -MAX_DELAY_MS } else { 0 };
    if !(least..=MAX_DELAY_MS).contains(&delay_ms) {
        let message = format!("{delay_ms} is not between {least} and {MAX_DELAY_MS} (366 days)");
        problems.push(Problem::new(join(path, "delayMs"), message));
    }
    if config.delay_ms.is_none() && config.until_field.is_none() && config.window.is_none() {
        problems.push(Problem::new(path, "needs `delayMs`, `untilField` or `window`"));
    }
    let until = match config.until_field.as_deref().map(FieldPath::parse) {
        None => None,
        Some(Ok(field)) if field.lists() == 0 => Some(field),
        Some(Ok(_)) => {
            let message = "names many fields with `[]`; name one, such as `visits[0].startsAt`";
            problems.push(Problem::new(join(path, "untilField"), message));
            return None;
        }
        Some(Err(message)) => {
            problems.push(Problem::new(join(path, "untilField"), message));
            return None;
        }
    };
    Some(Timing::Delayed { delay_ms, until })
}

fn recurring(config: &ScheduleConfig, path: &str, problems: &mut Vec<Problem>) -> Option<Timing> {
    let every = match (config.interval_ms, config.cron.as_deref()) {
        (Some(interval_ms), None) => {
            if !(1_000..=MAX_DELAY_MS.unsigned_abs()).contains(&interval_ms) {
                let message = format!("{interval_ms} is not between 1000 and {MAX_DELAY_MS} (366 days)");
                problems.push(Problem::new(join(path, "intervalMs"), message));
            }
            i64::try_from(interval_ms).ok().map(Every::Interval)
        }
        (None, Some(cron)) => CronTimes::compile(cron, &join(path, "cron"), problems).map(Every::Cron),
        _ => {
            problems.push(Problem::new(path, "needs either `intervalMs` or `cron`"));
            None
        }
    };
    if config.count == Some(0) {
        problems.push(Problem::new(join(path, "count"), "must be at least 1"));
    }
    let end_ms = config.end.as_deref().and_then(|end| match end.parse::<Timestamp>() {
        Ok(end) => Some(end.as_millisecond()),
        Err(_) => {
            let message = format!("`{end}` is no time in RFC 3339 with an offset; one would be 2025-12-31T23:59:59Z");
            problems.push(Problem::new(join(path, "end"), message));
            None
        }
    });
    Some(Timing::Recurring {
        every: every?,
        count: config.count,
        end_ms,
    })
}

/// Refuses what belongs to the other mode: it would be ignored.
fn refuse_strangers(mode: SchedulingMode, config: &ScheduleConfig, path: &str, problems: &mut Vec<Problem>) {
    let is_delayed = mode == SchedulingMode::Delayed;
    let settings = [
        ("delayMs", config.delay_ms.is_some(), true),
        ("untilField", config.until_field.is_some(), true),
        ("intervalMs", config.interval_ms.is_some(), false),
        ("cron", config.cron.is_some(), false),
        ("count", config.count.is_some(), false),
        ("end", config.end.is_some(), false),
    ];
    for (name, is_set, is_of_delayed) in settings {
        if is_set && is_of_delayed != is_delayed {
            let other = if is_delayed { "RECURRING" } else { "DELAYED" };
            problems.push(Problem::new(
                join(path, name),
                format!("belongs to the scheduling mode {other}"),
            ));
        }
    }
}

fn read_zone(name: Option<&str>, path: &str, problems: &mut Vec<Problem>) -> Option<TimeZone> {
    let Some(name) = name else {
        return Some(TimeZone::UTC);
    };
    let zone = TimeZone::get(name).ok();
    if zone.is_none() {
        let message = format!("`{name}` is not an IANA time zone; one would be `Europe/Berlin`");
        problems.push(Problem::new(join(path, "timezone"), message));
    }
    zone
}

fn timestamp(ms: i64) -> Result<Timestamp, ScheduleFault> {
    Timestamp::from_millisecond(ms).map_err(|_| ScheduleFault::OutOfRange)
}

const MAX_DELAY_MS: i64 = 366 * 86_400_000;

#[cfg(test)]
mod tests;

//! The `date` transformer: reads a date in one form and writes it in another.

use jiff::civil::DateTime;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::Value;

use super::fault::{ValueFault, quoted};
use crate::model::Problem;
use crate::model::mapping::DateForms;
use crate::model::problem::join;

/// A checked pair of forms.
#[derive(Debug)]
pub(super) struct DateForm {
    /// Form of the source; ISO 8601 or milliseconds if not given.
    from: Option<Box<str>>,
    /// Form of the result; ISO 8601 if not given.
    format: Option<Box<str>>,
    zone: TimeZone,
    /// Zone of dates that come without an offset.
    source_zone: TimeZone,
}

impl DateForm {
    /// Checks the settings of the transformer at `path`.
    pub(super) fn compile(date: &DateForms, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let mut zone_of = |name: &Option<String>, setting: &str| match name {
            None => Some(TimeZone::UTC),
            Some(name) => TimeZone::get(name)
                .map_err(|_| {
                    let message = format!("`{name}` is not an IANA time zone; one would be `Europe/Berlin`");
                    problems.push(Problem::new(join(path, setting), message));
                })
                .ok(),
        };
        let zone = zone_of(&date.zone, "zone");
        let source_zone = date
            .source_zone
            .is_some()
            .then(|| zone_of(&date.source_zone, "sourceZone"));
        for (form, setting, check) in [
            (&date.from, "from", check_from as fn(&str) -> Result<(), String>),
            (&date.format, "format", check_format),
        ] {
            if let Some(Err(message)) = form.as_deref().map(check) {
                problems.push(Problem::new(join(path, setting), message));
            }
        }
        let zone = zone?;
        let source_zone = source_zone.unwrap_or_else(|| Some(zone.clone()))?;
        (problems.len() == before).then(|| Self {
            from: date.from.as_deref().map(Into::into),
            format: date.format.as_deref().map(Into::into),
            zone,
            source_zone,
        })
    }

    /// Converts a date. A text without anything in it is no date at all: it becomes null.
    pub(super) fn convert(&self, value: &Value) -> Result<Value, ValueFault> {
        if value.as_str().is_some_and(|text| text.trim().is_empty()) {
            return Ok(Value::Null);
        }
        let date = self.read(value)?;
        let written = match &self.format {
            Some(format) => strtime::format(&**format, &date).map_err(|error| out_of_range(value, &error))?,
            None if self.zone == TimeZone::UTC => date.timestamp().to_string(),
            None => DateTimePrinter::new().timestamp_with_offset_to_string(&date.timestamp(), date.offset()),
        };
        Ok(Value::String(written))
    }

    fn read(&self, value: &Value) -> Result<Zoned, ValueFault> {
        let local = match (value, &self.from) {
            (Value::String(text), Some(form)) => parse(form, text.trim()).map_err(|_| self.not_a_date(value))?,
            // A day such as 20240131 may well be written as a number.
            (Value::Number(number), Some(form)) => {
                parse(form, &number.to_string()).map_err(|_| self.not_a_date(value))?
            }
            (Value::String(text), None) => iso(text.trim()).ok_or_else(|| self.not_a_date(value))?,
            (Value::Number(number), None) => {
                let milliseconds = number.as_i64().ok_or_else(|| self.not_a_date(value))?;
                let moment = Timestamp::from_millisecond(milliseconds).map_err(|error| out_of_range(value, &error))?;
                Moment::Exact(moment)
            }
            _ => return Err(self.not_a_date(value)),
        };
        match local {
            Moment::Exact(moment) => Ok(moment.to_zoned(self.zone.clone())),
            Moment::Local(local) => local
                .to_zoned(self.source_zone.clone())
                .map(|date| date.with_time_zone(self.zone.clone()))
                .map_err(|error| out_of_range(value, &error)),
        }
    }

    fn not_a_date(&self, value: &Value) -> ValueFault {
        ValueFault::NotADate {
            value: quoted(value),
            form: self.from.as_ref().map_or_else(
                || {
                    "in ISO 8601, such as 2024-01-31 or 2024-01-31T10:00:00Z, or a whole number of milliseconds"
                        .to_owned()
                },
                |form| format!("of the form `{form}`"),
            ),
        }
    }
}

/// A date as it was written: with an offset, or without.
enum Moment {
    Exact(Timestamp),
    Local(DateTime),
}

fn iso(text: &str) -> Option<Moment> {
    if let Ok(moment) = text.parse() {
        return Some(Moment::Exact(moment));
    }
    text.parse().ok().map(Moment::Local)
}

fn parse(form: &str, text: &str) -> Result<Moment, jiff::Error> {
    let parts = BrokenDownTime::parse(form, text)?;
    match parts.to_timestamp() {
        Ok(moment) => Ok(Moment::Exact(moment)),
        // Without an offset the zone of the transformer decides.
        Err(_) => parts.to_datetime().map(Moment::Local),
    }
}

fn check_format(form: &str) -> Result<(), String> {
    check_length(form)?;
    strtime::format(form, &sample())
        .map(drop)
        .map_err(|error| bad_form(form, &error))
}

/// A form can be read if it reads back what it wrote itself.
fn check_from(form: &str) -> Result<(), String> {
    check_length(form)?;
    let text = strtime::format(form, &sample()).map_err(|error| bad_form(form, &error))?;
    parse(form, &text)
        .map(drop)
        .map_err(|error| format!("`{form}` does not hold a whole date that can be read: {error}"))
}

fn check_length(form: &str) -> Result<(), String> {
    match form.len() {
        0 => Err("the form is empty: give one such as `%Y-%m-%d`, or leave the setting out".to_owned()),
        1..=MAX_FORM => Ok(()),
        _ => Err(format!("the form is longer than {MAX_FORM} bytes")),
    }
}

fn bad_form(form: &str, error: &jiff::Error) -> String {
    format!("`{form}` is not a date form in strftime notation, such as `%Y-%m-%d`: {error}")
}

fn out_of_range(value: &Value, error: &jiff::Error) -> ValueFault {
    ValueFault::DateOutOfRange {
        value: quoted(value),
        reason: error.to_string(),
    }
}

fn sample() -> Zoned {
    Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC)
}

const MAX_FORM: usize = 200;

//! Dates of scripts: milliseconds since 1970, and texts in strftime forms and zones.

use std::rc::Rc;

use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Zoned};
use rhai::Engine;

use super::{Around, Outcome, failed};

pub(super) fn register(engine: &mut Engine, around: &Rc<Around>) {
    let known = Rc::clone(around);
    engine.register_fn("now_ms", move || known.known.borrow().now.as_millisecond());
    engine.register_fn("parse_date", |text: &str| parsed(text, None, "UTC"));
    engine.register_fn("parse_date", |text: &str, form: &str| parsed(text, Some(form), "UTC"));
    engine.register_fn("parse_date", |text: &str, form: &str, zone: &str| {
        parsed(text, Some(form), zone)
    });
    engine.register_fn("format_date", |ms: i64| formatted(ms, None, "UTC"));
    engine.register_fn("format_date", |ms: i64, form: &str| formatted(ms, Some(form), "UTC"));
    engine.register_fn("format_date", |ms: i64, form: &str, zone: &str| {
        formatted(ms, Some(form), zone)
    });
    engine.register_fn("add_days", |ms: i64, days: i64| moved(ms, days, "UTC", Span::try_days));
    engine.register_fn("add_days", |ms: i64, days: i64, zone: &str| {
        moved(ms, days, zone, Span::try_days)
    });
    engine.register_fn("add_months", |ms: i64, months: i64| {
        moved(ms, months, "UTC", Span::try_months)
    });
    engine.register_fn("add_months", |ms: i64, months: i64, zone: &str| {
        moved(ms, months, zone, Span::try_months)
    });
}

/// A date as milliseconds; ISO 8601 without a form.
fn parsed(text: &str, form: Option<&str>, zone: &str) -> Outcome<i64> {
    let zone = zone_of(zone)?;
    let wrong = |error: jiff::Error| failed(format_args!("`parse_date`: {error}"));
    let moment = match form {
        None => match text.trim().parse::<Timestamp>() {
            Ok(moment) => moment,
            Err(_) => {
                let local: jiff::civil::DateTime = text.trim().parse().map_err(wrong)?;
                local.to_zoned(zone).map_err(wrong)?.timestamp()
            }
        },
        Some(form) => {
            let parts = BrokenDownTime::parse(form, text.trim()).map_err(wrong)?;
            match parts.to_timestamp() {
                Ok(moment) => moment,
                // Without an offset the zone decides.
                Err(_) => {
                    let local = parts.to_datetime().map_err(wrong)?;
                    local.to_zoned(zone).map_err(wrong)?.timestamp()
                }
            }
        }
    };
    Ok(moment.as_millisecond())
}

/// A date as text; ISO 8601 in UTC without a form.
fn formatted(ms: i64, form: Option<&str>, zone: &str) -> Outcome<String> {
    let date = zoned(ms, zone)?;
    match form {
        None => Ok(date.timestamp().to_string()),
        Some(form) => strtime::format(form, &date).map_err(|error| failed(format_args!("`format_date`: {error}"))),
    }
}

/// A date so many days or months later, at the same time of the day in the zone.
fn moved(ms: i64, by: i64, zone: &str, span: impl Fn(Span, i64) -> Result<Span, jiff::Error>) -> Outcome<i64> {
    let span = span(0.days(), by).map_err(failed)?;
    let date = zoned(ms, zone)?.checked_add(span).map_err(failed)?;
    Ok(date.timestamp().as_millisecond())
}

fn zoned(ms: i64, zone: &str) -> Outcome<Zoned> {
    let moment = Timestamp::from_millisecond(ms).map_err(failed)?;
    Ok(moment.to_zoned(zone_of(zone)?))
}

fn zone_of(name: &str) -> Outcome<TimeZone> {
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| failed(format_args!("`{name}` is not an IANA time zone")))
}

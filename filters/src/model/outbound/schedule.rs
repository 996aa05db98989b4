//! When events are delivered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When events are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SchedulingMode {
    /// At once.
    #[default]
    Immediate,
    /// Once, later.
    Delayed,
    /// Again and again.
    Recurring,
}

/// Configuration of `DELAYED` and `RECURRING`. Times of day and cron expressions are in `timezone`. Where its clock shows a
/// time twice, the first counts; a time that it skips is moved to the end of the gap (in `untilField`: by the length of the
/// gap). Cron expressions with several times a day run at each matching time that the clock shows instead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// IANA name of a time zone; that of the unit or organization, else `UTC`, if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// `DELAYED`: so many milliseconds after the event was accepted, or after (before, if negative) `untilField`; at most
    /// 31,622,400,000 (366 days).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<i64>,
    /// `DELAYED`: at the time that this field of the payload names (RFC 3339, or a local time in `timezone`). A time in
    /// the past means at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_field: Option<String>,
    /// Both modes: only in these hours; a time outside is moved to the next beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// `RECURRING`: milliseconds from one delivery to the next, the first of which is made at once; 1,000 to 31,622,400,000
    /// (366 days). Deliveries that were missed are not made up for. Instead of `cron`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u64>,
    /// `RECURRING`: a cron expression of five fields (minute, hour, day of the month, month, day of the week), as
    /// `0 9 * * 1-5`. Deliveries that were missed are not made up for. Instead of `intervalMs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// `RECURRING`: so many deliveries in all; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// `RECURRING`: none after this time (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
}

/// Hours of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// Days of the week; Monday to Friday if left out.
    #[serde(default = "working_days")]
    pub days: Vec<Day>,
    /// Beginning, as `09:00`.
    pub from: String,
    /// End, as `17:30`; `24:00` for the end of the day. Later than `from`.
    pub to: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

fn working_days() -> Vec<Day> {
    vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri]
}

//! Hours of the week in which deliveries are made.

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::model::Problem;
use crate::model::outbound::schedule::{Day, Window};
use crate::model::problem::join;

/// A checked window. An instant is in it if the clock then shows such a day and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WeekWindow {
    /// From Monday.
    days: [bool; 7],
    from: Time,
    /// `None` for the end of the day.
    to: Option<Time>,
}

impl WeekWindow {
    pub(super) fn compile(window: &Window, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        if window.days.is_empty() {
            problems.push(Problem::new(
                join(path, "days"),
                "is empty: name a day, or leave it out for MON to FRI",
            ));
        }
        let mut days = [false; 7];
        for day in &window.days {
            days[place(*day)] = true;
        }
        let from = time(&window.from, "from", path, problems);
        let to = match window.to.as_str() {
            "24:00" => Some(None),
            text => time(text, "to", path, problems).map(Some),
        };
        if let (Some(from), Some(Some(to))) = (from, to)
            && to <= from
        {
            let message = format!("{} is not later than `from`, which is {}", window.to, window.from);
            problems.push(Problem::new(join(path, "to"), message));
        }
        if problems.len() > before {
            return None;
        }
        Some(Self {
            days,
            from: from?,
            to: to?,
        })
    }

    /// `start` if it is in the window, else the next instant that is.
    pub(super) fn next(&self, start: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if self.contains(start, zone) {
            return Some(start);
        }
        let mut date = zone.to_datetime(start).date();
        for _ in 0..LONGEST_SEARCH_DAYS {
            let openings = openings(date, self.from, zone);
            let open = openings
                .into_iter()
                .flatten()
                .find(|opening| *opening > start && self.contains(*opening, zone));
            if open.is_some() {
                return open;
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn contains(&self, instant: Timestamp, zone: &TimeZone) -> bool {
        let shown = zone.to_datetime(instant);
        let time = shown.time();
        self.days[usize::from(shown.weekday().to_monday_zero_offset().unsigned_abs())]
            && time >= self.from
            && self.to.is_none_or(|to| time < to)
    }
}

/// The instants at which the clock shows `time` on `date`: two if it is set back over it; the end of the gap if it is set
/// forward over it.
fn openings(date: Date, time: Time, zone: &TimeZone) -> [Option<Timestamp>; 2] {
    let ambiguous = zone.to_ambiguous_timestamp(date.to_datetime(time));
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => [ambiguous.unambiguous().ok(), None],
        AmbiguousOffset::Fold { .. } => [ambiguous.earlier().ok(), ambiguous.later().ok()],
        AmbiguousOffset::Gap { .. } => {
            // The earlier reading of a time in a gap is before the change.
            let change = ambiguous
                .earlier()
                .ok()
                .and_then(|before| zone.following(before).next());
            [change.map(|change| change.timestamp()), None]
        }
    }
}

fn time(text: &str, field: &str, path: &str, problems: &mut Vec<Problem>) -> Option<Time> {
    let read = || {
        let (hour, minute) = text.split_once(':')?;
        let is_plain = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_plain(hour) || !is_plain(minute) {
            return None;
        }
        Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
    };
    let time = read();
    if time.is_none() {
        let message = format!("`{text}` is no time of day; one would be `09:00`, and `24:00` is the end of the day");
        problems.push(Problem::new(join(path, field), message));
    }
    time
}

fn place(day: Day) -> usize {
    let weekday = match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    };
    usize::from(weekday.to_monday_zero_offset().unsigned_abs())
}

/// A window comes every week, unless a change of the clock swallows it.
const LONGEST_SEARCH_DAYS: usize = 22;

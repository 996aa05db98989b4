//! The wall clock.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The time now, as RFC 3339 in UTC with milliseconds.
pub fn now_rfc3339() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// `ms` milliseconds since the epoch, as RFC 3339 in UTC with milliseconds.
pub fn rfc3339(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms);
    format!("{:.3}", time.unwrap_or(jiff::Timestamp::MAX))
}

/// The time now, in milliseconds since the epoch.
pub fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

/// A moment by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds by a clock that never goes back.
    pub mono_ns: u64,
    /// Milliseconds since the epoch by the wall clock.
    pub wall_ms: i64,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        let since_start = START.elapsed().as_nanos();
        Self {
            mono_ns: u64::try_from(since_start).unwrap_or(u64::MAX),
            wall_ms: now_ms(),
        }
    }
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

#[cfg(test)]
mod tests {
    #[test]
    fn times_have_milliseconds_and_are_utc() {
        let now = super::now_rfc3339();
        assert!(now.len() == 24 && now.ends_with('Z') && now.contains('T'), "{now}");
    }
}

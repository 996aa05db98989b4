//! Daily quotas: how much was used on the day that it is, which survives restarts.
//!
//! Counters are in memory. What changed is written to a file of the data folder each second, as a whole, and once more when
//! the gateway stops. A gateway that is killed forgets what it counted since the last write: the requests of about a second
//! may pass once more.

mod file;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub use file::keep;

/// What a quota is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum QuotaKey {
    /// All requests to an integration.
    Integration(Arc<str>),
    /// One caller of an integration.
    Caller {
        /// The integration.
        integration: Arc<str>,
        /// The caller's name.
        name: Box<str>,
    },
    /// A consumer, whichever integration it calls.
    Consumer(Arc<str>),
    /// An organization.
    Organization(u64),
}

impl QuotaKey {
    /// All requests to the integration `id`.
    pub fn integration(id: &Arc<str>) -> Self {
        Self::Integration(Arc::clone(id))
    }

    /// One caller of an integration.
    pub fn caller(integration: &Arc<str>, name: &str) -> Self {
        Self::Caller {
            integration: Arc::clone(integration),
            name: name.into(),
        }
    }
}

/// All counters of the process.
#[derive(Debug, Default)]
pub struct Quotas {
    days: Mutex<HashMap<QuotaKey, Arc<Day>, ahash::RandomState>>,
    changed: Arc<AtomicBool>,
}

impl Quotas {
    /// The counter of `key`, whose days begin in `zone`.
    pub fn day(&self, key: QuotaKey, zone: &TimeZone) -> Arc<Day> {
        let mut days = self.days.lock();
        if days.len() >= MOST_COUNTERS && !days.contains_key(&key) {
            let now_ms = crate::clock::now_ms();
            days.retain(|_, day| Arc::strong_count(day) > 1 || day.used(now_ms).0 > 0);
        }
        let day = days
            .entry(key)
            .or_insert_with(|| Arc::new(Day::new(Arc::clone(&self.changed))));
        day.count.lock().within(zone);
        Arc::clone(day)
    }
}

/// How much was used on one day.
#[derive(Debug)]
pub struct Day {
    count: Mutex<Count>,
    changed: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Count {
    zone: TimeZone,
    date: Date,
    /// The day's bounds in milliseconds since the epoch, the end exclusive; empty before the first request.
    starts_ms: i64,
    ends_ms: i64,
    used: u64,
    /// What of it the file said.
    loaded: u64,
}

impl Day {
    fn new(changed: Arc<AtomicBool>) -> Self {
        Self {
            count: Mutex::new(Count {
                zone: TimeZone::UTC,
                date: Date::MIN,
                starts_ms: 0,
                ends_ms: 0,
                used: 0,
                loaded: 0,
            }),
            changed,
        }
    }

    /// Uses up one of `most`.
    ///
    /// # Errors
    /// The seconds until the day ends (rounded up), if all of them are used up.
    pub(crate) fn take(&self, now_ms: i64, most: u64) -> Result<(), u32> {
        let mut count = self.count.lock();
        count.at(now_ms);
        if count.used >= most {
            return Err(count.ends_in(now_ms));
        }
        count.used += 1;
        drop(count);
        self.changed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Gives one back that was taken a moment ago.
    pub(crate) fn take_back(&self) {
        let mut count = self.count.lock();
        count.used = count.used.saturating_sub(1);
    }

    /// Forgets what was used today.
    pub(crate) fn reset(&self) {
        let mut count = self.count.lock();
        (count.used, count.loaded) = (0, 0);
        drop(count);
        self.changed.store(true, Ordering::Relaxed);
    }

    /// How many are used up, and the seconds until the day ends (rounded up).
    pub(crate) fn used(&self, now_ms: i64) -> (u64, u32) {
        let mut count = self.count.lock();
        count.at(now_ms);
        (count.used, count.ends_in(now_ms))
    }
}

impl Count {
    /// From now on days begin in `zone`. A day that has the same date there goes on.
    fn within(&mut self, zone: &TimeZone) {
        if self.zone != *zone {
            self.zone = zone.clone();
            (self.starts_ms, self.ends_ms) = (0, 0);
        }
    }

    /// Begins the day that it is at `now_ms`, unless it has begun.
    fn at(&mut self, now_ms: i64) {
        if (self.starts_ms..self.ends_ms).contains(&now_ms) {
            return;
        }
        let now = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let date = now.to_zoned(self.zone.clone()).date();
        if date != self.date {
            (self.date, self.used, self.loaded) = (date, 0, 0);
        }
        let start_of = |date: Date| Some(date.to_zoned(self.zone.clone()).ok()?.timestamp().as_millisecond());
        let bounds = start_of(date).zip(date.tomorrow().ok().and_then(start_of));
        // At the ends of time there is no next day; the next request asks again.
        (self.starts_ms, self.ends_ms) = bounds.unwrap_or((now_ms, now_ms));
    }

    fn ends_in(&self, now_ms: i64) -> u32 {
        let ms = u64::try_from(self.ends_ms.saturating_sub(now_ms)).unwrap_or(0);
        u32::try_from(ms.div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
    }
}

/// Beyond this many, counters that nobody uses are forgotten.
const MOST_COUNTERS: usize = 100_000;

#[cfg(test)]
mod tests;

//! The two clocks of the dispatcher.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::timer::Now;

/// The wall clock, and one that never goes back.
pub(super) struct Clock {
    start: Instant,
    wall_ms: Box<dyn Fn() -> i64 + Send + Sync>,
}

impl Clock {
    /// `wall_ms` tells the milliseconds since the epoch.
    pub(super) fn new(wall_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self {
            start: Instant::now(),
            wall_ms: Box::new(wall_ms),
        }
    }

    /// The clock of the machine.
    pub(super) fn system() -> Self {
        Self::new(crate::clock::now_ms)
    }

    /// The time.
    pub(super) fn now(&self) -> Now {
        let passed = self.start.elapsed().as_micros();
        Now {
            wall_ms: (self.wall_ms)(),
            mono_us: i64::try_from(passed).unwrap_or(i64::MAX),
        }
    }

    /// The moment `mono_ms` of the clock that never goes back.
    pub(super) fn instant(&self, mono_ms: i64) -> Instant {
        self.start + Duration::from_millis(u64::try_from(mono_ms).unwrap_or_default())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

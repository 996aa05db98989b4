//! The rate limit of a lane: all attempts of a window may come at once, and each is earned back by an equal share of it.
//!
//! Plain arithmetic (GCRA) with the time as an argument: the lane needs to know when the next attempt may be made, before
//! it makes it.

use filters::model::limits::RateLimit;

/// How much of a limit is used up. Times are in microseconds of a clock that never goes back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    /// When everything is earned back.
    until_us: i64,
}

impl Used {
    /// When the next attempt may be made; `None` for now.
    pub(super) fn wait_until(self, rate: RateLimit, now_us: i64) -> Option<i64> {
        // After a change to a shorter window no more than that window is owed.
        let until = self.until_us.min(now_us + window_us(rate));
        let earliest = until + share_us(rate) - window_us(rate);
        (earliest > now_us).then_some(earliest)
    }

    /// Counts an attempt.
    pub(super) fn take(&mut self, rate: RateLimit, now_us: i64) {
        let owed = self.until_us.clamp(now_us, now_us + window_us(rate));
        self.until_us = owed + share_us(rate);
    }
}

const fn window_us(rate: RateLimit) -> i64 {
    // `compile()` refuses zeros; should one get here, the closest limit that exists is the safe reading.
    let seconds = if rate.window_seconds == 0 {
        1
    } else {
        rate.window_seconds
    };
    seconds as i64 * 1_000_000
}

/// Microseconds in which one attempt is earned back.
fn share_us(rate: RateLimit) -> i64 {
    (window_us(rate) / i64::from(rate.max_requests.max(1))).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: RateLimit = RateLimit {
        max_requests: 4,
        window_seconds: 2,
    };
    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_window_may_come_at_once_and_then_one_share_at_a_time() {
        let mut used = Used::default();
        let start = 1000 * SECOND;
        for _ in 0..4 {
            assert_eq!(used.wait_until(RATE, start), None);
            used.take(RATE, start);
        }
        let next = start + SECOND / 2;
        assert_eq!(used.wait_until(RATE, start), Some(next));
        assert_eq!(used.wait_until(RATE, next), None);
        used.take(RATE, next);
        assert_eq!(used.wait_until(RATE, next), Some(next + SECOND / 2));
        let later = next + 60 * SECOND;
        for _ in 0..4 {
            assert_eq!(used.wait_until(RATE, later), None, "not more than a window is saved up");
            used.take(RATE, later);
        }
        assert!(used.wait_until(RATE, later).is_some());
    }

    #[test]
    fn a_new_limit_owes_no_more_than_its_own_window() {
        let slow = RateLimit {
            max_requests: 1,
            window_seconds: 3600,
        };
        let mut used = Used::default();
        used.take(slow, 0);
        assert_eq!(used.wait_until(slow, 0), Some(3600 * SECOND));
        assert_eq!(used.wait_until(RATE, 0), Some(SECOND / 2));
    }
}

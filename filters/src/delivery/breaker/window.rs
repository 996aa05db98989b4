//! Good and bad answers of the last while, in ten slices.

use crate::delivery::Health;

/// Counts over a sliding window. It forgets a tenth of its length at a time.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    slice_ms: i64,
    slices: [Counted; SLICES],
    /// Number of the newest slice since the epoch.
    newest: i64,
}

/// How many there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Attempts.
    pub(crate) all: u32,
    /// Those that failed.
    pub(crate) bad: u32,
}

impl Window {
    pub(crate) fn new(length_ms: i64) -> Self {
        Self {
            slice_ms: (length_ms / SLICES as i64).max(1),
            slices: [Counted::default(); SLICES],
            newest: i64::MIN,
        }
    }

    pub(crate) fn add(&mut self, now_ms: i64, health: Health) {
        let slice = self.slice(now_ms);
        let counted = &mut self.slices[slice.rem_euclid(SLICES as i64) as usize];
        counted.all = counted.all.saturating_add(1);
        if health == Health::Bad {
            counted.bad = counted.bad.saturating_add(1);
        }
    }

    pub(crate) fn count(&mut self, now_ms: i64) -> Counted {
        self.slice(now_ms);
        self.slices.iter().fold(Counted::default(), |sum, slice| Counted {
            all: sum.all.saturating_add(slice.all),
            bad: sum.bad.saturating_add(slice.bad),
        })
    }

    pub(crate) fn clear(&mut self) {
        self.slices = [Counted::default(); SLICES];
    }

    /// The slice of `now_ms`, with those that are too old emptied. A clock that was set back empties all of them, as
    /// their times mean nothing any more.
    fn slice(&mut self, now_ms: i64) -> i64 {
        let now = now_ms.div_euclid(self.slice_ms);
        if now < self.newest || now.saturating_sub(self.newest) >= SLICES as i64 {
            self.clear();
        } else {
            for slice in self.newest + 1..=now {
                self.slices[slice.rem_euclid(SLICES as i64) as usize] = Counted::default();
            }
        }
        self.newest = now;
        now
    }
}

const SLICES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut window = Window::new(1_000);
        window.add(0, Health::Bad);
        window.add(500, Health::Good);
        assert_eq!(window.count(999), Counted { all: 2, bad: 1 });
        assert_eq!(window.count(1_000), Counted { all: 1, bad: 0 });
        assert_eq!(window.count(1_500), Counted::default());
        window.add(1_500, Health::Bad);
        assert_eq!(window.count(i64::MAX), Counted::default());
    }

    #[test]
    fn a_clock_set_back_starts_anew() {
        let mut window = Window::new(1_000);
        window.add(10_000, Health::Bad);
        window.add(5_000, Health::Good);
        assert_eq!(window.count(5_000), Counted { all: 1, bad: 0 });
        window.add(-1, Health::Bad);
        assert_eq!(window.count(-1), Counted { all: 1, bad: 1 });
    }
}

//! When lanes want to be looked at. One timer for all of them, on two clocks.

use std::collections::BTreeSet;

use super::lanes::LaneIx;

/// The time, on both clocks. It is an argument of everything that decides by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Now {
    /// Milliseconds since the epoch. It may jump.
    pub(super) wall_ms: i64,
    /// Microseconds of a clock that never goes back.
    pub(super) mono_us: i64,
}

impl Now {
    /// Milliseconds of the clock that never goes back.
    pub(super) const fn mono_ms(self) -> i64 {
        self.mono_us / 1000
    }

    /// The moment `wall_ms`, as the wall clock stands, on the clock that never goes back: in milliseconds.
    pub(super) const fn mono_of(self, wall_ms: i64) -> i64 {
        self.mono_ms().saturating_add(wall_ms.saturating_sub(self.wall_ms))
    }

    /// The moment `mono_ms`, as the wall clock stands, in milliseconds since the epoch.
    pub(super) const fn wall_of(self, mono_ms: i64) -> i64 {
        self.wall_ms.saturating_add(mono_ms.saturating_sub(self.mono_ms()))
    }
}

/// When something happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wake {
    /// After a span of time: milliseconds of the clock that never goes back.
    pub(super) mono_ms: Option<i64>,
    /// At a time of day: milliseconds since the epoch.
    pub(super) wall_ms: Option<i64>,
}

impl Wake {
    /// At `mono_ms` of the clock that never goes back.
    pub(super) const fn at_mono(mono_ms: i64) -> Self {
        Self {
            mono_ms: Some(mono_ms),
            wall_ms: None,
        }
    }

    /// On the clock that never goes back, as the wall clock stands: in milliseconds.
    pub(super) fn earliest(self, now: Now) -> Option<i64> {
        let wall = self.wall_ms.map(|wall| now.mono_of(wall));
        match (self.mono_ms, wall) {
            (Some(mono), Some(wall)) => Some(mono.min(wall)),
            (mono, wall) => mono.or(wall),
        }
    }
}

/// Which lanes want to be looked at, and when.
#[derive(Debug, Default)]
pub(super) struct Timer {
    mono: BTreeSet<(i64, LaneIx)>,
    wall: BTreeSet<(i64, LaneIx)>,
}

impl Timer {
    /// `lane`, which wanted to be looked at at `old`, now wants it at `new`.
    pub(super) fn set(&mut self, lane: LaneIx, old: Wake, new: Wake) {
        change(&mut self.mono, lane, old.mono_ms, new.mono_ms);
        change(&mut self.wall, lane, old.wall_ms, new.wall_ms);
    }

    /// A lane whose time has come; it is not asked for again until [`Timer::set`] says so.
    pub(super) fn pop(&mut self, now: Now) -> Option<(LaneIx, Wake)> {
        let due = |set: &mut BTreeSet<(i64, LaneIx)>, time: i64| {
            let (at, lane) = *set.first()?;
            (at <= time).then(|| {
                set.pop_first();
                (at, lane)
            })
        };
        if let Some((at, lane)) = due(&mut self.mono, now.mono_ms()) {
            return Some((lane, Wake::at_mono(at)));
        }
        let (at, lane) = due(&mut self.wall, now.wall_ms)?;
        let gone = Wake {
            mono_ms: None,
            wall_ms: Some(at),
        };
        Some((lane, gone))
    }

    /// When the next lane wants to be looked at.
    pub(super) fn next(&self) -> Wake {
        Wake {
            mono_ms: self.mono.first().map(|(at, _)| *at),
            wall_ms: self.wall.first().map(|(at, _)| *at),
        }
    }
}

fn change(set: &mut BTreeSet<(i64, LaneIx)>, lane: LaneIx, old: Option<i64>, new: Option<i64>) {
    if old == new {
        return;
    }
    if let Some(old) = old {
        set.remove(&(old, lane));
    }
    if let Some(new) = new {
        set.insert((new, lane));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall_ms: i64, mono_ms: i64) -> Now {
        Now {
            wall_ms,
            mono_us: mono_ms * 1000,
        }
    }

    fn wake(mono_ms: Option<i64>, wall_ms: Option<i64>) -> Wake {
        Wake { mono_ms, wall_ms }
    }

    #[test]
    fn each_clock_wakes_its_own_and_a_jump_moves_only_times_of_day() {
        let mut timer = Timer::default();
        let (span, day) = (wake(Some(50), None), wake(None, Some(1050)));
        timer.set(LaneIx(1), Wake::default(), span);
        timer.set(LaneIx(2), Wake::default(), day);
        assert_eq!(timer.next().earliest(at(1000, 0)), Some(50));
        assert_eq!(timer.pop(at(1049, 49)), None);
        // The wall clock goes back by an hour.
        assert_eq!(timer.pop(at(1050 - 3_600_000, 50)), Some((LaneIx(1), span)));
        assert_eq!(timer.pop(at(1050 - 3_600_000, 50)), None);
        assert_eq!(timer.pop(at(1050, 3_600_050)), Some((LaneIx(2), day)));
        assert_eq!(timer.next(), Wake::default());
    }

    #[test]
    fn a_lane_may_change_its_mind() {
        let mut timer = Timer::default();
        let early = wake(Some(10), None);
        timer.set(LaneIx(1), Wake::default(), wake(Some(50), Some(70)));
        timer.set(LaneIx(1), wake(Some(50), Some(70)), early);
        assert_eq!(timer.next(), early);
        timer.set(LaneIx(1), early, Wake::default());
        assert_eq!(timer.pop(at(i64::MAX / 4, i64::MAX / 4 / 1000)), None);
    }
}

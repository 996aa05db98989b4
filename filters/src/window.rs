//! How much was counted in the last so many seconds: a window that slides.

/// Counts in slots of equal length, of which `N - 1` make a window. The slot that is under way comes on top, so that
/// whatever is in the window is counted: never more than the limit passes in any window, and what passed counts for up
/// to one slot longer than the window.
#[derive(Clone, Debug)]
pub struct Window<const N: usize> {
    /// Nanoseconds of a slot.
    slot_ns: u64,
    /// Number of the slot that is under way, from the start of the clock.
    current: u64,
    total: u32,
    counts: [u32; N],
}

impl<const N: usize> Window<N> {
    /// Nothing counted yet, in windows of so many seconds.
    pub fn new(seconds: u32) -> Self {
        let slots = (N as u64).saturating_sub(1).max(1);
        Self {
            slot_ns: (u64::from(seconds.max(1)) * 1_000_000_000).div_ceil(slots),
            current: 0,
            total: 0,
            counts: [0; N],
        }
    }

    /// Forgets what left the window by `now_ns`, and says how much is in it. A time before the last one changes nothing.
    pub fn at(&mut self, now_ns: u64) -> u32 {
        let slot = now_ns / self.slot_ns;
        let gone = slot.saturating_sub(self.current);
        if gone >= N as u64 {
            self.counts = [0; N];
            self.total = 0;
        } else {
            for passed in 1..=gone {
                let count = &mut self.counts[Self::index(self.current + passed)];
                self.total -= *count;
                *count = 0;
            }
        }
        self.current = self.current.max(slot);
        self.total
    }

    /// Counts one more in the slot that is under way.
    pub fn add(&mut self) {
        self.counts[Self::index(self.current)] += 1;
        self.total += 1;
    }

    /// Takes back one that was counted a moment ago.
    pub fn take_back(&mut self) {
        let newest = (0..N as u64).find_map(|back| {
            let index = Self::index(self.current.checked_sub(back)?);
            (self.counts[index] > 0).then_some(index)
        });
        if let Some(index) = newest {
            self.counts[index] -= 1;
            self.total -= 1;
        }
    }

    /// Nanoseconds until the first of what is in the window leaves it; 0 if there is nothing.
    pub fn first_leaves_in(&self, now_ns: u64) -> u64 {
        let oldest = (0..N as u64).rev().find(|back| self.is_counted(*back));
        oldest.map_or(0, |back| self.leaves_in(back, now_ns))
    }

    /// Nanoseconds until all of what is in the window has left it; 0 if there is nothing.
    pub fn empty_in(&self, now_ns: u64) -> u64 {
        let newest = (0..N as u64).find(|back| self.is_counted(*back));
        newest.map_or(0, |back| self.leaves_in(back, now_ns))
    }

    fn is_counted(&self, back: u64) -> bool {
        self.current
            .checked_sub(back)
            .is_some_and(|slot| self.counts[Self::index(slot)] > 0)
    }

    /// A slot is forgotten when its place is needed for a new one.
    fn leaves_in(&self, back: u64, now_ns: u64) -> u64 {
        let slot = self.current - back;
        ((slot + N as u64) * self.slot_ns).saturating_sub(now_ns)
    }

    fn index(slot: u64) -> usize {
        (slot % N as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn what_was_counted_leaves_when_its_slot_is_a_window_old() {
        let mut window = Window::<5>::new(4);
        assert_eq!(window.at(0), 0);
        window.add();
        window.at(SECOND);
        window.add();
        assert_eq!(
            (window.first_leaves_in(SECOND), window.empty_in(SECOND)),
            (4 * SECOND, 5 * SECOND)
        );
        assert_eq!(window.at(5 * SECOND - 1), 2);
        assert_eq!(window.at(5 * SECOND), 1);
        assert_eq!(window.at(6 * SECOND), 0);
        assert_eq!(window.empty_in(6 * SECOND), 0);
    }

    #[test]
    fn a_clock_that_goes_back_forgets_nothing() {
        let mut window = Window::<5>::new(4);
        window.at(9 * SECOND);
        window.add();
        assert_eq!(window.at(2 * SECOND), 1);
        assert_eq!(window.at(9 * SECOND), 1);
    }

    #[test]
    fn what_is_taken_back_was_never_there() {
        let mut window = Window::<5>::new(4);
        window.at(SECOND);
        window.add();
        window.at(2 * SECOND);
        window.take_back();
        window.take_back();
        assert_eq!(window.at(2 * SECOND), 0);
    }

    proptest! {
        /// However requests come, no window that begins anywhere holds more than the limit.
        #[test]
        fn no_window_holds_more_than_the_limit(gaps in prop::collection::vec(0u64..3 * SECOND, 1..200), limit in 1u32..6) {
            let mut window = Window::<11>::new(10);
            let mut now = 0;
            let mut passed = Vec::new();
            for gap in gaps {
                now += gap;
                if window.at(now) < limit {
                    window.add();
                    passed.push(now);
                } else {
                    let wait = window.first_leaves_in(now);
                    prop_assert!(wait > 0 && wait <= 11 * SECOND);
                    let mut later = window.clone();
                    prop_assert!(later.at(now + wait - 1) >= limit);
                    prop_assert!(later.at(now + wait) < limit);
                }
            }
            for (first, start) in passed.iter().enumerate() {
                let within = passed[first..].iter().filter(|at| **at < start + 10 * SECOND).count();
                prop_assert!(within <= limit as usize, "{within} from {start}");
            }
        }
    }
}

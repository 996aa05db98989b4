//! How many requests a target bears at a time, learnt from how long it takes to answer.
//!
//! While answers take as long as they do at a target that is not busy, the limit grows by about its square root; when they
//! take longer by more than the tolerance, requests wait in line at the target and the limit shrinks in the same proportion.
//! An answer that says overload, or none at all, shrinks it by a tenth. Now and then a quarter of the limit is let through
//! for a moment, to see how long the target takes when it is not busy: otherwise a line that never ends would come to be
//! what is usual.

use crate::model::Problem;
use crate::model::resilience::AdaptiveConcurrency;

/// The limit of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient {
    rules: AdaptiveConcurrency,
    limit: f64,
    /// What an answer takes at a target that is not busy, in microseconds; infinite before the first.
    usual_us: f64,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// The limit follows the answers; so many more until the next look.
    Follow { answers: u32 },
    /// Less is let through, for so many answers more.
    Look { answers: u32, quickest_us: f64 },
}

impl Gradient {
    /// Nothing is known of the target yet.
    pub fn new(rules: AdaptiveConcurrency) -> Self {
        Self {
            limit: f64::from(rules.initial_limit),
            usual_us: f64::INFINITY,
            phase: Phase::Follow { answers: LOOK_EVERY },
            rules,
        }
    }

    /// The most requests at a time.
    pub fn limit(&self) -> u32 {
        match self.phase {
            Phase::Follow { .. } => self.limit as u32,
            Phase::Look { .. } => ((self.limit / 4.0) as u32).max(self.rules.min_limit),
        }
    }

    /// Learns from an answer that took `took_us` microseconds while `in_flight` requests were under way, itself included.
    pub fn answered(&mut self, took_us: u64, in_flight: usize) {
        let took = (took_us as f64).max(1.0);
        match &mut self.phase {
            Phase::Look { answers, quickest_us } => {
                *quickest_us = quickest_us.min(took);
                *answers -= 1;
                if *answers == 0 {
                    self.usual_us = *quickest_us;
                    self.phase = Phase::Follow { answers: LOOK_EVERY };
                }
            }
            Phase::Follow { answers: 0 } => {
                self.phase = Phase::Look {
                    // Those that are under way already were let through before.
                    answers: LOOK_FOR + in_flight as u32,
                    quickest_us: took,
                };
            }
            Phase::Follow { answers } => {
                *answers -= 1;
                self.follow(took, in_flight);
            }
        }
    }

    /// Learns that the target is overloaded, or did not answer.
    pub fn failed(&mut self) {
        self.set(self.limit * 0.9);
    }

    fn follow(&mut self, took: f64, in_flight: usize) {
        if took < self.usual_us {
            // One quick answer alone says little.
            let slower = if self.usual_us.is_finite() { self.usual_us } else { took };
            self.usual_us = slower + (took - slower) * FASTER;
        }
        // A limit that nobody comes near says nothing.
        if (in_flight as f64) * 2.0 < self.limit {
            return;
        }
        let tolerated = self.usual_us * f64::from(self.rules.tolerance_percent) / 100.0;
        let gradient = (tolerated / took).clamp(0.5, 1.0);
        let wanted = self.limit * gradient + self.limit.sqrt();
        self.set(self.limit + (wanted - self.limit) * SMOOTHING);
    }

    fn set(&mut self, limit: f64) {
        self.limit = limit.clamp(f64::from(self.rules.min_limit), f64::from(self.rules.max_limit));
    }
}

/// Adds what is wrong with `rules`, which stand at `adaptiveConcurrency`.
pub(crate) fn check(rules: AdaptiveConcurrency, problems: &mut Vec<Problem>) {
    let AdaptiveConcurrency {
        min_limit,
        initial_limit,
        max_limit,
        tolerance_percent,
    } = rules;
    let mut problem = |field: &str, message: String| {
        problems.push(Problem::new(format!("adaptiveConcurrency.{field}"), message));
    };
    if min_limit == 0 {
        problem("minLimit", "0 would let nothing through; give at least 1".to_owned());
    }
    if max_limit < min_limit || max_limit > MOST {
        problem(
            "maxLimit",
            format!("{max_limit} is not between `minLimit` ({min_limit}) and {MOST}"),
        );
    }
    if !(min_limit..=max_limit.max(min_limit)).contains(&initial_limit) {
        let message = format!("{initial_limit} is not between `minLimit` ({min_limit}) and `maxLimit` ({max_limit})");
        problem("initialLimit", message);
    }
    if !(110..=1_000).contains(&tolerance_percent) {
        problem(
            "tolerancePercent",
            format!("{tolerance_percent} is not between 110 and 1000; 150 bears answers that take half as long again"),
        );
    }
}

/// Answers from one look at the target to the next, and for how many a look lasts.
const LOOK_EVERY: u32 = 1_000;
const LOOK_FOR: u32 = 50;
const FASTER: f64 = 0.1;
const SMOOTHING: f64 = 0.2;
const MOST: u32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A target that works on `capacity` requests at a time, 10 ms each; more wait in line.
    fn settled(capacity: usize, rules: AdaptiveConcurrency) -> u32 {
        let mut gradient = Gradient::new(rules);
        let mut answers = 0;
        // Ends between two looks.
        while answers < 20_500 || matches!(gradient.phase, Phase::Look { .. }) {
            answers += 1;
            let in_flight = gradient.limit() as usize;
            let took_ms = 10.0 * (in_flight as f64 / capacity as f64).max(1.0);
            gradient.answered((took_ms * 1_000.0) as u64, in_flight);
        }
        gradient.limit()
    }

    #[test]
    fn the_limit_settles_near_what_the_target_bears() {
        for capacity in [20, 50, 100] {
            let limit = settled(capacity, AdaptiveConcurrency::default()) as usize;
            assert!(
                (capacity..capacity * 5 / 2).contains(&limit),
                "{limit} at a target that bears {capacity}"
            );
        }
    }

    #[test]
    fn the_limit_keeps_to_its_bounds() {
        let rules = AdaptiveConcurrency {
            min_limit: 2,
            initial_limit: 10,
            max_limit: 30,
            tolerance_percent: 150,
        };
        assert_eq!(settled(1_000, rules), 30);
        let mut gradient = Gradient::new(rules);
        (0..100).for_each(|_| gradient.failed());
        assert_eq!(gradient.limit(), 2);
    }

    #[test]
    fn a_quiet_target_changes_nothing() {
        let mut gradient = Gradient::new(AdaptiveConcurrency::default());
        let before = gradient.limit();
        (0..100).for_each(|_| gradient.answered(10_000, 1));
        assert_eq!(gradient.limit(), before);
    }

    #[test]
    fn problems_name_the_field() {
        let mut problems = Vec::new();
        let rules = AdaptiveConcurrency {
            min_limit: 0,
            initial_limit: 50,
            max_limit: 20,
            tolerance_percent: 100,
        };
        check(rules, &mut problems);
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        let expected = [
            "adaptiveConcurrency.minLimit",
            "adaptiveConcurrency.initialLimit",
            "adaptiveConcurrency.tolerancePercent",
        ];
        assert_eq!(paths, expected);
    }
}

//! When a failed attempt is repeated.

use crate::delivery::MAX_RETRY_AFTER_MS;
use crate::model::Problem;
use crate::model::outbound::Retry;
use crate::model::problem::join;

/// A checked retry schedule: the delay before each attempt after the first.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPlan {
    delays_ms: Box<[i64]>,
    /// The largest share of a delay that is added at random.
    jitter: f64,
}

impl RetryPlan {
    /// Checks `retry`, which stands at `path`.
    pub fn compile(retry: &Retry, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let (delays_ms, jitter): (Box<[i64]>, f64) = match retry {
            Retry::Standard {} => (STANDARD_MS.into(), 0.1),
            Retry::Seed {} => (SEED_MS.into(), 0.2),
            Retry::None {} => (Box::default(), 0.0),
            Retry::List { delays_ms, jitter } => (list(delays_ms, path, problems), *jitter),
            Retry::Exponential {
                base_ms,
                factor,
                max_ms,
                max_retries,
                jitter,
            } => (
                Growth {
                    base_ms: *base_ms,
                    factor: *factor,
                    max_ms: *max_ms,
                    max_retries: *max_retries,
                }
                .delays(path, problems),
                *jitter,
            ),
        };
        if !(0.0..=1.0).contains(&jitter) {
            let message = format!("{jitter} is not between 0 and 1; 0.1 adds up to a tenth of each delay");
            problems.push(Problem::new(join(path, "jitter"), message));
        }
        (problems.len() == before).then_some(Self { delays_ms, jitter })
    }

    /// When the next attempt is due, after `attempts` failed ones (at least 1, the last one at `now_ms`); `None` if there is
    /// none. `wait_ms` is the least that the answer asks to wait; it makes the attempt later, never earlier. `random` is
    /// between 0 and 1 and sets how much of the jitter is added.
    pub fn next(&self, attempts: u32, now_ms: i64, wait_ms: Option<i64>, random: f64) -> Option<i64> {
        let place = usize::try_from(attempts.saturating_sub(1)).ok()?;
        let delay = *self.delays_ms.get(place)?;
        let added = delay as f64 * self.jitter * random.clamp(0.0, 1.0);
        let scheduled = delay.saturating_add(added as i64);
        let asked = wait_ms.unwrap_or(0).min(MAX_RETRY_AFTER_MS);
        Some(now_ms.saturating_add(scheduled.max(asked)))
    }

    /// Attempts after the first.
    pub fn retries(&self) -> u32 {
        u32::try_from(self.delays_ms.len()).unwrap_or(u32::MAX)
    }
}

struct Growth {
    base_ms: u64,
    factor: f64,
    max_ms: u64,
    max_retries: u32,
}

impl Growth {
    /// Written out as a list, so that nothing can overflow when a delay is asked for.
    fn delays(&self, path: &str, problems: &mut Vec<Problem>) -> Box<[i64]> {
        check_delay(self.base_ms, &join(path, "baseMs"), problems);
        check_delay(self.max_ms, &join(path, "maxMs"), problems);
        if self.max_ms < self.base_ms {
            let message = format!("{} is below `baseMs`, which is {}", self.max_ms, self.base_ms);
            problems.push(Problem::new(join(path, "maxMs"), message));
        }
        if !(1.0..=10.0).contains(&self.factor) {
            let message = format!("{} is not between 1 and 10", self.factor);
            problems.push(Problem::new(join(path, "factor"), message));
        }
        if !(1..=MAX_RETRIES).contains(&self.max_retries) {
            let message = format!("{} is not between 1 and {MAX_RETRIES}", self.max_retries);
            problems.push(Problem::new(join(path, "maxRetries"), message));
        }
        let first = self.base_ms as f64;
        // Multiplied step by step and held at the maximum: a power would run to infinity.
        std::iter::successors(Some(first), |delay| Some((delay * self.factor).min(self.max_ms as f64)))
            .take(self.max_retries.min(MAX_RETRIES) as usize)
            .map(|delay| delay as i64)
            .collect()
    }
}

fn list(delays_ms: &[u64], path: &str, problems: &mut Vec<Problem>) -> Box<[i64]> {
    let field = join(path, "delaysMs");
    if delays_ms.is_empty() {
        problems.push(Problem::new(
            &*field,
            "is empty: give 1 to 50 delays, or the type `none` to never retry",
        ));
    }
    if delays_ms.len() > MAX_RETRIES as usize {
        let message = format!("has {} delays; at most {MAX_RETRIES} are possible", delays_ms.len());
        problems.push(Problem::new(&*field, message));
    }
    for (place, delay) in delays_ms.iter().enumerate() {
        check_delay(*delay, &format!("{field}[{place}]"), problems);
    }
    delays_ms
        .iter()
        .map(|delay| i64::try_from(*delay).unwrap_or(i64::MAX))
        .collect()
}

fn check_delay(delay_ms: u64, path: &str, problems: &mut Vec<Problem>) {
    if !(1..=MAX_DELAY_MS).contains(&delay_ms) {
        let message = format!("{delay_ms} is not between 1 and {MAX_DELAY_MS} milliseconds (seven days)");
        problems.push(Problem::new(path, message));
    }
}

const STANDARD_MS: &[i64] = &[5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 36_000_000];
/// Doubles from a second, below the five seconds at which the product's source documents stop.
const SEED_MS: &[i64] = &[1_000, 2_000, 4_000];
const MAX_RETRIES: u32 = 50;
const MAX_DELAY_MS: u64 = 604_800_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan(retry: &Retry) -> RetryPlan {
        let mut problems = Vec::new();
        let plan = RetryPlan::compile(retry, "retry", &mut problems);
        assert_eq!(problems, []);
        plan.unwrap()
    }

    fn delays(plan: &RetryPlan, random: f64) -> Vec<i64> {
        (1..)
            .map_while(|attempts| plan.next(attempts, 0, None, random))
            .collect()
    }

    fn paths(retry: &Retry) -> Vec<String> {
        let mut problems = Vec::new();
        assert!(RetryPlan::compile(retry, "retry", &mut problems).is_none());
        problems.into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn the_standard_schedule_takes_27_hours_and_a_half() {
        let plan = plan(&Retry::Standard {});
        assert_eq!(plan.retries(), 7);
        assert_eq!(
            delays(&plan, 0.0),
            [5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 36_000_000]
        );
        assert_eq!(delays(&plan, 1.0)[0], 5_500);
    }

    #[test]
    fn the_seed_schedule_is_1_2_4_seconds_and_up_to_a_fifth_more() {
        let plan = plan(&Retry::Seed {});
        assert_eq!(delays(&plan, 0.0), [1_000, 2_000, 4_000]);
        assert_eq!(delays(&plan, 1.0), [1_200, 2_400, 4_800]);
    }

    #[test]
    fn the_first_attempt_is_counted_and_none_never_retries() {
        assert_eq!(plan(&Retry::None {}).next(1, 0, Some(5), 0.5), None);
        let list = Retry::List {
            delays_ms: vec![7],
            jitter: 0.0,
        };
        assert_eq!(plan(&list).next(1, 100, None, 0.9), Some(107));
        assert_eq!(plan(&list).next(2, 100, None, 0.9), None);
        assert_eq!(plan(&list).next(u32::MAX, 100, None, 0.9), None);
    }

    #[test]
    fn what_the_endpoint_asks_for_only_makes_it_later_and_a_day_at_most() {
        let plan = plan(&Retry::Standard {});
        assert_eq!(plan.next(2, 0, Some(1_000), 0.0), Some(300_000));
        assert_eq!(plan.next(2, 0, Some(400_000), 0.0), Some(400_000));
        assert_eq!(plan.next(2, 0, Some(-5), 0.0), Some(300_000));
        assert_eq!(plan.next(2, 0, Some(i64::MAX), 0.0), Some(86_400_000));
    }

    #[test]
    fn exponential_delays_stop_at_the_maximum() {
        let retry = |base_ms, factor, max_ms, max_retries| Retry::Exponential {
            base_ms,
            factor,
            max_ms,
            max_retries,
            jitter: 0.0,
        };
        assert_eq!(
            delays(&plan(&retry(100, 3.0, 1_000, 5)), 0.0),
            [100, 300, 900, 1_000, 1_000]
        );
        // Ten to the fifty overflows every integer.
        let longest = plan(&retry(604_800_000, 10.0, 604_800_000, 50));
        assert_eq!(delays(&longest, 0.0), vec![604_800_000; 50]);
    }

    #[test]
    fn problems_name_the_field() {
        let list = |delays_ms, jitter| Retry::List { delays_ms, jitter };
        assert_eq!(paths(&list(vec![], 0.1)), ["retry.delaysMs"]);
        assert_eq!(paths(&list(vec![1; 51], 0.1)), ["retry.delaysMs"]);
        assert_eq!(
            paths(&list(vec![1, 2, 3, 0, u64::MAX], 0.1)),
            ["retry.delaysMs[3]", "retry.delaysMs[4]"]
        );
        assert_eq!(paths(&list(vec![1], f64::NAN)), ["retry.jitter"]);
        assert_eq!(paths(&list(vec![1], 1.1)), ["retry.jitter"]);
        let exponential = Retry::Exponential {
            base_ms: 10,
            factor: 0.5,
            max_ms: 9,
            max_retries: 0,
            jitter: -0.1,
        };
        assert_eq!(
            paths(&exponential),
            ["retry.maxMs", "retry.factor", "retry.maxRetries", "retry.jitter"]
        );
        let endless = Retry::Exponential {
            base_ms: 0,
            factor: f64::INFINITY,
            max_ms: u64::MAX,
            max_retries: u32::MAX,
            jitter: 0.0,
        };
        assert_eq!(
            paths(&endless),
            ["retry.baseMs", "retry.maxMs", "retry.factor", "retry.maxRetries"]
        );
    }

    proptest! {
        #[test]
        fn an_attempt_is_never_earlier_than_its_schedule(
            base_ms in 1_u64..604_800_000,
            factor in 1.0_f64..=10.0,
            jitter in 0.0_f64..=1.0,
            attempts in 0_u32..60,
            now_ms in any::<i64>(),
            wait_ms in any::<Option<i64>>(),
            random in any::<f64>(),
        ) {
            let retry = Retry::Exponential { base_ms, factor, max_ms: 604_800_000, max_retries: 50, jitter };
            if let Some(due) = plan(&retry).next(attempts, now_ms, wait_ms, random) {
                prop_assert!(due >= now_ms.saturating_add(base_ms as i64));
                let longest = 2 * 604_800_000;
                prop_assert!(due <= now_ms.saturating_add(longest));
            }
        }
    }
}

//! How many retries there may be beside the calls.

use crate::delivery::Health;
use crate::delivery::breaker::Window;
use crate::model::Problem;
use crate::model::resilience::RetryBudget;

/// Counts the calls and the retries of the last ten seconds.
#[derive(Clone, Debug)]
pub struct Budget {
    rules: RetryBudget,
    /// A call counts as good, a retry as bad.
    window: Window,
}

impl Budget {
    /// An empty budget: nothing was called yet.
    pub fn new(rules: RetryBudget) -> Self {
        Self {
            rules,
            window: Window::new(WINDOW_MS),
        }
    }

    /// Notes a call, before its first attempt.
    pub fn called(&mut self, now_ms: i64) {
        self.window.add(now_ms, Health::Good);
    }

    /// Takes one retry out of the budget; false if there is none left.
    pub fn take(&mut self, now_ms: i64) -> bool {
        let counted = self.window.count(now_ms);
        let calls = u64::from(counted.all.saturating_sub(counted.bad));
        let allowed = calls * u64::from(self.rules.percent) / 100 + u64::from(self.rules.min_retries);
        let is_left = u64::from(counted.bad) < allowed;
        if is_left {
            self.window.add(now_ms, Health::Bad);
        }
        is_left
    }
}

/// Adds what is wrong with `budget`, which stands at `retry.budget`.
pub(crate) fn check(budget: RetryBudget, problems: &mut Vec<Problem>) {
    for (field, value, most) in [
        ("percent", budget.percent, 100),
        ("minRetries", budget.min_retries, 10_000),
    ] {
        if value > most {
            let message = format!("{value} is above {most}");
            problems.push(Problem::new(format!("retry.budget.{field}"), message));
        }
    }
}

const WINDOW_MS: i64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &mut Budget, now_ms: i64) -> usize {
        (0..1_000).take_while(|_| budget.take(now_ms)).count()
    }

    #[test]
    fn a_fifth_of_the_calls_and_the_least_may_be_repeated() {
        let mut budget = Budget::new(RetryBudget {
            percent: 20,
            min_retries: 3,
        });
        assert_eq!(taken(&mut budget, 0), 3);
        (0..100).for_each(|_| budget.called(5_000));
        assert_eq!(taken(&mut budget, 5_000), 20);
        assert_eq!(taken(&mut budget, 9_999), 0);
    }

    #[test]
    fn ten_seconds_later_it_is_as_new() {
        let mut budget = Budget::new(RetryBudget::default());
        (0..100).for_each(|_| budget.called(0));
        assert_eq!(taken(&mut budget, 0), 30);
        assert_eq!(taken(&mut budget, 10_000), 10);
    }

    #[test]
    fn nothing_is_repeated_with_an_empty_budget() {
        let mut budget = Budget::new(RetryBudget {
            percent: 0,
            min_retries: 0,
        });
        (0..100).for_each(|_| budget.called(0));
        assert!(!budget.take(0));
    }
}

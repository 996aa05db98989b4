//! What answers say of the target that gave them.

use http::uri::PathAndQuery;

use super::status::StatusSet;
use crate::delivery::Health;
use crate::model::Problem;
use crate::model::resilience::{HealthCheck, PassiveHealth};

/// What an answer with this status says of the target: overload and faults of its own are bad, everything else is good, as
/// a refusal needs a target that works.
pub fn health_of(status: u16) -> Health {
    match status {
        408 | 429 | 500..=599 => Health::Bad,
        _ => Health::Good,
    }
}

/// How often a target failed in a row, and until when it is out for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    rules: PassiveHealth,
    failures: u32,
    /// How often it was taken out without a good answer in between.
    times: u32,
    until_ms: i64,
}

impl Ejection {
    /// A target that is in.
    pub fn new(rules: PassiveHealth) -> Self {
        Self {
            rules,
            failures: 0,
            times: 0,
            until_ms: 0,
        }
    }

    /// True if it is out at `now_ms`.
    pub fn is_out(&self, now_ms: i64) -> bool {
        now_ms < self.until_ms
    }

    /// Takes in what an attempt says of it. True if that takes it out; `may_go` says whether there may be one more that is
    /// out.
    pub fn record(&mut self, now_ms: i64, health: Health, may_go: impl FnOnce() -> bool) -> bool {
        match health {
            Health::Unknown => {}
            Health::Good => {
                self.failures = 0;
                if !self.is_out(now_ms) {
                    self.times = 0;
                }
            }
            Health::Bad => self.failures = self.failures.saturating_add(1),
        }
        let goes = self.failures >= self.rules.consecutive_failures && !self.is_out(now_ms) && may_go();
        if goes {
            self.failures = 0;
            self.times = (self.times + 1).min(MOST_TIMES);
            self.until_ms = now_ms.saturating_add(i64::from(self.rules.eject_seconds) * 1_000 * i64::from(self.times));
        }
        goes
    }
}

/// True if one of `all` targets may be taken out when `out` are already: at least one always stays.
pub fn may_eject(rules: PassiveHealth, out: usize, all: usize) -> bool {
    out + 1 < all && (out + 1) * 100 <= all * rules.max_ejected_percent as usize
}

/// Checked settings of health checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthRules {
    /// What is asked for.
    pub path: PathAndQuery,
    /// Milliseconds from one check to the next.
    pub interval_ms: i64,
    /// Milliseconds that a check may take.
    pub timeout_ms: u64,
    statuses: StatusSet,
    healthy_after: u32,
    unhealthy_after: u32,
}

impl HealthRules {
    /// Checks `check`, which stands at `healthCheck`.
    pub(crate) fn compile(check: &HealthCheck, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let mut problem = |field: &str, message: String| {
            problems.push(Problem::new(format!("healthCheck.{field}"), message));
        };
        let path = Some(check.path.as_str()).filter(|path| path.starts_with('/'));
        let path = path.and_then(|path| path.parse().ok());
        if path.is_none() {
            let message = format!("{:?} is no path; it begins with / and is percent-encoded", check.path);
            problem("path", message);
        }
        for (field, value, most) in [
            ("intervalSeconds", u64::from(check.interval_seconds), 3_600),
            ("timeoutMs", check.timeout_ms, 60_000),
            ("healthyAfter", u64::from(check.healthy_after), 100),
            ("unhealthyAfter", u64::from(check.unhealthy_after), 100),
        ] {
            if !(1..=most).contains(&value) {
                problem(field, format!("{value} is not between 1 and {most}"));
            }
        }
        let statuses = StatusSet::compile(&check.statuses, "healthCheck.statuses", problems);
        (problems.len() == before).then_some(Self {
            path: path?,
            interval_ms: i64::from(check.interval_seconds) * 1_000,
            timeout_ms: check.timeout_ms,
            statuses,
            healthy_after: check.healthy_after,
            unhealthy_after: check.unhealthy_after,
        })
    }

    /// True if an answer with this status is good.
    pub fn is_good(&self, status: u16) -> bool {
        self.statuses.contains(status)
    }
}

/// Checks in a row that say something else than what is believed of a target. It is believed to be well at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streak {
    is_unwell: bool,
    against: u32,
}

impl Streak {
    /// True if the target is believed to be well.
    pub fn is_well(&self) -> bool {
        !self.is_unwell
    }

    /// Takes in a check. True if it changed what is believed.
    pub fn record(&mut self, good: bool, rules: &HealthRules) -> bool {
        if good == self.is_well() {
            self.against = 0;
            return false;
        }
        self.against += 1;
        let needed = if good {
            rules.healthy_after
        } else {
            rules.unhealthy_after
        };
        let changes = self.against >= needed;
        if changes {
            *self = Self {
                is_unwell: !good,
                against: 0,
            };
        }
        changes
    }
}

/// Adds what is wrong with `rules`, which stand at `passiveHealth`.
pub(crate) fn check_passive(rules: PassiveHealth, problems: &mut Vec<Problem>) {
    for (field, value, most) in [
        ("consecutiveFailures", rules.consecutive_failures, 1_000_000),
        ("ejectSeconds", rules.eject_seconds, 3_600),
        ("maxEjectedPercent", rules.max_ejected_percent, 100),
    ] {
        if !(1..=most).contains(&value) {
            let message = format!("{value} is not between 1 and {most}");
            problems.push(Problem::new(format!("passiveHealth.{field}"), message));
        }
    }
}

/// A target that fails again and again is out for no longer than ten times its first time.
const MOST_TIMES: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: PassiveHealth = PassiveHealth {
        consecutive_failures: 2,
        eject_seconds: 10,
        max_ejected_percent: 50,
    };

    #[test]
    fn failures_in_a_row_take_a_target_out_for_longer_each_time() {
        let mut ejection = Ejection::new(RULES);
        assert!(!ejection.record(0, Health::Bad, || true));
        ejection.record(0, Health::Good, || true);
        assert!(!ejection.record(0, Health::Bad, || true), "a good answer in between");
        assert!(ejection.record(0, Health::Bad, || true));
        assert!(ejection.is_out(9_999) && !ejection.is_out(10_000));
        ejection.record(10_000, Health::Bad, || true);
        assert!(ejection.record(10_000, Health::Bad, || true));
        assert!(ejection.is_out(29_999) && !ejection.is_out(30_000));
    }

    #[test]
    fn a_target_that_may_not_go_stays_in() {
        let mut ejection = Ejection::new(RULES);
        (0..10).for_each(|_| assert!(!ejection.record(0, Health::Bad, || false)));
        assert!(!ejection.is_out(0));
    }

    #[test]
    fn half_of_the_targets_stay_in_and_never_none() {
        let all = |max_ejected_percent, all| {
            let rules = PassiveHealth {
                max_ejected_percent,
                ..RULES
            };
            (0..all).take_while(|out| may_eject(rules, *out, all)).count()
        };
        assert_eq!([all(50, 1), all(50, 2), all(50, 3), all(50, 10)], [0, 1, 1, 5]);
        assert_eq!([all(100, 1), all(100, 4)], [0, 3]);
    }

    fn check() -> HealthCheck {
        serde_json::from_value(serde_json::json!({"path": "/health?deep=1"})).unwrap()
    }

    #[test]
    fn checks_in_a_row_change_what_is_believed() {
        let rules = HealthRules::compile(&check(), &mut Vec::new()).unwrap();
        let mut streak = Streak::default();
        let well = |good, streak: &mut Streak| {
            streak.record(good, &rules);
            streak.is_well()
        };
        let believed: Vec<_> = [false, false, true, false, false, false, true, false, true, true]
            .map(|good| well(good, &mut streak))
            .into();
        assert_eq!(
            believed,
            [true, true, true, true, true, false, false, false, false, true]
        );
    }

    #[test]
    fn problems_name_the_field() {
        let mut problems = Vec::new();
        let wrong = HealthCheck {
            path: "health".to_owned(),
            interval_seconds: 0,
            timeout_ms: 60_001,
            healthy_after: 0,
            unhealthy_after: 101,
            statuses: vec!["good".to_owned()],
        };
        assert!(HealthRules::compile(&wrong, &mut problems).is_none());
        check_passive(
            PassiveHealth {
                consecutive_failures: 0,
                eject_seconds: 0,
                max_ejected_percent: 101,
            },
            &mut problems,
        );
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        let expected = [
            "healthCheck.path",
            "healthCheck.intervalSeconds",
            "healthCheck.timeoutMs",
            "healthCheck.healthyAfter",
            "healthCheck.unhealthyAfter",
            "healthCheck.statuses[0]",
            "passiveHealth.consecutiveFailures",
            "passiveHealth.ejectSeconds",
            "passiveHealth.maxEjectedPercent",
        ];
        assert_eq!(paths, expected);
    }
}

//! When an attempt at a call is made again.

use http::{HeaderMap, Method};

use super::budget;
use super::status::StatusSet;
use crate::delivery::RetryPlan;
use crate::model::Problem;
use crate::model::limits::Timeouts;
use crate::model::resilience::{CallRetry, RetryBudget};
use crate::route::http_method;

/// Checked rules of retries.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryRules {
    /// How many retries there may be.
    pub budget: RetryBudget,
    schedule: RetryPlan,
    statuses: StatusSet,
    body_methods: Box<[Method]>,
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Not a byte of the request reached the partner.
    Unsent,
    /// The connection broke, or there was no answer in time: the partner may have done what was asked.
    Unanswered,
    /// The partner answered with this status.
    Status {
        /// The status.
        status: u16,
        /// Milliseconds that it asks to be left alone (`Retry-After`).
        retry_after_ms: Option<i64>,
    },
}

/// The call that is to be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// True if it may reach the partner twice; see [`RetryRules::may_repeat`].
    pub may_repeat: bool,
    /// True if its body is still there.
    pub is_whole: bool,
    /// Attempts so far.
    pub attempts: u32,
    /// Milliseconds that are left of its total time.
    pub left_ms: i64,
}

/// Whether an attempt is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Again {
        /// Milliseconds to wait before the same target is called again.
        scheduled_ms: i64,
        /// Milliseconds to wait whichever target is called.
        asked_ms: i64,
    },
    /// The failure is none that another attempt would mend.
    Final,
    /// There were as many attempts as the schedule has.
    Exhausted,
    /// The call must not reach the partner twice.
    NotRepeatable,
    /// Its body is gone.
    BodyGone,
    /// There is no time left to wait.
    Deadline,
}

impl RetryRules {
    /// Checks `retry`, which stands at `retry`.
    pub(crate) fn compile(retry: &CallRetry, timeouts: Timeouts, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let statuses = StatusSet::compile(&retry.statuses, "retry.statuses", problems);
        budget::check(retry.budget, problems);
        let schedule = RetryPlan::compile(&retry.schedule.as_retry(), "retry.schedule", problems)?;
        if schedule.retries() > MOST_RETRIES {
            let message = format!(
                "has {} retries; at most {MOST_RETRIES} are possible while a client waits",
                schedule.retries()
            );
            problems.push(Problem::new("retry.schedule", message));
        }
        let first_ms = schedule.next(1, 0, None, 0.0).unwrap_or_default();
        if first_ms >= i64::try_from(timeouts.total_ms).unwrap_or(i64::MAX) {
            let message = format!(
                "waits {first_ms} ms before the first retry, and `timeouts.totalMs` ends the call after {} ms",
                timeouts.total_ms
            );
            problems.push(Problem::new("retry.schedule", message));
        }
        (problems.len() == before).then(|| Self {
            budget: retry.budget,
            schedule,
            statuses,
            body_methods: retry.body_methods.iter().copied().map(http_method).collect(),
        })
    }

    /// True if a call may reach the partner twice: its method is idempotent (RFC 9110 section 9.2.2), the integration says
    /// so of it, or it has a key that the partner knows a repeat by.
    pub fn may_repeat(&self, method: &Method, headers: &HeaderMap) -> bool {
        method.is_idempotent()
            || self.body_methods.contains(method)
            || IDEMPOTENCY_KEYS.iter().any(|name| headers.contains_key(*name))
    }

    /// True if another attempt may mend an answer with this status.
    pub fn retries_status(&self, status: u16) -> bool {
        self.statuses.contains(status)
    }

    /// Whether a call that failed is made again. `random` is between 0 and 1.
    pub fn judge(&self, failure: Failure, subject: Subject, random: f64) -> Verdict {
        let asked_ms = match failure {
            Failure::Status { status, .. } if !self.statuses.contains(status) => return Verdict::Final,
            Failure::Status { retry_after_ms, .. } => retry_after_ms.unwrap_or(0),
            Failure::Unsent | Failure::Unanswered => 0,
        };
        if !subject.may_repeat && failure != Failure::Unsent {
            return Verdict::NotRepeatable;
        }
        if !subject.is_whole {
            return Verdict::BodyGone;
        }
        let Some(scheduled_ms) = self.schedule.next(subject.attempts, 0, Some(asked_ms), random) else {
            return Verdict::Exhausted;
        };
        if asked_ms >= subject.left_ms {
            return Verdict::Deadline;
        }
        Verdict::Again { scheduled_ms, asked_ms }
    }
}

/// Header fields that make a request safe to repeat.
const IDEMPOTENCY_KEYS: [&str; 2] = ["idempotency-key", "x-idempotency-key"];
/// Attempts after the first.
pub const MOST_RETRIES: u32 = 10;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::model::resilience::RetrySchedule;
    use crate::model::route::HttpMethod;

    const SUBJECT: Subject = Subject {
        may_repeat: true,
        is_whole: true,
        attempts: 1,
        left_ms: 30_000,
    };

    fn rules(retry: &CallRetry) -> RetryRules {
        let mut problems = Vec::new();
        let rules = RetryRules::compile(retry, Timeouts::default(), &mut problems);
        assert_eq!(problems, []);
        rules.unwrap()
    }

    fn status(status: u16, retry_after_ms: Option<i64>) -> Failure {
        Failure::Status { status, retry_after_ms }
    }

    #[test]
    fn the_table_says_which_answers_are_worth_another_attempt() {
        let rules = rules(&CallRetry::default());
        let again: Vec<u16> = (200..600)
            .filter(|code| rules.judge(status(*code, None), SUBJECT, 0.0) != Verdict::Final)
            .collect();
        assert_eq!(again, [408, 429, 500, 502, 503, 504]);
    }

    #[test]
    fn the_default_makes_three_attempts_and_then_no_more() {
        let rules = rules(&CallRetry::default());
        let at = |attempts| rules.judge(Failure::Unanswered, Subject { attempts, ..SUBJECT }, 0.0);
        let again = |scheduled_ms| Verdict::Again {
            scheduled_ms,
            asked_ms: 0,
        };
        assert_eq!([at(1), at(2), at(3)], [again(100), again(400), Verdict::Exhausted]);
    }

    #[test]
    fn what_must_not_arrive_twice_is_repeated_only_if_it_did_not_arrive() {
        let rules = rules(&CallRetry::default());
        let once = Subject {
            may_repeat: false,
            ..SUBJECT
        };
        assert_eq!(rules.judge(Failure::Unanswered, once, 0.0), Verdict::NotRepeatable);
        assert_eq!(rules.judge(status(503, None), once, 0.0), Verdict::NotRepeatable);
        assert!(matches!(rules.judge(Failure::Unsent, once, 0.0), Verdict::Again { .. }));
        let gone = Subject {
            is_whole: false,
            ..SUBJECT
        };
        assert_eq!(rules.judge(Failure::Unsent, gone, 0.0), Verdict::BodyGone);
    }

    #[test]
    fn idempotent_methods_named_methods_and_keys_may_repeat() {
        let rules = rules(&CallRetry {
            body_methods: vec![HttpMethod::Patch],
            ..CallRetry::default()
        });
        let none = HeaderMap::new();
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::PATCH] {
            assert!(rules.may_repeat(&method, &none), "{method}");
        }
        assert!(!rules.may_repeat(&Method::POST, &none));
        for name in IDEMPOTENCY_KEYS {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("k-1"));
            assert!(rules.may_repeat(&Method::POST, &headers), "{name}");
        }
    }

    #[test]
    fn retry_after_is_waited_for_unless_the_time_is_over_before() {
        let rules = rules(&CallRetry::default());
        let expected = Verdict::Again {
            scheduled_ms: 2_000,
            asked_ms: 2_000,
        };
        assert_eq!(rules.judge(status(429, Some(2_000)), SUBJECT, 0.0), expected);
        let late = rules.judge(status(503, Some(60_000)), SUBJECT, 0.0);
        assert_eq!(late, Verdict::Deadline);
    }

    #[test]
    fn problems_name_the_field() {
        let mut problems = Vec::new();
        let retry = CallRetry {
            schedule: RetrySchedule::List {
                delays_ms: vec![30_000; 11],
                jitter: 0.1,
            },
            statuses: vec!["all".to_owned()],
            budget: RetryBudget {
                percent: 101,
                min_retries: 10_001,
            },
            body_methods: Vec::new(),
        };
        assert!(RetryRules::compile(&retry, Timeouts::default(), &mut problems).is_none());
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        let expected = [
            "retry.statuses[0]",
            "retry.budget.percent",
            "retry.budget.minRetries",
            "retry.schedule",
            "retry.schedule",
        ];
        assert_eq!(paths, expected);
    }
}

//! When an endpoint is left alone.
//!
//! Closed: every attempt goes. Open: none does, until a while has passed. Half-open: one attempt probes the endpoint; each
//! round of good answers doubles how many may be under way, and after the last round the breaker is closed. One bad
//! answer opens it again. Waiting uses up no attempt.

mod window;

use crate::delivery::Health;
use crate::model::Problem;
use crate::model::outbound::handling::OnConsecutive;
use crate::model::problem::join;
pub(crate) use window::Window;

/// Checked settings of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    is_enabled: bool,
    consecutive_failures: u32,
    failure_percent: u32,
    window_ms: i64,
    minimum_attempts: u32,
    open_ms: i64,
    on_consecutive: OnConsecutive,
}

impl BreakerRules {
    /// Rules that never leave an endpoint alone.
    pub const OFF: Self = Self {
        is_enabled: false,
        consecutive_failures: u32::MAX,
        failure_percent: 100,
        window_ms: 60_000,
        minimum_attempts: u32::MAX,
        open_ms: 1_000,
        on_consecutive: OnConsecutive::Open,
    };

    /// Checks `breaker`, which stands at `path`.
    pub fn compile(breaker: &crate::model::outbound::Breaker, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let checks = [
            ("consecutiveFailures", breaker.consecutive_failures, u32::MAX),
            ("failurePercent", breaker.failure_percent, 100),
            ("windowSeconds", breaker.window_seconds, 3_600),
            ("minimumAttempts", breaker.minimum_attempts, u32::MAX),
            ("openSeconds", breaker.open_seconds, 86_400),
        ];
        for (field, value, most) in checks {
            if !(1..=most).contains(&value) {
                let range = if most == u32::MAX {
                    "must be at least 1".to_owned()
                } else {
                    format!("is not between 1 and {most}")
                };
                problems.push(Problem::new(join(path, field), format!("{value} {range}")));
            }
        }
        (problems.len() == before).then_some(Self {
            is_enabled: breaker.enabled,
            consecutive_failures: breaker.consecutive_failures,
            failure_percent: breaker.failure_percent,
            window_ms: i64::from(breaker.window_seconds) * 1_000,
            minimum_attempts: breaker.minimum_attempts,
            open_ms: i64::from(breaker.open_seconds) * 1_000,
            on_consecutive: breaker.on_consecutive,
        })
    }
}

/// What a breaker does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Every attempt goes.
    Closed,
    /// None goes for a while.
    Open,
    /// A few go, to see whether the endpoint works again.
    HalfOpen,
    /// None goes until an operator says so.
    Deactivated,
}

/// Whether an attempt may be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes. Its outcome is to be recorded with the pass.
    Go(Pass),
    /// No: ask again at this time (milliseconds since the epoch), or when another attempt was recorded.
    Wait(i64),
    /// No, and not until an operator says so.
    Deactivated,
}

/// Belongs to one attempt. It tells answers to attempts from before the breaker opened from answers to probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    epoch: u64,
    is_probe: bool,
}

impl Pass {
    /// True if the attempt shows whether the endpoint works again.
    pub fn is_probe(self) -> bool {
        self.is_probe
    }
}

/// The breaker of one endpoint.
#[derive(Clone, Debug)]
pub struct Breaker {
    rules: BreakerRules,
    phase: Phase,
    /// Counts the phases, so that a pass belongs to one of them.
    epoch: u64,
    /// Bad answers in a row, probes included.
    consecutive: u32,
    window: Window,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open {
        until_ms: i64,
    },
    HalfOpen {
        /// How many may be under way.
        allowance: u32,
        under_way: u32,
        /// Good answers of this round.
        good: u32,
        /// When the last one was let go. Probes whose outcome is never recorded are given up after it.
        let_go_ms: i64,
    },
    Deactivated,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(rules: BreakerRules) -> Self {
        Self {
            rules,
            phase: Phase::Closed,
            epoch: 0,
            consecutive: 0,
            window: Window::new(rules.window_ms),
        }
    }

    /// Asks whether an attempt may be made at `now_ms`. A `Go` is to be followed by [`Self::record`].
    pub fn allows(&mut self, now_ms: i64) -> Admission {
        self.advance(now_ms);
        match &mut self.phase {
            Phase::Closed => Admission::Go(self.pass(false)),
            Phase::Open { until_ms } => Admission::Wait(*until_ms),
            Phase::Deactivated => Admission::Deactivated,
            Phase::HalfOpen {
                allowance,
                under_way,
                let_go_ms,
                ..
            } => {
                if *under_way >= *allowance {
                    return Admission::Wait(let_go_ms.saturating_add(PROBE_MS));
                }
                *under_way += 1;
                *let_go_ms = now_ms;
                Admission::Go(self.pass(true))
            }
        }
    }

    /// Takes in what the attempt with this `pass` says of the endpoint.
    pub fn record(&mut self, now_ms: i64, pass: Pass, health: Health) {
        self.advance(now_ms);
        if pass.epoch != self.epoch || !self.rules.is_enabled {
            return;
        }
        match health {
            Health::Good => self.consecutive = 0,
            Health::Bad => self.consecutive = self.consecutive.saturating_add(1),
            Health::Unknown => {}
        }
        match self.phase {
            Phase::Closed => {
                self.window.add(now_ms, health);
                self.judge(now_ms);
            }
            Phase::HalfOpen { .. } => self.record_probe(now_ms, health),
            Phase::Open { .. } | Phase::Deactivated => {}
        }
    }

    /// Stops every attempt until [`Self::resume`].
    pub fn deactivate(&mut self) {
        self.enter(Phase::Deactivated);
    }

    /// Lets attempts go again, one first. Failures so far are forgotten.
    pub fn resume(&mut self, now_ms: i64) {
        self.consecutive = 0;
        self.window.clear();
        self.enter(if self.rules.is_enabled {
            Phase::half_open(now_ms)
        } else {
            Phase::Closed
        });
    }

    /// Goes on with other settings, from where it is.
    pub fn set_rules(&mut self, rules: BreakerRules) {
        if rules.window_ms != self.rules.window_ms {
            self.window = Window::new(rules.window_ms);
        }
        self.rules = rules;
        if !rules.is_enabled && self.phase != Phase::Deactivated {
            self.enter(Phase::Closed);
        }
    }

    /// What it does at the moment; an open one whose time is over still counts as open until it is asked.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
            Phase::Deactivated => State::Deactivated,
        }
    }

    /// How many attempts may be under way at `now_ms`, those that are included.
    pub fn allowance(&mut self, now_ms: i64) -> u32 {
        self.advance(now_ms);
        match self.phase {
            Phase::Closed => u32::MAX,
            Phase::HalfOpen { allowance, .. } => allowance,
            Phase::Open { .. } | Phase::Deactivated => 0,
        }
    }

    /// Moves on with the clock. One that was set back makes no wait longer than it would be from now.
    fn advance(&mut self, now_ms: i64) {
        match &mut self.phase {
            Phase::Open { until_ms } => {
                *until_ms = (*until_ms).min(now_ms.saturating_add(self.rules.open_ms));
                if *until_ms <= now_ms {
                    self.enter(Phase::half_open(now_ms));
                }
            }
            Phase::HalfOpen {
                under_way, let_go_ms, ..
            } => {
                *let_go_ms = (*let_go_ms).min(now_ms);
                if let_go_ms.saturating_add(PROBE_MS) <= now_ms {
                    *under_way = 0;
                }
            }
            Phase::Closed | Phase::Deactivated => {}
        }
    }

    fn judge(&mut self, now_ms: i64) {
        if self.consecutive >= self.rules.consecutive_failures {
            return self.open(now_ms);
        }
        let counted = self.window.count(now_ms);
        let is_failing = u64::from(counted.bad) * 100 >= u64::from(counted.all) * u64::from(self.rules.failure_percent);
        if counted.all >= self.rules.minimum_attempts && is_failing {
            self.open(now_ms);
        }
    }

    fn record_probe(&mut self, now_ms: i64, health: Health) {
        let Phase::HalfOpen {
            allowance,
            under_way,
            good,
            ..
        } = &mut self.phase
        else {
            return;
        };
        *under_way = under_way.saturating_sub(1);
        match health {
            Health::Unknown => {}
            Health::Bad => self.open(now_ms),
            Health::Good => {
                *good += 1;
                if *good >= *allowance {
                    *allowance *= 2;
                    *good = 0;
                }
                if *allowance > LAST_ROUND {
                    self.window.clear();
                    self.enter(Phase::Closed);
                }
            }
        }
    }

    fn open(&mut self, now_ms: i64) {
        let is_final = self.rules.on_consecutive == OnConsecutive::Deactivate
            && self.consecutive >= self.rules.consecutive_failures;
        self.window.clear();
        self.enter(if is_final {
            Phase::Deactivated
        } else {
            Phase::Open {
                until_ms: now_ms.saturating_add(self.rules.open_ms),
            }
        });
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
    }

    fn pass(&self, is_probe: bool) -> Pass {
        Pass {
            epoch: self.epoch,
            is_probe,
        }
    }
}

impl Phase {
    fn half_open(now_ms: i64) -> Self {
        Self::HalfOpen {
            allowance: 1,
            under_way: 0,
            good: 0,
            let_go_ms: now_ms,
        }
    }
}

/// Attempts under way in the last round before the breaker is closed.
const LAST_ROUND: u32 = 16;
/// An attempt whose outcome is not recorded in this time is given up: its task is gone.
const PROBE_MS: i64 = 600_000;

#[cfg(test)]
mod tests;

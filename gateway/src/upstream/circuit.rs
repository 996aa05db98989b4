//! The circuit breaker of one target, with its state in the metrics and in the log.

use filters::delivery::Health;
use filters::delivery::breaker::{Admission, Breaker, BreakerRules, Pass, State};
use prometheus::IntGauge;

use super::Unavailable;
use crate::metrics::Held;

/// A breaker that says when it opens and closes.
#[derive(Debug)]
pub(super) struct Circuit {
    name: String,
    breaker: Breaker,
    gauge: IntGauge,
    /// Held while it is not closed.
    open: Option<Held>,
}

impl Circuit {
    /// A closed one. It is counted in `gauge` while it is not closed, and called `name` in the log.
    pub(super) fn new(name: String, rules: BreakerRules, gauge: IntGauge) -> Self {
        Self {
            name,
            breaker: Breaker::new(rules),
            gauge,
            open: None,
        }
    }

    /// Asks whether an attempt may be made.
    pub(super) fn enter(&mut self, now_ms: i64) -> Result<Pass, Unavailable> {
        match self.breaker.allows(now_ms) {
            Admission::Go(pass) => Ok(pass),
            Admission::Wait(until_ms) => Err(Unavailable::CircuitOpen { until_ms }),
            Admission::Deactivated => Err(Unavailable::Deactivated),
        }
    }

    /// Takes in what an attempt says of the target.
    pub(super) fn record(&mut self, now_ms: i64, pass: Pass, health: Health) {
        self.breaker.record(now_ms, pass, health);
        self.tell();
    }

    /// Probes the target at once, as an operator says so.
    pub(super) fn resume(&mut self, now_ms: i64) {
        if self.state() != State::Closed {
            self.breaker.resume(now_ms);
            self.tell();
        }
    }

    /// What it does at the moment.
    pub(super) fn state(&self) -> State {
        self.breaker.state()
    }

    fn tell(&mut self) {
        let state = self.breaker.state();
        match (state, &self.open) {
            (State::Closed, Some(_)) => {
                tracing::info!(partner = self.name, "the circuit is closed: the target works again");
                self.open = None;
            }
            (State::Open | State::Deactivated, None) => {
                let is_final = state == State::Deactivated;
                tracing::warn!(
                    partner = self.name,
                    is_final,
                    "the circuit is open: the target failed too often"
                );
                self.open = Some(Held::new(&self.gauge));
            }
            _ => {}
        }
    }
}

use std::collections::BTreeMap;

use filters::model::limits::RateLimit;
use filters::model::outbound::Breaker;
use filters::model::outbound::handling::OnConsecutive;

use super::super::hold::Cause;
use super::super::stats::{EndpointState, EndpointStats};
use super::super::subscriptions::{Configured, GRACE_MS, Rules};
use super::super::testing::{breaker_rules, event, open, rules};
use super::*;
use crate::queue::{OpenDelivery, Seq, Step};
use filters::delivery::Health;

mod holds;
mod order;
mod property;
mod sharing;
mod subscriptions;
mod waiting;

type TestLanes = Lanes<()>;

const START_MS: i64 = 1_700_000_000_000;

/// Lanes under a clock that only the test moves.
struct Rig {
    lanes: TestLanes,
    now: Now,
    next_seq: Seq,
}

impl Rig {
    fn new(max_in_flight: usize, memory_bytes: usize) -> Self {
        Self {
            lanes: Lanes::new(max_in_flight, 50, memory_bytes),
            now: Now {
                wall_ms: START_MS,
                mono_us: 0,
            },
            next_seq: 1,
        }
    }

    /// With these subscriptions, and room for all.
    fn with(subscriptions: &[(&str, Rules)]) -> Self {
        let mut rig = Self::new(1000, 1 << 20);
        rig.configure(subscriptions);
        rig
    }

    fn configure(&mut self, subscriptions: &[(&str, Rules)]) {
        self.lanes.begin();
        for (id, rules) in subscriptions {
            let configured = Configured {
                id: (*id).into(),
                endpoint: Arc::new(()),
                rules: rules.clone(),
            };
            self.lanes.configure(configured, self.now);
        }
        self.lanes.end(self.now);
    }

    /// Time passes on both clocks, and the timer rings.
    fn pass(&mut self, ms: i64) {
        self.now.wall_ms += ms;
        self.now.mono_us += ms * 1000;
        while self.lanes.tick(10, self.now) {}
    }

    /// The wall clock is set.
    fn jump(&mut self, ms: i64) {
        self.now.wall_ms += ms;
        while self.lanes.tick(10, self.now) {}
    }

    /// An event with one delivery to `id`, due now.
    fn event(&mut self, id: &str, order_key: Option<u64>) -> Seq {
        self.deliveries(vec![open(0, id, self.now.wall_ms, order_key)])
    }

    fn deliveries(&mut self, deliveries: Vec<OpenDelivery>) -> Seq {
        let seq = self.next_seq;
        self.next_seq += 1;
        let handed = Handed {
            seq,
            accepted_ms: self.now.wall_ms,
            event: Some(event(seq, 100)),
            deliveries,
        };
        self.lanes.hand(handed, self.now);
        seq
    }

    fn next(&mut self) -> Option<Taken<()>> {
        self.lanes.next(self.now)
    }

    /// All that may go out now.
    fn all(&mut self) -> Vec<Taken<()>> {
        std::iter::from_fn(|| self.next()).collect()
    }

    fn answer(&mut self, taken: &Taken<()>, verdict: &Verdict) -> Option<(Arc<str>, Hold)> {
        match &taken.duty {
            Duty::Send { pass, .. } => {
                let failure = (verdict.health == Health::Bad).then(|| Failure {
                    message: "it broke".to_owned(),
                    at_ms: self.now.wall_ms,
                    status: Some(500),
                });
                self.lanes.answered(taken.ticket, *pass, verdict, failure, self.now)
            }
            Duty::Bury { .. } => {
                self.lanes.buried(taken.ticket, self.now);
                None
            }
        }
    }

    fn settle(&mut self, taken: &Taken<()>, next: Next) {
        self.lanes
            .settled(taken.ticket, next, &event(taken.key.seq, 100), self.now);
    }

    fn deliver(&mut self, taken: &Taken<()>) {
        self.answer(taken, &health(Health::Good));
        self.settle(taken, Next::Settled);
    }

    /// It failed, and is due again after `wait_ms`.
    fn fail(&mut self, taken: &Taken<()>, wait_ms: i64) -> Option<(Arc<str>, Hold)> {
        let hold = self.answer(taken, &health(Health::Bad));
        self.settle(taken, again(taken, self.now.wall_ms + wait_ms));
        hold
    }

    fn endpoint(&self, id: &str) -> EndpointStats {
        let mut list = Vec::new();
        let mut from = Some(0);
        while let Some(place) = from {
            from = self.lanes.endpoints(place, 1, self.now, &mut list);
        }
        list.into_iter().find(|endpoint| &*endpoint.id == id).unwrap()
    }
}

fn health(health: Health) -> Verdict {
    Verdict {
        health,
        ..Verdict::default()
    }
}

fn again(taken: &Taken<()>, due_ms: i64) -> Next {
    Next::Again(DeliveryState {
        due_ms,
        attempts: taken.state.attempts + 1,
        ..taken.state.clone()
    })
}

fn seqs(taken: &[Taken<()>]) -> Vec<Seq> {
    taken.iter().map(|taken| taken.key.seq).collect()
}

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

mod property;

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

#[test]
fn a_lane_makes_as_many_attempts_at_a_time_as_it_may() {
    let mut rig = Rig::with(&[("a", rules(1, 3))]);
    for _ in 0..5 {
        rig.event("a", None);
    }
    let taken = rig.all();
    assert_eq!(seqs(&taken), [1, 2, 3]);
    // The endpoint is free as soon as it has answered, although the outcome is not on disk.
    rig.answer(&taken[1], &health(Health::Good));
    let fourth = rig.all();
    assert_eq!(seqs(&fourth), [4]);
    assert_eq!(rig.lanes.counts().in_flight, 4);
    rig.settle(&taken[1], Next::Settled);
    assert_eq!(rig.lanes.counts().in_flight, 3);
    assert!(rig.next().is_none());
}

#[test]
fn those_of_one_order_go_out_one_after_the_other_and_a_failure_holds_the_rest() {
    let mut rig = Rig::with(&[("a", rules(1, 10))]);
    for _ in 0..3 {
        rig.event("a", Some(7));
    }
    rig.event("a", Some(8));
    let taken = rig.all();
    assert_eq!(seqs(&taken), [1, 4]);
    rig.fail(&taken[0], 5_000);
    assert!(rig.next().is_none(), "2 and 3 wait for 1");
    rig.pass(4_999);
    assert!(rig.next().is_none());
    rig.pass(1);
    let retried = rig.all();
    assert_eq!(seqs(&retried), [1]);
    assert_eq!(retried[0].state.attempts, 1);
    rig.answer(&retried[0], &health(Health::Good));
    assert!(rig.next().is_none(), "2 waits until the outcome of 1 is on disk");
    rig.settle(&retried[0], Next::Settled);
    let second = rig.all();
    assert_eq!(seqs(&second), [2]);
    let dead = Next::Dead {
        state: second[0].state.clone(),
        retry_ms: Some(rig.now.wall_ms + 1),
    };
    rig.answer(&second[0], &health(Health::Unknown));
    rig.settle(&second[0], dead);
    assert_eq!(seqs(&rig.all()), [3], "a dead letter lets the others pass");
}

#[test]
fn an_order_holds_over_the_steps_of_a_delivery() {
    let mut rig = Rig::with(&[("a", rules(1, 10))]);
    rig.event("a", Some(7));
    rig.event("a", Some(7));
    let first = rig.next().unwrap();
    let second_step = DeliveryState {
        step: Step::Forward(1),
        due_ms: rig.now.wall_ms + 1000,
        ..first.state.clone()
    };
    rig.answer(&first, &health(Health::Good));
    rig.settle(&first, Next::Again(second_step));
    assert!(rig.next().is_none());
    // The wait between steps is a span of time: setting the clock changes nothing.
    rig.jump(-3_600_000);
    rig.pass(1000);
    let first = rig.next().unwrap();
    assert_eq!((first.key.seq, first.state.step), (1, Step::Forward(1)));
    assert!(rig.next().is_none());
    rig.deliver(&first);
    assert_eq!(rig.next().unwrap().key.seq, 2);
}

#[test]
fn waiting_behind_an_open_breaker_uses_up_no_attempt_and_one_probe_goes_first() {
    let breaker = Breaker {
        consecutive_failures: 2,
        open_seconds: 30,
        ..Breaker::default()
    };
    let mut lane = rules(1, 10);
    lane.breaker = breaker_rules(&breaker);
    let mut rig = Rig::with(&[("a", lane)]);
    for _ in 0..20 {
        rig.event("a", None);
    }
    for _ in 0..2 {
        let taken = rig.next().unwrap();
        rig.fail(&taken, 1_000);
    }
    assert_eq!(rig.endpoint("a").state, EndpointState::CircuitOpen);
    rig.pass(29_000);
    assert!(rig.next().is_none());
    assert_eq!(rig.endpoint("a").next_ms, Some(rig.now.wall_ms + 1_000));
    rig.pass(1_000);
    let probe = rig.all();
    assert_eq!(probe.len(), 1);
    assert_eq!(probe[0].state.attempts, 0);
    rig.fail(&probe[0], 1_000);
    assert!(rig.next().is_none(), "the probe failed");
    rig.pass(30_000);
    let mut rounds = Vec::new();
    loop {
        let round = rig.all();
        if round.is_empty() {
            break;
        }
        rounds.push(round.len());
        for taken in &round {
            rig.deliver(taken);
        }
    }
    assert_eq!(rounds[..3], [1, 2, 4], "{rounds:?}");
    assert_eq!(rounds.iter().sum::<usize>(), 20);
    assert_eq!(rig.lanes.counts().open, 0);
}

#[test]
fn an_event_that_cannot_be_read_gives_the_probe_back() {
    let mut lane = rules(1, 10);
    lane.breaker = breaker_rules(&Breaker {
        consecutive_failures: 1,
        ..Breaker::default()
    });
    let mut rig = Rig::with(&[("a", lane)]);
    rig.event("a", None);
    let taken = rig.next().unwrap();
    rig.fail(&taken, 0);
    rig.pass(30_000);
    let probe = rig.next().unwrap();
    let Duty::Send { pass, .. } = probe.duty else {
        panic!("not a burial");
    };
    let failure = Failure {
        message: "the disk".to_owned(),
        at_ms: 0,
        status: None,
    };
    rig.lanes.unsent(probe.ticket, Some(pass), failure, 1_000, rig.now);
    assert!(rig.next().is_none());
    assert_eq!(rig.lanes.counts().in_flight, 0);
    rig.pass(1_000);
    let probe = rig.next().unwrap();
    assert_eq!(probe.state.attempts, 1);
    rig.deliver(&probe);
}

#[test]
fn a_lane_keeps_its_rate() {
    let mut lane = rules(1, 100);
    lane.rate = Some(RateLimit {
        max_requests: 5,
        window_seconds: 10,
    });
    let mut rig = Rig::with(&[("a", lane)]);
    for _ in 0..20 {
        rig.event("a", None);
    }
    assert_eq!(rig.all().len(), 5);
    assert_eq!(rig.endpoint("a").state, EndpointState::RateLimited);
    rig.pass(1_999);
    assert_eq!(rig.all().len(), 0);
    rig.pass(1);
    assert_eq!(rig.all().len(), 1);
    rig.pass(4_000);
    assert_eq!(rig.all().len(), 2);
}

#[test]
fn an_endpoint_that_asks_for_a_pause_gets_one() {
    let mut rig = Rig::with(&[("a", rules(1, 2)), ("b", rules(1, 2))]);
    for _ in 0..4 {
        rig.event("a", None);
        rig.event("b", None);
    }
    let taken = rig.all();
    let of_a = taken.iter().find(|taken| taken.key.seq == 1).unwrap();
    let pause = Verdict {
        pause_until_ms: Some(rig.now.wall_ms + 60_000),
        ..Verdict::default()
    };
    rig.answer(of_a, &pause);
    rig.settle(of_a, Next::Settled);
    assert!(rig.next().is_none());
    assert_eq!(rig.endpoint("a").state, EndpointState::Waiting);
    rig.jump(3_600_000);
    assert!(rig.next().is_none(), "setting the clock does not end a pause");
    rig.pass(60_000);
    assert_eq!(rig.all().len(), 1);
}

#[test]
fn a_disabled_endpoint_keeps_its_deliveries_until_an_operator_enables_it() {
    let mut rig = Rig::with(&[("a", rules(1, 2))]);
    for _ in 0..3 {
        rig.event("a", None);
    }
    let taken = rig.next().unwrap();
    let gone = Verdict {
        disable: Some("410".to_owned()),
        ..Verdict::default()
    };
    let (id, hold) = rig.answer(&taken, &gone).unwrap();
    assert_eq!((&*id, hold.cause), ("a", Cause::Disabled));
    rig.settle(&taken, Next::Settled);
    rig.pass(1_000_000);
    assert!(rig.next().is_none());
    assert_eq!(rig.endpoint("a").state, EndpointState::Held(hold));
    assert!(rig.lanes.hold("a", None, rig.now));
    assert_eq!(rig.all().len(), 2);
    assert!(!rig.lanes.hold("b", None, rig.now));
}

#[test]
fn a_breaker_that_gives_up_holds_the_endpoint_and_resuming_probes_it() {
    let mut lane = rules(1, 10);
    lane.breaker = breaker_rules(&Breaker {
        consecutive_failures: 1,
        on_consecutive: OnConsecutive::Deactivate,
        ..Breaker::default()
    });
    let mut rig = Rig::with(&[("a", lane)]);
    for _ in 0..3 {
        rig.event("a", None);
    }
    let taken = rig.next().unwrap();
    let (_, hold) = rig.fail(&taken, 0).unwrap();
    assert_eq!(hold.cause, Cause::Deactivated);
    assert!(hold.reason.contains("it broke"), "{}", hold.reason);
    rig.pass(10_000_000);
    assert!(rig.next().is_none());
    rig.lanes.hold("a", None, rig.now);
    assert_eq!(rig.all().len(), 1, "one attempt goes first");
}

#[test]
fn a_hold_from_before_a_restart_holds() {
    let mut rig = Rig::new(10, 1 << 20);
    rig.lanes.restore(&"a".into(), Hold::paused(5), rig.now);
    rig.event("a", None);
    rig.configure(&[("a", rules(1, 1))]);
    assert!(rig.next().is_none());
    rig.lanes.hold("a", None, rig.now);
    assert!(rig.next().is_some());
}

#[test]
fn deliveries_wait_for_a_configuration_and_for_activation() {
    let mut rig = Rig::new(10, 1 << 20);
    rig.event("a", None);
    rig.pass(10 * GRACE_MS);
    assert!(rig.next().is_none());
    assert_eq!(rig.endpoint("a").state, EndpointState::Unknown);
    let mut inactive = rules(1, 1);
    inactive.is_active = false;
    rig.configure(&[("a", inactive)]);
    rig.pass(10 * GRACE_MS);
    assert!(rig.next().is_none());
    assert_eq!(rig.endpoint("a").state, EndpointState::Inactive);
    rig.configure(&[("a", rules(1, 1))]);
    assert!(rig.next().is_some());
}

#[test]
fn deliveries_of_a_deleted_subscription_are_buried_and_then_it_is_forgotten() {
    let mut rig = Rig::with(&[("a", rules(1, 10)), ("b", rules(1, 10))]);
    let flying = rig.event("a", Some(1));
    for _ in 0..9 {
        rig.event("a", Some(1));
    }
    let later = open(0, "a", rig.now.wall_ms + 86_400_000, None);
    rig.deliveries(vec![later]);
    let first = rig.next().unwrap();
    assert_eq!(first.key.seq, flying);
    rig.configure(&[("b", rules(1, 10))]);
    rig.pass(GRACE_MS - 1);
    assert!(rig.next().is_none(), "it may come back");
    assert_eq!(rig.endpoint("a").state, EndpointState::Missing);
    rig.pass(1);
    let mut buried = Vec::new();
    loop {
        let round = rig.all();
        if round.is_empty() {
            break;
        }
        for taken in round {
            let Duty::Bury { id, last } = &taken.duty else {
                panic!("it must not be sent");
            };
            assert!(&**id == "a" && last.is_some());
            rig.lanes.buried(taken.ticket, rig.now);
            buried.push(taken.key.seq);
            rig.settle(&taken, Next::Settled);
        }
        if buried.len() == 1 {
            rig.deliver(&first);
        }
    }
    buried.sort_unstable();
    assert_eq!(buried, (2..=11).collect::<Vec<_>>());
    assert_eq!(rig.lanes.counts().open, 0);
    assert!(!rig.lanes.knows("a") && rig.lanes.knows("b"));
    rig.event("b", None);
    assert_eq!(rig.all().len(), 1);
}

#[test]
fn a_subscription_that_comes_back_goes_on_as_before() {
    let mut rig = Rig::with(&[("a", rules(1, 1))]);
    let due = rig.now.wall_ms + 10 * GRACE_MS;
    rig.deliveries(vec![open(0, "a", due, None)]);
    rig.event("a", None);
    rig.configure(&[]);
    rig.pass(GRACE_MS);
    // One is being buried while it comes back; the other one must not go out before its time.
    let burying = rig.next().unwrap();
    assert!(matches!(burying.duty, Duty::Bury { .. }));
    rig.configure(&[("a", rules(1, 1))]);
    rig.lanes.buried(burying.ticket, rig.now);
    rig.settle(&burying, Next::Settled);
    assert!(rig.next().is_none());
    rig.pass(9 * GRACE_MS);
    assert!(matches!(rig.next().unwrap().duty, Duty::Send { .. }));
}

#[test]
fn an_event_that_is_faster_than_its_configuration_is_not_lost() {
    let mut rig = Rig::with(&[]);
    rig.event("new", None);
    rig.pass(GRACE_MS / 2);
    rig.configure(&[("new", rules(1, 1))]);
    let taken = rig.next().unwrap();
    assert!(matches!(taken.duty, Duty::Send { .. }));
}

#[test]
fn the_clock_may_be_set_back_or_forth_by_an_hour() {
    const HOUR: i64 = 3_600_000;
    for jump in [-HOUR, HOUR] {
        let mut rig = Rig::with(&[("a", rules(1, 100))]);
        for _ in 0..10 {
            rig.event("a", None);
        }
        for taken in rig.all() {
            rig.fail(&taken, 5_000);
        }
        let at_noon = rig.now.wall_ms + 2 * HOUR;
        rig.deliveries(vec![open(0, "a", at_noon, None)]);
        rig.pass(1_000);
        rig.jump(jump);
        assert!(rig.next().is_none(), "retries do not all come at once ({jump})");
        // Accepted before the jump, handed over after it.
        let accepted_ms = rig.now.wall_ms - jump;
        let late = Handed {
            seq: 1000,
            accepted_ms,
            event: None,
            deliveries: vec![open(0, "a", accepted_ms, None)],
        };
        rig.lanes.hand(late, rig.now);
        assert_eq!(seqs(&rig.all()), [1000], "{jump}");
        rig.pass(4_000);
        let retried = rig.all();
        assert_eq!(retried.len(), 10, "retries are not an hour late ({jump})");
        rig.pass(at_noon - rig.now.wall_ms - 1);
        assert!(rig.next().is_none());
        rig.pass(1);
        assert_eq!(
            rig.all().len(),
            1,
            "a time of day is what the clock on the wall says ({jump})"
        );
    }
}

#[test]
fn one_organization_with_much_to_do_does_not_hold_up_another() {
    let mut rig = Rig::new(8, 1 << 20);
    rig.configure(&[("busy", rules(1, 100)), ("calm", rules(2, 100))]);
    for _ in 0..100 {
        rig.event("busy", None);
    }
    for _ in 0..10 {
        rig.event("calm", None);
    }
    let mut done: Vec<Seq> = Vec::new();
    let mut flying: std::collections::VecDeque<_> = rig.all().into();
    while let Some(taken) = flying.pop_front() {
        done.push(taken.key.seq);
        rig.deliver(&taken);
        flying.extend(rig.all());
    }
    assert_eq!(done.len(), 110);
    let last_calm = done.iter().position(|seq| *seq == 110).unwrap();
    assert!(last_calm < 30, "{last_calm}");
}

#[test]
fn endpoints_that_hang_leave_room_for_the_others() {
    let hung: Vec<String> = (0..20).map(|number| format!("hung{number}")).collect();
    let mut all: Vec<(&str, Rules)> = hung.iter().map(|id| (&**id, rules(1, 1000))).collect();
    all.push(("same organization", rules(1, 10)));
    all.push(("other organization", rules(2, 10)));
    let mut rig = Rig::new(1024, 1 << 20);
    rig.configure(&all);
    for id in &hung {
        for _ in 0..100 {
            rig.event(id, None);
        }
    }
    let stuck = rig.all();
    assert!(stuck.len() < 1024, "{}", stuck.len());
    for id in ["same organization", "other organization"] {
        for _ in 0..1000 {
            let seq = rig.event(id, None);
            let taken = rig.next().unwrap();
            assert_eq!(taken.key.seq, seq);
            rig.deliver(&taken);
        }
    }
}

#[test]
fn memory_stays_within_its_budget_and_one_subscription_takes_only_a_part_of_it() {
    let budget = 64 * 1024;
    let mut rig = Rig::new(10, budget);
    rig.configure(&[("stuck", rules(1, 1)), ("other", rules(1, 1))]);
    for _ in 0..1000 {
        rig.event("stuck", None);
    }
    let of_stuck = rig.lanes.counts().memory_bytes;
    assert!(of_stuck > 0 && of_stuck <= budget / 8, "{of_stuck}");
    let seq = rig.event("other", None);
    let taken = rig.all();
    let kept: BTreeMap<Seq, bool> = taken
        .iter()
        .map(|taken| (taken.key.seq, taken.event.is_some()))
        .collect();
    assert_eq!(kept, BTreeMap::from([(1, true), (seq, true)]));
    let later = open(0, "other", rig.now.wall_ms + 86_400_000, None);
    let before = rig.lanes.counts().memory_bytes;
    rig.deliveries(vec![later]);
    assert_eq!(
        rig.lanes.counts().memory_bytes,
        before,
        "what is due tomorrow is not kept in memory"
    );
    let mut flying = taken;
    let mut read_back = 0;
    while let Some(taken) = flying.pop() {
        read_back += usize::from(taken.event.is_none());
        rig.deliver(&taken);
        flying.extend(rig.all());
    }
    assert!(read_back > 900, "{read_back}");
    let left = rig.lanes.counts();
    assert_eq!((left.open, left.memory_bytes), (1, 0));
}

#[test]
fn a_delivery_can_be_taken_out_unless_it_is_in_flight() {
    let mut rig = Rig::with(&[("a", rules(1, 1))]);
    let flying = rig.event("a", Some(1));
    let behind = rig.event("a", Some(1));
    let last = rig.event("a", Some(1));
    let ready = rig.event("a", None);
    let later = rig.deliveries(vec![open(0, "a", rig.now.wall_ms + 1000, None)]);
    let taken = rig.next().unwrap();
    let keys: Vec<DeliveryKey> = [flying, behind, ready, later, 99]
        .into_iter()
        .map(|seq| DeliveryKey { seq, number: 0 })
        .collect();
    let mut gone: Vec<Seq> = rig.lanes.withdraw(&keys, rig.now).iter().map(|key| key.seq).collect();
    gone.sort_unstable();
    assert_eq!(gone, [behind, ready, later]);
    rig.deliver(&taken);
    assert_eq!(seqs(&rig.all()), [last]);
    rig.pass(10_000);
    assert!(rig.next().is_none());
    assert_eq!(rig.lanes.counts().open, 1);
}

#[test]
fn while_the_queue_cannot_write_nothing_is_sent() {
    let mut rig = Rig::with(&[("a", rules(1, 10))]);
    rig.event("a", None);
    rig.lanes.cannot_write(true);
    rig.lanes.cannot_write(true);
    assert!(rig.next().is_none());
    rig.lanes.cannot_write(false);
    assert!(rig.next().is_none());
    rig.lanes.cannot_write(false);
    rig.lanes.limit(0);
    assert!(rig.next().is_none(), "there is no room for its record");
    rig.lanes.limit(10);
    rig.lanes.stop(true);
    assert!(rig.next().is_none());
    rig.lanes.stop(false);
    assert!(rig.next().is_some());
}

#[test]
fn new_rules_hold_at_once() {
    let mut rig = Rig::with(&[("a", rules(1, 1))]);
    for _ in 0..10 {
        rig.event("a", None);
    }
    let mut taken = rig.all();
    assert_eq!(taken.len(), 1);
    rig.configure(&[("a", rules(1, 4))]);
    taken.extend(rig.all());
    assert_eq!(taken.len(), 4);
    rig.configure(&[("a", rules(1, 2))]);
    for taken in &taken[..2] {
        rig.deliver(taken);
        assert!(rig.next().is_none());
    }
    rig.deliver(&taken[2]);
    assert_eq!(rig.all().len(), 1);
}

use proptest::prelude::*;

use super::*;
use crate::model::outbound;

fn rules(change: impl FnOnce(&mut outbound::Breaker)) -> BreakerRules {
    let mut breaker = outbound::Breaker::default();
    change(&mut breaker);
    let mut problems = Vec::new();
    let rules = BreakerRules::compile(&breaker, "breaker", &mut problems);
    assert_eq!(problems, []);
    rules.unwrap()
}

fn breaker(change: impl FnOnce(&mut outbound::Breaker)) -> Breaker {
    Breaker::new(rules(change))
}

fn go(breaker: &mut Breaker, now_ms: i64) -> Pass {
    match breaker.allows(now_ms) {
        Admission::Go(pass) => pass,
        other => panic!("{other:?} at {now_ms}"),
    }
}

fn attempt(breaker: &mut Breaker, now_ms: i64, health: Health) {
    let pass = go(breaker, now_ms);
    breaker.record(now_ms, pass, health);
}

fn open(breaker: &mut Breaker, now_ms: i64) {
    while breaker.state() == State::Closed {
        attempt(breaker, now_ms, Health::Bad);
    }
}

#[test]
fn five_failures_in_a_row_open_it() {
    let mut breaker = breaker(|_| {});
    for _ in 0..4 {
        attempt(&mut breaker, 0, Health::Bad);
    }
    attempt(&mut breaker, 0, Health::Good);
    for _ in 0..4 {
        attempt(&mut breaker, 0, Health::Bad);
    }
    // It says nothing of the endpoint, so the row goes on.
    attempt(&mut breaker, 0, Health::Unknown);
    assert_eq!(breaker.state(), State::Closed);
    attempt(&mut breaker, 0, Health::Bad);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.allows(0), Admission::Wait(30_000));
    assert_eq!(breaker.allows(29_999), Admission::Wait(30_000));
}

#[test]
fn a_share_of_failures_opens_it_from_the_minimum_on() {
    let mut breaker = breaker(|breaker| breaker.consecutive_failures = 1_000);
    for second in 0..9 {
        attempt(&mut breaker, second * 1_000, Health::Bad);
        attempt(&mut breaker, second * 1_000, Health::Good);
    }
    attempt(&mut breaker, 9_000, Health::Bad);
    assert_eq!(breaker.state(), State::Closed, "19 attempts are fewer than the minimum");
    attempt(&mut breaker, 9_000, Health::Bad);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn failures_that_left_the_window_do_not_count() {
    let mut breaker = breaker(|breaker| {
        breaker.consecutive_failures = 1_000;
        breaker.minimum_attempts = 2;
        breaker.failure_percent = 60;
    });
    attempt(&mut breaker, 0, Health::Bad);
    attempt(&mut breaker, 61_000, Health::Good);
    attempt(&mut breaker, 61_000, Health::Bad);
    assert_eq!(breaker.state(), State::Closed);
    attempt(&mut breaker, 61_000, Health::Bad);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn one_probe_at_a_time_and_then_gradually_more() {
    let mut breaker = breaker(|_| {});
    open(&mut breaker, 0);
    let probe = go(&mut breaker, 30_000);
    assert!(probe.is_probe());
    assert!(matches!(breaker.allows(30_000), Admission::Wait(until_ms) if until_ms > 30_000));
    breaker.record(31_000, probe, Health::Good);
    let mut now_ms = 31_000;
    for allowance in [2, 4, 8, 16] {
        assert_eq!(breaker.allowance(now_ms), allowance);
        let passes: Vec<Pass> = (0..allowance).map(|_| go(&mut breaker, now_ms)).collect();
        assert!(matches!(breaker.allows(now_ms), Admission::Wait(_)));
        now_ms += 1_000;
        for pass in passes {
            breaker.record(now_ms, pass, Health::Good);
        }
    }
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.allowance(now_ms), u32::MAX);
}

#[test]
fn a_bad_probe_opens_it_again() {
    let mut breaker = breaker(|_| {});
    open(&mut breaker, 0);
    attempt(&mut breaker, 30_000, Health::Bad);
    assert_eq!(breaker.allows(30_001), Admission::Wait(60_000));
}

#[test]
fn a_probe_that_says_nothing_lets_another_one_go() {
    let mut breaker = breaker(|_| {});
    open(&mut breaker, 0);
    attempt(&mut breaker, 30_000, Health::Unknown);
    assert_eq!(breaker.state(), State::HalfOpen);
    assert!(go(&mut breaker, 30_000).is_probe());
}

#[test]
fn answers_to_attempts_from_before_are_no_probes() {
    let mut breaker = breaker(|_| {});
    let early = go(&mut breaker, 0);
    open(&mut breaker, 0);
    let probe = go(&mut breaker, 30_000);
    breaker.record(30_000, early, Health::Good);
    assert_eq!(breaker.allowance(30_000), 1, "the early answer is not the probe's");
    breaker.record(30_000, early, Health::Bad);
    assert_eq!(breaker.state(), State::HalfOpen);
    breaker.record(30_000, probe, Health::Good);
    assert_eq!(breaker.allowance(30_000), 2);
}

#[test]
fn a_lost_probe_is_given_up() {
    let mut breaker = breaker(|_| {});
    open(&mut breaker, 0);
    let _lost = go(&mut breaker, 30_000);
    let Admission::Wait(until_ms) = breaker.allows(30_000) else {
        panic!("a second probe at once");
    };
    assert!(go(&mut breaker, until_ms).is_probe());
}

#[test]
fn failures_in_a_row_may_deactivate() {
    let mut breaker = breaker(|breaker| breaker.on_consecutive = OnConsecutive::Deactivate);
    open(&mut breaker, 0);
    assert_eq!(breaker.allows(i64::MAX), Admission::Deactivated);
    breaker.resume(1_000);
    assert!(go(&mut breaker, 1_000).is_probe(), "resumed with care");
}

#[test]
fn failed_probes_count_towards_deactivation() {
    let mut breaker = breaker(|breaker| {
        breaker.on_consecutive = OnConsecutive::Deactivate;
        breaker.minimum_attempts = 2;
    });
    attempt(&mut breaker, 0, Health::Bad);
    attempt(&mut breaker, 0, Health::Bad);
    assert_eq!(breaker.state(), State::Open, "by the share");
    attempt(&mut breaker, 30_000, Health::Bad);
    attempt(&mut breaker, 60_000, Health::Bad);
    assert_eq!(breaker.state(), State::Open);
    attempt(&mut breaker, 90_000, Health::Bad);
    assert_eq!(breaker.state(), State::Deactivated);
}

#[test]
fn an_operator_or_a_410_may_deactivate_even_without_a_breaker() {
    let mut breaker = breaker(|breaker| breaker.enabled = false);
    for _ in 0..100 {
        attempt(&mut breaker, 0, Health::Bad);
    }
    breaker.deactivate();
    assert_eq!(breaker.allows(0), Admission::Deactivated);
    assert_eq!(breaker.allowance(0), 0);
    breaker.resume(0);
    assert!(!go(&mut breaker, 0).is_probe());
}

#[test]
fn new_settings_keep_the_phase() {
    let mut breaker = breaker(|_| {});
    open(&mut breaker, 0);
    breaker.set_rules(rules(|breaker| breaker.open_seconds = 10));
    assert_eq!(breaker.allows(0), Admission::Wait(10_000));
    breaker.set_rules(rules(|breaker| breaker.enabled = false));
    assert!(!go(&mut breaker, 0).is_probe());
    breaker.deactivate();
    breaker.set_rules(rules(|_| {}));
    assert_eq!(breaker.state(), State::Deactivated);
}

#[test]
fn a_clock_set_back_makes_no_wait_longer() {
    let mut breaker = breaker(|_| {});
    let day_ms = 86_400_000;
    open(&mut breaker, day_ms);
    assert_eq!(breaker.allows(0), Admission::Wait(30_000));
    let _lost = go(&mut breaker, day_ms);
    let Admission::Wait(until_ms) = breaker.allows(0) else {
        panic!("a second probe at once");
    };
    assert!(until_ms <= PROBE_MS);
}

#[test]
fn problems_name_the_field() {
    let bad = outbound::Breaker {
        consecutive_failures: 0,
        failure_percent: 101,
        window_seconds: 3_601,
        minimum_attempts: 0,
        open_seconds: 0,
        ..outbound::Breaker::default()
    };
    let mut problems = Vec::new();
    assert!(BreakerRules::compile(&bad, "breaker", &mut problems).is_none());
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "breaker.consecutiveFailures",
            "breaker.failurePercent",
            "breaker.windowSeconds",
            "breaker.minimumAttempts",
            "breaker.openSeconds"
        ]
    );
}

fn healths() -> impl Strategy<Value = Health> {
    prop_oneof![Just(Health::Good), Just(Health::Bad), Just(Health::Unknown)]
}

proptest! {
    /// Whatever happened, and whatever the clock did: an endpoint that works is delivered to freely again.
    #[test]
    fn it_never_wedges(steps in prop::collection::vec((-7_200_000_i64..7_200_000, healths(), any::<bool>()), 0..200)) {
        let mut breaker = breaker(|_| {});
        let mut now_ms = 1_700_000_000_000;
        for (passed_ms, health, is_lost) in steps {
            now_ms += passed_ms;
            match breaker.allows(now_ms) {
                Admission::Go(_) if is_lost => {}
                Admission::Go(pass) => breaker.record(now_ms, pass, health),
                Admission::Wait(until_ms) => {
                    prop_assert!(until_ms > now_ms && until_ms <= now_ms + PROBE_MS);
                }
                Admission::Deactivated => prop_assert!(false, "nobody deactivates"),
            }
        }
        for _ in 0..100 {
            match breaker.allows(now_ms) {
                Admission::Go(pass) => breaker.record(now_ms, pass, Health::Good),
                Admission::Wait(until_ms) => now_ms = until_ms,
                Admission::Deactivated => prop_assert!(false, "nobody deactivates"),
            }
        }
        prop_assert_eq!(breaker.state(), State::Closed);
    }

    /// However many ask: half-open, no more are under way than the allowance, and open, none goes.
    #[test]
    fn the_allowance_holds(steps in prop::collection::vec((0_i64..60_000, any::<bool>(), healths()), 0..300)) {
        let mut breaker = breaker(|_| {});
        let mut now_ms = 0;
        let mut under_way: Vec<Pass> = Vec::new();
        for (passed_ms, is_asking, health) in steps {
            // Probes are not under way for so long that they are given up.
            now_ms += passed_ms.min(PROBE_MS / 300);
            if is_asking {
                let before = breaker.state();
                if let Admission::Go(pass) = breaker.allows(now_ms) {
                    under_way.push(pass);
                    let probes = under_way.iter().filter(|other| other.epoch == pass.epoch).count();
                    prop_assert!(!pass.is_probe() || probes <= breaker.allowance(now_ms) as usize);
                    prop_assert!(before != State::Open || pass.is_probe());
                }
            } else if !under_way.is_empty() {
                let pass = under_way.remove(0);
                breaker.record(now_ms, pass, health);
            }
        }
    }
}

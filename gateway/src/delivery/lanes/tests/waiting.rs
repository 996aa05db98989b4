//! What keeps a lane waiting: breaker, rate, pauses, time.

use super::*;

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
    rig.lanes
        .answered(probe.ticket, pass, &Verdict::default(), Some(failure), rig.now);
    rig.lanes.undone(probe.ticket, 1_000, rig.now);
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

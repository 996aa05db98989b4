//! Endpoints that are held.

use super::*;

#[test]
fn a_disabled_endpoint_keeps_its_deliveries_until_an_operator_enables_it() {
    let mut rig = Rig::with(&[("a", with_a_breaker(2))]);
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
    assert_eq!(rig.all().len(), 1, "one attempt goes first");
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
fn an_endpoint_that_was_at_fault_before_a_restart_is_probed_when_it_is_resumed() {
    for (hold, at_once) in [
        ("disabled: 410", 1),
        ("deactivated: it broke", 1),
        ("paused: by hand", 3),
    ] {
        let mut rig = Rig::new(10, 1 << 20);
        rig.lanes.restore(&"a".into(), Hold::read(hold, 5), rig.now);
        for _ in 0..3 {
            rig.event("a", None);
        }
        rig.configure(&[("a", with_a_breaker(10))]);
        rig.lanes.hold("a", None, rig.now);
        assert_eq!(rig.all().len(), at_once, "{hold}");
    }
}

fn with_a_breaker(max_concurrency: u32) -> Rules {
    let mut rules = rules(1, max_concurrency);
    rules.breaker = breaker_rules(&Breaker::default());
    rules
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

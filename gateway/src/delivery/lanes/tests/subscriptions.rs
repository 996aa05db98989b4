//! Subscriptions that come, change and go.

use super::*;

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

//! Who gets attempts and memory.

use super::*;

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
    let mut gone: Vec<Seq> = rig
        .lanes
        .withdraw(&keys, 0, rig.now)
        .0
        .iter()
        .map(|key| key.seq)
        .collect();
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

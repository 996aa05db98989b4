//! Deliveries of one order.

use super::*;

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

use std::sync::Arc;

use bytes::Bytes;
use filters::delivery::{Answer, AttemptResult};
use filters::model::push::Object;
use filters::model::{Security, Snapshot};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_000_000_000_000;

/// A subscription with `change` made to it.
fn subscription(change: &Value) -> Arc<Subscription> {
    let mut value = json!({"id": "s", "name": "s", "orgId": 1, "eventType": "bill.*", "direction": "OUTBOUND",
        "targetUrl": "https://partner.example/hook",
        "retry": {"type": "list", "delaysMs": [1_000, 2_000, 4_000], "jitter": 0.0}});
    let (Some(fields), Some(change)) = (value.as_object_mut(), change.as_object()) else {
        panic!("{change} is no object");
    };
    fields.extend(change.clone());
    let objects = vec![
        Object::Security(Security::default()),
        Object::Outbound(Arc::new(serde_json::from_value(value).unwrap())),
    ];
    let snapshot = Snapshot::default().changed(1, objects, &[]);
    let plan = filters::compile(&snapshot, None).unwrap();
    Arc::clone(plan.events.subscription("s").unwrap())
}

/// Three steps; the first and the second can be undone.
fn saga() -> Arc<Subscription> {
    let undo = |path: &str| json!({"targetUrl": format!("https://partner.example/{path}"), "httpMethod": "DELETE"});
    subscription(&json!({"actions": [
        {"name": "reserve", "compensate": undo("reserve")},
        {"name": "charge", "compensate": undo("charge"), "delayMs": 500},
        {"name": "ship"},
    ]}))
}

fn state() -> DeliveryState {
    DeliveryState {
        id: Uuid::now_v7(),
        trigger: TriggerType::Event,
        due_ms: NOW - 50,
        attempts: 0,
        order_key: None,
        step: Step::Forward(0),
        answers: None,
        occurrences: 0,
        dead_retries: None,
        payload: None,
    }
}

fn ended(subscription: &Subscription, status: u16) -> Ended {
    let answer = Answer {
        status,
        ..Answer::default()
    };
    Ended {
        now_ms: NOW,
        judged: subscription.statuses.classify(AttemptResult::Answer(answer)),
        status: Some(status),
        error: format!("status {status}"),
        answer: Some(StepAnswer::of(status, &Bytes::from_static(b"{\"id\":7}"), true)),
        unwanted: false,
    }
}

/// What becomes of `state` after an answer with `status`.
fn after(subscription: &Subscription, state: &DeliveryState, status: u16) -> Course {
    let memory = Memory::of(state.answers.as_deref());
    course(subscription, state, memory, &ended(subscription, status), 0.0)
}

fn dead(course: Course) -> Dead {
    match course {
        Course::Dead(dead) => dead,
        other => panic!("{other:?} is no dead letter"),
    }
}

fn again(course: Course) -> DeliveryState {
    match course {
        Course::Again(state) => state,
        other => panic!("{other:?} is no repeat"),
    }
}

fn undo(course: Course) -> DeliveryState {
    match course {
        Course::Undo(state) => state,
        other => panic!("{other:?} undoes nothing"),
    }
}

#[test]
fn a_delivery_of_one_step_is_done_when_it_is_delivered() {
    assert_eq!(after(&subscription(&json!({})), &state(), 200), Course::Done);
    assert_eq!(after(&subscription(&json!({})), &state(), 409), Course::Done);
}

#[test]
fn a_failure_is_repeated_by_the_schedule_and_then_a_dead_letter() {
    let subscription = subscription(&json!({}));
    let first = state();
    let mut next = first.clone();
    for (attempts, delay_ms) in [(1, 1_000), (2, 2_000), (3, 4_000)] {
        next = again(after(&subscription, &next, 500));
        assert_eq!((next.attempts, next.due_ms), (attempts, NOW + delay_ms));
        assert_eq!(next.id, first.id, "the endpoint knows a repeat by its id");
    }
    let dead = dead(after(&subscription, &next, 500));
    assert_eq!(
        (dead.failed.id, dead.failed.attempts, dead.failed.status),
        (first.id, 4, Some(500))
    );
    assert_eq!(dead.failed.category, ErrorCategory::ServerError);
    assert_eq!(dead.retry_ms, Some(NOW + 3_600_000));
    assert_eq!((dead.state.attempts, dead.state.dead_retries), (0, Some(0)));
    assert_eq!(dead.state.due_ms, NOW + 3_600_000);
    assert!(!dead.abandoned);
}

#[test]
fn what_no_repeat_can_mend_is_a_dead_letter_at_once() {
    let dead = dead(after(&subscription(&json!({})), &state(), 422));
    assert_eq!(
        (dead.failed.attempts, dead.failed.category),
        (1, ErrorCategory::ClientError)
    );
}

#[test]
fn what_the_endpoint_does_not_want_is_not_retried_without_an_operator() {
    let subscription = subscription(&json!({}));
    let mut ended = ended(&subscription, 410);
    ended.unwanted = true;
    let dead = dead(course(&subscription, &state(), Memory::default(), &ended, 0.0));
    assert_eq!((dead.retry_ms, dead.abandoned), (None, false));
}

#[test]
fn one_with_others_behind_it_gives_way_after_three_attempts() {
    let limited = subscription(&json!({}));
    let mut next = DeliveryState {
        order_key: Some(7),
        ..state()
    };
    next = again(after(&limited, &next, 500));
    next = again(after(&limited, &next, 500));
    assert_eq!(dead(after(&limited, &next, 500)).state.order_key, None);
    let blocking = subscription(&json!({"ordering": {"onBlocked": "block"}}));
    assert_eq!(again(after(&blocking, &next, 500)).attempts, 3);
    next.order_key = None;
    assert_eq!(again(after(&limited, &next, 500)).attempts, 3);
}

#[test]
fn a_step_follows_with_its_own_identifier_and_the_answer_before_it() {
    let saga = saga();
    let Course::Step(next) = after(&saga, &state(), 201) else {
        panic!("no step follows");
    };
    assert_eq!(
        (next.step, next.due_ms, next.attempts),
        (Step::Forward(1), NOW + 500, 0)
    );
    assert_ne!(next.id, state().id);
    let memory = Memory::of(next.answers.as_deref());
    assert_eq!(memory.answers["reserve"].body, json!({"id": 7}));
    let last = DeliveryState {
        step: Step::Forward(2),
        ..next
    };
    assert_eq!(after(&saga, &last, 200), Course::Done);
}

#[test]
fn steps_are_undone_in_reverse_before_the_dead_letter() {
    let saga = saga();
    let failing = DeliveryState {
        step: Step::Forward(2),
        order_key: Some(1),
        ..state()
    };
    let second = undo(after(&saga, &failing, 400));
    assert_eq!((second.step, second.due_ms), (Step::Back(1), NOW));
    let first = undo(after(&saga, &second, 200));
    assert_eq!(first.step, Step::Back(0));
    assert!(second.id != failing.id && first.id != second.id);
    let dead = dead(after(&saga, &first, 200));
    assert_eq!((dead.failed.step, dead.failed.id), (2, failing.id));
    assert_eq!(dead.failed.error, "status 400");
    assert_eq!(dead.state.id, failing.id);
    assert_eq!(dead.state.step, Step::Forward(0), "all steps are taken anew");
    assert!(Memory::of(dead.state.answers.as_deref()).answers.is_empty());
}

#[test]
fn a_step_that_cannot_be_undone_is_repeated_and_then_told_of() {
    let saga = saga();
    let failing = DeliveryState {
        step: Step::Forward(2),
        ..state()
    };
    let mut back = undo(after(&saga, &failing, 400));
    for _ in 0..3 {
        back = again(after(&saga, &back, 503));
        assert_eq!(back.step, Step::Back(1));
    }
    let first = undo(after(&saga, &back, 503));
    assert_eq!((first.step, first.attempts), (Step::Back(0), 0));
    let dead = dead(after(&saga, &first, 404));
    assert_eq!(
        dead.failed.error,
        "status 400; step `charge` could not be undone: status 503; step `reserve` could not be undone: status 404"
    );
    assert_eq!((dead.failed.status, dead.failed.step), (Some(400), 2));
}

#[test]
fn a_first_step_that_fails_has_nothing_to_undo_and_is_taken_up_again_itself() {
    let steps = subscription(&json!({"actions": [{"name": "a"}, {"name": "b"}]}));
    let dead_first = dead(after(&saga(), &state(), 400));
    assert_eq!(dead_first.state.step, Step::Forward(0));
    let mut memory = Memory::default();
    memory
        .answers
        .insert("a".to_owned(), StepAnswer::of(200, &Bytes::new(), true));
    let failing = DeliveryState {
        step: Step::Forward(1),
        answers: memory.text(),
        ..state()
    };
    let dead = dead(after(&steps, &failing, 400));
    assert_eq!(dead.state.step, Step::Forward(1), "nothing was undone");
    assert!(Memory::of(dead.state.answers.as_deref()).answers.contains_key("a"));
}

/// The dead letter in `dead`, handed over again by the clock.
fn by_the_clock(dead: Dead) -> DeliveryState {
    DeliveryState {
        dead_retries: dead.state.dead_retries.map(|retries| retries + 1),
        ..dead.state
    }
}

#[test]
fn a_dead_letter_is_retried_at_its_times_and_then_abandoned() {
    let subscription = subscription(&json!({}));
    let mut letter = dead(after(&subscription, &state(), 400));
    let id = letter.state.id;
    for (retries, delay_ms) in [(1, 21_600_000), (2, 86_400_000)] {
        letter = dead(after(&subscription, &by_the_clock(letter), 500));
        assert_eq!(letter.retry_ms, Some(NOW + delay_ms), "counted from the dead letter");
        assert_eq!(
            (letter.state.dead_retries, letter.failed.attempts),
            (Some(retries), retries + 1)
        );
        assert_eq!((letter.state.id, letter.abandoned), (id, false));
    }
    letter = dead(after(&subscription, &by_the_clock(letter), 500));
    assert_eq!((letter.retry_ms, letter.abandoned), (None, true));
    assert_eq!(letter.failed.since_ms, NOW);
}

#[test]
fn an_operators_retry_takes_no_automatic_one_away() {
    let subscription = subscription(&json!({}));
    let letter = dead(after(&subscription, &state(), 400));
    let manual = DeliveryState {
        trigger: TriggerType::Manual,
        ..letter.state
    };
    let letter = dead(after(&subscription, &manual, 500));
    assert_eq!(
        (letter.retry_ms, letter.state.dead_retries),
        (Some(NOW + 3_600_000), Some(0))
    );
}

#[test]
fn without_automatic_retries_a_dead_letter_waits_for_operators() {
    let subscription = subscription(&json!({"deadLetterRetry": {"enabled": false}}));
    let letter = dead(after(&subscription, &state(), 400));
    assert_eq!((letter.retry_ms, letter.abandoned), (None, false));
    let letter = dead(after(&subscription, &letter.state, 400));
    assert_eq!((letter.retry_ms, letter.abandoned), (None, false));
}

#[test]
fn a_dead_letter_that_is_delivered_goes_on_as_a_delivery() {
    let saga = saga();
    let letter = dead(after(&saga, &state(), 400));
    let Course::Step(next) = after(&saga, &by_the_clock(letter), 200) else {
        panic!("no step follows");
    };
    assert_eq!((next.dead_retries, next.trigger), (None, TriggerType::Event));
    assert_eq!(Memory::of(next.answers.as_deref()).failed, None);
}

fn recurring(change: &Value) -> Arc<Subscription> {
    let mut config = json!({"intervalMs": 60_000, "count": 3});
    config
        .as_object_mut()
        .unwrap()
        .extend(change.as_object().unwrap().clone());
    subscription(&json!({"schedulingMode": "RECURRING", "schedulingConfig": config}))
}

#[test]
fn a_recurring_delivery_is_due_again_until_it_was_made_often_enough() {
    let subscription = recurring(&json!({}));
    let mut next = DeliveryState { due_ms: NOW, ..state() };
    let first = next.id;
    for occurrences in [1, 2] {
        let Course::Occurrence(following) = after(&subscription, &next, 200) else {
            panic!("it is not due again");
        };
        assert_eq!((following.occurrences, following.attempts), (occurrences, 0));
        assert_eq!(following.due_ms, NOW + 60_000, "the clock of this test stands still");
        assert_ne!(following.id, first);
        next = DeliveryState {
            due_ms: NOW,
            ..following
        };
    }
    assert_eq!(after(&subscription, &next, 200), Course::Done);
}

#[test]
fn repeats_do_not_shift_a_recurring_delivery() {
    let subscription = recurring(&json!({}));
    let scheduled = DeliveryState {
        due_ms: NOW - 1_000,
        ..state()
    };
    let repeated = again(after(&subscription, &scheduled, 500));
    let Course::Occurrence(following) = after(&subscription, &repeated, 200) else {
        panic!("it is not due again");
    };
    assert_eq!(following.due_ms, NOW - 1_000 + 60_000);
    assert_eq!(following.answers, None);
}

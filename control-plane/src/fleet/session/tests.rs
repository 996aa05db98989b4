use filters::model::push::ObjectId;

use super::*;
use crate::publish::tests::{sample, samples};

fn have(state: &State, version: u64) -> Have {
    Have {
        version,
        digest: state.digest_at(version).unwrap().to_owned(),
    }
}

fn from(due: Option<Due>) -> u64 {
    match due {
        Some(Due::Change { from, .. }) => from,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_gateway_is_told_what_it_lacks() {
    let state = sample(3);
    assert_eq!(Session::new(None).due(&state), Some(Due::Snapshot));
    assert_eq!(Session::new(Some(have(&state, 3))).due(&state), None);
    let (mut future, mut strange) = (have(&state, 3), have(&state, 3));
    future.version = 9;
    strange.digest = "another".to_owned();
    assert_eq!(Session::new(Some(future)).due(&state), Some(Due::Snapshot));
    assert_eq!(Session::new(Some(strange)).due(&state), Some(Due::Snapshot));
    match Session::new(Some(have(&state, 1))).due(&state) {
        Some(Due::Change { from: 1, change }) => {
            let touched: Vec<_> = change.touched().collect();
            assert_eq!(touched, [ObjectId::Organization(2), ObjectId::Organization(3)]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_version_at_a_time_is_on_its_way() {
    let [state, next] = samples([2, 4]);
    let now = Instant::now();
    let mut session = Session::new(Some(have(&state, 1)));
    session.sent(2, false, now);
    assert_eq!(session.due(&next), None);
    assert!(!session.is_overdue(now));
    assert!(session.is_overdue(now + LONGEST_APPLY + Duration::from_millis(1)));
    assert!(session.acked(have(&state, 2), state.digest_at(2)));
    assert_eq!(from(session.due(&next)), 2);
}

#[test]
fn a_refused_version_is_not_sent_again() {
    let state = sample(2);
    let mut session = Session::new(Some(have(&state, 1)));
    session.sent(2, false, Instant::now());
    session.nacked(2);
    assert_eq!(session.due(&state), None);
    session.said_hello(Some(have(&state, 1)));
    assert_eq!(session.due(&state), None, "not even if it says Hello after the refusal");
    assert_eq!(from(session.due(&sample(3))), 1);
}

#[test]
fn a_difference_that_does_not_fit_is_tried_as_a_whole_once() {
    let state = sample(2);
    let mut session = Session::new(Some(have(&state, 1)));
    session.sent(2, false, Instant::now());
    session.said_hello(Some(have(&state, 1)));
    assert_eq!(session.due(&state), Some(Due::Snapshot));
    session.sent(2, true, Instant::now());
    session.said_hello(Some(have(&state, 1)));
    assert_eq!(session.due(&state), None, "it does not go in circles");
    assert_eq!(from(session.due(&sample(3))), 1);
}

#[test]
fn a_gateway_with_another_content_gets_the_whole_once() {
    let state = sample(2);
    let wrong = Have {
        version: 2,
        digest: "another".to_owned(),
    };
    let mut session = Session::new(Some(have(&state, 1)));
    session.sent(2, false, Instant::now());
    assert!(!session.acked(wrong.clone(), state.digest_at(2)));
    assert_eq!(session.due(&state), Some(Due::Snapshot));
    session.sent(2, true, Instant::now());
    assert!(!session.acked(wrong, state.digest_at(2)));
    assert_eq!(session.due(&state), None, "it does not go in circles");
}

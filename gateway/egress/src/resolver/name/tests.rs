use std::net::Ipv4Addr;

use super::*;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn records(ttl: u64, now: Instant) -> Records {
    Records::new(vec![ADDRESS], seconds(ttl), now)
}

fn not_found() -> ResolveError {
    ResolveError::NotFound { host: "a".to_owned() }
}

fn failed() -> ResolveError {
    ResolveError::Failed {
        host: "a".to_owned(),
        reason: "SERVFAIL".to_owned(),
    }
}

fn landed(outcomes: Vec<(Result<Records, ResolveError>, Instant)>) -> State {
    let mut state = State::default();
    for (outcome, now) in outcomes {
        let _ = state.land(outcome, now);
    }
    state
}

#[test]
fn ttls_are_kept_within_bounds() {
    let now = Instant::now();
    for (ttl, lasts) in [(0, 1), (1, 1), (60, 60), (300, 300), (86_400, 300)] {
        assert_eq!(records(ttl, now).valid_until - now, seconds(lasts), "{ttl}");
    }
    assert_eq!(records(20, now).refresh_at - now, seconds(16));
    assert_eq!(records(300, now).refresh_at - now, seconds(290));
}

#[test]
fn records_settle_it_until_they_expire() {
    let now = Instant::now();
    let state = landed(vec![(Ok(records(20, now)), now)]);
    assert!(matches!(
        state.known(Need::Valid, now + seconds(19)),
        Known::Settled(Ok(_))
    ));
    assert!(matches!(state.known(Need::Valid, now + seconds(20)), Known::Expired(_)));
    assert!(matches!(
        state.known(Need::Renewed, now + seconds(15)),
        Known::Settled(Ok(_))
    ));
    assert!(matches!(
        state.known(Need::Renewed, now + seconds(16)),
        Known::Expired(_)
    ));
    assert!(matches!(state.known(Need::Valid, now + seconds(80)), Known::Nothing));
}

#[test]
fn expired_records_stand_in_for_a_failing_dns_and_not_for_ever() {
    let now = Instant::now();
    let mut state = landed(vec![(Ok(records(20, now)), now)]);
    assert!(state.land(Err(failed()), now + seconds(21)).is_ok());
    assert!(matches!(
        state.known(Need::Valid, now + seconds(21)),
        Known::Settled(Ok(_))
    ));
    assert!(state.land(Err(failed()), now + seconds(79)).is_ok());
    assert_eq!(state.land(Err(failed()), now + seconds(80)).unwrap_err(), failed());
}

#[test]
fn a_name_that_is_gone_is_believed_to_be_gone() {
    let now = Instant::now();
    let mut state = landed(vec![(Ok(records(20, now)), now)]);
    assert_eq!(state.land(Err(not_found()), now + seconds(1)).unwrap_err(), not_found());
    assert!(matches!(
        state.known(Need::Valid, now + seconds(1)),
        Known::Settled(Err(_))
    ));
}

#[test]
fn after_a_failure_nobody_asks_for_a_moment() {
    let now = Instant::now();
    let state = landed(vec![(Err(failed()), now)]);
    assert!(matches!(
        state.known(Need::Valid, now + Duration::from_millis(999)),
        Known::Settled(Err(_))
    ));
    assert!(matches!(state.known(Need::Valid, now + seconds(1)), Known::Nothing));
}

#[test]
fn a_success_ends_the_failure() {
    let now = Instant::now();
    let state = landed(vec![(Err(failed()), now), (Ok(records(20, now)), now)]);
    assert!(matches!(state.known(Need::Valid, now), Known::Settled(Ok(_))));
    assert!(matches!(state.known(Need::Valid, now + seconds(20)), Known::Expired(_)));
}

#[test]
fn a_lookup_is_shared_until_it_lands_or_its_task_is_gone() {
    let mut state = State::default();
    let (task, flight) = watch::channel(None);
    let _ = state.join(|| flight);
    let _ = state.join(|| unreachable!("one lookup is under way"));
    drop(task);
    let (_task, second) = watch::channel(None);
    let mut started = false;
    let _ = state.join(|| {
        started = true;
        second
    });
    assert!(started, "a lookup that cannot land any more was waited for");
}

#[test]
fn a_name_is_of_use_while_its_records_can_stand_in() {
    let now = Instant::now();
    let state = landed(vec![(Ok(records(20, now)), now)]);
    assert!(state.is_of_use(now + seconds(79)));
    assert!(!state.is_of_use(now + seconds(80)));
    assert!(!landed(vec![(Err(failed()), now)]).is_of_use(now));
}

use http::HeaderValue;

use super::*;

fn granted(lifetime_s: Option<u64>) -> Granted {
    Granted {
        authorization: HeaderValue::from_static("Bearer t"),
        lifetime: lifetime_s.map(Duration::from_secs),
        refresh_token: None,
    }
}

fn failed() -> Result<Granted, TokenError> {
    Err(TokenError::Timeout {
        host: "login.example".to_owned(),
        after: Duration::ZERO,
    })
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn tokens_are_renewed_before_they_end() {
    let now = Instant::now();
    for (lifetime, valid, renewed_first, renewed_last) in
        [(3_600, 3_590, 3_470, 3_530), (100, 90, 70, 80), (300, 290, 230, 260)]
    {
        let first = token(granted(Some(lifetime)), 1, now, 1.0);
        let last = token(granted(Some(lifetime)), 1, now, 0.0);
        assert_eq!(first.valid_until - now, seconds(valid));
        assert_eq!(first.ends - now, seconds(lifetime));
        assert_eq!(first.renew_at - now, seconds(renewed_first));
        assert_eq!(last.renew_at - now, seconds(renewed_last));
    }
    assert_eq!(token(granted(None), 1, now, 0.5).ends - now, seconds(300));
    assert_eq!(token(granted(Some(0)), 1, now, 0.5).valid_until, now);
}

#[test]
fn a_request_is_shared_until_it_lands_or_its_task_is_gone() {
    let now = Instant::now();
    let mut state = State::default();
    let (task, flight) = watch::channel(None);
    state.join(now, || flight).unwrap();
    state.join(now, || unreachable!("one request is under way")).unwrap();
    drop(task);
    let (_task, second) = watch::channel(None);
    let mut started = false;
    state
        .join(now, || {
            started = true;
            second
        })
        .unwrap();
    assert!(started, "a request that cannot land any more was waited for");
}

#[test]
fn after_failures_the_endpoint_is_left_alone_for_longer_and_longer() {
    let mut now = Instant::now();
    let mut state = State::default();
    for pause in [1, 2, 4, 8, 16, 32, 32] {
        state.land(failed(), now).unwrap_err();
        assert_eq!(state.pause(now), Some(seconds(pause)));
        let early = now + seconds(pause) - Duration::from_millis(1);
        let refused = state.join(early, || unreachable!("the endpoint is to be left alone"));
        assert!(refused.is_err());
        now += seconds(pause);
        let (_task, flight) = watch::channel(None);
        state.join(now, || flight).unwrap();
    }
    state.land(Ok(granted(Some(60))), now).unwrap();
    assert_eq!(state.pause(now), None);
    state.land(failed(), now).unwrap_err();
    assert_eq!(state.pause(now), Some(seconds(1)), "a success ends the row of failures");
}

#[test]
fn tokens_are_numbered() {
    let now = Instant::now();
    let mut state = State::default();
    let first = state.land(Ok(granted(None)), now).unwrap();
    let second = state.land(Ok(granted(None)), now).unwrap();
    assert_ne!(first.number, second.number);
}

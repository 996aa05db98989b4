use std::net::Ipv4Addr;
use std::time::Duration;

use governor::clock::FakeRelativeClock;

use super::*;

fn per_minute(max_requests: u32) -> RateLimit {
    RateLimit {
        max_requests,
        window_seconds: 60,
    }
}

/// For the real clock: nothing is earned back while a test runs.
fn per_day(max_requests: u32) -> RateLimit {
    RateLimit {
        max_requests,
        window_seconds: 86_400,
    }
}

fn client(n: u8) -> Option<IpAddr> {
    Some(Ipv4Addr::new(192, 0, 2, n).into())
}

/// As the gateway counts a request of client 1.
fn counted(limiters: &Limiters, credential: Option<usize>) -> Option<Verdict<'_>> {
    match limiters.check_client(client(1)) {
        Some(refused) if !refused.decision.allowed => Some(refused),
        passed => limiters.check(credential, passed),
    }
}

fn organization(max_requests: u32) -> Arc<Limiter> {
    Limiter::carried(None, Scope::Organization, per_day(max_requests))
}

#[test]
fn a_burst_of_a_whole_window_passes_and_the_next_request_is_refused() {
    let clock = FakeRelativeClock::default();
    let limiter = Limiter::with_clock(Scope::Key, per_minute(3), clock.clone());
    let remaining: Vec<_> = (0..3).map(|_| limiter.check().remaining).collect();
    assert_eq!(remaining, [2, 1, 0]);

    let refused = limiter.check();
    assert_eq!(
        refused,
        Decision {
            allowed: false,
            limit: 3,
            remaining: 0,
            reset_seconds: 60,
            retry_after_seconds: 20
        }
    );
    clock.advance(Duration::from_secs(19));
    assert_eq!(limiter.check().retry_after_seconds, 1);
    clock.advance(Duration::from_secs(1));
    let allowed = limiter.check();
    assert!(allowed.allowed);
    assert_eq!((allowed.remaining, allowed.reset_seconds), (0, 60));
}

#[test]
fn a_refused_request_is_told_to_wait_a_second_at_least() {
    let limiter = Limiter::with_clock(
        Scope::Key,
        RateLimit {
            max_requests: 1000,
            window_seconds: 1,
        },
        FakeRelativeClock::default(),
    );
    let refused = std::iter::repeat_with(|| limiter.check()).find(|decision| !decision.allowed);
    let refused = refused.expect("an endless iterator");
    assert_eq!((refused.retry_after_seconds, refused.reset_seconds), (1, 1));
}

#[test]
fn the_edges_of_the_numbers_do_not_panic() {
    for (max_requests, window_seconds) in [(0, 0), (u32::MAX, 1), (1, u32::MAX), (u32::MAX, u32::MAX)] {
        let limit = RateLimit {
            max_requests,
            window_seconds,
        };
        let clock = FakeRelativeClock::default();
        let limiter = Limiter::with_clock(Scope::Key, limit, clock.clone());
        assert!(limiter.check().allowed, "{limit:?}");
        clock.advance(Duration::from_secs(365 * 24 * 3600));
        let _ = limiter.check();
        let _ = limiter.check();
    }
}

#[test]
fn nothing_is_limited_until_it_is_set() {
    let limiters = Limiters::carried(None, Rates::default(), ["a"], None);
    assert!(counted(&limiters, Some(0)).is_none());
}

#[test]
fn a_request_refused_by_a_narrow_limit_is_not_charged_to_the_wide_ones() {
    let rates = Rates {
        integration: Some(per_day(10)),
        per_key: Some(per_day(1)),
        per_client_ip: None,
    };
    let limiters = Limiters::carried(None, rates, ["greedy", "modest"], Some(organization(20)));
    let allowed = (0..50)
        .filter_map(|_| counted(&limiters, Some(0)))
        .filter(|v| v.decision.allowed);
    assert_eq!(allowed.count(), 1);

    let refused = counted(&limiters, Some(0)).expect("a limit is set");
    assert_eq!(refused.policy.scope(), Scope::Key);
    let integration = limiters.integration.as_ref().expect("a limit is set");
    assert_eq!(integration.check().remaining, 8, "one request and this one");
    let organization = limiters.organization.as_ref().expect("a limit is set");
    assert_eq!(organization.check().remaining, 18, "one request and this one");
    assert!(counted(&limiters, Some(1)).is_some_and(|v| v.decision.allowed));
}

#[test]
fn the_limit_with_the_least_left_is_reported() {
    let rates = Rates {
        integration: Some(per_day(100)),
        per_key: Some(per_day(5)),
        per_client_ip: Some(per_day(50)),
    };
    let limiters = Limiters::carried(None, rates, ["a"], Some(organization(6)));
    let verdict = counted(&limiters, Some(0)).expect("a limit is set");
    assert_eq!((verdict.policy.scope(), verdict.decision.remaining), (Scope::Key, 4));

    let verdict = counted(&limiters, None).expect("a limit is set");
    assert_eq!(
        (verdict.policy.scope(), verdict.decision.remaining),
        (Scope::Organization, 4)
    );
}

#[test]
fn each_limit_refuses_in_its_turn() {
    let one = Some(per_day(1));
    let cases = [
        (
            Scope::ClientIp,
            Rates {
                per_client_ip: one,
                ..Rates::default()
            },
            None,
        ),
        (
            Scope::Key,
            Rates {
                per_key: one,
                ..Rates::default()
            },
            None,
        ),
        (
            Scope::Integration,
            Rates {
                integration: one,
                ..Rates::default()
            },
            None,
        ),
        (Scope::Organization, Rates::default(), Some(organization(1))),
    ];
    for (scope, rates, organization) in cases {
        let limiters = Limiters::carried(None, rates, ["a"], organization);
        assert!(
            counted(&limiters, Some(0)).is_some_and(|v| v.decision.allowed),
            "{scope:?}"
        );
        let refused = counted(&limiters, Some(0)).expect("a limit is set");
        assert!(!refused.decision.allowed, "{scope:?}");
        assert_eq!(refused.policy.scope(), scope);
    }
}

#[test]
fn a_swap_keeps_the_state_of_unchanged_limits_and_starts_changed_ones_anew() {
    let rates = Rates {
        integration: Some(per_day(10)),
        per_key: Some(per_day(5)),
        per_client_ip: Some(per_day(7)),
    };
    let before = Limiters::carried(None, rates, ["a", "b"], None);
    counted(&before, Some(0));

    let changed = Rates {
        integration: Some(per_day(11)),
        ..rates
    };
    let after = Limiters::carried(Some(&before), changed, ["new", "b", "a"], None);
    let remaining = |index: usize| after.per_key[index].limiter.check().remaining;
    assert_eq!(
        (remaining(0), remaining(1), remaining(2)),
        (4, 4, 3),
        "found again by name"
    );
    let client = after
        .per_client_ip
        .as_ref()
        .expect("a limit is set")
        .check(client(1).expect("an address"));
    assert_eq!(client.remaining, 5);
    assert_eq!(
        after.integration.as_ref().expect("a limit is set").check().remaining,
        10
    );
}

#[test]
fn header_values_are_those_of_the_draft() {
    let policy = Policy::new(Scope::Key, per_minute(100));
    let allowed = Decision {
        allowed: true,
        limit: 100,
        remaining: 99,
        reset_seconds: 12,
        retry_after_seconds: 0,
    };
    let verdict = |decision| Verdict {
        policy: &policy,
        decision,
    };
    assert_eq!(verdict(allowed).policy_value(), r#""key";q=100;w=60"#);
    assert_eq!(verdict(allowed).limit_value(), r#""key";r=99;t=12"#);
    assert_eq!(verdict(allowed).retry_after_value(), None);

    let refused = Decision {
        allowed: false,
        remaining: 0,
        retry_after_seconds: 30,
        ..allowed
    };
    assert_eq!(verdict(refused).limit_value(), r#""key";r=0;t=12"#);
    assert_eq!(
        verdict(refused).retry_after_value(),
        Some(HeaderValue::from_static("30"))
    );
}

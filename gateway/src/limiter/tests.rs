use std::net::Ipv4Addr;

use filters::model::limits::Limit;
use filters::plan::limits::LimitPlan;
use jiff::tz::TimeZone;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn plan(limit: Limit) -> LimitPlan {
    LimitPlan {
        limit,
        zone: TimeZone::UTC,
    }
}

fn per_minute(max_requests: u32) -> LimitPlan {
    plan(Limit {
        max_requests: Some(max_requests),
        ..Limit::default()
    })
}

/// For the real clock: nothing leaves the window while a test runs.
fn per_day(max_requests: u32) -> LimitPlan {
    plan(Limit {
        max_requests: Some(max_requests),
        window_seconds: 86_400,
        ..Limit::default()
    })
}

fn limiter(plan: &LimitPlan) -> Limiter {
    Limiter::new(Scope::Key, plan, &Quotas::default(), QuotaKey::Organization(1))
}

fn organization(max_requests: u32) -> Arc<Limiter> {
    let key = QuotaKey::Organization(1);
    let plan = per_day(max_requests);
    Limiter::carried(None, Scope::Organization, &plan, &Quotas::default(), key)
}

fn limiters(previous: Option<&Limiters>, limits: &Limits, organization: Option<Arc<Limiter>>) -> Limiters {
    Limiters::carried(previous, limits, &"labs".into(), organization, &Arc::default())
}

fn at(seconds: u64) -> Moment {
    Moment {
        mono_ns: seconds * SECOND,
        wall_ms: 1_000 * seconds.cast_signed(),
    }
}

/// As the gateway counts a request of client 192.0.2.1.
fn counted(limiters: &Limiters, caller: Option<&str>) -> Result<Passed, Box<Refused>> {
    let of_client = limiters.check_client(Some(Ipv4Addr::new(192, 0, 2, 1).into()))?;
    let who = Counted {
        caller,
        ..Counted::default()
    };
    limiters.check(who, of_client)
}

fn left(passed: &Passed) -> String {
    let (_, limit) = passed.fields.as_ref().expect("a limit is set");
    limit.to_str().unwrap().to_owned()
}

/// What is left of each limit, in the order of the field.
fn remaining(passed: &Passed) -> Vec<String> {
    let left = left(passed);
    let items = left
        .split(", ")
        .map(|item| item.split("r=").nth(1).unwrap().split(';').next().unwrap());
    items.map(str::to_owned).collect()
}

#[test]
fn a_whole_window_passes_and_the_next_request_waits_for_the_first_to_leave() {
    let limiter = limiter(&per_minute(3));
    for second in [0, 10, 20] {
        limiter.take(at(second)).unwrap();
    }
    let refused = limiter.take(at(30)).unwrap_err();
    assert_eq!((refused.kind, refused.retry_after_seconds), (Kind::Window, 31));
    let window = refused.standing.window.unwrap();
    assert_eq!((window.remaining, window.reset_seconds), (0, 51));
    assert!(limiter.take(at(60)).is_err());
    assert!(limiter.take(at(61)).is_ok());
    assert!(limiter.take(at(61)).is_err());
}

#[test]
fn a_refused_request_is_told_to_wait_a_second_at_least_and_uses_up_nothing() {
    let limiter = limiter(&plan(Limit {
        max_requests: Some(10),
        max_per_second: Some(1),
        ..Limit::default()
    }));
    limiter.take(at(0)).unwrap();
    let late = Moment {
        mono_ns: SECOND + SECOND / 11,
        wall_ms: 0,
    };
    let refused = limiter
        .take(Moment {
            mono_ns: late.mono_ns - SECOND / 10,
            ..late
        })
        .unwrap_err();
    assert_eq!((refused.kind, refused.retry_after_seconds), (Kind::Second, 1));
    assert_eq!(refused.standing.window.unwrap().remaining, 9);
}

#[test]
fn the_edges_of_the_numbers_do_not_panic() {
    for (max_requests, window_seconds) in [(0, 0), (u32::MAX, 1), (1, u32::MAX), (u32::MAX, u32::MAX)] {
        let limiter = limiter(&plan(Limit {
            max_requests: Some(max_requests),
            window_seconds,
            max_per_second: Some(max_requests),
            max_per_day: Some(u64::MAX),
            max_concurrent: Some(u32::MAX),
        }));
        for second in [0, 1, 365 * 24 * 3600, u64::from(u32::MAX)] {
            let _ = limiter.take(at(second));
        }
        limiter.take_back();
        limiter.ended();
    }
}

#[test]
fn nothing_is_limited_until_it_is_set() {
    let limiters = limiters(None, &Limits::default(), None);
    assert!(counted(&limiters, Some("a")).unwrap().fields.is_none());
}

#[test]
fn a_request_that_a_limit_refuses_is_charged_to_no_other() {
    let limits = Limits {
        integration: Some(per_day(3)),
        per_key: Some(per_day(2)),
        per_client_ip: None,
    };
    let limiters = limiters(None, &limits, Some(organization(20)));
    let refused = |caller| counted(&limiters, Some(caller)).unwrap_err().scope;
    assert!(counted(&limiters, Some("greedy")).is_ok() && counted(&limiters, Some("greedy")).is_ok());
    for _ in 0..10 {
        assert_eq!(refused("greedy"), Scope::Key);
    }
    let passed = counted(&limiters, Some("modest")).unwrap();
    assert!(left(&passed).contains(r#""integration";r=0;"#), "{}", left(&passed));
    for _ in 0..10 {
        assert_eq!(refused("modest"), Scope::Integration);
    }
    let organization = limiters.organization.as_ref().unwrap();
    let standing = organization.take(Moment::now()).unwrap();
    assert_eq!(standing.window.unwrap().remaining, 16, "three requests and this one");
    let own = limiters.per_key.as_ref().unwrap().of("modest", Moment::now());
    assert_eq!(
        own.take(Moment::now()).unwrap().window.unwrap().remaining,
        0,
        "one request and this one"
    );
}

#[test]
fn each_limit_refuses_in_its_turn() {
    let one = Some(per_day(1));
    let cases = [
        (
            Scope::ClientIp,
            Limits {
                per_client_ip: one.clone(),
                ..Limits::default()
            },
            None,
        ),
        (
            Scope::Key,
            Limits {
                per_key: one.clone(),
                ..Limits::default()
            },
            None,
        ),
        (
            Scope::Integration,
            Limits {
                integration: one,
                ..Limits::default()
            },
            None,
        ),
        (Scope::Organization, Limits::default(), Some(organization(1))),
    ];
    for (scope, limits, organization) in cases {
        let limiters = limiters(None, &limits, organization);
        assert!(counted(&limiters, Some("a")).is_ok(), "{scope:?}");
        assert_eq!(counted(&limiters, Some("a")).unwrap_err().scope, scope);
    }
}

#[test]
fn a_consumers_limit_is_one_for_all_integrations() {
    let key = QuotaKey::Consumer("clinic".into());
    let consumer = Limiter::carried(None, Scope::Consumer, &per_day(2), &Quotas::default(), key);
    let who = Counted {
        caller: Some("clinic"),
        consumer: Some(&consumer),
    };
    let integrations = [(); 3].map(|()| limiters(None, &Limits::default(), None));
    let [first, second, third] = &integrations;
    assert!(first.check(who, None).is_ok() && second.check(who, None).is_ok());
    assert_eq!(third.check(who, None).unwrap_err().scope, Scope::Consumer);
}

#[test]
fn places_are_given_back_when_requests_end() {
    let limits = Limits {
        per_key: Some(plan(Limit {
            max_concurrent: Some(2),
            ..Limit::default()
        })),
        integration: Some(plan(Limit {
            max_concurrent: Some(3),
            ..Limit::default()
        })),
        per_client_ip: None,
    };
    let limiters = limiters(None, &limits, None);
    let first = counted(&limiters, Some("a")).unwrap();
    let _second = counted(&limiters, Some("a")).unwrap();
    let refused = counted(&limiters, Some("a")).unwrap_err();
    assert_eq!((refused.scope, refused.kind), (Scope::Key, Kind::Concurrent));
    let _third = counted(&limiters, Some("b")).unwrap();
    // The integration refuses it, and the key's place is free again.
    assert_eq!(counted(&limiters, Some("c")).unwrap_err().scope, Scope::Integration);
    drop(first);
    assert!(counted(&limiters, Some("c")).is_ok());
    assert!(counted(&limiters, Some("a")).is_ok());
}

#[test]
fn a_swap_keeps_the_state_of_unchanged_limits_and_starts_changed_ones_anew() {
    let limits = Limits {
        integration: Some(per_day(10)),
        per_key: Some(per_day(5)),
        per_client_ip: Some(per_day(7)),
    };
    let before = limiters(None, &limits, None);
    counted(&before, Some("a")).unwrap();
    let changed = Limits {
        integration: Some(per_day(11)),
        ..limits
    };
    let after = limiters(Some(&before), &changed, None);
    assert_eq!(remaining(&counted(&after, Some("a")).unwrap()), ["5", "3", "10"]);
}

#[test]
fn a_daily_quota_counts_on_where_its_size_changes() {
    let quotas = Arc::new(Quotas::default());
    let daily = |most: u64| Limits {
        integration: Some(plan(Limit {
            max_per_day: Some(most),
            ..Limit::default()
        })),
        ..Limits::default()
    };
    let before = Limiters::carried(None, &daily(2), &"labs".into(), None, &quotas);
    assert!(counted(&before, None).is_ok() && counted(&before, None).is_ok());
    let refused = counted(&before, None).unwrap_err();
    assert_eq!(refused.kind, Kind::Day);
    assert!((1..=86_400).contains(&refused.retry_after_seconds));
    let after = Limiters::carried(Some(&before), &daily(3), &"labs".into(), None, &quotas);
    assert!(counted(&after, None).is_ok());
    assert!(counted(&after, None).is_err());
}

#[test]
fn header_values_are_those_of_the_draft() {
    let limits = Limits {
        integration: Some(plan(Limit {
            max_requests: Some(100),
            max_per_second: Some(20),
            max_per_day: Some(5_000_000_000),
            max_concurrent: Some(8),
            ..Limit::default()
        })),
        ..Limits::default()
    };
    let limiters = limiters(None, &limits, None);
    let (policy, limit) = counted(&limiters, None).unwrap().fields.unwrap();
    assert_eq!(
        policy,
        "\"integration\";q=100;w=60, \"integration-second\";q=20;w=1, \"integration-day\";q=5000000000;w=86400, \
         \"integration-concurrent\";q=8;qu=\"concurrent-requests\""
    );
    let limit = limit.to_str().unwrap();
    for part in [
        "\"integration\";r=99;t=6",
        "\"integration-second\";r=19;t=",
        "-day\";r=4999999999;t=",
        "-concurrent\";r=7",
    ] {
        assert!(limit.contains(part), "{part} in {limit}");
    }
}

#[test]
fn what_is_used_up_is_told_and_forgotten() {
    let limit = Limit {
        max_requests: Some(3),
        max_per_day: Some(2),
        ..Limit::default()
    };
    let limiter = limiter(&plan(limit));
    assert_eq!(limiter.usage(at(1)), []);
    limiter.take(at(1)).unwrap();
    limiter.take(at(1)).unwrap();
    let used = limiter.usage(at(2));
    let brief: Vec<_> = used.iter().map(|used| (used.kind, used.used, used.most)).collect();
    assert_eq!(brief, [(Kind::Window, 2, 3), (Kind::Day, 2, 2)]);
    assert!(limiter.take(at(2)).is_err());
    limiter.reset();
    assert_eq!(limiter.usage(at(2)), []);
    assert!(limiter.take(at(2)).is_ok());
}

#[test]
fn each_caller_is_told_and_forgotten_with_the_integration() {
    let limits = Limits {
        integration: Some(per_day(10)),
        per_key: Some(per_day(1)),
        per_client_ip: Some(per_day(1)),
    };
    let limiters = limiters(None, &limits, None);
    counted(&limiters, Some("a")).unwrap();
    counted(&limiters, Some("a")).unwrap_err();
    let (own, callers) = limiters.usage(Moment::now());
    assert_eq!(own.iter().map(|used| used.used).collect::<Vec<_>>(), [1]);
    assert_eq!(
        callers
            .iter()
            .map(|(name, used)| (&**name, used[0].used))
            .collect::<Vec<_>>(),
        [("a", 1)]
    );
    limiters.reset();
    assert!(limiters.usage(Moment::now()).0.is_empty());
    counted(&limiters, Some("a")).unwrap();
}

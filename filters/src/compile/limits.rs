//! Limits, compiled.

use jiff::tz::TimeZone;

use crate::auth::InboundCheck;
use crate::model::limits::{Limit, RateLimits};
use crate::model::problem::join;
use crate::model::{Organization, Problem};
use crate::plan::limits::{LimitPlan, Limits};

/// Compiles the limits of an integration of `organization`.
pub(super) fn compile(
    source: Option<&RateLimits>,
    inbound: &InboundCheck,
    organization: Option<&Organization>,
    problems: &mut Vec<Problem>,
) -> Limits {
    let Some(limits) = source else {
        return Limits::default();
    };
    let whole = Limit {
        max_requests: limits.max_requests,
        window_seconds: limits.window_seconds.unwrap_or(60),
        max_per_second: limits.max_per_second,
        max_per_day: limits.max_per_day,
        max_concurrent: limits.max_concurrent,
    };
    if whole.max_requests.is_none() && limits.window_seconds.is_some() {
        problems.push(Problem::new("rateLimits.windowSeconds", "needs `maxRequests`"));
    }
    check_numbers(&whole, "rateLimits", problems);
    if limits.per_key.is_some() && inbound.is_open() {
        let message = "needs an inboundAuthType that tells clients apart";
        problems.push(Problem::new("rateLimits.perKey", message));
    }
    if let Some(limit) = &limits.per_key {
        check(limit, "rateLimits.perKey", problems);
    }
    if let Some(limit) = &limits.per_client_ip {
        check(limit, "rateLimits.perClientIp", problems);
        for (field, is_set) in [
            ("maxPerDay", limit.max_per_day.is_some()),
            ("maxConcurrent", limit.max_concurrent.is_some()),
        ] {
            if is_set {
                let message = "is not counted for addresses, of which there are too many; set it in `perKey`";
                problems.push(Problem::new(format!("rateLimits.perClientIp.{field}"), message));
            }
        }
    }
    let own = limits.timezone.as_deref().map(|name| (name, "rateLimits.timezone"));
    let zone = zone(own, organization, problems);
    if !limits.enabled {
        return Limits::default();
    }
    let planned = |limit: Limit| LimitPlan {
        limit,
        zone: zone.clone(),
    };
    Limits {
        integration: Some(whole).filter(is_something).map(planned),
        per_key: limits.per_key.map(planned),
        per_client_ip: limits.per_client_ip.map(planned),
    }
}

/// Compiles the limit of an organization, or of a consumer of one. What is wrong with it is told by [`check`].
pub(super) fn planned(limit: Limit, organization: Option<&Organization>) -> LimitPlan {
    LimitPlan {
        limit,
        zone: zone(None, organization, &mut Vec::new()),
    }
}

/// Adds what is wrong with a limit, which stands at `path`.
pub(super) fn check(limit: &Limit, path: &str, problems: &mut Vec<Problem>) {
    if !is_something(limit) {
        let message = "needs `maxRequests`, `maxPerSecond`, `maxPerDay` or `maxConcurrent`";
        problems.push(Problem::new(path, message));
    }
    check_numbers(limit, path, problems);
}

fn is_something(limit: &Limit) -> bool {
    *limit
        != Limit {
            window_seconds: limit.window_seconds,
            ..Limit::default()
        }
}

fn check_numbers(limit: &Limit, path: &str, problems: &mut Vec<Problem>) {
    let numbers = [
        ("maxRequests", limit.max_requests.map(u64::from)),
        ("maxPerSecond", limit.max_per_second.map(u64::from)),
        ("maxPerDay", limit.max_per_day),
        ("maxConcurrent", limit.max_concurrent.map(u64::from)),
    ];
    for (field, number) in numbers {
        if number == Some(0) {
            let message = "must be at least 1; to let nothing pass, set `isActive` to false";
            problems.push(Problem::new(format!("{path}.{field}"), message));
        }
    }
    if limit.max_per_day.is_some_and(|most| most > LARGEST_QUOTA) {
        let message = format!("must be at most {LARGEST_QUOTA}");
        problems.push(Problem::new(format!("{path}.maxPerDay"), message));
    }
    if !(1..=86_400).contains(&limit.window_seconds) {
        problems.push(Problem::new(
            format!("{path}.windowSeconds"),
            "must be between 1 and 86400",
        ));
    }
}

fn zone(own: Option<(&str, &str)>, organization: Option<&Organization>, problems: &mut Vec<Problem>) -> TimeZone {
    if let Some((name, path)) = own {
        return TimeZone::get(name).unwrap_or_else(|_| {
            let message = format!("`{name}` is not an IANA time zone; one would be `Europe/Berlin`");
            problems.push(Problem::new(join("", path), message));
            TimeZone::UTC
        });
    }
    // What is wrong with the organization's is told where it stands.
    organization
        .and_then(|organization| TimeZone::get(organization.timezone.as_deref()?).ok())
        .unwrap_or(TimeZone::UTC)
}

/// The largest number that every JSON reader keeps exactly.
const LARGEST_QUOTA: u64 = (1 << 53) - 1;

//! Retries, circuit breakers, limits and timeouts, as the gateway's own rules have them.

use filters::delivery::{Answer, AttemptResult, Meaning, RetryPlan, StatusTable, advice};
use filters::model::limits::{Limit, RateLimits, Timeouts};
use filters::model::outbound::handling::{DeliveryLimits, OnConsecutive};
use filters::model::outbound::{Breaker, OutboundIntegration, Retry};

use super::OPEN;
use super::markdown::{Markdown, plain};

/// The delays of a schedule, as the gateway compiles it.
pub(super) fn schedule(retry: &Retry, page: &mut Markdown) {
    let Some(plan) = RetryPlan::compile(retry, "", &mut Vec::new()) else {
        return page.paragraph("The schedule cannot be used as it is configured.");
    };
    let delays: Vec<String> = (1..=plan.retries())
        .filter_map(|attempt| plan.next(attempt, 0, None, 0.0))
        .map(duration)
        .collect();
    let jitter = (1..=plan.retries()).find_map(|attempt| {
        let (least, most) = (plan.next(attempt, 0, None, 0.0)?, plan.next(attempt, 0, None, 1.0)?);
        (least > 0).then(|| (most - least) * 100 / least)
    });
    page.facts([
        ("Retries after the first attempt", plan.retries().to_string()),
        (
            "Delays",
            if delays.is_empty() {
                OPEN.to_owned()
            } else {
                delays.join(", ")
            },
        ),
        ("Added at random", format!("up to {} %", jitter.unwrap_or(0))),
        (
            "Retry-After",
            "is honoured; it makes an attempt later, never earlier".to_owned(),
        ),
    ]);
}

/// What becomes of an event after each answer, as the gateway classifies it.
pub(super) fn delivery_errors(integration: &OutboundIntegration, page: &mut Markdown) {
    let mut problems = Vec::new();
    let table = StatusTable::compile(&integration.status_handling, &integration.retry, "", &mut problems);
    let Some(table) = table else {
        return page.paragraph("The status rules cannot be used as they are configured.");
    };
    let rows = STATUSES.map(|(status, code)| {
        let answer = Answer {
            status,
            can_renew: status == 401,
            ..Answer::default()
        };
        let judged = table.classify(AttemptResult::Answer(answer));
        let mut action = match judged.meaning {
            Meaning::Delivered => "counts as delivered",
            Meaning::Retry => "retried by the schedule",
            Meaning::DeadLetter => "goes to the dead letters at once",
            Meaning::RenewToken => "the token is renewed and the attempt repeated once",
        }
        .to_owned();
        if let Some(reason) = judged.disable {
            action = format!("{action}; the endpoint is disabled, as {}", plain(reason));
        }
        let what = judged.category.map(|category| plain(advice(category, Some(status))));
        vec![status.to_string(), code.to_owned(), action, what.unwrap_or_default()]
    });
    page.table(&["HTTP status", "Code", "What the gateway does", "What it means"], rows);
    page.paragraph(
        "No answer at all (DNS, connection, TLS, timeout) is retried by the schedule. When the schedule is over, the event \
         becomes a dead letter, which an operator can retry.",
    );
}

/// A circuit breaker.
pub(super) fn breaker(breaker: Option<&Breaker>, page: &mut Markdown) {
    let Some(breaker) = breaker.filter(|breaker| breaker.enabled) else {
        return page.paragraph("None: a partner that fails is called all the same.");
    };
    let opens = match breaker.on_consecutive {
        OnConsecutive::Open => "opens it",
        OnConsecutive::Deactivate => "deactivates the endpoint until an operator enables it",
    };
    page.facts([
        (
            "Failure threshold",
            format!(
                "{} % failures in a {} s window of at least {} attempts",
                breaker.failure_percent, breaker.window_seconds, breaker.minimum_attempts
            ),
        ),
        (
            "Failures in a row",
            format!("{}, which {opens}", breaker.consecutive_failures),
        ),
        ("Open duration", format!("{} s", breaker.open_seconds)),
        ("Half-open test", "1 request at a time".to_owned()),
    ]);
}

/// Limits of the requests of clients.
pub(super) fn rate_limits(limits: Option<&RateLimits>, page: &mut Markdown) {
    let Some(limits) = limits.filter(|limits| limits.enabled) else {
        return page.paragraph("No limit of its own; limits of the organization and of consumers hold.");
    };
    let own = Limit {
        max_requests: limits.max_requests,
        window_seconds: limits.window_seconds.unwrap_or(60),
        max_per_second: limits.max_per_second,
        max_per_day: limits.max_per_day,
        max_concurrent: limits.max_concurrent,
    };
    let mut rows = Vec::new();
    for (whose, limit) in [
        ("all clients", Some(&own)),
        ("each caller", limits.per_key.as_ref()),
        ("each client address", limits.per_client_ip.as_ref()),
    ] {
        let Some(limit) = limit else { continue };
        let seconds = format!("{} s sliding", limit.window_seconds);
        let lines = [
            ("Requests", limit.max_requests.map(u64::from), seconds.as_str()),
            ("Burst", limit.max_per_second.map(u64::from), "1 s"),
            ("Daily quota", limit.max_per_day, "calendar day"),
            ("Under way at a time", limit.max_concurrent.map(u64::from), "–"),
        ];
        rows.extend(lines.into_iter().filter_map(|(name, most, window)| {
            let refused = "HTTP 429, Retry-After".to_owned();
            Some(vec![
                format!("{name}, {whose}"),
                most?.to_string(),
                window.to_owned(),
                refused,
            ])
        }));
    }
    page.table(&["Limit", "Value", "Window", "Action when exceeded"], rows);
}

/// Limits of deliveries.
pub(super) fn delivery_limits(limits: &DeliveryLimits, page: &mut Markdown) {
    let waits = "deliveries wait; none is lost".to_owned();
    let mut rows = Vec::new();
    if let Some(most) = limits.max_requests.filter(|_| limits.enabled) {
        let window = format!("{} s sliding", limits.window_seconds.unwrap_or(60));
        rows.push(vec!["Attempts".to_owned(), most.to_string(), window, waits.clone()]);
    }
    let most = limits.max_concurrency.to_string();
    rows.push(vec![
        "Attempts under way at a time".to_owned(),
        most,
        OPEN.to_owned(),
        waits,
    ]);
    page.table(&["Limit", "Value", "Window", "Action when exceeded"], rows);
}

pub(super) fn timeouts(timeouts: &Timeouts, page: &mut Markdown) {
    let row = |name: &str, ms: u64, notes: &str| vec![name.to_owned(), format!("{ms} ms"), notes.to_owned()];
    page.table(
        &["Timeout", "Value", "Notes"],
        [
            row(
                "Connection",
                timeouts.connect_ms,
                "to establish the connection, TLS included",
            ),
            row("Read", timeouts.first_byte_ms, "to the first byte of the answer"),
            row(
                "Total",
                timeouts.total_ms,
                "end to end, the body of the answer included",
            ),
        ],
    );
}

/// A time in milliseconds, for people.
pub(super) fn duration(ms: i64) -> String {
    match ms {
        ms if ms >= 3_600_000 && ms % 3_600_000 == 0 => format!("{} h", ms / 3_600_000),
        ms if ms >= 60_000 && ms % 60_000 == 0 => format!("{} min", ms / 60_000),
        ms if ms >= 1_000 && ms % 1_000 == 0 => format!("{} s", ms / 1_000),
        ms => format!("{ms} ms"),
    }
}

/// Those of the outline, and those that mean something of their own.
const STATUSES: [(u16, &str); 14] = [
    (200, "OK"),
    (301, "MOVED"),
    (400, "VALIDATION_ERROR"),
    (401, "UNAUTHORIZED"),
    (403, "FORBIDDEN"),
    (404, "NOT_FOUND"),
    (408, "REQUEST_TIMEOUT"),
    (409, "CONFLICT"),
    (410, "GONE"),
    (422, "BUSINESS_RULE"),
    (429, "RATE_LIMITED"),
    (500, "INTERNAL_ERROR"),
    (502, "BAD_GATEWAY"),
    (503, "UNAVAILABLE"),
];

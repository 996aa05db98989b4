//! What an integration does about a partner that fails.

use crate::delivery::BreakerRules;
use crate::model::resilience::Discovery;
use crate::model::{InboundIntegration, Problem};
use crate::plan::resilience::Resilience;
use crate::resilience::{Balance, Fallback, HealthRules, RetryRules, gradient, health};

/// Compiles the options; `None` where there are none, so that a call has nothing to ask.
pub(super) fn compile(source: &InboundIntegration, problems: &mut Vec<Problem>) -> Option<Box<Resilience>> {
    if let Some(rules) = source.passive_health {
        health::check_passive(rules, problems);
    }
    if let Some(rules) = source.adaptive_concurrency {
        gradient::check(rules, problems);
    }
    let retry = source.retry.as_ref();
    let breaker = source.breaker.as_ref();
    let is_guarded = breaker.is_some_and(|breaker| breaker.enabled);
    let balance = source.balance.as_ref();
    let active = source.health_check.as_ref();
    let fallback = source.fallback.as_ref();
    let resilience = Resilience {
        retry: retry.and_then(|retry| RetryRules::compile(retry, source.timeouts, problems)),
        breaker: breaker
            .and_then(|breaker| BreakerRules::compile(breaker, "breaker", problems))
            .filter(|_| is_guarded),
        balance: balance.map_or_else(Balance::default, |balance| Balance::compile(balance, problems)),
        passive: source.passive_health,
        active: active.and_then(|check| HealthRules::compile(check, problems)),
        discovers: matches!(source.discovery, Some(Discovery::Dns {})),
        concurrency: source.adaptive_concurrency,
        fallback: fallback.and_then(|fallback| Fallback::compile(fallback, problems)),
    };
    (resilience != Resilience::default()).then(|| Box::new(resilience))
}

//! Whether the limits let a request in.

use std::net::IpAddr;

use http::HeaderValue;

use super::super::fault::{Exceeded, Fault};
use crate::limiter::Verdict;
use crate::live::IntegrationRuntime;

/// `RateLimit-Policy` and `RateLimit` of an answer.
pub(in crate::proxy) type LimitFields = (HeaderValue, HeaderValue);

/// Counts the request of a client, before it is known who that is.
pub(super) fn of_client(
    runtime: &IntegrationRuntime,
    client: Option<IpAddr>,
) -> Result<Option<Verdict<'_>>, Fault> {
    match runtime.limiters.check_client(client) {
        Some(verdict) if !verdict.decision.allowed => Err(Fault::RateLimited(Box::new(exceeded(&verdict)))),
        verdict => Ok(verdict),
    }
}

/// Counts the request of whoever it is; what the client is told of its limits, if there are any.
pub(super) fn within_limits<'r>(
    runtime: &'r IntegrationRuntime,
    credential: Option<usize>,
    of_client: Option<Verdict<'r>>,
) -> Result<Option<LimitFields>, Fault> {
    match runtime.limiters.check(credential, of_client) {
        None => Ok(None),
        Some(verdict) if verdict.decision.allowed => Ok(Some((verdict.policy_value(), verdict.limit_value()))),
        Some(verdict) => Err(Fault::RateLimited(Box::new(exceeded(&verdict)))),
    }
}

/// What a client is told of a limit that is used up.
pub(in crate::proxy) fn exceeded(verdict: &Verdict<'_>) -> Exceeded {
    Exceeded {
        scope: verdict.policy.scope(),
        policy: verdict.policy_value(),
        limit: verdict.limit_value(),
        retry_after: verdict.retry_after_value(),
    }
}

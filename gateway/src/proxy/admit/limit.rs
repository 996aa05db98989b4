//! Whether the limits let a request in.

use std::net::IpAddr;

use http::HeaderValue;

use super::super::call::Caller;
use super::super::fault::Fault;
use crate::limiter::{Counted, OfClient, Passed};
use crate::live::{IntegrationRuntime, Live};

/// `RateLimit-Policy` and `RateLimit` of an answer.
pub(in crate::proxy) type LimitFields = (HeaderValue, HeaderValue);

/// Counts the request of a client, before it is known who that is.
pub(super) fn of_client(runtime: &IntegrationRuntime, client: Option<IpAddr>) -> Result<Option<OfClient<'_>>, Fault> {
    runtime.limiters.check_client(client).map_err(Fault::RateLimited)
}

/// Counts the request of whoever it is.
pub(super) fn within_limits(
    live: &Live,
    runtime: &IntegrationRuntime,
    caller: &Caller,
    of_client: Option<OfClient<'_>>,
) -> Result<Passed, Fault> {
    let counted = Counted {
        caller: caller.name.as_deref(),
        consumer: caller
            .consumer
            .as_ref()
            .and_then(|consumer| live.consumer_limiter(&consumer.id)),
    };
    runtime.limiters.check(counted, of_client).map_err(Fault::RateLimited)
}

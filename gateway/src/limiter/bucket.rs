//! One limit: its policy, and the bucket that counts by it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use filters::model::limits::RateLimit;
use governor::clock::{Clock, MonotonicClock, Reference};
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, Quota, RateLimiter};
use http::HeaderValue;

use super::header;

/// Whose requests a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One client address (an IPv6 client counts as its /64).
    ClientIp,
    /// One inbound credential.
    Key,
    /// All requests to an integration.
    Integration,
    /// All requests to all integrations of an organization.
    Organization,
}

impl Scope {
    /// The name of the policy in the `RateLimit` fields, and the label in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientIp => "client-ip",
            Self::Key => "key",
            Self::Integration => "integration",
            Self::Organization => "organization",
        }
    }
}

/// What a limit says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// False: answer with 429.
    pub allowed: bool,
    /// Requests in a window.
    pub limit: u32,
    /// Requests that would be allowed right now, after this one.
    pub remaining: u32,
    /// Seconds (rounded up) until the whole limit is available again if no request comes.
    pub reset_seconds: u32,
    /// Seconds (rounded up) until the next request is allowed: at least 1 if refused, 0 if allowed.
    pub retry_after_seconds: u32,
}

/// A limit and its name, ready for the headers.
#[derive(Debug)]
pub struct Policy {
    scope: Scope,
    limit: RateLimit,
    burst: NonZeroU32,
    /// Time in which one request is earned back, in nanoseconds.
    interval: u64,
    value: HeaderValue,
}

impl Policy {
    pub(super) fn new(scope: Scope, limit: RateLimit) -> Self {
        // `compile()` refuses zeros; should one get here, the closest limit that exists is the safe reading.
        let burst = NonZeroU32::new(limit.max_requests).unwrap_or(NonZeroU32::MIN);
        let window = Duration::from_secs(u64::from(limit.window_seconds.max(1)));
        let interval = u64::try_from((window / burst.get()).as_nanos())
            .unwrap_or(u64::MAX)
            .max(1);
        Self {
            scope,
            limit,
            burst,
            interval,
            value: header::policy_value(scope, limit),
        }
    }

    /// Whose requests are counted.
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// The limit as it was configured.
    pub const fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Value of the `RateLimit-Policy` field.
    pub const fn value(&self) -> &HeaderValue {
        &self.value
    }

    /// All requests of a window may come at once; each is earned back by an equal share of the window.
    pub(super) fn quota(&self) -> Quota {
        Quota::with_period(Duration::from_nanos(self.interval))
            .expect("the interval is at least a nanosecond")
            .allow_burst(self.burst)
    }

    pub(super) fn decide<P: Reference>(
        &self,
        outcome: Result<StateSnapshot, NotUntil<P>>,
        now: impl Fn() -> P,
    ) -> Decision {
        match outcome {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let used = self.burst.get().saturating_sub(remaining);
                Decision {
                    allowed: true,
                    limit: self.burst.get(),
                    remaining,
                    reset_seconds: seconds_up(u64::from(used).saturating_mul(self.interval)),
                    retry_after_seconds: 0,
                }
            }
            Err(until) => {
                let wait = u64::try_from(until.wait_time_from(now()).as_nanos()).unwrap_or(u64::MAX);
                let others = u64::from(self.burst.get() - 1).saturating_mul(self.interval);
                Decision {
                    allowed: false,
                    limit: self.burst.get(),
                    remaining: 0,
                    reset_seconds: seconds_up(wait.saturating_add(others)).max(1),
                    retry_after_seconds: seconds_up(wait).max(1),
                }
            }
        }
    }
}

/// A limiter of everything that comes to it. `C` is the clock, another one in tests only.
#[derive(Debug)]
pub struct Limiter<C: Clock = MonotonicClock> {
    policy: Policy,
    bucket: RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>,
}

impl Limiter {
    /// A limiter with nothing counted yet.
    pub fn new(scope: Scope, limit: RateLimit) -> Self {
        Self::with_clock(scope, limit, MonotonicClock)
    }

    /// `previous` if it has the same limit, else a new limiter.
    pub fn carried(previous: Option<&Arc<Self>>, scope: Scope, limit: RateLimit) -> Arc<Self> {
        match previous {
            Some(known) if known.policy.limit == limit && known.policy.scope == scope => Arc::clone(known),
            _ => Arc::new(Self::new(scope, limit)),
        }
    }
}

impl<C: Clock> Limiter<C> {
    pub(super) fn with_clock(scope: Scope, limit: RateLimit, clock: C) -> Self {
        let policy = Policy::new(scope, limit);
        let bucket = RateLimiter::direct_with_clock(policy.quota(), clock).with_middleware();
        Self { policy, bucket }
    }

    /// The limit and its name.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Counts one request. A refused request is not counted.
    pub fn check(&self) -> Decision {
        self.policy.decide(self.bucket.check(), || self.bucket.clock().now())
    }
}

fn seconds_up(nanos: u64) -> u32 {
    u32::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}

//! Limits of requests, in the order in which a request meets them.
//!
//! A request is counted by the narrowest limit first: client address, caller, consumer, integration, organization. The first
//! one that refuses ends the check, and what the others have counted is taken back: who is over a limit of their own uses up
//! nothing of what they share with others. The client's address alone stays counted, as it is asked before the credential.

mod client;
mod header;
mod keyed;
mod scope;
mod shared;
mod standing;

use std::net::IpAddr;
use std::sync::Arc;

use filters::plan::limits::Limits;
use http::HeaderValue;

pub use self::client::ClientLimiter;
use self::header::Fields;
pub use self::header::{RATELIMIT, RATELIMIT_POLICY};
pub use self::keyed::KeyedLimiters;
pub use self::scope::{Kind, Scope};
pub use self::shared::Limiter;
pub(crate) use self::shared::Used;
use self::shared::UsedUp;
use self::standing::Standing;
use crate::clock::Moment;
use crate::quota::{QuotaKey, Quotas};

/// The limiters of one integration, with their state.
#[derive(Debug, Default)]
pub struct Limiters {
    organization: Option<Arc<Limiter>>,
    integration: Option<Arc<Limiter>>,
    per_key: Option<Arc<KeyedLimiters>>,
    per_client_ip: Option<Arc<ClientLimiter>>,
}

/// What a request is counted by, besides the client's address.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted<'a> {
    /// Name of the caller; none without authentication.
    pub caller: Option<&'a str>,
    /// Limiter of the caller's consumer.
    pub consumer: Option<&'a Arc<Limiter>>,
}

/// What the limit of the client's address said when it let a request pass.
#[derive(Debug)]
pub struct OfClient<'a> {
    limiter: &'a ClientLimiter,
    standing: Standing,
}

/// A request that is within its limits.
#[derive(Debug, Default)]
pub struct Passed {
    /// `RateLimit-Policy` and `RateLimit` of the answer; none if nothing is limited.
    pub fields: Option<(HeaderValue, HeaderValue)>,
    /// To be held until the request has ended.
    pub places: Places,
}

/// Places among the requests that may be under way at a time. They are given back when this is dropped.
#[derive(Debug, Default)]
pub struct Places(Vec<Arc<Limiter>>);

/// A request beyond a limit.
#[derive(Debug)]
pub struct Refused {
    /// Whose limit it is.
    pub scope: Scope,
    /// Which of their limits.
    pub kind: Kind,
    /// `RateLimit-Policy` and `RateLimit` of that scope's limits.
    pub fields: Option<(HeaderValue, HeaderValue)>,
    /// Seconds (rounded up) until a request may pass again.
    pub retry_after_seconds: u32,
}

impl Limiters {
    /// Builds the limiters for `limits` of the integration `id`, sharing with `previous` each one whose limit is unchanged,
    /// so that a new configuration resets nothing. `organization` is shared by all integrations of the organization.
    pub fn carried(
        previous: Option<&Self>,
        limits: &Limits,
        id: &Arc<str>,
        organization: Option<Arc<Limiter>>,
        quotas: &Arc<Quotas>,
    ) -> Self {
        Self {
            organization,
            integration: limits.integration.as_ref().map(|plan| {
                let before = previous.and_then(|previous| previous.integration.as_ref());
                Limiter::carried(before, Scope::Integration, plan, quotas, QuotaKey::integration(id))
            }),
            per_key: limits.per_key.as_ref().map(|plan| {
                let before = previous.and_then(|previous| previous.per_key.as_ref());
                KeyedLimiters::carried(before, plan, id, quotas)
            }),
            per_client_ip: limits.per_client_ip.as_ref().map(|plan| {
                let before = previous.and_then(|previous| previous.per_client_ip.as_ref());
                ClientLimiter::carried(before, plan)
            }),
        }
    }

    /// Counts one request from `client`, before it is known whose it is, so that guesses at credentials count as well.
    ///
    /// # Errors
    /// If the client is over its limit.
    pub fn check_client(&self, client: Option<IpAddr>) -> Result<Option<OfClient<'_>>, Box<Refused>> {
        let (Some(limiter), Some(client)) = (&self.per_client_ip, client) else {
            return Ok(None);
        };
        let limiter = &**limiter;
        match limiter.take(client, Moment::now()) {
            Ok(standing) => Ok(Some(OfClient { limiter, standing })),
            Err(used_up) => Err(refused(Scope::ClientIp, limiter.policies(), &used_up)),
        }
    }

    /// Counts one request. `of_client` is what [`Self::check_client`] said when it let the request pass.
    ///
    /// # Errors
    /// If one of the limits is used up.
    pub fn check(&self, counted: Counted<'_>, of_client: Option<OfClient<'_>>) -> Result<Passed, Box<Refused>> {
        let has_key = self.per_key.is_some() && counted.caller.is_some();
        let is_free = self.integration.is_none() && self.organization.is_none() && counted.consumer.is_none();
        if is_free && !has_key && of_client.is_none() {
            return Ok(Passed::default());
        }
        let now = Moment::now();
        let key = self.per_key.as_ref().zip(counted.caller);
        let key = key.map(|(limiters, name)| limiters.of(name, now));
        let shared = [
            key.as_ref(),
            counted.consumer,
            self.integration.as_ref(),
            self.organization.as_ref(),
        ];
        pass(shared, of_client, now)
    }
}

/// What each caller has used up, by its name.
pub(crate) type UsedByCaller = Vec<(Box<str>, Vec<Used>)>;

impl Limiters {
    /// What is used up of the integration's own limit, and by each of its callers (without a name where they share one).
    pub(crate) fn usage(&self, now: Moment) -> (Vec<Used>, UsedByCaller) {
        let own = self.integration.as_ref().map(|limiter| limiter.usage(now));
        let callers = self.per_key.as_ref().map(|limiters| limiters.usage(now));
        (own.unwrap_or_default(), callers.unwrap_or_default())
    }

    /// Forgets what was counted of the integration, its callers and its clients' addresses; not of the organization.
    pub(crate) fn reset(&self) {
        if let Some(limiter) = &self.integration {
            limiter.reset();
        }
        if let Some(limiters) = &self.per_key {
            limiters.reset();
        }
        if let Some(limiter) = &self.per_client_ip {
            limiter.reset();
        }
    }
}

impl Limiter {
    /// Counts one request by this limiter alone.
    ///
    /// # Errors
    /// If it is used up.
    pub fn check(self: &Arc<Self>) -> Result<Passed, Box<Refused>> {
        pass([Some(self)], None, Moment::now())
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        for limiter in &self.0 {
            limiter.ended();
        }
    }
}

fn pass<const N: usize>(
    limiters: [Option<&Arc<Limiter>>; N],
    of_client: Option<OfClient<'_>>,
    now: Moment,
) -> Result<Passed, Box<Refused>> {
    let mut fields = Fields::default();
    if let Some(client) = of_client {
        fields.add(Scope::ClientIp, client.limiter.policies(), &client.standing);
    }
    let mut places = Places::default();
    for (index, limiter) in limiters.iter().enumerate() {
        let Some(limiter) = limiter else { continue };
        match limiter.take(now) {
            Ok(standing) => fields.add(limiter.scope(), limiter.policies(), &standing),
            Err(used_up) => {
                limiters[..index].iter().flatten().for_each(|passed| passed.take_back());
                // What was taken back has no place any more.
                places.0.clear();
                return Err(refused(limiter.scope(), limiter.policies(), &used_up));
            }
        }
        if limiter.counts_ends() {
            places.0.push(Arc::clone(limiter));
        }
    }
    Ok(Passed {
        fields: fields.values(),
        places,
    })
}

fn refused(scope: Scope, policies: &str, used_up: &UsedUp) -> Box<Refused> {
    let mut fields = Fields::default();
    fields.add(scope, policies, &used_up.standing);
    Box::new(Refused {
        scope,
        kind: used_up.kind,
        fields: fields.values(),
        retry_after_seconds: used_up.retry_after_seconds,
    })
}

#[cfg(test)]
mod tests;

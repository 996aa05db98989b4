//! Rate limits of one integration, in the order in which a request meets them.
//!
//! A request is counted by the narrowest limit first: client address, credential, integration, organization. The first
//! one that refuses ends the check, and the limits behind it are not charged: a client that is over its own limit uses
//! up nothing of what it shares with others. Limits passed before the refusing one stay charged.

mod bucket;
mod client;
mod header;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use filters::model::limits::RateLimit;
use http::HeaderValue;

pub use self::bucket::{Decision, Limiter, Policy, Scope};
pub use self::client::ClientLimiter;
pub use self::header::{RATELIMIT, RATELIMIT_POLICY};

/// The limits that an integration sets itself; none is limited until it is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// All requests to the integration together.
    pub integration: Option<RateLimit>,
    /// Each inbound credential.
    pub per_key: Option<RateLimit>,
    /// Each client address.
    pub per_client_ip: Option<RateLimit>,
}

/// The limiters of one integration, with their state.
#[derive(Debug, Default)]
pub struct Limiters {
    organization: Option<Arc<Limiter>>,
    integration: Option<Arc<Limiter>>,
    per_key: Box<[KeyLimiter]>,
    per_client_ip: Option<Arc<ClientLimiter>>,
}

impl Limiters {
    /// Builds the limiters for `rates`, sharing with `previous` each one whose limit is unchanged, so that a new
    /// configuration resets nothing.
    ///
    /// `credentials` are the names of the inbound credentials in the order of their indexes; a credential finds its
    /// state again by its name, wherever it stands in the list now. `organization` is shared by all integrations of
    /// the organization (see [`Limiter::carried`]).
    pub fn carried<'a>(
        previous: Option<&Self>,
        rates: Rates,
        credentials: impl IntoIterator<Item = &'a str>,
        organization: Option<Arc<Limiter>>,
    ) -> Self {
        Self {
            organization,
            integration: rates.integration.map(|limit| {
                let before = previous.and_then(|previous| previous.integration.as_ref());
                Limiter::carried(before, Scope::Integration, limit)
            }),
            per_key: rates.per_key.map_or_else(Box::default, |limit| {
                keys_carried(previous.map_or(&[], |previous| &previous.per_key), limit, credentials)
            }),
            per_client_ip: rates.per_client_ip.map(|limit| {
                let before = previous.and_then(|previous| previous.per_client_ip.as_ref());
                ClientLimiter::carried(before, limit)
            }),
        }
    }

    /// Counts one request from `client`, before it is known whose it is, so that guesses at credentials count as well.
    ///
    /// Returns what the limit says; none if clients are not limited.
    pub fn check_client(&self, client: Option<IpAddr>) -> Option<Verdict<'_>> {
        let (limiter, client) = (self.per_client_ip.as_ref()?, client?);
        Some(Verdict {
            policy: limiter.policy(),
            decision: limiter.check(client),
        })
    }

    /// Counts one request of the credential with index `credential` (none without authentication). `of_client` is what
    /// [`Self::check_client`] said when it let the request pass.
    ///
    /// Returns the refusal, or the limit with the least left of those that allowed the request; none if nothing is
    /// limited.
    pub fn check<'a>(&'a self, credential: Option<usize>, of_client: Option<Verdict<'a>>) -> Option<Verdict<'a>> {
        let mut tightest = of_client;
        let key = credential
            .and_then(|index| self.per_key.get(index))
            .map(|key| &*key.limiter);
        for limiter in [key, self.integration.as_deref(), self.organization.as_deref()]
            .into_iter()
            .flatten()
        {
            if note(&mut tightest, limiter.policy(), limiter.check()) {
                return tightest;
            }
        }
        tightest
    }
}

/// What a check came to, with the limit that decided it.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    /// The limit that refused, or the one with the least left.
    pub policy: &'a Policy,
    /// What that limit says of the request.
    pub decision: Decision,
}

impl Verdict<'_> {
    /// Value of the `RateLimit-Policy` field.
    pub fn policy_value(&self) -> HeaderValue {
        self.policy.value().clone()
    }

    /// Value of the `RateLimit` field.
    pub fn limit_value(&self) -> HeaderValue {
        header::limit_value(self.policy.scope(), &self.decision)
    }

    /// Value of the `Retry-After` field, if the request was refused.
    pub fn retry_after_value(&self) -> Option<HeaderValue> {
        (!self.decision.allowed).then(|| HeaderValue::from(self.decision.retry_after_seconds))
    }
}

#[derive(Debug)]
struct KeyLimiter {
    name: Box<str>,
    limiter: Arc<Limiter>,
}

/// Keeps the verdict that says more to the client; true if it is a refusal, after which nothing more is charged.
fn note<'a>(tightest: &mut Option<Verdict<'a>>, policy: &'a Policy, decision: Decision) -> bool {
    let tighter = |known: &Verdict<'_>| {
        let (new, old) = (&decision, &known.decision);
        (new.remaining, old.reset_seconds) < (old.remaining, new.reset_seconds)
    };
    if !decision.allowed || tightest.as_ref().is_none_or(tighter) {
        *tightest = Some(Verdict { policy, decision });
    }
    !decision.allowed
}

fn keys_carried<'a>(
    previous: &[KeyLimiter],
    limit: RateLimit,
    credentials: impl IntoIterator<Item = &'a str>,
) -> Box<[KeyLimiter]> {
    let known: HashMap<&str, &Arc<Limiter>> = previous.iter().map(|key| (&*key.name, &key.limiter)).collect();
    credentials
        .into_iter()
        .map(|name| KeyLimiter {
            name: name.into(),
            limiter: Limiter::carried(known.get(name).copied(), Scope::Key, limit),
        })
        .collect()
}

#[cfg(test)]
mod tests;

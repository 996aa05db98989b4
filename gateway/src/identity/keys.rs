//! Public keys of an issuer: fetched once however many requests wait, kept for as long as the issuer says, renewed beside
//! the requests, and used on for a day while the issuer does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use filters::address::EgressPolicy;
use filters::auth::jwk::KeySet;
use filters::auth::jwt::{Failed, JwtCheck, Token};
use filters::auth::{AuthRefusal, Identity, Presented};
use filters::target::TargetUrl;
use http_body_util::Full;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::NotKnown;
use super::door::{Door, DoorError};
use crate::live::Deps;
use crate::metrics::{IdentityCall, Metrics};

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct KeySource {
    door: Door,
    current: ArcSwapOption<Fetched>,
    /// Held by the one who fetches; the others wait for what comes.
    turn: Mutex<Turn>,
    renewing: AtomicBool,
    metrics: Arc<Metrics>,
}

/// Keys, and for how long they count.
#[derive(Debug)]
struct Fetched {
    keys: KeySet,
    /// From then on they are renewed beside the requests.
    renew_at: Instant,
    /// From then on they are not used any more.
    ends_at: Instant,
}

/// When the issuer may be asked.
#[derive(Debug)]
struct Turn {
    /// Before this time nobody asks, as the last answer was none.
    not_before: Option<Instant>,
    /// How often in a row there was none.
    failures: u32,
    /// How many more times an unknown key may have the set fetched, and when that was counted last.
    early: (u32, Instant),
}

impl KeySource {
    pub(super) fn new(url: &TargetUrl, policy: &EgressPolicy, deps: &Deps) -> Arc<Self> {
        Arc::new(Self {
            door: Door::new(url, policy, deps),
            current: ArcSwapOption::empty(),
            turn: Mutex::new(Turn {
                not_before: None,
                failures: 0,
                early: (MOST_EARLY, Instant::now()),
            }),
            renewing: AtomicBool::new(false),
            metrics: Arc::clone(&deps.metrics),
        })
    }

    /// True if its connections are made under this policy.
    pub(super) fn is_under(&self, policy: &EgressPolicy) -> bool {
        self.door.policy() == policy
    }

    /// Who the bearer of `token` is. A key that is not known has the set fetched again, a few times a minute.
    pub(super) async fn verified(
        self: &Arc<Self>,
        check: &JwtCheck,
        token: &Token<'_>,
        request: &Presented<'_>,
    ) -> Result<Identity, NotKnown> {
        let fetched = self.keys().await?;
        match check.verify(token, &fetched.keys, request.consumers, (request.now_s)()) {
            Ok(identity) => Ok(identity),
            Err(Failed::Refused(refusal)) => Err(refusal.into()),
            Err(Failed::NoSuchKey) => match self.newer(&fetched).await {
                Some(newer) => verified(check, token, &newer.keys, request),
                None => Err(AuthRefusal::Invalid.into()),
            },
        }
    }

    async fn keys(self: &Arc<Self>) -> Result<Arc<Fetched>, NotKnown> {
        let now = Instant::now();
        if let Some(current) = self.current.load_full().filter(|current| now < current.ends_at) {
            if now >= current.renew_at {
                self.renew();
            }
            return Ok(current);
        }
        let mut turn = self.turn.lock().await;
        match self
            .current
            .load_full()
            .filter(|current| Instant::now() < current.ends_at)
        {
            Some(current) => Ok(current),
            None => self.fetch(&mut turn).await.ok_or(NotKnown::Unavailable),
        }
    }

    /// Renews the keys in the background, once at a time.
    fn renew(self: &Arc<Self>) {
        if self.renewing.swap(true, Ordering::Acquire) {
            return;
        }
        let source = Arc::clone(self);
        tokio::spawn(async move {
            let mut turn = source.turn.lock().await;
            source.fetch(&mut turn).await;
            drop(turn);
            source.renewing.store(false, Ordering::Release);
        });
    }

    /// Keys that were fetched after `than`, as a token names a key that is not among those.
    async fn newer(&self, than: &Arc<Fetched>) -> Option<Arc<Fetched>> {
        let mut turn = self.turn.lock().await;
        match self.current.load_full() {
            // Somebody else fetched them while this one waited.
            Some(current) if !Arc::ptr_eq(&current, than) => Some(current),
            _ if turn.may_be_early(Instant::now()) => self.fetch(&mut turn).await,
            _ => None,
        }
    }

    async fn fetch(&self, turn: &mut Turn) -> Option<Arc<Fetched>> {
        if turn.not_before.is_some_and(|time| Instant::now() < time) {
            return None;
        }
        let fetched = self.ask().await;
        let now = Instant::now();
        match fetched {
            Ok((keys, max_age)) => {
                self.metrics.identity_called(IdentityCall::Keys);
                let age = max_age.unwrap_or(USUAL_AGE).clamp(SHORTEST_AGE, LONGEST_AGE);
                let fetched = Arc::new(Fetched {
                    keys,
                    renew_at: now + age,
                    ends_at: now + age + STALE,
                });
                (turn.failures, turn.not_before) = (0, None);
                self.current.store(Some(Arc::clone(&fetched)));
                Some(fetched)
            }
            Err(error) => {
                self.metrics.identity_called(IdentityCall::KeysFailed);
                tracing::warn!(url = %self.door, %error, "the keys of an issuer cannot be fetched");
                let pause = FIRST_PAUSE * 2_u32.pow(turn.failures.min(MOST_DOUBLINGS));
                turn.failures = turn.failures.saturating_add(1);
                turn.not_before = Some(now + pause);
                None
            }
        }
    }

    async fn ask(&self) -> Result<(KeySet, Option<Duration>), DoorError> {
        let request = self.door.request().body(Full::new(Bytes::new()))?;
        let reply = self.door.ask(request).await?;
        let keys = KeySet::from_json(&reply.body).map_err(|error| DoorError::Content(error.to_string()))?;
        Ok((keys, reply.max_age))
    }
}

impl Turn {
    /// True if an unknown key may have the set fetched now: who invents names of keys must not wear the issuer out.
    fn may_be_early(&mut self, now: Instant) -> bool {
        let (left, since) = &mut self.early;
        let earned = now.saturating_duration_since(*since).as_secs() / EARLY_EVERY.as_secs();
        if earned > 0 {
            *left = MOST_EARLY.min(left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)));
            *since = now;
        }
        let may = *left > 0;
        *left = left.saturating_sub(1);
        may
    }
}

/// Who the bearer of `token` is, if one of `keys` signed it.
pub(super) fn verified(
    check: &JwtCheck,
    token: &Token<'_>,
    keys: &KeySet,
    request: &Presented<'_>,
) -> Result<Identity, NotKnown> {
    match check.verify(token, keys, request.consumers, (request.now_s)()) {
        Ok(identity) => Ok(identity),
        Err(Failed::Refused(refusal)) => Err(refusal.into()),
        Err(Failed::NoSuchKey) => Err(AuthRefusal::Invalid.into()),
    }
}

/// How long keys count where the issuer does not say; and at least and at most, whatever it says.
const USUAL_AGE: Duration = Duration::from_secs(10 * 60);
const SHORTEST_AGE: Duration = Duration::from_secs(5);
const LONGEST_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long they are used on while they cannot be renewed.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// Between two attempts after one that failed; doubled with each, to about a minute.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MOST_DOUBLINGS: u32 = 6;
/// How often unknown keys have the set fetched: so many times at once, and once in this time.
const MOST_EARLY: u32 = 3;
const EARLY_EVERY: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn invented_keys_have_the_set_fetched_a_few_times_only() {
        let mut turn = Turn {
            not_before: None,
            failures: 0,
            early: (MOST_EARLY, Instant::now()),
        };
        let allowed = (0..100).filter(|_| turn.may_be_early(Instant::now())).count();
        assert_eq!(allowed, 3);
        tokio::time::advance(EARLY_EVERY).await;
        let allowed = (0..100).filter(|_| turn.may_be_early(Instant::now())).count();
        assert_eq!(allowed, 1);
        tokio::time::advance(EARLY_EVERY * 1000).await;
        let allowed = (0..100).filter(|_| turn.may_be_early(Instant::now())).count();
        assert_eq!(allowed, 3);
    }
}

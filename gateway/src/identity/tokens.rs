//! Tokens that their issuer is asked about (RFC 7662): once for each token at a time, and not again for as long as the
//! integration says. An issuer that does not answer opens nothing: a token may have been revoked since.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use filters::address::EgressPolicy;
use filters::auth::introspection::{IntrospectionCheck, Standing};
use filters::auth::sha256;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use http_body_util::Full;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, timeout};

use super::NotKnown;
use super::door::{Door, DoorError};
use crate::live::Deps;
use crate::metrics::{IdentityCall, Metrics};

/// What one issuer says of tokens.
#[derive(Debug)]
pub(super) struct TokenSource {
    door: Door,
    authorization: HeaderValue,
    /// How long an answer counts.
    cache: Duration,
    known: Mutex<HashMap<[u8; 32], Arc<Slot>>>,
    /// Questions at a time: invented tokens must not wear the issuer out.
    places: Semaphore,
    /// Until then nobody asks, as there was no answer.
    pause: Mutex<Option<Instant>>,
    metrics: Arc<Metrics>,
}

/// One token: what is said of it, or the question that is under way.
#[derive(Debug, Default)]
struct Slot(OnceCell<Said>);

#[derive(Debug)]
struct Said {
    standing: Arc<Standing>,
    until: Instant,
}

impl TokenSource {
    /// For `check`; `known`, if it asks the same issuer in the same way.
    pub(super) fn carried(
        known: Option<&Arc<Self>>,
        check: &IntrospectionCheck,
        policy: &EgressPolicy,
        deps: &Deps,
    ) -> Arc<Self> {
        let cache = Duration::from_secs(u64::from(check.cache_seconds()));
        let is_same = |source: &&Arc<Self>| {
            source.door.url() == check.url()
                && source.door.policy() == policy
                && source.authorization == *check.authorization()
                && source.cache == cache
        };
        if let Some(known) = known.filter(is_same) {
            return Arc::clone(known);
        }
        Arc::new(Self {
            door: Door::new(check.url(), policy, deps),
            authorization: check.authorization().clone(),
            cache,
            known: Mutex::default(),
            places: Semaphore::new(MOST_QUESTIONS),
            pause: Mutex::default(),
            metrics: Arc::clone(&deps.metrics),
        })
    }

    /// What the issuer says of `token`.
    pub(super) async fn standing(&self, token: &str) -> Result<Arc<Standing>, NotKnown> {
        if self.cache.is_zero() {
            let said = timeout(PATIENCE, self.said(token))
                .await
                .map_err(|_| NotKnown::Unavailable)?;
            return said.map(|said| said.standing);
        }
        let slot = self.slot(sha256(token.as_bytes()));
        let said = timeout(PATIENCE, slot.0.get_or_try_init(|| self.said(token))).await;
        match said {
            Ok(Ok(said)) => Ok(Arc::clone(&said.standing)),
            Ok(Err(not_known)) => Err(not_known),
            Err(_) => Err(NotKnown::Unavailable),
        }
    }

    /// Where the token's standing is, or will be.
    fn slot(&self, token: [u8; 32]) -> Arc<Slot> {
        let now = Instant::now();
        let mut known = self.known.lock();
        if let Some(slot) = known.get(&token).filter(|slot| slot.counts(now)) {
            return Arc::clone(slot);
        }
        if known.len() >= MOST_TOKENS {
            known.retain(|_, slot| slot.counts(now));
            if known.len() >= MOST_TOKENS {
                // Whoever is forgotten is asked about again.
                let mut kept = 0_usize;
                known.retain(|_, _| {
                    kept += 1;
                    !kept.is_multiple_of(8)
                });
            }
        }
        let slot = Arc::<Slot>::default();
        known.insert(token, Arc::clone(&slot));
        slot
    }

    async fn said(&self, token: &str) -> Result<Said, NotKnown> {
        if self.pause.lock().is_some_and(|until| Instant::now() < until) {
            return Err(NotKnown::Unavailable);
        }
        let _place = self.places.acquire().await.map_err(|_| NotKnown::Unavailable)?;
        match self.ask(token).await {
            Ok(standing) => {
                self.metrics.identity_called(IdentityCall::Token);
                let cache = match standing {
                    Standing::Active(..) => self.cache,
                    Standing::Inactive => self.cache.min(LONGEST_NO),
                };
                Ok(Said {
                    standing: Arc::new(standing),
                    until: Instant::now() + cache,
                })
            }
            Err(error) => {
                self.metrics.identity_called(IdentityCall::TokenFailed);
                tracing::warn!(url = %self.door, %error, "an issuer cannot be asked about tokens");
                *self.pause.lock() = Some(Instant::now() + PAUSE);
                Err(NotKnown::Unavailable)
            }
        }
    }

    async fn ask(&self, token: &str) -> Result<Standing, DoorError> {
        let question = IntrospectionCheck::question(token);
        let request = self
            .door
            .request()
            .method(Method::POST)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(AUTHORIZATION, self.authorization.clone())
            .body(Full::new(Bytes::from(question)))?;
        let reply = self.door.ask(request).await?;
        Standing::read(&reply.body).ok_or_else(|| DoorError::Content("says nothing of the token".to_owned()))
    }
}

impl Slot {
    /// True while there is an answer that counts, or a question under way.
    fn counts(&self, now: Instant) -> bool {
        self.0.get().is_none_or(|said| now < said.until)
    }
}

/// The most tokens that are remembered.
const MOST_TOKENS: usize = 20_000;
/// The most questions at a time.
const MOST_QUESTIONS: usize = 32;
/// How long a request waits for an answer in all.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long nobody asks after there was no answer.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a token that is not good is taken for one at most: it may be one that was just issued.
const LONGEST_NO: Duration = Duration::from_secs(10);

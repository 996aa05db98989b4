//! OAuth2 tokens: fetched once however many callers wait, renewed before they end, and shared by all who have the same
//! credential.
//!
//! ```text
//! TokenSource::known -> a token that is good for some time yet; when it nears its end, it is renewed beside the calls
//! TokenSource::token -> the same, or waits for the one request to the token endpoint that is under way
//! TokenSource::renewed -> after a 401: another token than the one that was refused
//! ```

mod fetch;
mod grants;
mod state;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use ahash::AHashMap;
use arc_swap::ArcSwapOption;
use filters::address::EgressPolicy;
use filters::outgoing::TokenPlan;
use filters::outgoing::token::{SigningFault, TokenRefusal};
use http::HeaderValue;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::error::EgressError;
use crate::pool::{Pool, PoolSettings};
use crate::resolver::Resolver;
use crate::tls::Trust;
use crate::upstream::Upstream;
use grants::Grants;
pub use grants::{Claim, GrantStore};
use state::{Flight, State};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The token endpoint gave no answer.
    #[error("no token: {0}")]
    Egress(#[source] EgressError),
    /// Its answer holds no token.
    #[error("no token: {host} {refusal}")]
    Refused {
        /// The token endpoint.
        host: String,
        /// What is wrong with the answer.
        refusal: TokenRefusal,
    },
    /// The request for a token could not be made.
    #[error("no token: {0}")]
    Signing(#[source] SigningFault),
    /// What is kept of a refresh token cannot be read, or the token that takes its place cannot be kept.
    #[error("no token: the refresh token cannot be kept: {0}")]
    NotKept(#[source] io::Error),
    /// Somebody else uses the refresh token.
    #[error("no token: another process uses the refresh token")]
    InUse,
    /// The token did not come in the time that the caller has.
    #[error("no token from {host} within {} ms", after.as_millis())]
    Timeout {
        /// The token endpoint.
        host: String,
        /// How long the caller waited.
        after: Duration,
    },
}

impl TokenError {
    /// True if the credential itself was refused.
    fn is_final(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.is_final())
    }
}

/// What came of a request to a token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenCall {
    /// A token.
    Granted,
    /// An answer without one.
    Refused,
    /// No answer.
    Failed,
}

/// All credentials of a process that tokens are fetched for.
pub struct Tokens {
    shared: Arc<Shared>,
    sources: Mutex<AHashMap<[u8; 32], Weak<TokenSource>>>,
}

/// What all sources need.
pub(crate) struct Shared {
    resolver: Arc<Resolver>,
    trust: Trust,
    grants: Grants,
    told: Box<dyn Fn(TokenCall) + Send + Sync>,
}

impl Tokens {
    /// Nothing is fetched before somebody asks. `grants` keeps refresh tokens, and `told` hears of each request to a token
    /// endpoint.
    pub fn new(
        resolver: Arc<Resolver>,
        trust: Trust,
        grants: Arc<dyn GrantStore>,
        told: impl Fn(TokenCall) + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                resolver,
                trust,
                grants: Grants::new(grants),
                told: Box::new(told),
            }),
            sources: Mutex::default(),
        }
    }

    /// The tokens of a credential. As long as anybody keeps the source, the same credential gets the same one, with the
    /// token that it has.
    pub fn source(&self, plan: &Arc<TokenPlan>, policy: &EgressPolicy) -> Arc<TokenSource> {
        let mut sources = self.sources.lock();
        if let Some(known) = sources.get(&plan.credential).and_then(Weak::upgrade) {
            return known;
        }
        if sources.len() >= sources.capacity() {
            sources.retain(|_, source| source.strong_count() > 0);
        }
        let source = TokenSource::new(plan, policy, &self.shared);
        sources.insert(plan.credential, Arc::downgrade(&source));
        source
    }

    /// Waits until no refresh token is in use, so that none is lost when the process ends.
    pub async fn settled(&self) {
        self.shared.grants.unused().await;
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

/// The tokens of one credential.
pub struct TokenSource {
    plan: Arc<TokenPlan>,
    pool: Pool,
    current: ArcSwapOption<Token>,
    /// True while nobody needs to look whether it is time to renew the token ahead.
    is_renewing: AtomicBool,
    state: Mutex<State>,
    shared: Arc<Shared>,
}

/// A token.
pub struct Token {
    authorization: HeaderValue,
    /// Which one it is of those of its source.
    number: u64,
    fetched: Instant,
    /// From here on it is renewed beside the calls.
    renew_at: Instant,
    /// Up to here it is used without a question.
    valid_until: Instant,
    /// Its end, as the token endpoint said.
    ends: Instant,
    was_accepted: AtomicBool,
    was_refused: AtomicBool,
}

impl Token {
    /// The value of `Authorization`.
    pub fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    /// To be called when a partner has taken it: when such a token is refused later, it is its end.
    pub fn accepted(&self) {
        if !self.was_accepted.load(Ordering::Relaxed) {
            self.was_accepted.store(true, Ordering::Relaxed);
        }
    }

    fn is_valid(&self, now: Instant) -> bool {
        now < self.valid_until && !self.was_refused.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl TokenSource {
    fn new(plan: &Arc<TokenPlan>, policy: &EgressPolicy, shared: &Arc<Shared>) -> Arc<Self> {
        let upstream = Upstream::new(plan.endpoint.clone(), policy.clone(), Arc::clone(&shared.resolver));
        let settings = PoolSettings {
            max_idle: 1,
            ..PoolSettings::default()
        };
        let tls = match &plan.tls {
            None => Arc::clone(shared.trust.usual()).into(),
            Some(plan) => shared.trust.with(plan),
        };
        Arc::new(Self {
            plan: Arc::clone(plan),
            pool: Pool::new(upstream, settings, tls),
            current: ArcSwapOption::empty(),
            is_renewing: AtomicBool::new(false),
            state: Mutex::default(),
            shared: Arc::clone(shared),
        })
    }

    /// A token that is good for some time yet, if there is one. Takes no lock and waits for nothing. Near its end the next
    /// one is fetched in the background.
    pub fn known(self: &Arc<Self>) -> Option<Arc<Token>> {
        let token = self.current.load_full()?;
        let now = Instant::now();
        if !token.is_valid(now) {
            return None;
        }
        if now >= token.renew_at && !self.is_renewing.swap(true, Ordering::Acquire) {
            // What comes of it is looked at by those who need it.
            drop(self.state.lock().join(now, || self.start()));
        }
        Some(token)
    }

    /// A token, waited for no longer than `limit`.
    ///
    /// # Errors
    /// Why there is none. After a failure, the token endpoint is left alone for a while, and callers get that failure.
    pub async fn token(self: &Arc<Self>, limit: Duration) -> Result<Arc<Token>, Arc<TokenError>> {
        match self.known() {
            Some(token) => Ok(token),
            None => self.fetched(limit).await,
        }
    }

    /// Another token than `refused`, with which a partner answered 401. `None` if there is no point in it: the token is new
    /// and was never taken, so that it is not its age that the partner objects to.
    ///
    /// # Errors
    /// As of [`TokenSource::token`].
    pub async fn renewed(
        self: &Arc<Self>,
        refused: &Token,
        limit: Duration,
    ) -> Result<Option<Arc<Token>>, Arc<TokenError>> {
        if let Some(token) = self.known().filter(|token| token.number != refused.number) {
            return Ok(Some(token));
        }
        let is_new = refused.fetched.elapsed() < RENEWED_AGAIN_AFTER;
        if is_new && !refused.was_accepted.load(Ordering::Relaxed) {
            return Ok(None);
        }
        refused.was_refused.store(true, Ordering::Relaxed);
        self.fetched(limit).await.map(Some)
    }

    /// Waits for the request that is under way, or makes one.
    async fn fetched(self: &Arc<Self>, limit: Duration) -> Result<Arc<Token>, Arc<TokenError>> {
        let now = Instant::now();
        let joined = {
            let mut state = self.state.lock();
            // Somebody else's may have come meanwhile.
            match self.current.load_full().filter(|token| token.is_valid(now)) {
                Some(token) => return Ok(token),
                None => state.join(now, || self.start()),
            }
        };
        let mut flight = match joined {
            Ok(flight) => flight,
            Err(error) => return self.stand_in(error),
        };
        let landed = timeout(limit, flight.wait_for(Option::is_some)).await;
        let outcome = match landed {
            Ok(Ok(landed)) => landed.clone(),
            Ok(Err(_)) => None,
            Err(_) => Some(Err(Arc::new(self.timed_out(limit)))),
        };
        match outcome {
            Some(Ok(token)) => Ok(token),
            Some(Err(error)) => self.stand_in(error),
            // Its task is gone, which a stopping runtime does.
            None => Err(Arc::new(self.timed_out(limit))),
        }
    }

    /// The last token, where the token endpoint fails: up to its end in any case, and a little longer if it was not the
    /// credential that was refused.
    fn stand_in(&self, error: Arc<TokenError>) -> Result<Arc<Token>, Arc<TokenError>> {
        let grace = if error.is_final() { Duration::ZERO } else { GRACE };
        let last = self.current.load_full();
        let usable =
            last.filter(|token| Instant::now() < token.ends + grace && !token.was_refused.load(Ordering::Relaxed));
        usable.ok_or(error)
    }

    /// Starts the one request to the token endpoint. It goes on when those who wait for it lose patience.
    fn start(self: &Arc<Self>) -> Flight {
        let (landed, flight) = watch::channel(None);
        let source = Arc::clone(self);
        tokio::spawn(async move {
            let fetched = fetch::fetch(&source.plan, &source.pool, &source.shared.grants).await;
            (source.shared.told)(match &fetched {
                Ok(_) => TokenCall::Granted,
                Err(TokenError::Refused { .. }) => TokenCall::Refused,
                Err(_) => TokenCall::Failed,
            });
            let outcome = {
                let mut state = source.state.lock();
                let outcome = state.land(fetched, Instant::now());
                // Before anybody can see that the request is over: who looked in between would make another.
                if let Ok(token) = &outcome {
                    source.current.store(Some(Arc::clone(token)));
                }
                outcome
            };
            if let Err(error) = &outcome {
                tracing::warn!(%error, "no token could be fetched");
            }
            landed.send_replace(Some(outcome));
            source.rest().await;
        });
        flight
    }

    /// Lets calls look at the time again: at once after a success, after the pause if there was none.
    async fn rest(&self) {
        let pause = self.state.lock().pause(Instant::now());
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        self.is_renewing.store(false, Ordering::Release);
    }

    fn timed_out(&self, after: Duration) -> TokenError {
        TokenError::Timeout {
            host: self.pool.upstream().host().to_owned(),
            after,
        }
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource")
            .field("endpoint", &self.plan.endpoint)
            .finish_non_exhaustive()
    }
}

/// A token that no partner has taken yet is renewed after a 401 no sooner than this, so that a partner that refuses every
/// token does not make each call of it one of the token endpoint.
const RENEWED_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// A token endpoint that is down is bridged for so long after the end of the last token, as partners do not look at it to
/// the second.
const GRACE: Duration = Duration::from_secs(60);

//! Refresh tokens: who may use one, and where the one that takes its place is kept.
//!
//! A token endpoint may give another refresh token with each access token, and take the old one no more. So one request
//! at a time is made with each, and nothing is done with the answer before its refresh token is kept.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use filters::model::secret::Secret;
use filters::outgoing::token::Grant;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::TokenError;

/// Where refresh tokens are kept that took the place of configured ones, by [`Grant::id`].
pub trait GrantStore: Send + Sync {
    /// Takes the right to use a grant, and reads what is kept of it; `None` while somebody else has that right. Blocks for
    /// no longer than files do.
    ///
    /// # Errors
    /// If what is kept cannot be read, so that nobody knows which token is the last one.
    fn claim(&self, grant: &[u8; 32]) -> io::Result<Option<Box<dyn Claim>>>;
}

/// The right to use a grant, given back when this is dropped.
pub trait Claim: Send + Sync {
    /// The token that took the place of the configured one, if one did.
    fn token(&self) -> Option<&Secret>;

    /// Keeps `token` in the place of the one before. Returns when it cannot be lost any more; blocks as long as that takes.
    ///
    /// # Errors
    /// If it could not be kept. It is then kept before anybody gets the next claim, or nobody gets one.
    fn replace(&mut self, token: Secret) -> io::Result<()>;
}

/// The grants of a process.
#[derive(Clone)]
pub(super) struct Grants {
    store: Arc<dyn GrantStore>,
    /// How many are in use.
    used: watch::Sender<usize>,
}

impl Grants {
    pub(super) fn new(store: Arc<dyn GrantStore>) -> Self {
        Self {
            store,
            used: watch::Sender::new(0),
        }
    }

    /// Waits until none is in use.
    pub(super) async fn unused(&self) {
        // The sender is here, so that this does not fail.
        let _ = self.used.subscribe().wait_for(|used| *used == 0).await;
    }

    /// The right to use `grant`, waited for as long as one request of somebody else may take.
    pub(super) async fn claim(&self, grant: &Grant) -> Result<Claimed, TokenError> {
        let deadline = Instant::now() + PATIENCE;
        let using = Using::new(&self.used);
        loop {
            let (store, id) = (Arc::clone(&self.store), grant.id);
            match blocking(move || store.claim(&id)).await {
                Ok(Some(claim)) => return Ok(Claimed { claim, _using: using }),
                Ok(None) if Instant::now() < deadline => sleep(AGAIN_AFTER).await,
                Ok(None) => return Err(TokenError::InUse),
                Err(error) => return Err(TokenError::NotKept(error)),
            }
        }
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants").finish_non_exhaustive()
    }
}

/// The right to use a grant.
pub(super) struct Claimed {
    claim: Box<dyn Claim>,
    _using: Using,
}

impl Claimed {
    /// The token that is to be used.
    pub(super) fn token<'c>(&'c self, grant: &'c Grant) -> &'c Secret {
        self.claim.token().unwrap_or(&grant.token)
    }

    /// Keeps the token that takes its place.
    pub(super) async fn replace(mut self, token: Secret) -> Result<(), TokenError> {
        let kept = blocking(move || self.claim.replace(token)).await;
        kept.map_err(TokenError::NotKept)
    }
}

/// Counts one that is in use.
struct Using(watch::Sender<usize>);

impl Using {
    fn new(used: &watch::Sender<usize>) -> Self {
        used.send_modify(|used| *used += 1);
        Self(used.clone())
    }
}

impl Drop for Using {
    fn drop(&mut self) {
        self.0.send_modify(|used| *used = used.saturating_sub(1));
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// A little longer than a request to a token endpoint may take.
const PATIENCE: Duration = Duration::from_secs(12);
const AGAIN_AFTER: Duration = Duration::from_millis(20);

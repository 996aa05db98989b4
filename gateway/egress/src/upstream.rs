//! What one target of one integration is at run time: an address book of one entry.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use filters::address::EgressPolicy;
use filters::target::{TargetHost, TargetUrl};
use tokio::time::Instant;

use crate::error::ResolveError;
use crate::resolver::{Resolved, Resolver};

/// One target, the policy that its addresses must pass, and the addresses that passed it last.
#[derive(Debug)]
pub struct Upstream {
    target: TargetUrl,
    host: String,
    policy: EgressPolicy,
    resolver: Arc<Resolver>,
    current: ArcSwapOption<Resolved>,
    turn: AtomicUsize,
    refreshing: AtomicBool,
}

impl Upstream {
    /// Nothing is resolved yet; the first caller that needs an address waits for it.
    pub fn new(target: TargetUrl, policy: EgressPolicy, resolver: Arc<Resolver>) -> Arc<Self> {
        let host = match target.host() {
            TargetHost::Name(name) => name.clone(),
            TargetHost::Ip(address) => address.to_string(),
        };
        Arc::new(Self {
            target,
            host,
            policy,
            resolver,
            current: ArcSwapOption::empty(),
            turn: AtomicUsize::new(0),
            refreshing: AtomicBool::new(false),
        })
    }

    /// The same target at one of its checked addresses, for good: nothing is resolved any more.
    pub fn pinned(&self, address: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            target: self.target.clone(),
            host: self.host.clone(),
            policy: self.policy.clone(),
            resolver: Arc::clone(&self.resolver),
            current: ArcSwapOption::from_pointee(Resolved::constant(address)),
            turn: AtomicUsize::new(0),
            refreshing: AtomicBool::new(false),
        })
    }

    /// All checked addresses, as they were resolved last; `None` before that and after their time. Takes no lock and waits
    /// for nothing; shortly before their time is over, they are renewed in the background.
    pub fn resolved(self: &Arc<Self>) -> Option<Arc<Resolved>> {
        let current = self.current.load_full();
        current.filter(|current| self.is_valid(current, Instant::now()))
    }

    /// The target.
    pub fn target(&self) -> &TargetUrl {
        &self.target
    }

    /// The host of the target, as it is resolved and as a certificate is checked against it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The policy that every address passed.
    pub fn policy(&self) -> &EgressPolicy {
        &self.policy
    }

    /// A checked address to connect to, the next one with each call if there are several. Takes no lock and waits for
    /// nothing while the last resolution is valid; shortly before it ends, it is renewed in the background.
    ///
    /// # Errors
    /// If the name cannot be resolved within five seconds, or all of its addresses are refused.
    pub async fn address(self: &Arc<Self>) -> Result<SocketAddr, ResolveError> {
        match self.known_address(Instant::now()) {
            Some(address) => Ok(address),
            None => Ok(self.next_of(&*self.resolve(RESOLVE_LIMIT).await?)),
        }
    }

    /// The same where nothing has to be waited for, which is nearly always. `now` is the caller's reading of the clock.
    pub fn known_address(self: &Arc<Self>, now: Instant) -> Option<SocketAddr> {
        let current = self.current.load();
        let current = current.as_deref().filter(|current| self.is_valid(current, now))?;
        Some(self.next_of(current))
    }

    /// Up to `most` checked addresses in the order to try them, beginning with the one whose turn it is.
    pub(crate) async fn candidates(
        self: &Arc<Self>,
        most: usize,
        limit: Duration,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        let resolved = match self.current.load_full() {
            Some(current) if self.is_valid(&current, Instant::now()) => current,
            _ => self.resolve(limit).await?,
        };
        let addresses = resolved.addresses();
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
        Ok(addresses
            .iter()
            .cycle()
            .skip(first)
            .take(most.min(addresses.len()))
            .copied()
            .collect())
    }

    fn is_valid(self: &Arc<Self>, current: &Resolved, now: Instant) -> bool {
        if now >= current.refresh_at() && now < current.valid_until() {
            self.refresh();
        }
        now < current.valid_until()
    }

    fn next_of(&self, resolved: &Resolved) -> SocketAddr {
        match resolved.addresses() {
            [only] => *only,
            several => several[self.turn.fetch_add(1, Ordering::Relaxed) % several.len()],
        }
    }

    async fn resolve(&self, limit: Duration) -> Result<Arc<Resolved>, ResolveError> {
        let resolved = self
            .resolver
            .resolve(&self.host, self.target.port(), &self.policy, limit)
            .await?;
        let resolved = Arc::new(resolved);
        self.current.store(Some(Arc::clone(&resolved)));
        Ok(resolved)
    }

    /// Renews what is about to end, once at a time. A failure leaves it as it is: whoever comes after its end asks again.
    fn refresh(self: &Arc<Self>) {
        if self.refreshing.swap(true, Ordering::Acquire) {
            return;
        }
        let upstream = Arc::clone(self);
        tokio::spawn(async move {
            let port = upstream.target.port();
            let renewed = upstream
                .resolver
                .renew(&upstream.host, port, &upstream.policy, RESOLVE_LIMIT)
                .await;
            let goes_on = match renewed {
                Ok(resolved) => {
                    let goes_on = Instant::now() < resolved.refresh_at();
                    upstream.current.store(Some(Arc::new(resolved)));
                    goes_on
                }
                Err(error) => {
                    tracing::warn!(%error, "the addresses of a target could not be renewed");
                    false
                }
            };
            if !goes_on {
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
            upstream.refreshing.store(false, Ordering::Release);
        });
    }
}

const RESOLVE_LIMIT: Duration = Duration::from_secs(5);
/// Between attempts to renew addresses that are still valid.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

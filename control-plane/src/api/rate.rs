//! The API's own limits: how often an address may ask, before it is known who asks, and how often one may ask about an
//! organization. Each control plane counts for itself. And how many large files are read at a time.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use filters::window::Window;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::App;
use super::error::ApiError;
use crate::config::Limits;
use crate::listener::Peer;

/// How often everybody asked in the last minute.
#[derive(Debug)]
pub(crate) struct Rates {
    started: Instant,
    addresses: Counted<IpAddr>,
    organizations: Counted<u64>,
    files: Semaphore,
}

impl Rates {
    /// Nothing counted yet.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            started: Instant::now(),
            addresses: Counted::new(limits.requests_per_minute_per_address),
            organizations: Counted::new(limits.requests_per_minute_per_organization),
            files: Semaphore::new(MOST_FILES),
        }
    }

    /// Counts one request about an organization.
    ///
    /// # Errors
    /// 429 if there were too many.
    pub(super) fn of_organization(&self, org_id: u64) -> Result<(), ApiError> {
        let most = self.organizations.most;
        self.organizations.take(org_id, self.now_ns()).map_err(|seconds| {
            let message = format!("more than {most} requests in a minute about organization {org_id}");
            ApiError::rate_limited(&message, seconds)
        })
    }

    /// Waits until a file may be read, which takes many times its size.
    ///
    /// # Errors
    /// 503 if others are read for so long.
    pub(super) async fn file_turn(&self, patience: Duration) -> Result<SemaphorePermit<'_>, ApiError> {
        match tokio::time::timeout(patience, self.files.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(ApiError::unavailable("other files are read; try again later")),
        }
    }

    fn of_address(&self, address: IpAddr) -> Result<(), ApiError> {
        let most = self.addresses.most;
        self.addresses.take(site_of(address), self.now_ns()).map_err(|seconds| {
            let message = format!("more than {most} requests in a minute from this address");
            ApiError::rate_limited(&message, seconds)
        })
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Counts the request by the address that it comes from. Probes are not counted.
pub(super) async fn by_address(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>();
    let is_counted = request.uri().path().starts_with("/api/");
    match peer
        .filter(|_| is_counted)
        .map_or(Ok(()), |peer| app.rates.of_address(peer.address.ip()))
    {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// The address itself, or the /64 that an IPv6 site hands out as it likes.
pub(super) fn site_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Windows of a minute by who asks, of a bounded number.
#[derive(Debug)]
struct Counted<K> {
    most: u32,
    windows: Mutex<HashMap<K, Window<SLOTS>>>,
}

impl<K: Copy + Eq + Hash> Counted<K> {
    fn new(most: u32) -> Self {
        Self {
            most,
            windows: Mutex::default(),
        }
    }

    /// Counts one, or says after how many seconds there is room for it.
    fn take(&self, who: K, now_ns: u64) -> Result<(), u32> {
        let mut windows = self.windows.lock();
        if windows.len() >= MOST_COUNTED && !windows.contains_key(&who) {
            windows.retain(|_, window| window.at(now_ns) > 0);
            // Whoever is at the limit is the last to be forgotten.
            if windows.len() >= MOST_COUNTED {
                let half = self.most / 2;
                windows.retain(|_, window| window.at(now_ns) > half);
            }
        }
        let window = windows.entry(who).or_insert_with(|| Window::new(60));
        if window.at(now_ns) < self.most {
            window.add();
            return Ok(());
        }
        let seconds = window.first_leaves_in(now_ns).div_ceil(1_000_000_000);
        Err(u32::try_from(seconds).unwrap_or(u32::MAX).max(1))
    }
}

const SLOTS: usize = 61;
const MOST_COUNTED: usize = 10_000;
/// Files that are read at a time.
const MOST_FILES: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn so_many_pass_in_any_minute() {
        let counted = Counted::new(3);
        for second in [0, 20, 40] {
            assert_eq!(counted.take(7, second * SECOND), Ok(()));
        }
        assert_eq!(counted.take(7, 50 * SECOND), Err(11));
        assert_eq!(counted.take(8, 50 * SECOND), Ok(()));
        assert_eq!(counted.take(7, 61 * SECOND), Ok(()));
        assert_eq!(counted.take(7, 61 * SECOND), Err(20));
    }

    #[test]
    fn memory_is_bounded_and_whoever_is_at_the_limit_stays_known() {
        let counted = Counted::new(4);
        while counted.take(u64::MAX, 0).is_ok() {}
        for who in 0..3 * MOST_COUNTED as u64 {
            assert_eq!(counted.take(who, SECOND), Ok(()));
        }
        assert!(counted.windows.lock().len() <= MOST_COUNTED);
        assert!(counted.take(u64::MAX, SECOND).is_err());
    }

    #[test]
    fn an_ipv6_site_is_one_address() {
        let site = |text: &str| site_of(text.parse().unwrap());
        assert_eq!(site("2001:db8:0:1::7"), site("2001:db8:0:1:a::9"));
        assert_ne!(site("2001:db8:0:1::7"), site("2001:db8:0:2::7"));
        assert_eq!(site("::ffff:192.0.2.7"), site("192.0.2.7"));
    }
}

//! One limit for each client address, in bounded memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ahash::RandomState;
use filters::model::limits::RateLimit;
use governor::RateLimiter;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use parking_lot::Mutex;

use super::bucket::{Decision, Policy, Scope};

/// A limiter of each client address. `C` is the clock, another one in tests only.
///
/// It remembers a bounded number of clients. When there are more, those that have earned everything back are forgotten,
/// which changes nothing for them; if there are not enough of these, those that are closest to it go as well. A client
/// at its limit is the last to be forgotten.
#[derive(Debug)]
pub struct ClientLimiter<C: Clock = MonotonicClock> {
    policy: Policy,
    buckets: RateLimiter<ClientNet, ClientBuckets, C, StateInformationMiddleware>,
}

impl ClientLimiter {
    /// A limiter with nothing counted yet.
    pub fn new(limit: RateLimit) -> Self {
        Self::with_clock(limit, MAX_CLIENTS, MonotonicClock)
    }

    /// `previous` if it has the same limit, else a new limiter.
    pub fn carried(previous: Option<&Arc<Self>>, limit: RateLimit) -> Arc<Self> {
        match previous {
            Some(known) if known.policy.limit() == limit => Arc::clone(known),
            _ => Arc::new(Self::new(limit)),
        }
    }
}

impl<C: Clock> ClientLimiter<C> {
    fn with_clock(limit: RateLimit, max_clients: usize, clock: C) -> Self {
        let policy = Policy::new(Scope::ClientIp, limit);
        let quota = policy.quota();
        let buckets = ClientBuckets::new(max_clients, quota.replenish_interval().into());
        Self {
            policy,
            buckets: RateLimiter::new(quota, buckets, clock),
        }
    }

    /// The limit and its name.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Counts one request of `client`. A refused request is not counted.
    pub fn check(&self, client: IpAddr) -> Decision {
        let outcome = self.buckets.check_key(&ClientNet::of(client));
        self.policy.decide(outcome, || self.buckets.clock().now())
    }
}

/// What counts as one client: an IPv4 address, or the /64 that an IPv6 site hands out as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ClientNet {
    V4(Ipv4Addr),
    V6(u64),
}

impl ClientNet {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6(
                    [a, b, c, d]
                        .into_iter()
                        .fold(0, |net, part| net << 16 | u64::from(part)),
                )
            }
        }
    }
}

/// Per client the time at which it will have earned everything back ("theoretical arrival time"), in shards so that
/// cores seldom wait for each other and each clean-up is short.
#[derive(Debug)]
struct ClientBuckets {
    shards: [Mutex<Shard>; SHARDS],
    /// Chooses the shard; seeded apart from the maps, so that no client can aim for one of them.
    chooser: RandomState,
    max_per_shard: usize,
    interval: Nanos,
}

type Shard = HashMap<ClientNet, Nanos, RandomState>;

impl ClientBuckets {
    fn new(max_clients: usize, interval: Nanos) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            chooser: RandomState::new(),
            max_per_shard: max_clients / SHARDS,
            interval,
        }
    }

    fn shard(&self, client: &ClientNet) -> &Mutex<Shard> {
        let hash = self.chooser.hash_one(client);
        &self.shards[usize::from(hash as u16) % SHARDS]
    }

    /// Frees at least an eighth of a full shard, so that the walk through it is paid for by many requests.
    fn make_room(&self, shard: &mut Shard, now: u64) {
        shard.retain(|_, full_at| full_at.as_u64() > now);
        if shard.len() > self.max_per_shard - self.max_per_shard / 8 {
            let mut times: Vec<Nanos> = shard.values().copied().collect();
            let (_, &mut cutoff, _) = times.select_nth_unstable(self.max_per_shard / 4);
            shard.retain(|_, full_at| *full_at > cutoff);
        }
    }
}

impl StateStore for ClientBuckets {
    type Key = ClientNet;

    fn measure_and_replace<T, F, E>(&self, client: &ClientNet, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.shard(client).lock();
        if let Some(full_at) = shard.get_mut(client) {
            let (outcome, next) = measure(Some(*full_at))?;
            *full_at = next;
            return Ok(outcome);
        }
        let (outcome, next) = measure(None)?;
        if shard.len() >= self.max_per_shard {
            // A first request costs one interval from now on, which tells the time.
            let now = next.as_u64().saturating_sub(self.interval.as_u64());
            self.make_room(&mut shard, now);
        }
        shard.insert(*client, next);
        Ok(outcome)
    }
}

/// About 4 MB for each limiter when full.
const MAX_CLIENTS: usize = 100_000;
const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limiter(max_requests: u32, max_clients: usize) -> (ClientLimiter<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let limit = RateLimit {
            max_requests,
            window_seconds: 60,
        };
        (ClientLimiter::with_clock(limit, max_clients, clock.clone()), clock)
    }

    fn remembered(limiter: ClientLimiter<FakeRelativeClock>) -> Vec<ClientNet> {
        let buckets = limiter.buckets.into_state_store();
        let shards = buckets.shards.into_iter().map(Mutex::into_inner);
        shards.flat_map(HashMap::into_keys).collect()
    }

    fn v4(n: u32) -> IpAddr {
        Ipv4Addr::from(n).into()
    }

    #[test]
    fn clients_do_not_share_a_limit() {
        let (limiter, _) = limiter(1, 1000);
        assert!(limiter.check(v4(1)).allowed);
        assert!(!limiter.check(v4(1)).allowed);
        assert!(limiter.check(v4(2)).allowed);
    }

    #[test]
    fn an_ipv6_site_is_one_client() {
        let (limiter, _) = limiter(1, 1000);
        let site = |net: u16, host: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, net, 0, 0, 0, host));
        assert!(limiter.check(site(1, 1)).allowed);
        assert!(!limiter.check(site(1, 2)).allowed);
        assert!(limiter.check(site(2, 1)).allowed);
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_client() {
        let (limiter, _) = limiter(1, 1000);
        let address = Ipv4Addr::new(192, 0, 2, 7);
        assert!(limiter.check(address.into()).allowed);
        assert!(!limiter.check(address.to_ipv6_mapped().into()).allowed);
    }

    #[test]
    fn memory_is_bounded_and_a_client_at_its_limit_is_not_forgotten() {
        let (limiter, clock) = limiter(4, 160);
        let offender = v4(u32::MAX);
        while limiter.check(offender).allowed {}
        for client in 0..10_000 {
            clock.advance(Duration::from_micros(1));
            assert!(limiter.check(v4(client)).allowed);
            assert!(!limiter.check(offender).allowed);
        }
        let remembered = remembered(limiter);
        assert!(remembered.len() <= 160, "{} clients", remembered.len());
        assert!(remembered.contains(&ClientNet::of(offender)));
    }

    #[test]
    fn clients_that_earned_everything_back_make_room_for_new_ones() {
        let (limiter, clock) = limiter(2, 1600);
        for client in 0..1000 {
            limiter.check(v4(client));
        }
        clock.advance(Duration::from_secs(61));
        for client in 1000..3000 {
            limiter.check(v4(client));
        }
        // At least one shard was full, and it forgot the first clients before any of the second.
        let remembered = remembered(limiter);
        let first = |net: &&ClientNet| matches!(net, ClientNet::V4(address) if address.to_bits() < 1000);
        assert!(remembered.iter().filter(first).count() < 1000);
    }
}

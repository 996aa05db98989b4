//! One limit for each client address, in bounded memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ahash::RandomState;
use filters::plan::limits::LimitPlan;
use filters::window::Window;
use parking_lot::Mutex;

use super::scope::{Kind, Scope};
use super::shared::{UsedUp, policies};
use super::standing::{Left, Standing, seconds_up};
use crate::clock::Moment;

/// A limiter of each client address.
///
/// It remembers a bounded number of clients. When there are more, those of whom nothing is counted any more are forgotten,
/// which changes nothing for them; if there are not enough of these, those who used up least go as well. A client at its
/// limit is the last to be forgotten.
#[derive(Debug)]
pub struct ClientLimiter {
    plan: LimitPlan,
    policies: Box<str>,
    /// In shards, so that cores seldom wait for each other and each clean-up is short.
    shards: [Mutex<Shard>; SHARDS],
    /// Chooses the shard; seeded apart from the maps, so that no client can aim for one of them.
    chooser: RandomState,
    max_per_shard: usize,
}

type Shard = HashMap<ClientNet, Client, RandomState>;

#[derive(Debug)]
struct Client {
    window: Window<WINDOW_SLOTS>,
    second: Window<SECOND_SLOTS>,
}

impl ClientLimiter {
    /// A limiter with nothing counted yet.
    pub fn new(plan: &LimitPlan) -> Self {
        Self::with_room(plan, MAX_CLIENTS)
    }

    /// `previous` if it has the same limit, else a new limiter.
    pub fn carried(previous: Option<&Arc<Self>>, plan: &LimitPlan) -> Arc<Self> {
        match previous {
            Some(known) if known.plan == *plan => Arc::clone(known),
            _ => Arc::new(Self::new(plan)),
        }
    }

    fn with_room(plan: &LimitPlan, max_clients: usize) -> Self {
        Self {
            policies: policies(Scope::ClientIp, &plan.limit),
            plan: plan.clone(),
            shards: std::array::from_fn(|_| Mutex::default()),
            chooser: RandomState::new(),
            max_per_shard: max_clients / SHARDS,
        }
    }

    pub(super) fn policies(&self) -> &str {
        &self.policies
    }

    /// Forgets what was counted.
    pub(super) fn reset(&self) {
        self.shards.iter().for_each(|shard| shard.lock().clear());
    }

    /// Counts one request of `client`. A refused request is not counted.
    pub(super) fn take(&self, client: IpAddr, now: Moment) -> Result<Standing, UsedUp> {
        let net = ClientNet::of(client);
        let hash = self.chooser.hash_one(net);
        let mut shard = self.shards[usize::from(hash as u16) % SHARDS].lock();
        if shard.len() >= self.max_per_shard && !shard.contains_key(&net) {
            make_room(&mut shard, self.max_per_shard, now);
        }
        let limit = &self.plan.limit;
        let counted = shard.entry(net).or_insert_with(|| Client {
            window: Window::new(limit.window_seconds),
            second: Window::new(1),
        });
        let (window, second) = (counted.window.at(now.mono_ns), counted.second.at(now.mono_ns));
        let full = |most: Option<u32>, used: u32| most.is_some_and(|most| used >= most);
        let refusal = if full(limit.max_requests, window) {
            Some((Kind::Window, counted.window.first_leaves_in(now.mono_ns)))
        } else if full(limit.max_per_second, second) {
            Some((Kind::Second, counted.second.first_leaves_in(now.mono_ns)))
        } else {
            counted.window.add();
            counted.second.add();
            None
        };
        let standing = Standing {
            window: limit.max_requests.map(|most| left(most, &mut counted.window, now)),
            second: limit.max_per_second.map(|most| left(most, &mut counted.second, now)),
            ..Standing::default()
        };
        refusal.map_or(Ok(standing), |(kind, wait)| {
            Err(UsedUp {
                kind,
                retry_after_seconds: seconds_up(wait).max(1),
                standing,
            })
        })
    }
}

fn left<const N: usize>(most: u32, window: &mut Window<N>, now: Moment) -> Left {
    Left {
        remaining: most.saturating_sub(window.at(now.mono_ns)).into(),
        reset_seconds: seconds_up(window.empty_in(now.mono_ns)),
    }
}

/// Frees at least an eighth of a full shard, so that the walk through it is paid for by many requests.
fn make_room(shard: &mut Shard, max_per_shard: usize, now: Moment) {
    shard.retain(|_, client| client.window.at(now.mono_ns) > 0 || client.second.at(now.mono_ns) > 0);
    if shard.len() > max_per_shard - max_per_shard / 8 {
        let mut used: Vec<(u32, u64)> = shard.values_mut().map(|client| client.rank(now)).collect();
        let (_, &mut cutoff, _) = used.select_nth_unstable(max_per_shard / 4);
        shard.retain(|_, client| client.rank(now) > cutoff);
    }
}

impl Client {
    /// Those who used up least, and longest ago, come first.
    fn rank(&mut self, now: Moment) -> (u32, u64) {
        (self.window.at(now.mono_ns), self.window.empty_in(now.mono_ns))
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

/// About 20 MB for each limiter when full.
const MAX_CLIENTS: usize = 100_000;
const SHARDS: usize = 16;
const WINDOW_SLOTS: usize = 17;
const SECOND_SLOTS: usize = 6;

#[cfg(test)]
mod tests;

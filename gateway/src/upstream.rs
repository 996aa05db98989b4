//! The targets of an integration with rules about failing partners: where the next attempt goes, what earlier ones said
//! of it, and how many may be repeated. An integration without such rules has none of this.

mod circuit;
mod endpoint;
pub mod health;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use filters::plan::Integration;
use filters::plan::resilience::Resilience as Rules;
use filters::resilience::{Balance, Budget, balance};
use parking_lot::Mutex;
use prometheus::IntGauge;

use crate::clock;
use crate::live::TargetRuntime;
pub use endpoint::{Attempt, Endpoint, Shown};

/// What an integration knows of its targets while it runs.
#[derive(Debug)]
pub struct Resilience {
    rules: Rules,
    /// The targets as they are configured.
    seeds: Vec<Arc<Endpoint>>,
    /// Where attempts go: the seeds, or what was discovered of them.
    members: ArcSwap<Vec<Arc<Endpoint>>>,
    discovering: Mutex<()>,
    turn: AtomicUsize,
    budget: Option<Mutex<Budget>>,
}

/// What an attempt is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Where the call was tried already.
    pub tried: &'a [Arc<Endpoint>],
    /// Number of the request.
    pub ticket: u64,
    /// Hash of the request's key, where it has one.
    pub key: Option<u64>,
}

/// Why there is nowhere to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// There is no target.
    NoTarget,
    /// The targets failed too often; the first may be tried again at this time (milliseconds since the epoch).
    CircuitOpen {
        /// When.
        until_ms: i64,
    },
    /// The targets failed too often, and an operator must say when they may be tried again.
    Deactivated,
    /// Every target has as many requests under way as it bears.
    Busy,
}

impl Resilience {
    /// Builds what `integration` needs; `None` if it has no rules. What has not changed since `old` is carried over. Open
    /// circuits are counted in `open`.
    pub fn of(
        integration: &Integration,
        targets: &[Arc<TargetRuntime>],
        old: Option<&Arc<Self>>,
        open: &IntGauge,
    ) -> Option<Arc<Self>> {
        let rules = &**integration.resilience.as_ref()?;
        let old = old.filter(|old| old.rules == *rules);
        let known = old.map_or(&[][..], |old| &old.seeds);
        let weighted = targets
            .iter()
            .zip(&integration.targets)
            .filter(|(_, target)| target.weight > 0);
        let seeds: Vec<_> = weighted
            .map(|(runtime, target)| {
                let same =
                    |known: &&Arc<Endpoint>| Arc::ptr_eq(&known.target, runtime) && known.weight == target.weight;
                let known = known.iter().find(same).map(Arc::clone);
                known.unwrap_or_else(|| Endpoint::new(&integration.id, Arc::clone(runtime), target.weight, rules, open))
            })
            .collect();
        let is_same = seeds.len() == known.len() && seeds.iter().zip(known).all(|(one, two)| Arc::ptr_eq(one, two));
        if let Some(old) = old.filter(|_| is_same) {
            return Some(Arc::clone(old));
        }
        Some(Arc::new(Self {
            members: ArcSwap::from_pointee(seeds.clone()),
            seeds,
            discovering: Mutex::new(()),
            turn: AtomicUsize::new(0),
            budget: rules.retry.as_ref().map(|retry| Mutex::new(Budget::new(retry.budget))),
            rules: rules.clone(),
        }))
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Where attempts go.
    pub fn members(&self) -> Arc<Vec<Arc<Endpoint>>> {
        if self.rules.discovers {
            self.discover();
        }
        self.members.load_full()
    }

    /// Lets attempts go everywhere again, as an operator says so: open circuits are probed at once.
    pub fn reset(&self) {
        for endpoint in self.members().iter() {
            endpoint.reset(clock::now_ms());
        }
    }

    /// Notes a call before its first attempt.
    pub fn called(&self, now_ms: i64) {
        if let Some(budget) = &self.budget {
            budget.lock().called(now_ms);
        }
    }

    /// Takes one retry out of the budget; false if there is none left.
    pub fn may_retry(&self, now_ms: i64) -> bool {
        self.budget.as_ref().is_some_and(|budget| budget.lock().take(now_ms))
    }

    /// Chooses where the next attempt goes: to a target that is well and was not tried yet, else to one that is well, else
    /// to any. None of them gets more than its circuit and its limit let through.
    ///
    /// # Errors
    /// Why there is nowhere to go.
    pub fn choose(self: &Arc<Self>, wanted: Wanted<'_>) -> Result<Attempt, Unavailable> {
        let now_ms = clock::now_ms();
        let members = self.members();
        let rank = |endpoint: &Arc<Endpoint>| {
            let was_tried = wanted.tried.iter().any(|tried| Arc::ptr_eq(tried, endpoint));
            match (endpoint.is_well(now_ms), was_tried) {
                (true, false) => 0,
                (true, true) => 1,
                (false, _) => 2,
            }
        };
        let mut refused = Unavailable::NoTarget;
        for level in 0..=2 {
            let mut candidates: Vec<_> = members.iter().filter(|endpoint| rank(endpoint) == level).collect();
            while let Some(place) = self.pick(&candidates, wanted) {
                match endpoint::enter(candidates.remove(place), self, now_ms) {
                    Ok(attempt) => return Ok(attempt),
                    Err(why) => refused = refused.or_sooner(why),
                }
            }
        }
        Err(refused)
    }

    fn pick(&self, candidates: &[&Arc<Endpoint>], wanted: Wanted<'_>) -> Option<usize> {
        let by_weight = || {
            // A second attempt is not to follow the pattern of the first.
            let ticket = wanted.ticket.wrapping_add(wanted.tried.len() as u64);
            balance::share(candidates.iter().map(|endpoint| endpoint.weight), ticket)
        };
        match (&self.rules.balance, candidates) {
            (_, []) => None,
            (_, [_]) => Some(0),
            (Balance::Weighted, _) => by_weight(),
            (Balance::RoundRobin, _) => Some(self.turn.fetch_add(1, Ordering::Relaxed) % candidates.len()),
            (Balance::LeastRequests, _) => {
                let (one, two) = balance::two_of(candidates.len(), rand::random());
                let (first, second) = (candidates.get(one)?, candidates.get(two)?);
                let is_first =
                    balance::is_less_busy(first.in_flight(), first.weight, second.in_flight(), second.weight);
                Some(if is_first { one } else { two })
            }
            (Balance::ConsistentHash(_), _) => match wanted.key {
                Some(key) => balance::home(key, candidates.iter().map(|endpoint| (endpoint.hash, endpoint.weight))),
                None => by_weight(),
            },
        }
    }

    /// Follows DNS: takes in the addresses that came, and lets those go that went.
    fn discover(&self) {
        let resolved: Vec<_> = self.seeds.iter().map(|seed| seed.target.upstream.resolved()).collect();
        let members = self.members.load();
        let wanted = self.seeds.iter().zip(&resolved).flat_map(|(seed, resolved)| {
            let addresses = resolved.as_ref().map_or(&[][..], |resolved| resolved.addresses());
            // A name that is not known yet is resolved by the attempt.
            let itself = addresses.is_empty().then_some((seed, None));
            addresses
                .iter()
                .map(move |address| (seed, Some(*address)))
                .chain(itself)
        });
        let is_same = |(seed, address): (&Arc<Endpoint>, _), member: &Arc<Endpoint>| {
            Arc::ptr_eq(&seed.target, member.origin()) && member.address() == address
        };
        if wanted.clone().count() == members.len()
            && wanted
                .clone()
                .zip(members.iter())
                .all(|(one, member)| is_same(one, member))
        {
            return;
        }
        let Some(_one_at_a_time) = self.discovering.try_lock() else {
            return;
        };
        let found = wanted.map(|(seed, address)| {
            let known = members.iter().find(|member| is_same((seed, address), member));
            match (known, address) {
                (Some(known), _) => Arc::clone(known),
                (None, Some(address)) => seed.at(address, &self.rules),
                (None, None) => Arc::clone(seed),
            }
        });
        let found: Vec<_> = found.collect();
        self.members.store(Arc::new(found));
    }
}

impl Unavailable {
    /// Of two reasons the one that passes sooner.
    fn or_sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::Busy, _) | (_, Self::Busy) => Self::Busy,
            (Self::CircuitOpen { until_ms: one }, Self::CircuitOpen { until_ms: two }) => {
                Self::CircuitOpen { until_ms: one.min(two) }
            }
            (Self::CircuitOpen { until_ms }, _) | (_, Self::CircuitOpen { until_ms }) => Self::CircuitOpen { until_ms },
            (Self::Deactivated, _) | (_, Self::Deactivated) => Self::Deactivated,
            (Self::NoTarget, Self::NoTarget) => Self::NoTarget,
        }
    }

    /// Seconds until it is worth coming back; `None` if nobody knows.
    pub fn retry_after_seconds(self, now_ms: i64) -> Option<u32> {
        match self {
            Self::NoTarget | Self::Deactivated => None,
            Self::Busy => Some(1),
            Self::CircuitOpen { until_ms } => {
                let seconds = (until_ms.saturating_sub(now_ms).max(1) + 999) / 1_000;
                u32::try_from(seconds).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests;

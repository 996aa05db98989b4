//! The targets of an integration with rules about failing partners: where the next attempt goes, what earlier ones said
//! of it, and how many may be repeated. An integration without such rules has none of this.

mod endpoint;

use std::sync::Arc;

use filters::plan::Integration;
use filters::plan::resilience::Resilience as Rules;
use filters::resilience::{Budget, balance};
use parking_lot::Mutex;

use crate::live::TargetRuntime;
pub use endpoint::{Attempt, Endpoint};

/// What an integration knows of its targets while it runs.
#[derive(Debug)]
pub struct Resilience {
    rules: Rules,
    endpoints: Vec<Arc<Endpoint>>,
    budget: Option<Mutex<Budget>>,
}

/// What an attempt is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Where the call was tried already.
    pub tried: &'a [Arc<Endpoint>],
    /// Number of the request.
    pub ticket: u64,
}

/// Why there is nowhere to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// There is no target.
    NoTarget,
}

impl Resilience {
    /// Builds what `integration` needs, carrying over from `old` what has not changed; `None` if it has no rules.
    pub fn of(integration: &Integration, targets: &[Arc<TargetRuntime>], old: Option<&Arc<Self>>) -> Option<Arc<Self>> {
        let rules = &**integration.resilience.as_ref()?;
        let known = old.map_or(&[][..], |old| &old.endpoints);
        let weighted = targets.iter().zip(&integration.targets);
        let endpoints = weighted.filter(|(_, target)| target.weight > 0).map(|(runtime, target)| {
            let same = known
                .iter()
                .find(|known| Arc::ptr_eq(&known.target, runtime) && known.weight == target.weight);
            let carried = same.filter(|_| old.is_some_and(|old| old.rules == *rules));
            carried.map_or_else(|| Endpoint::new(Arc::clone(runtime), target.weight), Arc::clone)
        });
        Some(Arc::new(Self {
            endpoints: endpoints.collect(),
            budget: rules.retry.as_ref().map(|retry| Mutex::new(Budget::new(retry.budget))),
            rules: rules.clone(),
        }))
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
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

    /// Chooses where the next attempt goes: one of those that were not tried yet, while there are any.
    ///
    /// # Errors
    /// Why there is nowhere to go.
    pub fn choose(&self, wanted: Wanted<'_>) -> Result<Attempt, Unavailable> {
        let is_fresh = |endpoint: &&Arc<Endpoint>| !wanted.tried.iter().any(|tried| Arc::ptr_eq(tried, endpoint));
        let fresh: Vec<_> = self.endpoints.iter().filter(is_fresh).collect();
        let candidates = if fresh.is_empty() {
            self.endpoints.iter().collect()
        } else {
            fresh
        };
        // A second attempt is not to follow the pattern of the first.
        let ticket = wanted.ticket.wrapping_add(wanted.tried.len() as u64);
        let weights = candidates.iter().map(|endpoint| endpoint.weight);
        let chosen = balance::share(weights, ticket).and_then(|place| candidates.get(place));
        chosen.map(|endpoint| endpoint.enter()).ok_or(Unavailable::NoTarget)
    }
}

//! The same limits for each of many callers, who are told apart by their names.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use filters::plan::limits::LimitPlan;
use parking_lot::Mutex;

use super::scope::Scope;
use super::shared::{Limiter, Used};
use crate::clock::Moment;
use crate::quota::{QuotaKey, Quotas};

/// A limiter of each caller of one integration, made when it first calls.
///
/// It remembers a bounded number of callers. When there are more, those of whom nothing is counted are forgotten. If
/// everybody is counted, further callers share one limiter, so that no flood of names gets around the limit.
#[derive(Debug)]
pub struct KeyedLimiters {
    plan: LimitPlan,
    integration: Arc<str>,
    quotas: Arc<Quotas>,
    callers: Mutex<HashMap<Box<str>, Arc<Limiter>, RandomState>>,
    others: Arc<Limiter>,
    most: usize,
}

impl KeyedLimiters {
    /// `previous` if it has the same limit, else with nothing counted yet but for what `quotas` knows.
    pub fn carried(
        previous: Option<&Arc<Self>>,
        plan: &LimitPlan,
        integration: &Arc<str>,
        quotas: &Arc<Quotas>,
    ) -> Arc<Self> {
        match previous {
            Some(known) if known.plan == *plan => Arc::clone(known),
            _ => Arc::new(Self::with_room(plan, integration, quotas, MOST_CALLERS)),
        }
    }

    fn with_room(plan: &LimitPlan, integration: &Arc<str>, quotas: &Arc<Quotas>, most: usize) -> Self {
        let others = Limiter::new(Scope::Key, plan, quotas, QuotaKey::caller(integration, ""));
        Self {
            plan: plan.clone(),
            integration: Arc::clone(integration),
            quotas: Arc::clone(quotas),
            callers: Mutex::default(),
            others: Arc::new(others),
            most,
        }
    }

    /// What is used up by each caller that has used something; all those without room of their own are one, without a name.
    pub(super) fn usage(&self, now: Moment) -> Vec<(Box<str>, Vec<Used>)> {
        let callers = self.callers.lock();
        let known = callers.iter().map(|(name, limiter)| (name.clone(), limiter.usage(now)));
        let others = std::iter::once((Box::from(""), self.others.usage(now)));
        known.chain(others).filter(|(_, used)| !used.is_empty()).collect()
    }

    /// Forgets what was counted.
    pub(super) fn reset(&self) {
        self.callers.lock().values().for_each(|limiter| limiter.reset());
        self.others.reset();
    }

    /// The limiter of the caller `name`.
    pub(super) fn of(&self, name: &str, now: Moment) -> Arc<Limiter> {
        let mut callers = self.callers.lock();
        if let Some(known) = callers.get(name) {
            return Arc::clone(known);
        }
        if callers.len() >= self.most {
            callers.retain(|_, limiter| Arc::strong_count(limiter) > 1 || !limiter.is_idle(now));
            if callers.len() >= self.most {
                return Arc::clone(&self.others);
            }
        }
        let key = QuotaKey::caller(&self.integration, name);
        let limiter = Arc::new(Limiter::new(Scope::Key, &self.plan, &self.quotas, key));
        callers.insert(name.into(), Arc::clone(&limiter));
        limiter
    }
}

/// About 6 MB for each integration when full.
const MOST_CALLERS: usize = 10_000;

#[cfg(test)]
mod tests {
    use filters::model::limits::Limit;
    use jiff::tz::TimeZone;

    use super::*;

    fn limiters(most: usize) -> KeyedLimiters {
        let plan = LimitPlan {
            limit: Limit {
                max_requests: Some(1),
                ..Limit::default()
            },
            zone: TimeZone::UTC,
        };
        KeyedLimiters::with_room(&plan, &"labs".into(), &Arc::new(Quotas::default()), most)
    }

    fn passes(limiters: &KeyedLimiters, name: &str, second: u64) -> bool {
        let now = Moment {
            mono_ns: second * 1_000_000_000,
            wall_ms: 0,
        };
        limiters.of(name, now).take(now).is_ok()
    }

    #[test]
    fn each_name_has_its_own_share() {
        let limiters = limiters(10);
        assert!(passes(&limiters, "a", 0) && passes(&limiters, "b", 0));
        assert!(!passes(&limiters, "a", 1));
    }

    #[test]
    fn a_flood_of_names_does_not_get_around_the_limit() {
        let limiters = limiters(4);
        let passed = (0..100).filter(|n| passes(&limiters, &format!("n{n}"), 0)).count();
        assert_eq!(passed, 5, "four of their own, and one for all others");
        assert!(!passes(&limiters, "n0", 1), "nobody was forgotten");
        // A minute later nothing is counted any more.
        assert!(passes(&limiters, "n50", 70));
    }
}

//! What an integration does about a partner that fails, compiled.

use crate::delivery::BreakerRules;
use crate::model::resilience::{AdaptiveConcurrency, PassiveHealth};
use crate::resilience::{Balance, Fallback, HealthRules, RetryRules};

/// The options of an integration that sets any of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resilience {
    /// When an attempt is made again.
    pub retry: Option<RetryRules>,
    /// When a target is left alone.
    pub breaker: Option<BreakerRules>,
    /// How requests are spread over the targets.
    pub balance: Balance,
    /// When a target is passed over while there are others.
    pub passive: Option<PassiveHealth>,
    /// Requests of the gateway's own that show whether a target works.
    pub active: Option<HealthRules>,
    /// True if each address of a target is one of its own.
    pub discovers: bool,
    /// How many requests a target bears at a time.
    pub concurrency: Option<AdaptiveConcurrency>,
    /// What a client gets where there is no answer.
    pub fallback: Option<Fallback>,
}

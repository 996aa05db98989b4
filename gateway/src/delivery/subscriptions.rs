//! The subscriptions that have deliveries or rules, and whether their deliveries may go out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use filters::delivery::BreakerRules;
use filters::model::limits::RateLimit;

use super::hold::Hold;
use super::lanes::LaneIx;
use super::order::Orders;
use super::slab::{Slab, index};
use super::timer::Now;
use crate::queue::Step;

index! {
    /// A subscription.
    SubscriptionIx
}

/// A subscription of the running configuration. `E` is what attempts are made with.
#[derive(Debug)]
pub(super) struct Configured<E> {
    /// Its identifier.
    pub(super) id: Arc<str>,
    /// What attempts are made with.
    pub(super) endpoint: Arc<E>,
    /// How its lanes work.
    pub(super) rules: Rules,
}

/// How the lanes of a subscription work.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rules {
    /// Organization that its attempts count for.
    pub(super) org_id: u64,
    /// False keeps its deliveries waiting.
    pub(super) is_active: bool,
    /// Attempts under way at a time, per lane; at least 1.
    pub(super) max_concurrency: u32,
    /// Attempts in a window, per lane.
    pub(super) rate: Option<RateLimit>,
    /// When a lane is left alone.
    pub(super) breaker: BreakerRules,
    /// An attempt that takes longer is given up, whatever it waits for.
    pub(super) longest_attempt: Duration,
}

/// A subscription.
#[derive(Debug)]
pub(super) struct Subscription<E> {
    pub(super) id: Arc<str>,
    pub(super) standing: Standing<E>,
    pub(super) hold: Option<Hold>,
    pub(super) orders: Orders,
    /// Its lanes, by step.
    pub(super) lanes: Vec<(Step, LaneIx)>,
    /// Open deliveries.
    pub(super) depth: usize,
    /// Bytes of events that its deliveries keep in memory.
    pub(super) body_bytes: usize,
    generation: u64,
}

/// What is known of a subscription.
#[derive(Debug)]
pub(super) enum Standing<E> {
    /// Nothing: there was no configuration yet.
    Unknown,
    /// It is configured.
    Configured { endpoint: Arc<E>, rules: Rules },
    /// The configuration does not have it (any more).
    Missing {
        /// Since then, in milliseconds of the clock that never goes back.
        since_ms: i64,
        /// What it was.
        last: Option<Arc<E>>,
    },
}

/// What becomes of the deliveries of a subscription.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mode<'s> {
    /// They go out.
    Send(&'s Rules),
    /// They wait, for somebody to change that.
    Shut,
    /// They wait for the subscription to come back until then (milliseconds of the clock that never goes back).
    Missing(i64),
    /// They become dead letters.
    Bury,
}

impl<E> Subscription<E> {
    /// What becomes of its deliveries at `now`.
    pub(super) fn mode(&self, now: Now) -> Mode<'_> {
        match &self.standing {
            Standing::Missing { since_ms, .. } => {
                let until = since_ms.saturating_add(GRACE_MS);
                if until <= now.mono_ms() {
                    Mode::Bury
                } else {
                    Mode::Missing(until)
                }
            }
            Standing::Configured { rules, .. } if rules.is_active && self.hold.is_none() => Mode::Send(rules),
            Standing::Unknown | Standing::Configured { .. } => Mode::Shut,
        }
    }

    /// Its rules, if it is configured.
    pub(super) fn rules(&self) -> Option<&Rules> {
        match &self.standing {
            Standing::Configured { rules, .. } => Some(rules),
            Standing::Unknown | Standing::Missing { .. } => None,
        }
    }

    /// True if nothing would be lost with it.
    pub(super) fn is_over(&self) -> bool {
        self.depth == 0 && self.hold.is_none() && matches!(self.standing, Standing::Missing { .. })
    }

    /// Its lane for `step`, if there is one.
    pub(super) fn lane(&self, step: Step) -> Option<LaneIx> {
        let found = self.lanes.iter().find(|(known, _)| *known == step);
        found.map(|(_, lane)| *lane)
    }
}

/// Subscriptions by identifier.
#[derive(Debug)]
pub(super) struct Subscriptions<E> {
    all: Slab<SubscriptionIx, Subscription<E>>,
    by_id: HashMap<Arc<str>, SubscriptionIx, RandomState>,
    /// Counts the configurations; 0 before the first.
    generation: u64,
}

impl<E> Subscriptions<E> {
    /// Without subscriptions, before any configuration.
    pub(super) fn new() -> Self {
        Self {
            all: Slab::new(),
            by_id: HashMap::default(),
            generation: 0,
        }
    }

    /// The subscription `id`, if it has deliveries, rules or a hold.
    pub(super) fn find(&self, id: &str) -> Option<SubscriptionIx> {
        self.by_id.get(id).copied()
    }

    /// The subscription `id`.
    pub(super) fn find_or_add(&mut self, id: &Arc<str>, now: Now) -> SubscriptionIx {
        if let Some(found) = self.by_id.get(id) {
            return *found;
        }
        let standing = if self.generation == 0 {
            Standing::Unknown
        } else {
            // Its event may have been matched by a configuration that is about to come.
            Standing::Missing {
                since_ms: now.mono_ms(),
                last: None,
            }
        };
        let added = self.all.insert(Subscription {
            id: Arc::clone(id),
            standing,
            hold: None,
            orders: Orders::default(),
            lanes: Vec::new(),
            depth: 0,
            body_bytes: 0,
            generation: self.generation,
        });
        self.by_id.insert(Arc::clone(id), added);
        added
    }

    /// Takes in a configured subscription; false if nothing changed.
    pub(super) fn configure(&mut self, configured: Configured<E>, now: Now) -> (SubscriptionIx, bool) {
        let ix = self.find_or_add(&configured.id, now);
        let generation = self.generation;
        let subscription = &mut self.all[ix];
        subscription.generation = generation;
        let is_same = match &subscription.standing {
            Standing::Configured { endpoint, rules } => {
                Arc::ptr_eq(endpoint, &configured.endpoint) && *rules == configured.rules
            }
            Standing::Unknown | Standing::Missing { .. } => false,
        };
        if !is_same {
            subscription.standing = Standing::Configured {
                endpoint: configured.endpoint,
                rules: configured.rules,
            };
        }
        (ix, !is_same)
    }

    /// Begins a new configuration.
    pub(super) const fn begin(&mut self) {
        self.generation += 1;
    }

    /// Ends a configuration: those that it did not have, each of them missing from now on if it was not before.
    pub(super) fn end(&mut self, now: Now) -> Vec<SubscriptionIx> {
        let (mut missing, mut from) = (Vec::new(), Some(0));
        while let Some(place) = from {
            let (some, next) = self.all.some_from(place);
            let old = some.filter(|(_, known)| known.generation != self.generation);
            missing.extend(old.map(|(ix, _)| ix));
            from = next;
        }
        for ix in &missing {
            let standing = &mut self.all[*ix].standing;
            let last = match std::mem::replace(standing, Standing::Unknown) {
                already @ Standing::Missing { .. } => {
                    *standing = already;
                    continue;
                }
                Standing::Unknown => None,
                Standing::Configured { endpoint, .. } => Some(endpoint),
            };
            let since_ms = now.mono_ms();
            *standing = Standing::Missing { since_ms, last };
        }
        missing
    }

    /// Forgets a subscription.
    pub(super) fn remove(&mut self, ix: SubscriptionIx) {
        if let Some(gone) = self.all.remove(ix) {
            self.by_id.remove(&gone.id);
        }
    }

    /// The subscription at `ix`, if there is one.
    pub(super) fn get(&self, ix: SubscriptionIx) -> Option<&Subscription<E>> {
        self.all.get(ix)
    }

    /// Places in use are below this one.
    pub(super) fn end_place(&self) -> u32 {
        self.all.end()
    }
}

impl<E> std::ops::Index<SubscriptionIx> for Subscriptions<E> {
    type Output = Subscription<E>;

    fn index(&self, ix: SubscriptionIx) -> &Subscription<E> {
        &self.all[ix]
    }
}

impl<E> std::ops::IndexMut<SubscriptionIx> for Subscriptions<E> {
    fn index_mut(&mut self, ix: SubscriptionIx) -> &mut Subscription<E> {
        &mut self.all[ix]
    }
}

/// So long a subscription may be missing before its deliveries become dead letters: a configuration that comes just after
/// the events that it matched, or one that was rolled back, loses nothing.
pub(super) const GRACE_MS: i64 = 60_000;

//! How much the queue holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::AHashMap;

use super::Seq;

/// How much there is, for whoever decides to take more in. All of it is kept up to date, so that asking costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Open deliveries.
    pub open: u64,
    /// Dead letters.
    pub dead: u64,
    /// Bytes of the queue's files that are in use; free pages within them do not count.
    pub used_bytes: u64,
    /// Bytes of records that the control plane does not have yet.
    pub spool_bytes: u64,
    /// Bytes that are free on the disk; `None` if the system does not say.
    pub free_disk_bytes: Option<u64>,
    /// Operations that wait for the next commit.
    pub waiting: u64,
    /// True while the last commit failed.
    pub failing: bool,
}

/// What the queue holds, in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// The totals.
    pub levels: Levels,
    /// When the oldest event with an open delivery was accepted, to the second, in milliseconds since the epoch.
    pub oldest_ms: Option<i64>,
    /// True until everything that was found at the start is handed over.
    pub recovering: bool,
    /// By subscription; those without open deliveries and dead letters are left out.
    pub subscriptions: Vec<SubscriptionDepth>,
}

/// What waits for one subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionDepth {
    /// The subscription.
    pub subscription: Arc<str>,
    /// Its organization.
    pub org_id: u64,
    /// Open deliveries.
    pub open: u64,
    /// When the oldest event of them was accepted, to the second, in milliseconds since the epoch.
    pub oldest_ms: Option<i64>,
    /// Dead letters.
    pub dead: u64,
}

/// A delivery that was opened or settled, or a dead letter that came or went.
#[derive(Clone, Debug)]
pub(super) struct Move {
    pub(super) seq: Seq,
    pub(super) subscription: Arc<str>,
    pub(super) org_id: u64,
    pub(super) accepted_ms: i64,
    pub(super) open: i32,
    pub(super) dead: i32,
}

/// What waits, by subscription.
#[derive(Debug, Default)]
pub(super) struct Depths {
    subscriptions: AHashMap<Arc<str>, Depth>,
    pub(super) open: u64,
    pub(super) dead: u64,
}

#[derive(Debug, Default)]
struct Depth {
    org_id: u64,
    open: u64,
    dead: u64,
    /// Open deliveries by the second in which their event was accepted.
    seconds: BTreeMap<i64, u64>,
}

impl Depths {
    /// Takes a change in.
    pub(super) fn note(&mut self, change: &Move) {
        let Move {
            org_id,
            accepted_ms,
            open,
            dead,
            ..
        } = *change;
        self.change(&change.subscription, org_id, accepted_ms, open, dead);
    }

    /// Takes a new open delivery in.
    pub(super) fn open(&mut self, subscription: &Arc<str>, org_id: u64, accepted_ms: i64) {
        self.change(subscription, org_id, accepted_ms, 1, 0);
    }

    /// Puts counts of dead letters, by subscription and organization, in the place of those that were there.
    pub(super) fn set_dead(&mut self, counts: Vec<(String, u64, u64)>) {
        self.dead = 0;
        for depth in self.subscriptions.values_mut() {
            depth.dead = 0;
        }
        for (subscription, org_id, count) in counts {
            let count = i32::try_from(count).unwrap_or(i32::MAX);
            self.change(&subscription.into(), org_id, 0, 0, count);
        }
        self.subscriptions.retain(|_, depth| depth.open > 0 || depth.dead > 0);
    }

    fn change(&mut self, subscription: &Arc<str>, org_id: u64, accepted_ms: i64, open: i32, dead: i32) {
        self.open = self.open.saturating_add_signed(open.into());
        self.dead = self.dead.saturating_add_signed(dead.into());
        if !self.subscriptions.contains_key(subscription) {
            self.subscriptions.insert(Arc::clone(subscription), Depth::default());
        }
        let Some(depth) = self.subscriptions.get_mut(subscription) else {
            return;
        };
        depth.org_id = org_id;
        depth.open = depth.open.saturating_add_signed(open.into());
        depth.dead = depth.dead.saturating_add_signed(dead.into());
        if open != 0 {
            let second = accepted_ms.div_euclid(1000);
            let there = depth.seconds.entry(second).or_default();
            *there = there.saturating_add_signed(open.into());
            if *there == 0 {
                depth.seconds.remove(&second);
            }
        }
        if depth.open == 0 && depth.dead == 0 {
            self.subscriptions.remove(subscription);
        }
    }

    /// Dead letters of a subscription.
    pub(super) fn dead_of(&self, subscription: &str) -> u64 {
        self.subscriptions.get(subscription).map_or(0, |depth| depth.dead)
    }

    /// Open deliveries by organization.
    pub(super) fn by_organization(&self) -> Vec<(u64, u64)> {
        let mut organizations: AHashMap<u64, u64> = AHashMap::new();
        for depth in self.subscriptions.values().filter(|depth| depth.open > 0) {
            *organizations.entry(depth.org_id).or_default() += depth.open;
        }
        organizations.into_iter().collect()
    }

    /// All of it.
    pub(super) fn stats(&self, levels: Levels, recovering: bool) -> QueueStats {
        let subscriptions: Vec<_> = self
            .subscriptions
            .iter()
            .map(|(subscription, depth)| SubscriptionDepth {
                subscription: Arc::clone(subscription),
                org_id: depth.org_id,
                open: depth.open,
                oldest_ms: depth.seconds.first_key_value().map(|(second, _)| second * 1000),
                dead: depth.dead,
            })
            .collect();
        QueueStats {
            levels,
            oldest_ms: subscriptions.iter().filter_map(|one| one.oldest_ms).min(),
            recovering,
            subscriptions,
        }
    }
}

//! Counts of requests and failures, as the control plane wants to know them of the version that is live.

use std::sync::atomic::{AtomicU64, Ordering};

use filters::model::push::{Counts, IntegrationCounts, VersionCounts};

use super::Live;
use crate::metrics::Metrics;

/// Requests, and how many of them failed.
#[derive(Debug, Default)]
pub struct Tally {
    requests: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    /// Counts one.
    pub fn count(&self, failed: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.failed.fetch_add(u64::from(failed), Ordering::Relaxed);
    }

    /// What was counted until now.
    pub fn read(&self) -> Counts {
        Counts {
            requests: self.requests.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

/// What was counted when a version was built, by slot. What changed with the version counts from nothing.
#[derive(Debug, Default)]
pub(super) struct Since {
    total: Counts,
    integrations: Box<[Counts]>,
    subscriptions: Box<[Counts]>,
}

impl Live {
    /// Counts from now on.
    pub(super) fn count_anew(&mut self, metrics: &Metrics) {
        self.since = Since {
            total: metrics.tally.read(),
            integrations: self.integration_tallies().map(read).collect(),
            subscriptions: self.subscription_tallies().map(read).collect(),
        };
    }

    /// What came of requests since this version is live.
    pub fn counts(&self, metrics: &Metrics) -> VersionCounts {
        let integrations = self
            .runtimes
            .iter()
            .map(|runtime| runtime.as_ref().map(|runtime| &runtime.integration.id));
        let integrations = integrations
            .zip(self.integration_tallies())
            .zip(&self.since.integrations);
        let subscriptions = self
            .subscriptions
            .iter()
            .map(|runtime| runtime.as_ref().map(|runtime| &runtime.subscription.id));
        let subscriptions = subscriptions
            .zip(self.subscription_tallies())
            .zip(&self.since.subscriptions);
        let mut failing: Vec<IntegrationCounts> = integrations
            .chain(subscriptions)
            .filter_map(|((id, tally), since)| {
                let counts = less(tally?.read(), *since);
                (counts.failed > 0).then(|| IntegrationCounts {
                    id: id.map(|id| (**id).into()).unwrap_or_default(),
                    counts,
                })
            })
            .collect();
        failing.sort_unstable_by_key(|one| std::cmp::Reverse(one.counts.failed));
        failing.truncate(MOST);
        VersionCounts {
            version: self.plan.version,
            total: less(metrics.tally.read(), self.since.total),
            integrations: failing,
        }
    }

    fn integration_tallies(&self) -> impl Iterator<Item = Option<&Tally>> {
        self.runtimes
            .iter()
            .map(|runtime| runtime.as_ref().map(|runtime| &runtime.tally))
    }

    fn subscription_tallies(&self) -> impl Iterator<Item = Option<&Tally>> {
        self.subscriptions
            .iter()
            .map(|runtime| runtime.as_ref().map(|runtime| &runtime.tally))
    }
}

fn read(tally: Option<&Tally>) -> Counts {
    tally.map(Tally::read).unwrap_or_default()
}

fn less(now: Counts, since: Counts) -> Counts {
    Counts {
        requests: now.requests.saturating_sub(since.requests),
        failed: now.failed.saturating_sub(since.failed),
    }
}

/// Integrations that are told of; a version that breaks more is known to be bad by then.
const MOST: usize = 100;

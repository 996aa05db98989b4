//! Gateways as those see them who watch over a rollout.

use filters::model::push::VersionCounts;

use super::{Fleet, Member, Tracked};
use crate::rollout::Standing;

impl Fleet {
    /// All gateways, by name, beside what is known of `version`.
    pub(crate) fn rolling(&self, version: u64) -> Vec<Standing> {
        let gateways = self.gateways.lock();
        gateways.values().map(|tracked| tracked.rolling(version)).collect()
    }
}

impl Member {
    /// It says what it counted since it runs the version that it runs.
    pub(crate) fn counted(&self, counts: VersionCounts) {
        self.fleet.update(self, |tracked, _| {
            let is_next = tracked
                .counts
                .as_ref()
                .is_some_and(|known| known.version != counts.version);
            if is_next {
                tracked.counts_before = tracked.counts.take();
            }
            tracked.counts = Some(counts);
        });
    }
}

impl Tracked {
    fn rolling(&self, version: u64) -> Standing {
        let refused = self.record.refused.as_ref();
        let applied = self.record.applied.as_ref().map(|(applied, _)| *applied);
        Standing {
            gateway_id: self.record.gateway_id.clone(),
            connected: self.connection.is_some(),
            last_seen: self.record.last_seen,
            applied_version: applied,
            refused: refused
                .filter(|refused| refused.version == version && applied != Some(version))
                .map(|refused| refused.problems.clone()),
            counts: self.counts.clone(),
            counts_before: self.counts_before.clone(),
        }
    }
}

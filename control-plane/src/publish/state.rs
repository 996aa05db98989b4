//! The configuration at one version.

use std::collections::VecDeque;
use std::sync::Arc;

use filters::model::Snapshot;
use filters::model::push::{Object, ObjectId};
use filters::plan::Plan;
use jiff::Timestamp;

use super::trial::Trial;
use crate::secrets::Resolved;
use crate::store::{Change, HISTORY, Touched, Version};

/// The configuration at one version, as this process serves and pushes it. Immutable; a change makes the next one.
#[derive(Debug)]
pub struct State {
    /// All objects, as they are configured.
    pub snapshot: Snapshot,
    /// The same as gateways get them.
    pub(crate) resolved: Resolved,
    /// Digest of what gateways get.
    pub digest: String,
    /// When this version was made; `None` before the first one.
    pub at: Option<Timestamp>,
    /// The plan that the objects compile to; kept so that the next compile shares what is unchanged. `None` if what the
    /// store holds does not compile (it was accepted by an older release).
    pub(super) plan: Option<Arc<Plan>>,
    /// The newest versions in ascending order.
    pub(super) recent: VecDeque<Arc<Touched>>,
    /// Set while this version is for some of the gateways only.
    pub(super) trial: Option<Trial>,
}

impl State {
    /// Which objects changed after version `from`, whose content had `digest`; `None` if that version is not remembered
    /// or was another one.
    pub fn touched_since(&self, from: u64, digest: &str) -> Option<Change> {
        let start = self.recent.iter().position(|step| step.version.number == from)?;
        if self.recent[start].version.digest != digest {
            return None;
        }
        let steps = self.recent.iter().skip(start + 1);
        let mut ids: Vec<&ObjectId> = steps.flat_map(|step| &step.objects).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut change = Change::default();
        // Its one value is small, and whether it changed is not remembered.
        change.put.push(Object::Security(self.resolved.snapshot.security));
        for id in ids {
            match self.resolved.snapshot.object(id) {
                Some(object) => change.put.push(object),
                None => change.delete.push(id.clone()),
            }
        }
        Some(change)
    }

    /// The plan that the objects compile to, if they do.
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_deref()
    }

    /// Digest of the content at version `number`, if that version is remembered.
    pub fn digest_at(&self, number: u64) -> Option<&str> {
        let newest_first = self.recent.iter().rev();
        let mut steps = newest_first.take_while(|step| step.version.number >= number);
        let step = steps.find(|step| step.version.number == number)?;
        Some(&step.version.digest)
    }

    /// This state with one more version.
    pub(super) fn next(
        &self,
        snapshot: Snapshot,
        resolved: Resolved,
        plan: Option<Plan>,
        version: Version,
        change: &Change,
    ) -> Self {
        // Where another control plane reads another secret, gateways of this one have another content.
        let digest = plan.as_ref().map_or(version.digest, |plan| plan.digest.clone());
        let version = Version { digest, ..version };
        let mut recent = self.recent.clone();
        recent.push_back(Arc::new(Touched {
            version: version.clone(),
            objects: change.touched().collect(),
        }));
        while recent.len() > HISTORY as usize {
            recent.pop_front();
        }
        Self {
            digest: version.digest,
            at: Some(version.at),
            plan: plan.map(Arc::new),
            snapshot,
            resolved,
            recent,
            trial: None,
        }
    }
}

//! A version that only some gateways are to have yet, and how it begins and ends.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use filters::model::Snapshot;
use filters::model::push::{Object, ObjectId};
use jiff::Timestamp;

use super::prepare::{self, Prepared};
use super::{Edit, Refusal, State, blocking};
use crate::audit::AuditEntry;
use crate::secrets::{Resolved, Secrets, Values, wanted_by};
use crate::store::{Canary, Contents, Store, StoreError, Version};

/// A version that only some gateways are to have yet. The version after it is for all of them again.
#[derive(Debug)]
pub struct Trial {
    /// The rollout that it is part of.
    pub rollout: String,
    /// The gateways that get it, by name.
    pub gateways: BTreeSet<String>,
    /// What all others stay at.
    pub base: Arc<State>,
}

/// A change as a part of a rollout.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// What is changed.
    pub(crate) edit: Edit,
    /// What it does to the rollout.
    pub(crate) stage: Stage,
    /// What the audit says of it besides.
    pub(crate) audit: Vec<AuditEntry>,
}

/// What a change does to a rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is no part of one; refused while there is one.
    #[default]
    Plain,
    /// It begins one.
    Begin {
        /// Its identifier.
        rollout: String,
        /// The gateways that get the change.
        gateways: BTreeSet<String>,
    },
    /// It ends one: a version is made even if nothing changes, and its objects are kept as they are given.
    End {
        /// Its identifier.
        rollout: String,
    },
}

impl State {
    /// What the gateway `gateway_id` is to run.
    pub fn for_gateway<'a>(self: &'a Arc<Self>, gateway_id: &str) -> &'a Arc<Self> {
        match &self.trial {
            Some(trial) if !trial.gateways.contains(gateway_id) => &trial.base,
            _ => self,
        }
    }

    /// The rollout that is under way.
    pub fn trial(&self) -> Option<&Trial> {
        self.trial.as_ref()
    }

    /// Makes of this state one of a rollout, if its version is part of one. `before` is the state that it was made of.
    pub(super) fn on_trial(mut self, version: &Version, before: &Arc<Self>) -> Self {
        self.trial = version.canary.as_ref().and_then(|canary| {
            let outer = before.trial.as_ref().map(|trial| &trial.base);
            let base = [Some(before), outer].into_iter().flatten();
            let base = base.into_iter().find(|base| base.snapshot.version == canary.base)?;
            Some(trial(canary, Arc::clone(base)))
        });
        self
    }

    /// What was read, with the secrets that only gateways outside of the trial have: to take it back needs no source.
    pub(super) fn known_with<'a>(&self, read: &'a Values) -> Cow<'a, Values> {
        match &self.trial {
            Some(trial) => Cow::Owned(trial.base.resolved.known_with(read)),
            None => Cow::Borrowed(read),
        }
    }

    /// The change that puts everything back to what gateways outside of the trial have; `None` if there is no trial.
    pub(crate) fn taken_back(&self) -> Option<Edit> {
        let base = &self.trial.as_ref()?.base;
        let later = self
            .recent
            .iter()
            .filter(|step| step.version.number > base.snapshot.version);
        let ids: BTreeSet<&ObjectId> = later.flat_map(|step| &step.objects).collect();
        let mut edit = Edit {
            restores: true,
            ..Edit::default()
        };
        for id in ids {
            match base.snapshot.object(id) {
                Some(object) => edit.put.push((id.path(), object)),
                None => edit.delete.push(id.clone()),
            }
        }
        Some(edit)
    }
}

impl Stage {
    /// Refuses a change that is in the way of the rollout that is under way.
    pub(super) fn check(&self, state: &State) -> Result<(), Refusal> {
        match (self, &state.trial) {
            (Self::End { rollout }, Some(trial)) if *rollout == trial.rollout => Ok(()),
            (Self::End { rollout }, _) => Err(Refusal::Conflict(format!("the rollout {rollout} is over"))),
            (_, None) => Ok(()),
            (_, Some(trial)) => Err(Refusal::Conflict(format!(
                "the rollout {} is under way: version {} is at {} gateway(s) only; wait for its end, promote it or abort it \
                 (gwctl rollout status)",
                trial.rollout,
                state.snapshot.version,
                trial.gateways.len()
            ))),
        }
    }

    /// True for what ends a rollout.
    pub(super) fn ends(&self) -> bool {
        matches!(self, Self::End { .. })
    }

    /// Works out what `edit` changes in `base`. What ends a rollout was kept like that before.
    pub(super) fn prepare(&self, base: &Snapshot, edit: Edit, at: Timestamp) -> Result<Prepared, Refusal> {
        if self.ends() {
            Ok(Prepared::as_given(base, edit))
        } else {
            prepare::prepare(base, edit, at).map_err(Refusal::Problems)
        }
    }

    /// Who gets the version after `base`, if not all gateways.
    pub(super) fn canary(&self, base: u64) -> Option<Canary> {
        match self {
            Self::Begin { rollout, gateways } => Some(Canary {
                rollout: rollout.clone(),
                base,
                gateways: gateways.iter().cloned().collect(),
            }),
            Self::Plain | Self::End { .. } => None,
        }
    }
}

/// What the gateways outside of the trial have, if the newest version in the store is part of a rollout.
pub(super) async fn restored(store: &Store, secrets: &Secrets, contents: &Contents) -> Result<Option<Trial>, Refusal> {
    let Some(canary) = contents.recent.last().and_then(|step| step.version.canary.as_ref()) else {
        return Ok(None);
    };
    let earlier = contents.recent.iter().filter(|step| step.version.number <= canary.base);
    let recent: std::collections::VecDeque<_> = earlier.cloned().map(Arc::new).collect();
    let Some(version) = recent.back().map(|step| step.version.clone()) else {
        return Err(Refusal::Store(StoreError::Corrupt {
            object: format!("version {}", canary.base),
            reason: format!("it is missing, and the rollout {} began with it", canary.rollout),
        }));
    };
    let ids = store.touched(canary.base, contents.snapshot.version).await?;
    let objects = store.objects_at(canary.base, &ids).await?;
    let put: Vec<Object> = objects.iter().flatten().cloned().collect();
    let gone = ids.into_iter().zip(&objects).filter(|(_, object)| object.is_none());
    let delete: Vec<ObjectId> = gone.map(|(id, _)| id).collect();
    let snapshot: Snapshot = contents.snapshot.changed(canary.base, put, &delete);
    let read = secrets
        .read(snapshot.objects().iter().flat_map(wanted_by).collect())
        .await;
    let base = blocking(move || {
        let resolved = Resolved::of(&snapshot, &read);
        let plan = filters::compile(&resolved.snapshot, None).ok().map(Arc::new);
        State {
            digest: resolved.snapshot.digest(),
            at: Some(version.at),
            plan,
            recent,
            snapshot,
            resolved,
            trial: None,
        }
    });
    Ok(Some(trial(canary, Arc::new(base.await?))))
}

fn trial(canary: &Canary, base: Arc<State>) -> Trial {
    Trial {
        rollout: canary.rollout.clone(),
        gateways: canary.gateways.iter().cloned().collect(),
        base,
    }
}

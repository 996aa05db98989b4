//! A change that is worked out, but not made: edit -> prepare -> compile -> version.

use std::collections::BTreeMap;

use filters::model::push::Object;
use filters::model::{Problem, Snapshot};

use super::prepare::{Outcome, Prepared};
use super::{Author, Edit, Refusal, Stage, State, fitting, left, limited, needed, now, unique};
use crate::secrets::Values;
use crate::store::{Beside, Change, Share, StoreError, Version, Write};
use crate::trash;

/// A change that is worked out, but not made.
pub(super) struct Proposal {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) warnings: Vec<Problem>,
    /// `None` if everything is as it should be already.
    pub(super) next: Option<Next>,
}

/// What is to be made of it.
pub(super) struct Next {
    pub(super) state: State,
    pub(super) version: Version,
    pub(super) change: Change,
    pub(super) beside: Beside,
}

impl Proposal {
    /// Works out what `edit` comes to: prepares it, looks for what is in its way, and compiles.
    pub(super) fn new(
        base: &State,
        mut edit: Edit,
        stage: &Stage,
        author: &Author,
        read: &Values,
    ) -> Result<Self, Refusal> {
        let at = now();
        let restores = edit.restores;
        let writes = std::mem::take(&mut edit.writes);
        let Prepared {
            change,
            outcomes,
            places,
        } = stage.prepare(&base.snapshot, edit, at)?;
        if change.put.is_empty() && change.delete.is_empty() && !stage.ends() {
            return Ok(Self {
                outcomes,
                warnings: Vec::new(),
                next: None,
            });
        }
        limited::check(&base.snapshot, &change, author)
            .map_err(|problems| Refusal::Problems(places.relocate(problems)))?;
        let number = base.snapshot.version + 1;
        let snapshot = base.snapshot.changed(number, change.put.clone(), &change.delete);
        needed::check(&snapshot, &change.delete).map_err(Refusal::Conflict)?;
        let twice = unique::check(&snapshot, &change);
        if !twice.is_empty() {
            return Err(Refusal::Problems(places.relocate(twice)));
        }
        let resolved = base.resolved.changed(&snapshot, &change, &base.known_with(read));
        let unread = resolved.problems(&change.put);
        if !unread.is_empty() {
            return Err(Refusal::Problems(places.relocate(unread)));
        }
        let plan = filters::compile(&resolved.snapshot, base.plan.as_deref())
            .map_err(|problems| Refusal::Problems(limited::visible(places.relocate(problems), author)))?;
        let findings = fitting::check(&snapshot, &plan, &change, &places);
        if !findings.problems.is_empty() && !restores {
            return Err(Refusal::Problems(findings.problems));
        }
        let version = Version {
            number,
            author: author.name.clone(),
            message: author.message.clone(),
            at,
            digest: plan.digest.clone(),
            put: change.put.len() as u64,
            deleted: change.delete.len() as u64,
            shares: shares(&base.snapshot, &change),
            canary: stage.canary(base.snapshot.version),
        };
        let mut beside = beside(base, &change, &version, writes)?;
        beside.leaves = left::behind(&base.snapshot, &change, restores);
        let state = base.next(snapshot, resolved, Some(plan), version.clone(), &change);
        let next = Next {
            state,
            version,
            change,
            beside,
        };
        Ok(Self {
            outcomes,
            warnings: findings.warnings,
            next: Some(next),
        })
    }
}

/// What is written with a version: `writes`, and what lays aside the objects that it deletes.
fn beside(base: &State, change: &Change, version: &Version, mut writes: Vec<Write>) -> Result<Beside, StoreError> {
    for object in change.delete.iter().filter_map(|id| base.snapshot.object(id)) {
        writes.extend(trash::keep(object, version)?);
    }
    Ok(Beside {
        writes,
        ..Beside::default()
    })
}

/// What `change` means to each organization.
pub(super) fn shares(base: &Snapshot, change: &Change) -> Vec<Share> {
    let put = change
        .put
        .iter()
        .filter_map(Object::org_id)
        .map(|org_id| (org_id, 1, 0));
    let deleted = change
        .delete
        .iter()
        .filter_map(|id| Some((base.object(id)?.org_id()?, 0, 1)));
    let mut shares: BTreeMap<u64, Share> = BTreeMap::new();
    for (org_id, put, deleted) in put.chain(deleted) {
        let share = shares.entry(org_id).or_insert(Share {
            org_id,
            put: 0,
            deleted: 0,
        });
        share.put += put;
        share.deleted += deleted;
    }
    shares.into_values().collect()
}

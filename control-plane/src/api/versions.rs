//! The sequence of versions: what each changed, and what differs between two of them.
//!
//! Whoever is limited to organizations sees of a version what it changed of theirs, and none that changed nothing of it.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::push::{Object, ObjectId};
use filters::model::{Problem, Security};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::apply::Reference;
use super::error::ApiError;
use super::lists::Lists;
use super::operator::Caller;
use super::request::{Params, Place, Within};
use crate::differences::{Difference, between};
use crate::store;

/// Which versions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Listing {
    /// Only those that changed something of this organization; must be given if the key is not for all of them.
    #[serde(default)]
    org_id: Option<u64>,
    /// The most that are listed, 1 to 200.
    #[serde(default = "fifty")]
    limit: u32,
    /// Only those before this version.
    #[serde(default)]
    before: Option<u64>,
}

/// Two versions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Comparing {
    /// The one version; 0 for before everything.
    from: u64,
    /// The other one; the newest if left out.
    #[serde(default)]
    to: Option<u64>,
    /// Only objects of this organization; must be given if the key is not for all of them.
    #[serde(default)]
    org_id: Option<u64>,
    /// Passes over so many objects that differ.
    #[serde(default)]
    offset: u32,
    /// The most objects that are told, 1 to 200.
    #[serde(default = "fifty")]
    limit: u32,
}

/// A version in the path.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Numbered {
    /// Its number.
    pub(super) number: u64,
}

/// Versions, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Versions {
    /// Newest first.
    versions: Vec<Version>,
    /// True if there are older ones.
    has_more: bool,
}

/// A version.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Version {
    /// Its number.
    version: u64,
    /// When it was made (RFC 3339).
    created_at: String,
    /// The operator who made it.
    author: String,
    /// What for.
    message: String,
    /// Digest of the whole configuration at this version; left out within an organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// How many objects it made or changed; within an organization, of that.
    put: u64,
    /// How many objects it deleted; within an organization, of that.
    deleted: u64,
    /// The rollout that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<String>,
}

/// A version with what it changed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct VersionWithChange {
    #[serde(flatten)]
    version: Version,
    /// The security rules, if it set them.
    security: Option<Security>,
    /// Objects that it made or changed.
    #[serde(flatten)]
    put: Lists,
    /// What it deleted.
    delete: Vec<Reference>,
    /// What is different from the version before, object by object; of at most 50 objects.
    differences: Vec<Difference>,
    /// True if it changed more objects; compare it with the version before to see them all.
    more_differences: bool,
}

/// What differs between two versions.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Comparison {
    /// The one version.
    from: u64,
    /// The other one.
    to: u64,
    /// What came, changed and went from one to the other, object by object.
    differences: Vec<Difference>,
    /// True if more objects differ.
    has_more: bool,
}

/// Lists versions.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(listing): Params<Listing>,
) -> Result<Json<Versions>, ApiError> {
    let scope = caller.scope(listing.org_id)?;
    check_limit(listing.limit)?;
    let most = listing.limit + 1;
    let mut versions = match scope {
        None => app.store.versions(listing.before, most).await?,
        Some(org_id) => app.store.versions_of(org_id, listing.before, most).await?,
    };
    let has_more = versions.len() > listing.limit as usize;
    versions.truncate(listing.limit as usize);
    let versions = versions
        .into_iter()
        .map(|version| Version::of(version, scope))
        .collect();
    Ok(Json(Versions { versions, has_more }))
}

/// Reads a version.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Numbered { number }): Place<Numbered>,
    Params(within): Params<Within>,
) -> Result<Json<VersionWithChange>, ApiError> {
    let scope = caller.scope(within.org_id)?;
    let not_there = || ApiError::not_found(&format!("version {number}"));
    let (version, change) = app.store.version(number).await?.ok_or_else(not_there)?;
    let ids: Vec<ObjectId> = change.touched().collect();
    let before = app.store.objects_at(number.saturating_sub(1), &ids).await?;
    let security = change.put.iter().find_map(|object| match object {
        Object::Security(security) if scope.is_none() => Some(*security),
        _ => None,
    });
    let put = change.put.into_iter().filter(|object| object.id().is_some());
    let after = put.map(Some).chain(change.delete.iter().map(|_| None));
    let steps: Vec<Step> = ids
        .into_iter()
        .zip(before)
        .zip(after)
        .map(|((id, before), after)| Step { id, before, after })
        .filter(|step| step.is_of(scope))
        .collect();
    if scope.is_some() && steps.is_empty() {
        return Err(not_there());
    }
    let mut lists = Lists::default();
    steps
        .iter()
        .filter_map(|step| step.after.as_ref())
        .for_each(|object| lists.push(object));
    let deleted = steps.iter().filter(|step| step.after.is_none());
    let delete = deleted.map(|step| Reference::of(&step.id)).collect();
    let (differences, more_differences) = told(steps, 0, fifty()).await?;
    Ok(Json(VersionWithChange {
        version: Version::of(version, scope),
        security,
        put: lists,
        delete,
        differences,
        more_differences,
    }))
}

/// Compares two versions.
pub(super) async fn compare(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(comparing): Params<Comparing>,
) -> Result<Json<Comparison>, ApiError> {
    let scope = caller.scope(comparing.org_id)?;
    check_limit(comparing.limit)?;
    let head = app.store.head().await?;
    let (from, to) = (comparing.from, comparing.to.unwrap_or(head));
    let unknown = [("from", from), ("to", to)]
        .into_iter()
        .filter(|(_, version)| *version > head);
    let problems: Vec<Problem> = unknown
        .map(|(field, version)| Problem::new(field, format!("{version} is later than the newest version, {head}")))
        .collect();
    if !problems.is_empty() {
        return Err(ApiError::validation(problems));
    }
    let steps = steps_between(&app.store, from, to, scope).await?;
    let (differences, has_more) = told(steps, comparing.offset, comparing.limit).await?;
    Ok(Json(Comparison {
        from,
        to,
        differences,
        has_more,
    }))
}

/// An object, and what it was and became.
pub(super) struct Step {
    pub(super) id: ObjectId,
    pub(super) before: Option<Object>,
    pub(super) after: Option<Object>,
}

impl Step {
    /// True if it is of this organization; always, of all.
    pub(super) fn is_of(&self, scope: Option<u64>) -> bool {
        let is_own = |object: &Option<Object>| object.as_ref().and_then(Object::org_id) == scope;
        scope.is_none() || is_own(&self.before) || is_own(&self.after)
    }
}

/// The objects that differ from one version to another, within an organization or all.
pub(super) async fn steps_between(
    store: &store::Store,
    from: u64,
    to: u64,
    scope: Option<u64>,
) -> Result<Vec<Step>, ApiError> {
    let ids = store.touched(from.min(to), from.max(to)).await?;
    let before = store.objects_at(from, &ids).await?;
    let after = store.objects_at(to, &ids).await?;
    let steps = ids.into_iter().zip(before).zip(after);
    Ok(steps
        .map(|((id, before), after)| Step { id, before, after })
        .filter(|step| step.before != step.after && step.is_of(scope))
        .collect())
}

/// The differences from number `offset` on, at most `limit`, and whether there are more.
pub(super) async fn told(steps: Vec<Step>, offset: u32, limit: u32) -> Result<(Vec<Difference>, bool), ApiError> {
    // Texts of large objects take longer to compare than the threads that serve requests should be held.
    let told = tokio::task::spawn_blocking(move || {
        let mut differences: Vec<Difference> = steps
            .iter()
            .filter_map(|step| between(&step.id, step.before.as_ref(), step.after.as_ref()))
            .skip(offset as usize)
            .take(limit as usize + 1)
            .collect();
        let has_more = differences.len() > limit as usize;
        differences.truncate(limit as usize);
        (differences, has_more)
    });
    told.await.map_err(|_| ApiError::internal())
}

impl Version {
    /// Within an organization, what it means to that.
    pub(super) fn of(version: store::Version, scope: Option<u64>) -> Self {
        let share = scope.map(|org_id| version.shares.iter().find(|share| share.org_id == org_id));
        let (put, deleted) = match share {
            None => (version.put, version.deleted),
            Some(share) => share.map_or((0, 0), |share| (share.put, share.deleted)),
        };
        Self {
            version: version.number,
            created_at: format!("{:.3}", version.at),
            author: version.author,
            message: version.message,
            digest: scope.is_none().then_some(version.digest),
            put,
            deleted,
            rollout: version.canary.map(|canary| canary.rollout),
        }
    }
}

/// Refuses a page that is too large.
pub(super) fn check_limit(limit: u32) -> Result<(), ApiError> {
    if (1..=MOST).contains(&limit) {
        return Ok(());
    }
    let problem = Problem::new("limit", format!("{limit} is not between 1 and {MOST}"));
    Err(ApiError::validation(vec![problem]))
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List versions, newest first")
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read a version with what it changed; secrets are masked")
}

pub(super) fn compare_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .summary("Say what differs between two versions, object by object; secrets are masked")
        .description("Where only a secret differs, that is told, and not the secret.")
}

pub(super) fn fifty() -> u32 {
    50
}

const MOST: u32 = 200;

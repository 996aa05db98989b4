//! The versions of one object.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::push::Object;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::error::ApiError;
use super::operator::Caller;
use super::request::{Named, Params, Place};
use super::resource::{Resource, id_of};
use super::versions::{Version, check_limit, fifty};
use crate::differences::{Difference, between};
use crate::store::Step;

/// Which versions of the object.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Listing {
    /// The organization that the object belongs to; must be given if the key is not for all of them.
    #[serde(default)]
    org_id: Option<u64>,
    /// The most that are listed, 1 to 200.
    #[serde(default = "fifty")]
    limit: u32,
    /// Only those before this version.
    #[serde(default)]
    before: Option<u64>,
}

/// The versions of an object, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectVersions {
    /// Newest first.
    versions: Vec<ObjectVersion>,
    /// True if there are older ones.
    has_more: bool,
}

/// A version of an object.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ObjectVersion {
    #[serde(flatten)]
    version: Version,
    /// What it changed of the object; left out if that is nothing but its times.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<Difference>,
}

/// Lists the versions of an object, also of one that is deleted.
pub(super) async fn list<T: Resource>(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Named { id }): Place<Named>,
    Params(listing): Params<Listing>,
) -> Result<Json<ObjectVersions>, ApiError> {
    let id = id_of::<T>(&id)?;
    let within = T::within(&id, listing.org_id);
    let scope = caller.scope(within)?;
    check_limit(listing.limit)?;
    // One more than is shown: it tells whether there are more, and what the last one changed.
    let mut steps = app.store.history(&id, listing.before, listing.limit + 1).await?;
    let has_more = steps.len() > listing.limit as usize;
    let oldest = has_more.then(|| steps.pop()).flatten();
    let told = tokio::task::spawn_blocking(move || {
        let mut before = oldest.and_then(|step| step.object);
        let mut versions = Vec::with_capacity(steps.len());
        for Step { version, object } in steps.into_iter().rev() {
            // Under one identifier there may have been objects of several organizations, one after the other.
            let owner = object.as_ref().or(before.as_ref()).and_then(Object::org_id);
            if owner.is_some_and(|owner| caller.sees(owner, scope)) {
                versions.push(ObjectVersion {
                    difference: between(&id, before.as_ref(), object.as_ref()),
                    version: Version::of(version, scope),
                });
            }
            before = object;
        }
        versions.reverse();
        (versions, id)
    });
    let (versions, id) = told.await.map_err(|_| ApiError::internal())?;
    if versions.is_empty() && listing.before.is_none() {
        return Err(ApiError::not_found(&format!("the {id}")));
    }
    Ok(Json(ObjectVersions { versions, has_more }))
}

pub(super) fn list_docs<T: Resource>(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary(&format!(
        "List the versions of one {}, newest first, with what each changed; secrets are masked",
        T::NOUN
    ))
}

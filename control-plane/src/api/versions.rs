//! The sequence of versions.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::State;
use filters::model::push::Object;
use filters::model::{Problem, Security};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::apply::Reference;
use super::error::ApiError;
use super::lists::Lists;
use super::operator::Caller;
use super::request::{Params, Place};
use crate::store;

/// Which versions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Listing {
    /// The most that are listed, 1 to 200.
    #[serde(default = "fifty")]
    limit: u32,
    /// Only those before this version.
    #[serde(default)]
    before: Option<u64>,
}

/// A version in the path.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Numbered {
    /// Its number.
    number: u64,
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
    /// Digest of the whole configuration at this version.
    digest: String,
    /// How many objects it made or changed.
    put: u64,
    /// How many objects it deleted.
    deleted: u64,
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
}

/// Lists versions.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(listing): Params<Listing>,
) -> Result<Json<Versions>, ApiError> {
    caller.require_all()?;
    if !(1..=MOST).contains(&listing.limit) {
        let problem = Problem::new("limit", format!("{} is not between 1 and {MOST}", listing.limit));
        return Err(ApiError::validation(vec![problem]));
    }
    let mut versions = app.store.versions(listing.before, listing.limit + 1).await?;
    let has_more = versions.len() > listing.limit as usize;
    versions.truncate(listing.limit as usize);
    Ok(Json(Versions {
        versions: versions.into_iter().map(Version::of).collect(),
        has_more,
    }))
}

/// Reads a version.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Place(Numbered { number }): Place<Numbered>,
) -> Result<Json<VersionWithChange>, ApiError> {
    caller.require_all()?;
    let found = app.store.version(number).await?;
    let (version, change) = found.ok_or_else(|| ApiError::not_found(&format!("version {number}")))?;
    let mut shown = VersionWithChange {
        version: Version::of(version),
        security: None,
        put: Lists::default(),
        delete: change.delete.iter().map(Reference::of).collect(),
    };
    for object in change.put {
        match object {
            Object::Security(security) => shown.security = Some(security),
            other => shown.put.push(&other),
        }
    }
    Ok(Json(shown))
}

impl Version {
    fn of(version: store::Version) -> Self {
        Self {
            version: version.number,
            created_at: format!("{:.3}", version.at),
            author: version.author,
            message: version.message,
            digest: version.digest,
            put: version.put,
            deleted: version.deleted,
        }
    }
}

pub(super) fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("List versions, newest first")
}

pub(super) fn read_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation.summary("Read a version with what it changed")
}

fn fifty() -> u32 {
    50
}

const MOST: u32 = 200;

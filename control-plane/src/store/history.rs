//! The past: what a version means to each organization, the versions of one object, and what objects were at a version.

use filters::model::push::{Object, ObjectId};
use serde::{Deserialize, Serialize};

use super::{Implementation, Store, StoreError, Version};

/// What a version changed of one organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// The organization.
    pub org_id: u64,
    /// How many of its objects the version put.
    pub put: u64,
    /// How many it deleted.
    pub deleted: u64,
}

/// Who gets a version that not all gateways are to have yet. The version after it is for everybody again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// The rollout that the version is part of.
    pub rollout: String,
    /// The version that all other gateways stay at.
    pub base: u64,
    /// The gateways that get it, by name.
    pub gateways: Vec<String>,
}

/// A version of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The version that touched it.
    pub version: Version,
    /// The object from then on; `None` if that version deleted it.
    pub object: Option<Object>,
}

impl Store {
    /// The newest versions that touched something of an organization, before `before` (all of them if `None`), at most
    /// `limit`, newest first.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn versions_of(&self, org_id: u64, before: Option<u64>, limit: u32) -> Result<Vec<Version>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.versions(Some(org_id), before, limit).await,
            Implementation::Mongo(store) => store.versions(Some(org_id), before, limit).await,
        }
    }

    /// The newest versions that touched one object, before `before` (all of them if `None`), at most `limit`, newest
    /// first.
    ///
    /// # Errors
    /// If the store does not work, or a version cannot be read.
    pub async fn history(&self, id: &ObjectId, before: Option<u64>, limit: u32) -> Result<Vec<Step>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.history(id, before, limit).await,
            Implementation::Mongo(store) => store.history(id, before, limit).await,
        }
    }

    /// The objects that versions after `after` touched, up to version `upto`, each once and in order.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn touched(&self, after: u64, upto: u64) -> Result<Vec<ObjectId>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.touched(after, upto).await,
            Implementation::Mongo(store) => store.touched(after, upto).await,
        }
    }

    /// What objects were at version `number`, in the order of `ids`; `None` for those that were not there.
    ///
    /// # Errors
    /// If the store does not work, or one of them cannot be read.
    pub async fn objects_at(&self, number: u64, ids: &[ObjectId]) -> Result<Vec<Option<Object>>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.objects_at(number, ids).await,
            Implementation::Mongo(store) => store.objects_at(number, ids).await,
        }
    }
}

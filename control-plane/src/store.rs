//! The contract with the place where everything is kept; [`Store`] is the whole of it.
//!
//! Two implementations pass one suite (`store/contract.rs`): embedded SQLite and MongoDB. What a call has acknowledged
//! is on disk. Reads of configuration are served from memory ([`crate::publish::State`]), which is loaded once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use filters::model::command::CommandResult;
use filters::model::push::{Object, ObjectId};
use filters::model::{Problem, Snapshot};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::alerts::Lately;
pub use self::commands::{Bulk, BulkFilter, BulkProgress, CommandRecord};
pub(crate) use self::document::{for_each_secret, holds_secrets};
pub use self::history::{Canary, Share, Step};
pub use self::kept::{Cursor, Field, Kept, MOST_OF_A_TRACE, MOST_SEARCHED, NoCursor, Place, Query, Row};
pub use self::migration::{Filling, Inventory};
use self::mongo::MongoStore;
pub use self::outcomes::{Batch, Outcomes, Retention};
pub use self::reseal::Resealed;
pub use self::rollups::{Counted, MOST_OF_A_SERIES, Series, Sums};
pub use self::shelf::{Left, Sheet, Shelf, Shelved, Write};
use self::sqlite::SqliteStore;
use crate::audit::AuditEntry;
use crate::config::{Limits, StoreConfig};
use crate::seal::Sealer;

mod alerts;
mod audit;
mod commands;
mod document;
mod erasure;
mod history;
mod kept;
mod migration;
mod mongo;
mod outcomes;
mod reseal;
mod rollups;
mod shelf;
mod sqlite;

#[cfg(test)]
mod contract;

/// One entry of the one sequence of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Position in the sequence; the first is 1.
    pub number: u64,
    /// Name of the operator who made it.
    pub author: String,
    /// What for, in the operator's words; may be empty.
    pub message: String,
    /// When it was made.
    pub at: Timestamp,
    /// Digest of the whole configuration at this version.
    pub digest: String,
    /// How many objects it put.
    pub put: u64,
    /// How many objects it deleted.
    pub deleted: u64,
    /// What it changed of each organization, by number.
    pub shares: Vec<Share>,
    /// Who gets it, if not all gateways.
    pub canary: Option<Canary>,
}

/// What a version changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Objects that are new or changed.
    pub put: Vec<Object>,
    /// Objects that are gone.
    pub delete: Vec<ObjectId>,
}

impl Change {
    /// The objects that it touches, but for the security rules, which have no identifier.
    pub fn touched(&self) -> impl Iterator<Item = ObjectId> {
        let put = self.put.iter().filter_map(Object::id);
        put.chain(self.delete.iter().cloned())
    }
}

/// What is written in the same transaction as a version.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// What goes first.
    pub leaves: Vec<Left>,
    /// Changes on shelves.
    pub writes: Vec<Write>,
    /// What the audit says of it.
    pub audit: Vec<AuditEntry>,
}

/// Everything that is kept, as it is read at the start.
#[derive(Debug, Default)]
pub struct Contents {
    /// All objects, at the newest version.
    pub snapshot: Snapshot,
    /// The newest versions in ascending order, at most [`HISTORY`], so that gateways can catch up by differences.
    pub recent: Vec<Touched>,
}

/// A version, and which objects it touched.
#[derive(Clone, Debug, PartialEq)]
pub struct Touched {
    /// The version.
    pub version: Version,
    /// Objects that it put or deleted.
    pub objects: Vec<ObjectId>,
}

/// What was known of a gateway when it was seen last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRecord {
    /// Its name.
    pub gateway_id: String,
    /// The model version that it speaks.
    pub model_version: u32,
    /// The version that it runs, with the digest of the content.
    pub applied: Option<(u64, String)>,
    /// When it said so.
    pub applied_at: Option<Timestamp>,
    /// What it refused last.
    pub refused: Option<Refused>,
    /// When it was heard of last.
    pub last_seen: Timestamp,
}

/// A version that a gateway refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// Which one.
    pub version: u64,
    /// Everything that was wrong with it.
    pub problems: Vec<Problem>,
    /// When.
    pub at: Timestamp,
}

/// Why the store did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or answered with an error. What was being written may or may not be kept.
    #[error("the store does not work: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It did not answer in time. What was being written may or may not be kept.
    #[error("the store did not answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// Another version was made in the meantime. Nothing was written.
    #[error("version {0} is there already")]
    Conflict(u64),
    /// Something that is written with a version was changed in the meantime. Nothing was written.
    #[error("what goes with the version was changed in the meantime")]
    Stale,
    /// Something that is kept cannot be read.
    #[error("{object} in the store cannot be read: {reason}")]
    Corrupt {
        /// What it is, as `integration "appointments"`.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It was written by a newer release of this program.
    #[error("the store has schema {found}, and this release knows none after {known}; use the newer release")]
    Newer {
        /// The schema that is there.
        found: i64,
        /// The newest that this release knows.
        known: i64,
    },
}

/// The place where everything is kept.
#[derive(Debug)]
pub struct Store(Implementation);

#[derive(Debug)]
enum Implementation {
    /// Embedded.
    Sqlite(SqliteStore),
    /// A MongoDB replica set.
    Mongo(MongoStore),
}

impl Store {
    /// Opens the configured store, and makes or migrates what it needs.
    ///
    /// # Errors
    /// If it cannot be opened within the store timeout, or belongs to a newer release.
    pub async fn open(
        config: &StoreConfig,
        data_dir: &Path,
        limits: &Limits,
        sealer: Arc<Sealer>,
    ) -> Result<Self, StoreError> {
        let timeout = limits.store_timeout();
        let store = match config {
            StoreConfig::Sqlite(sqlite) => {
                let path = sqlite.path.clone().unwrap_or_else(|| data_dir.join("control-plane.db"));
                Implementation::Sqlite(SqliteStore::open(path, sealer, timeout).await?)
            }
            StoreConfig::Mongodb(mongodb) => Implementation::Mongo(MongoStore::open(mongodb, sealer, timeout).await?),
        };
        Ok(Self(store))
    }

    /// Reads everything.
    ///
    /// # Errors
    /// If the store does not work, or an object in it cannot be read.
    pub async fn load(&self) -> Result<Contents, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.load().await,
            Implementation::Mongo(store) => store.load().await,
        }
    }

    /// Writes a version with what it changed and what goes with it: all of it or nothing. It is on disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the newest version is not the one before `version`; [`StoreError::Stale`] if a sheet is
    /// not at the revision that its change takes the place of; else if the store does not work.
    pub async fn commit(&self, version: &Version, change: &Change, beside: Beside) -> Result<(), StoreError> {
        let Beside { leaves, writes, audit } = beside;
        let audit = audit::rows(audit)?;
        match &self.0 {
            Implementation::Sqlite(store) => store.commit(version, change, leaves, writes, audit).await,
            Implementation::Mongo(store) => store.commit(version, change, &leaves, &writes, &audit).await,
        }
    }

    /// Number of the newest version; 0 if there is none.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn head(&self) -> Result<u64, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.head().await,
            Implementation::Mongo(store) => store.head().await,
        }
    }

    /// The newest versions before `before` (all of them if `None`), at most `limit`, newest first.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn versions(&self, before: Option<u64>, limit: u32) -> Result<Vec<Version>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.versions(None, before, limit).await,
            Implementation::Mongo(store) => store.versions(None, before, limit).await,
        }
    }

    /// Version `number` with what it changed.
    ///
    /// # Errors
    /// If the store does not work, or the version cannot be read.
    pub async fn version(&self, number: u64) -> Result<Option<(Version, Change)>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.version(number).await,
            Implementation::Mongo(store) => store.version(number).await,
        }
    }

    /// Keeps what is known of gateways, in the place of what was.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn save_gateways(&self, gateways: &[GatewayRecord]) -> Result<(), StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.save_gateways(gateways).await,
            Implementation::Mongo(store) => store.save_gateways(gateways).await,
        }
    }

    /// All gateways that were ever saved, by name; at most [`MOST_GATEWAYS`].
    ///
    /// # Errors
    /// If the store does not work, or a record cannot be read.
    pub async fn gateways(&self) -> Result<Vec<GatewayRecord>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.gateways().await,
            Implementation::Mongo(store) => store.gateways().await,
        }
    }

    /// Forgets a gateway, with an entry in the audit, and gives all commands of it that have none this result: all of it or
    /// nothing.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn remove_gateway(
        &self,
        gateway_id: &str,
        result: &CommandResult,
        audit: AuditEntry,
    ) -> Result<(), StoreError> {
        let audit = audit::rows(vec![audit])?;
        match &self.0 {
            Implementation::Sqlite(store) => store.remove_gateway(gateway_id, result, audit).await,
            Implementation::Mongo(store) => store.remove_gateway(gateway_id, result, &audit).await,
        }
    }

    /// Waits until another process may have made a version; for ever where no other process can. Safe to drop while it
    /// waits.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn changed(&self) -> Result<(), StoreError> {
        match &self.0 {
            Implementation::Sqlite(_) => std::future::pending().await,
            Implementation::Mongo(store) => store.changed().await,
        }
    }

    /// True where other processes may write to the same store.
    pub fn is_shared(&self) -> bool {
        match &self.0 {
            Implementation::Sqlite(_) => false,
            Implementation::Mongo(_) => true,
        }
    }

    fn sealer(&self) -> &Sealer {
        match &self.0 {
            Implementation::Sqlite(store) => store.sealer(),
            Implementation::Mongo(store) => store.sealer(),
        }
    }

    /// Closes it after what was begun.
    pub async fn close(&self) {
        match &self.0 {
            Implementation::Sqlite(store) => store.close().await,
            Implementation::Mongo(store) => store.close().await,
        }
    }
}

/// How many versions back a gateway can catch up by differences.
pub const HISTORY: u32 = 1_000;
/// The most gateways that are listed.
pub const MOST_GATEWAYS: u32 = 10_000;

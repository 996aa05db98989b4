//! Counts by hour and day, as both stores keep them.

use std::collections::BTreeMap;

use filters::model::Tally;
use jiff::Timestamp;

use super::outcomes::Batch;
use super::{Implementation, Store, StoreError};
use crate::rollups::{Bucket, Flow, Span};

/// Counts of one integration, or of an organization, over time.
#[derive(Clone, Debug)]
pub struct Series {
    /// Organization.
    pub org_id: u64,
    /// By hour or by day.
    pub span: Span,
    /// Calls or attempts.
    pub flow: Flow,
    /// The integration; `None` for all together.
    pub integration: Option<String>,
    /// Hours or days that begin at this moment or later.
    pub from: Timestamp,
    /// And before this one.
    pub before: Timestamp,
}

/// Counts of each integration over a time, added up.
#[derive(Clone, Debug)]
pub struct Sums {
    /// Of this organization; of all if `None`.
    pub org_id: Option<u64>,
    /// Made of hours or of days.
    pub span: Span,
    /// Of hours or days that begin at this moment or later.
    pub from: Timestamp,
    /// And before this one.
    pub before: Timestamp,
}

/// An integration that something was counted of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// Its organization.
    pub org_id: u64,
    /// Calls or attempts.
    pub flow: Flow,
    /// Its identifier.
    pub integration: String,
}

impl Store {
    /// Counts over time, the oldest first; without the hours or days in which there was nothing. At most
    /// [`MOST_OF_A_SERIES`].
    ///
    /// # Errors
    /// If the store does not work, or a count cannot be read.
    pub async fn series(&self, series: &Series) -> Result<Vec<(Timestamp, Tally)>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.series(series).await,
            Implementation::Mongo(store) => store.series(series).await,
        }
    }

    /// The counts of each integration.
    ///
    /// # Errors
    /// If the store does not work, or a count cannot be read.
    pub async fn sums(&self, sums: &Sums) -> Result<BTreeMap<Counted, Tally>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.sums(sums).await,
            Implementation::Mongo(store) => store.sums(sums).await,
        }
    }

    /// The next counts after those of a bucket, in an order of the store's own.
    pub(super) async fn page_of_counts(&self, after: Option<&Bucket>) -> Result<Vec<(Bucket, Tally)>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.page_of_counts(after.cloned()).await,
            Implementation::Mongo(store) => store.page_of_counts(after).await,
        }
    }

    /// Puts counts in as they are; those that are there already stay.
    pub(super) async fn insert_counts(&self, counts: Vec<(Bucket, Tally)>) -> Result<(), StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.insert_counts(counts).await,
            Implementation::Mongo(store) => store.insert_counts(&counts).await,
        }
    }

    /// The last batch of calls of each gateway.
    pub(super) async fn last_batches(&self) -> Result<Vec<Batch>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.last_batches().await,
            Implementation::Mongo(store) => store.last_batches().await,
        }
    }

    /// Puts the last batches of gateways in; those that are there already stay.
    pub(super) async fn insert_batches(&self, batches: Vec<Batch>) -> Result<(), StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.insert_batches(batches).await,
            Implementation::Mongo(store) => store.insert_batches(&batches).await,
        }
    }

    /// Deletes counts of hours or days that began before `before`, at most `step`. Returns how many.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn prune_rollups(&self, span: Span, before: Timestamp, step: u32) -> Result<u32, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.prune_rollups(span, before, step).await,
            Implementation::Mongo(store) => store.prune_rollups(span, before, step).await,
        }
    }
}

/// Hours or days of one series.
pub const MOST_OF_A_SERIES: u32 = 2_000;

//! Taking out of the store what it has of a person.

use jiff::Timestamp;

use super::kept::{Kept, Place, Row};
use super::{Implementation, Store, StoreError};

impl Store {
    /// Puts records in the place of those with the same identifiers, where those are still there; nothing of the former
    /// ones stays in the file of the embedded store.
    ///
    /// # Errors
    /// If the store does not work.
    pub(crate) async fn rewrite<K: Kept>(&self, records: Vec<K>) -> Result<(), StoreError> {
        let rows: Vec<Row> = records.into_iter().map(K::into_row).collect::<Result<_, _>>()?;
        let place: Place = K::PLACE;
        match &self.0 {
            Implementation::Sqlite(store) => store.rewrite(place, rows).await,
            Implementation::Mongo(store) => store.rewrite(place, &rows).await,
        }
    }

    /// Deletes dead letters, so that a batch that comes late does not bring them back.
    ///
    /// # Errors
    /// If the store does not work.
    pub(crate) async fn forget_dead_letters(&self, ids: Vec<String>) -> Result<(), StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.forget_dead_letters(ids, Timestamp::now()).await,
            Implementation::Mongo(store) => store.forget_dead_letters(&ids).await,
        }
    }

    /// Empties the log of the embedded store, which has pages from before; MongoDB keeps its journal by itself.
    ///
    /// # Errors
    /// If the store does not work.
    pub(crate) async fn empty_log(&self) -> Result<(), StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.empty_log().await,
            Implementation::Mongo(_) => Ok(()),
        }
    }
}

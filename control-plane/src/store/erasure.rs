//! Taking out of the store what it has of a person.

use filters::model::command::Command;
use jiff::Timestamp;

use super::commands::CommandDocument;
use super::kept::{Cell, Kept, Place, Row, decode, encode};
use super::{Implementation, Store, StoreError};

/// A command to a gateway, as far as it may carry something of a person.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeptCommand {
    /// Identifier.
    pub(crate) id: String,
    /// The organization that it is about.
    pub(crate) org_id: u64,
    /// What to do.
    pub(crate) command: Command,
    created_by: String,
}

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

    /// The next commands after the identifier `after`, with what they carry.
    ///
    /// # Errors
    /// If the store does not work, or a command cannot be read.
    pub(crate) async fn page_of_commands(&self, after: &str) -> Result<Vec<KeptCommand>, StoreError> {
        let rows = self.plain(Place::Commands, after).await?;
        let commands = rows.into_iter().map(|row| {
            let mut kept = (0, String::new());
            for (name, value) in row.fields {
                match (name, value) {
                    ("orgId", Cell::Number(org_id)) => kept.0 = org_id,
                    ("document", Cell::Text(document)) => kept.1 = document,
                    _ => {}
                }
            }
            let CommandDocument { command, created_by } = decode("command", &row.id, &kept.1)?;
            Ok(KeptCommand {
                id: row.id,
                org_id: kept.0,
                command,
                created_by,
            })
        });
        commands.collect()
    }

    /// Puts what a command carries in the place of what it carried; what became of it stays as it is.
    ///
    /// # Errors
    /// If the store does not work.
    pub(crate) async fn change_command(&self, changed: KeptCommand) -> Result<(), StoreError> {
        let KeptCommand {
            id,
            command,
            created_by,
            ..
        } = changed;
        let document = encode(&CommandDocument { command, created_by })?;
        match &self.0 {
            Implementation::Sqlite(store) => store.change_command(id, document).await,
            Implementation::Mongo(store) => store.change_command(&id, &document).await,
        }
    }

    /// Empties the log of the embedded store, which has pages from before; MongoDB keeps its journal by itself. False if
    /// somebody reads, so that it is not empty yet.
    ///
    /// # Errors
    /// If the store does not work.
    pub(crate) async fn empty_log(&self) -> Result<bool, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.empty_log().await,
            Implementation::Mongo(_) => Ok(true),
        }
    }
}

//! Commands to gateways, and retries of many dead letters at once.

use std::sync::Arc;

use filters::model::command::{Command, CommandResult};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::kept::{Cursor, NoCursor};
use super::{Implementation, Store, StoreError};

/// A command to one gateway. It is kept before it is sent, and sent until its result is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandRecord {
    /// Identifier: a version 7 UUID.
    pub id: String,
    /// The organization that it is about.
    pub org_id: u64,
    /// The gateway that is to carry it out.
    pub gateway_id: Arc<str>,
    /// The retry of many that it is a part of.
    pub bulk_id: Option<String>,
    /// What to do.
    pub command: Command,
    /// The operator who gave it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was sent for the first time.
    pub sent_at: Option<Timestamp>,
    /// What became of it, and when that was known.
    pub done: Option<(CommandResult, Timestamp)>,
}

/// What a command is in both stores, beside its times.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommandDocument {
    pub(super) command: Command,
    pub(super) created_by: String,
}

/// A retry of many dead letters.
#[derive(Clone, Debug, PartialEq)]
pub struct Bulk {
    /// Identifier: a version 7 UUID.
    pub id: String,
    /// The organization of all of them.
    pub org_id: u64,
    /// Which; `None` if they were named one by one.
    pub filter: Option<BulkFilter>,
    /// How many there were when it began.
    pub total: u64,
    /// How many of them commands were made for.
    pub queued: u64,
    /// How often it was written, from 0; whoever writes it has read the one before.
    pub step: u32,
    /// Where it goes on; `None` before the first page.
    pub cursor: Option<Cursor>,
    /// The operator who wanted it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When the last command was made; `None` while there are more to make.
    pub queued_at: Option<Timestamp>,
}

/// Which dead letters. What is left out does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkFilter {
    /// Only those in this state.
    pub status: Option<String>,
    /// Only those of this subscription.
    pub integration_config_id: Option<String>,
    /// Only those of events of this type.
    pub event_type: Option<String>,
    /// Only those that failed last for this reason.
    pub error_category: Option<String>,
    /// Only those of deliveries, or of calls.
    #[serde(default)]
    pub direction: Option<String>,
    /// Only those that became dead letters from this moment on.
    pub from: Option<Timestamp>,
    /// Only those that became dead letters before this moment.
    pub before: Option<Timestamp>,
}

/// What a retry of many is in both stores, beside its times.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BulkDocument {
    pub(super) filter: Option<BulkFilter>,
    pub(super) total: u64,
    pub(super) queued: u64,
    pub(super) cursor: Option<String>,
    pub(super) created_by: String,
}

/// How far the commands of a retry of many are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BulkProgress {
    /// Commands that have no result yet.
    pub waiting: u64,
    /// Dead letters that are being tried again.
    pub done: u64,
    /// Dead letters that were not tried again.
    pub failed: u64,
}

impl BulkDocument {
    pub(super) fn of(bulk: &Bulk) -> Self {
        Self {
            filter: bulk.filter.clone(),
            total: bulk.total,
            queued: bulk.queued,
            cursor: bulk.cursor.as_ref().map(ToString::to_string),
            created_by: bulk.created_by.clone(),
        }
    }

    /// The place that it stands at.
    pub(super) fn cursor(&self) -> Result<Option<Cursor>, NoCursor> {
        self.cursor.as_deref().map(str::parse).transpose()
    }
}

impl CommandRecord {
    /// How many objects it was carried out on, and how many not.
    pub(super) fn counts(result: &CommandResult) -> (u64, u64) {
        (result.done, result.failed.len() as u64)
    }
}

impl Store {
    /// Keeps new commands, and how far the retry of many is that they belong to: all of it or nothing. False if somebody
    /// else has written that step of the retry already; then nothing was written.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn add_commands(&self, commands: &[CommandRecord], bulk: Option<&Bulk>) -> Result<bool, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.add_commands(commands, bulk).await,
            Implementation::Mongo(store) => store.add_commands(commands, bulk).await,
        }
    }

    /// The command `id`.
    ///
    /// # Errors
    /// If the store does not work, or the command cannot be read.
    pub async fn command(&self, id: &str) -> Result<Option<CommandRecord>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.command(id).await,
            Implementation::Mongo(store) => store.command(id).await,
        }
    }

    /// The first commands of a gateway that have no result yet, at most `most`, in the order of their identifiers.
    ///
    /// # Errors
    /// If the store does not work, or a command cannot be read.
    pub async fn due_commands(&self, gateway_id: &str, most: u32) -> Result<Vec<CommandRecord>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.due_commands(gateway_id, most).await,
            Implementation::Mongo(store) => store.due_commands(gateway_id, most).await,
        }
    }

    /// Remembers that commands were sent at `at`, where that is not known yet.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn commands_sent(&self, ids: &[String], at: Timestamp) -> Result<(), StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.commands_sent(ids, at).await,
            Implementation::Mongo(store) => store.commands_sent(ids, at).await,
        }
    }

    /// A retry of many, and how far its commands are.
    ///
    /// # Errors
    /// If the store does not work, or it cannot be read.
    pub async fn bulk(&self, id: &str) -> Result<Option<(Bulk, BulkProgress)>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.bulk(id).await,
            Implementation::Mongo(store) => store.bulk(id).await,
        }
    }

    /// The retries of many for which not all commands are made, the oldest first.
    ///
    /// # Errors
    /// If the store does not work, or one of them cannot be read.
    pub async fn open_bulks(&self) -> Result<Vec<Bulk>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.open_bulks().await,
            Implementation::Mongo(store) => store.open_bulks().await,
        }
    }
}

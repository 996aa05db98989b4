//! The embedded store: one SQLite file, one thread that writes to it, and some that read.
//!
//! Readers see what was committed before they began and hold up nobody, so that a long list or export does not delay a
//! change. A file beside the database is locked while it is open: it belongs to one process at a time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use filters::model::Tally;
use filters::model::command::CommandResult;
use filters::model::push::{Object, ObjectId};
use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use self::workers::Workers;
use super::history::Step;
use super::kept::{Place, Row};
use super::migration::Copied;
use super::outcomes::{Batch, Retention};
use super::reseal::{SealedPlace, SealedRow};
use super::rollups::{Counted, Series, Sums};
use super::shelf::{Found, Left, Shelf, Write};
use super::{
    Bulk, BulkProgress, Change, CommandRecord, Contents, GatewayRecord, Kept, Lately, Outcomes, Query, StoreError,
    Version, document,
};
use crate::alerts::{Alert, DeadLetterCount};
use crate::rollups::{Bucket, Deltas, Span};
use crate::seal::Sealer;

mod alerts;
mod audit;
mod commands;
mod erasure;
mod history;
mod kept;
mod migrate;
mod migration;
mod open;
mod prune;
mod query;
mod reseal;
mod rollups;
mod shelf;
mod statements;
mod workers;

/// The embedded store.
#[derive(Debug)]
pub(super) struct SqliteStore {
    writer: Workers,
    readers: Workers,
    sealer: Arc<Sealer>,
}

impl SqliteStore {
    /// Opens `path`, making or migrating it. No other process can use it until this one ends.
    pub(super) async fn open(path: PathBuf, sealer: Arc<Sealer>, timeout: Duration) -> Result<Self, StoreError> {
        let file = Arc::new(open::DatabaseFile::claim(path)?);
        let read = Arc::clone(&file);
        Ok(Self {
            writer: Workers::start("store", 1, timeout, move || file.writer()).await?,
            readers: Workers::start("store-reader", READERS, timeout, move || read.reader()).await?,
            sealer,
        })
    }

    pub(super) async fn load(&self) -> Result<Contents, StoreError> {
        let sealer = Arc::clone(&self.sealer);
        self.read(move |connection| {
            // One transaction, so that objects and versions are of one moment.
            let transaction = connection.transaction().map_err(failed)?;
            statements::load(&transaction, &sealer)
        })
        .await
    }

    pub(super) async fn commit(
        &self,
        version: &Version,
        change: &Change,
        leaves: Vec<Left>,
        writes: Vec<Write>,
        audit: Vec<Row>,
    ) -> Result<(), StoreError> {
        let version = version.clone();
        let put: Vec<_> = change
            .put
            .iter()
            .map(|object| document::encode(object, &self.sealer))
            .collect();
        let (delete, sealer) = (change.delete.clone(), Arc::clone(&self.sealer));
        self.write(move |transaction| {
            statements::commit(transaction, &version, &put, &delete)?;
            shelf::clear(transaction, &leaves)?;
            match shelf::apply_all(transaction, &writes, &audit, &sealer)? {
                true => Ok(()),
                false => Err(StoreError::Stale),
            }
        })
        .await
    }

    pub(super) async fn head(&self) -> Result<u64, StoreError> {
        // After what was begun, as it may be a version.
        self.run(|connection| statements::head(connection)).await
    }

    pub(super) async fn versions(
        &self,
        org_id: Option<u64>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Version>, StoreError> {
        self.read(move |connection| statements::versions(connection, org_id, before, limit))
            .await
    }

    pub(super) async fn history(
        &self,
        id: &ObjectId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Step>, StoreError> {
        let (id, sealer) = (id.clone(), Arc::clone(&self.sealer));
        self.read(move |connection| history::of_object(connection, &id, before, limit, &sealer))
            .await
    }

    pub(super) async fn touched(&self, after: u64, upto: u64) -> Result<Vec<ObjectId>, StoreError> {
        self.read(move |connection| history::touched(connection, after, upto))
            .await
    }

    pub(super) async fn objects_at(&self, number: u64, ids: &[ObjectId]) -> Result<Vec<Option<Object>>, StoreError> {
        let (ids, sealer) = (ids.to_vec(), Arc::clone(&self.sealer));
        self.read(move |connection| history::objects_at(connection, number, &ids, &sealer))
            .await
    }

    pub(super) async fn version(&self, number: u64) -> Result<Option<(Version, Change)>, StoreError> {
        let sealer = Arc::clone(&self.sealer);
        self.read(move |connection| statements::version(connection, number, &sealer))
            .await
    }

    pub(super) async fn save_gateways(&self, gateways: &[GatewayRecord]) -> Result<(), StoreError> {
        let gateways = gateways.to_vec();
        self.write(move |transaction| statements::save_gateways(transaction, &gateways))
            .await
    }

    pub(super) async fn remove_gateway(
        &self,
        gateway_id: &str,
        result: &CommandResult,
        audit: Vec<Row>,
    ) -> Result<(), StoreError> {
        let (gateway_id, result) = (gateway_id.to_owned(), result.clone());
        self.write(move |transaction| {
            statements::remove_gateway(transaction, &gateway_id)?;
            commands::finish_all(transaction, &gateway_id, &result)?;
            audit::append(transaction, &audit)
        })
        .await
    }

    pub(super) async fn gateways(&self) -> Result<Vec<GatewayRecord>, StoreError> {
        self.read(|connection| statements::gateways(connection)).await
    }

    pub(super) async fn keep_calls(&self, batch: Batch, rows: Vec<Row>, counted: Deltas) -> Result<(), StoreError> {
        self.write(move |transaction| {
            kept::append(transaction, Place::ExecutionLogs, &rows)?;
            rollups::add_once(transaction, &batch, &counted)
        })
        .await
    }

    pub(super) async fn series(&self, series: &Series) -> Result<Vec<(Timestamp, Tally)>, StoreError> {
        let series = series.clone();
        self.read(move |connection| rollups::series(connection, &series)).await
    }

    pub(super) async fn sums(&self, sums: &Sums) -> Result<BTreeMap<Counted, Tally>, StoreError> {
        let sums = sums.clone();
        self.read(move |connection| rollups::sums(connection, &sums)).await
    }

    pub(super) async fn prune_rollups(&self, span: Span, before: Timestamp, step: u32) -> Result<u32, StoreError> {
        self.run(move |connection| rollups::prune(connection, span, before, step))
            .await
    }

    pub(super) async fn keep_outcomes(&self, outcomes: Outcomes) -> Result<(), StoreError> {
        self.write(move |transaction| kept::keep(transaction, &outcomes)).await
    }

    pub(super) async fn list<K: Kept>(&self, query: &Query) -> Result<Vec<K>, StoreError> {
        let query = query.clone();
        self.read(move |connection| kept::list(connection, &query)).await
    }

    pub(super) async fn count<K: Kept>(&self, query: &Query, most: u64) -> Result<u64, StoreError> {
        let query = query.clone();
        self.read(move |connection| kept::count::<K>(connection, &query, most))
            .await
    }

    pub(super) async fn find<K: Kept>(&self, id: &str) -> Result<Option<K>, StoreError> {
        let id = id.to_owned();
        self.read(move |connection| kept::find(connection, &id)).await
    }

    pub(super) async fn prune_records(&self, retention: &Retention, step: u32) -> Result<u32, StoreError> {
        let (retention, most) = (retention.clone(), retention.most);
        // Counting takes a while and need not hold up changes.
        let excess = self.read(move |connection| prune::excess(connection, most)).await?;
        self.write(move |transaction| prune::prune(transaction, &retention, excess, step))
            .await
    }

    pub(super) async fn add_commands(
        &self,
        commands: &[CommandRecord],
        bulk: Option<&Bulk>,
    ) -> Result<bool, StoreError> {
        let (commands, bulk) = (commands.to_vec(), bulk.cloned());
        self.write(move |transaction| commands::add(transaction, &commands, bulk.as_ref()))
            .await
    }

    pub(super) async fn command(&self, id: &str) -> Result<Option<CommandRecord>, StoreError> {
        let id = id.to_owned();
        self.read(move |connection| commands::find(connection, &id)).await
    }

    pub(super) async fn due_commands(&self, gateway_id: &str, most: u32) -> Result<Vec<CommandRecord>, StoreError> {
        let gateway_id = gateway_id.to_owned();
        self.read(move |connection| commands::due(connection, &gateway_id, most))
            .await
    }

    pub(super) async fn commands_sent(&self, ids: &[String], at: Timestamp) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        self.write(move |transaction| commands::sent(transaction, &ids, at))
            .await
    }

    pub(super) async fn bulk(&self, id: &str) -> Result<Option<(Bulk, BulkProgress)>, StoreError> {
        let id = id.to_owned();
        self.read(move |connection| commands::bulk(connection, &id)).await
    }

    pub(super) async fn open_bulks(&self) -> Result<Vec<Bulk>, StoreError> {
        self.read(|connection| commands::open_bulks(connection)).await
    }

    pub(super) async fn save_alert(&self, alert: Alert, known: Option<u64>) -> Result<bool, StoreError> {
        self.run(move |connection| alerts::save(connection, alert, known)).await
    }

    pub(super) async fn dead_letter_counts(&self, lately: Lately) -> Result<Vec<DeadLetterCount>, StoreError> {
        self.read(move |connection| alerts::dead_letters(connection, lately))
            .await
    }

    pub(super) async fn write_sheets(&self, writes: Vec<Write>, audit: Vec<Row>) -> Result<bool, StoreError> {
        let sealer = Arc::clone(&self.sealer);
        self.run(move |connection| shelf::write(connection, &writes, &audit, &sealer))
            .await
    }

    pub(super) async fn sheet(
        &self,
        shelf: Shelf,
        column: &'static str,
        value: &str,
    ) -> Result<Option<Found>, StoreError> {
        let value = value.to_owned();
        self.read(move |connection| shelf::find(connection, shelf, column, &value))
            .await
    }

    pub(super) async fn sheets(
        &self,
        shelf: Shelf,
        org_id: Option<u64>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Found>, StoreError> {
        let after = after.map(str::to_owned);
        self.read(move |connection| shelf::list(connection, shelf, org_id, after.as_deref(), limit))
            .await
    }

    pub(super) async fn sheets_before(
        &self,
        shelf: Shelf,
        org_id: Option<u64>,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Found>, StoreError> {
        let before = before.map(str::to_owned);
        self.read(move |connection| shelf::list_back(connection, shelf, org_id, before.as_deref(), limit))
            .await
    }

    pub(super) async fn prune_sheets(&self, now: Timestamp, step: u32) -> Result<u32, StoreError> {
        self.run(move |connection| shelf::prune(connection, now, step)).await
    }

    pub(super) async fn prune_audit(&self, before: Timestamp, step: u32) -> Result<u32, StoreError> {
        self.run(move |connection| audit::prune(connection, before, step)).await
    }

    pub(super) async fn sealed_rows(&self, place: SealedPlace, after: String) -> Result<Vec<SealedRow>, StoreError> {
        self.read(move |connection| reseal::rows(connection, place, &after))
            .await
    }

    pub(super) async fn replace_sealed(
        &self,
        place: SealedPlace,
        rows: Vec<(SealedRow, String)>,
    ) -> Result<u64, StoreError> {
        self.write(move |transaction| reseal::replace(transaction, place, &rows))
            .await
    }

    pub(super) async fn page<K: Kept>(&self, after: &str) -> Result<Vec<(String, K)>, StoreError> {
        let after = after.to_owned();
        self.read(move |connection| migration::page(connection, &after)).await
    }

    pub(super) async fn page_of_counts(&self, after: Option<Bucket>) -> Result<Vec<(Bucket, Tally)>, StoreError> {
        self.read(move |connection| rollups::page(connection, after.as_ref()))
            .await
    }

    pub(super) async fn insert_counts(&self, counts: Vec<(Bucket, Tally)>) -> Result<(), StoreError> {
        self.write(move |transaction| rollups::insert_missing(transaction, &counts))
            .await
    }

    pub(super) async fn last_batches(&self) -> Result<Vec<Batch>, StoreError> {
        self.read(|connection| rollups::last_batches(connection)).await
    }

    pub(super) async fn insert_batches(&self, batches: Vec<Batch>) -> Result<(), StoreError> {
        self.write(move |transaction| rollups::insert_batches(transaction, &batches))
            .await
    }

    pub(super) async fn plain(&self, place: Place, after: &str) -> Result<Vec<Row>, StoreError> {
        let after = after.to_owned();
        self.read(move |connection| migration::plain(connection, place, &after))
            .await
    }

    pub(super) async fn copied(&self, shelf: Shelf, after: &str) -> Result<Vec<Copied>, StoreError> {
        let after = after.to_owned();
        self.read(move |connection| migration::copied(connection, shelf, &after))
            .await
    }

    pub(super) async fn insert_rows(&self, place: Place, rows: Vec<Row>) -> Result<(), StoreError> {
        self.write(move |transaction| migration::insert_rows(transaction, place, &rows))
            .await
    }

    pub(super) async fn insert_sheets(&self, shelf: Shelf, sheets: Vec<Copied>) -> Result<(), StoreError> {
        self.write(move |transaction| migration::insert_sheets(transaction, shelf, &sheets))
            .await
    }

    pub(super) async fn rewrite(&self, place: Place, rows: Vec<Row>) -> Result<(), StoreError> {
        self.write(move |transaction| erasure::rewrite(transaction, place, &rows))
            .await
    }

    pub(super) async fn forget_dead_letters(&self, ids: Vec<String>, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |transaction| erasure::forget_dead_letters(transaction, &ids, now))
            .await
    }

    pub(super) async fn change_command(&self, id: String, document: String) -> Result<(), StoreError> {
        self.write(move |transaction| erasure::change_command(transaction, &id, &document))
            .await
    }

    pub(super) async fn empty_log(&self) -> Result<bool, StoreError> {
        self.run(|connection| erasure::empty_log(connection)).await
    }

    pub(super) fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    pub(super) async fn close(&self) {
        // The writer last: whoever closes the file last tidies it up.
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Writes all that `job` writes, or nothing.
    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(move |connection| {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(failed)?;
            let done = job(&transaction)?;
            transaction.commit().map_err(failed)?;
            Ok(done)
        })
        .await
    }

    /// Has the writing thread do a job that makes its own transaction, or needs none.
    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(job).await
    }

    /// Has a reading thread do a job.
    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.read(job).await
    }
}

fn failed(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => StoreError::Corrupt {
            object: "the database file".to_owned(),
            reason: error.to_string(),
        },
        _ => StoreError::Unavailable(error.into()),
    }
}

/// Threads that read: some lists may take long, and versions are still read meanwhile.
const READERS: usize = 4;

//! The embedded store: one SQLite file, one thread that works on it.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use filters::model::ExecutionRecord;
use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::kept::{Place, Row};
use super::migration::Copied;
use super::reseal::{SealedPlace, SealedRow};
use super::shelf::{Found, Shelf, Write};
use super::{
    Bulk, BulkProgress, Change, CommandRecord, Contents, GatewayRecord, Kept, Lately, Outcomes, Query, RecordQuery,
    StoreError, Version, document,
};
use crate::alerts::{Alert, DeadLetterCount};
use crate::seal::Sealer;

mod alerts;
mod audit;
mod commands;
mod kept;
mod migrate;
mod migration;
mod records;
mod reseal;
mod shelf;
mod statements;

/// The embedded store.
#[derive(Debug)]
pub(super) struct SqliteStore {
    jobs: Mutex<Option<SyncSender<Job>>>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
    sealer: Arc<Sealer>,
    timeout: Duration,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

impl SqliteStore {
    /// Opens `path`, making or migrating it. No other process can use it until this one ends.
    pub(super) async fn open(path: PathBuf, sealer: Arc<Sealer>, timeout: Duration) -> Result<Self, StoreError> {
        let (jobs, waiting) = sync_channel::<Job>(MOST_WAITING);
        let (ready, opened) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                match connect(&path) {
                    Ok(connection) => {
                        drop(ready.send(Ok(())));
                        work(connection, &waiting);
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
                let _ = end.send(());
            })
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        let opened = tokio::time::timeout(timeout, opened).await;
        opened
            .map_err(|_| StoreError::TimedOut(timeout))?
            .map_err(|_| ended_early())??;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            ended: Mutex::new(Some(ended)),
            sealer,
            timeout,
        })
    }

    pub(super) async fn load(&self) -> Result<Contents, StoreError> {
        let sealer = Arc::clone(&self.sealer);
        self.run(move |connection| {
            // One transaction, so that objects and versions are of one moment.
            let transaction = connection.transaction().map_err(failed)?;
            statements::load(&transaction, &sealer)
        })
        .await
    }

    pub(super) async fn commit(&self, version: &Version, change: &Change, audit: Vec<Row>) -> Result<(), StoreError> {
        let version = version.clone();
        let put: Vec<_> = change
            .put
            .iter()
            .map(|object| document::encode(object, &self.sealer))
            .collect();
        let delete = change.delete.clone();
        self.write(move |transaction| {
            statements::commit(transaction, &version, &put, &delete)?;
            audit::append(transaction, &audit)
        })
        .await
    }

    pub(super) async fn head(&self) -> Result<u64, StoreError> {
        self.run(|connection| statements::head(connection)).await
    }

    pub(super) async fn versions(&self, before: Option<u64>, limit: u32) -> Result<Vec<Version>, StoreError> {
        self.run(move |connection| statements::versions(connection, before, limit))
            .await
    }

    pub(super) async fn version(&self, number: u64) -> Result<Option<(Version, Change)>, StoreError> {
        let sealer = Arc::clone(&self.sealer);
        self.run(move |connection| statements::version(connection, number, &sealer))
            .await
    }

    pub(super) async fn save_gateways(&self, gateways: &[GatewayRecord]) -> Result<(), StoreError> {
        let gateways = gateways.to_vec();
        self.write(move |transaction| statements::save_gateways(transaction, &gateways))
            .await
    }

    pub(super) async fn gateways(&self) -> Result<Vec<GatewayRecord>, StoreError> {
        self.run(|connection| statements::gateways(connection)).await
    }

    pub(super) async fn append_records(&self, records: &[ExecutionRecord]) -> Result<(), StoreError> {
        let records = records.to_vec();
        self.write(move |transaction| records::append(transaction, &records))
            .await
    }

    pub(super) async fn records(&self, query: &RecordQuery) -> Result<Vec<ExecutionRecord>, StoreError> {
        let query = query.clone();
        self.run(move |connection| records::list(connection, &query)).await
    }

    pub(super) async fn trace(&self, trace_id: &str, org_id: Option<u64>) -> Result<Vec<ExecutionRecord>, StoreError> {
        let trace_id = trace_id.to_owned();
        self.run(move |connection| records::of_trace(connection, &trace_id, org_id))
            .await
    }

    pub(super) async fn prune_records(&self, before: Timestamp, most: u64, step: u32) -> Result<u32, StoreError> {
        self.run(move |connection| records::prune(connection, before, most, step))
            .await
    }

    pub(super) async fn keep_outcomes(&self, outcomes: Outcomes) -> Result<(), StoreError> {
        self.write(move |transaction| kept::keep(transaction, &outcomes)).await
    }

    pub(super) async fn list<K: Kept>(&self, query: &Query) -> Result<Vec<K>, StoreError> {
        let query = query.clone();
        self.run(move |connection| kept::list(connection, &query)).await
    }

    pub(super) async fn count<K: Kept>(&self, query: &Query) -> Result<u64, StoreError> {
        let query = query.clone();
        self.run(move |connection| kept::count::<K>(connection, &query)).await
    }

    pub(super) async fn find<K: Kept>(&self, id: &str) -> Result<Option<K>, StoreError> {
        let id = id.to_owned();
        self.run(move |connection| kept::find(connection, &id)).await
    }

    pub(super) async fn prune_outcomes(&self, before: Timestamp, most: u64, step: u32) -> Result<u32, StoreError> {
        self.run(move |connection| kept::prune(connection, before, most, step))
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
        self.run(move |connection| commands::find(connection, &id)).await
    }

    pub(super) async fn due_commands(&self, gateway_id: &str, most: u32) -> Result<Vec<CommandRecord>, StoreError> {
        let gateway_id = gateway_id.to_owned();
        self.run(move |connection| commands::due(connection, &gateway_id, most))
            .await
    }

    pub(super) async fn commands_sent(&self, ids: &[String], at: Timestamp) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        self.write(move |transaction| commands::sent(transaction, &ids, at))
            .await
    }

    pub(super) async fn bulk(&self, id: &str) -> Result<Option<(Bulk, BulkProgress)>, StoreError> {
        let id = id.to_owned();
        self.run(move |connection| commands::bulk(connection, &id)).await
    }

    pub(super) async fn open_bulks(&self) -> Result<Vec<Bulk>, StoreError> {
        self.run(|connection| commands::open_bulks(connection)).await
    }

    pub(super) async fn save_alert(&self, alert: Alert, known: Option<u64>) -> Result<bool, StoreError> {
        self.run(move |connection| alerts::save(connection, alert, known)).await
    }

    pub(super) async fn dead_letter_counts(&self, lately: Lately) -> Result<Vec<DeadLetterCount>, StoreError> {
        self.run(move |connection| alerts::dead_letters(connection, lately))
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
        self.run(move |connection| shelf::find(connection, shelf, column, &value))
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
        self.run(move |connection| shelf::list(connection, shelf, org_id, after.as_deref(), limit))
            .await
    }

    pub(super) async fn prune_sheets(&self, now: Timestamp, step: u32) -> Result<u32, StoreError> {
        self.run(move |connection| shelf::prune(connection, now, step)).await
    }

    pub(super) async fn prune_audit(&self, before: Timestamp, step: u32) -> Result<u32, StoreError> {
        self.run(move |connection| audit::prune(connection, before, step)).await
    }

    pub(super) async fn sealed_rows(&self, place: SealedPlace, after: String) -> Result<Vec<SealedRow>, StoreError> {
        self.run(move |connection| reseal::rows(connection, place, &after))
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
        self.run(move |connection| migration::page(connection, &after)).await
    }

    pub(super) async fn page_of_records(&self, after: &str) -> Result<Vec<ExecutionRecord>, StoreError> {
        let after = after.to_owned();
        self.run(move |connection| migration::page_of_records(connection, &after))
            .await
    }

    pub(super) async fn plain(&self, place: Place, after: &str) -> Result<Vec<Row>, StoreError> {
        let after = after.to_owned();
        self.run(move |connection| migration::plain(connection, place, &after))
            .await
    }

    pub(super) async fn copied(&self, shelf: Shelf, after: &str) -> Result<Vec<Copied>, StoreError> {
        let after = after.to_owned();
        self.run(move |connection| migration::copied(connection, shelf, &after))
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

    pub(super) fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    pub(super) async fn close(&self) {
        self.jobs.lock().take();
        let ended = self.ended.lock().take();
        if let Some(ended) = ended {
            // Beyond this time the file is left as it is: every commit is whole on disk already.
            drop(tokio::time::timeout(self.timeout, ended).await);
        }
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

    /// Hands a job to the thread and waits for its result. A job that was begun runs to its end even if nobody waits.
    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |connection| drop(answer.send(job(connection))));
        let sent = match &*self.jobs.lock() {
            Some(jobs) => jobs.try_send(job),
            None => return Err(ended_early()),
        };
        match sent {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(StoreError::Unavailable("too many calls are waiting".into())),
            Err(TrySendError::Disconnected(_)) => return Err(ended_early()),
        }
        let result = tokio::time::timeout(self.timeout, result).await;
        result
            .map_err(|_| StoreError::TimedOut(self.timeout))?
            .map_err(|_| ended_early())?
    }
}

fn work(mut connection: Connection, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        job(&mut connection);
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    // Made here first, as SQLite would make it readable by everybody; its companion files take over the mode.
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display()).into()))?;
    let mut connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(Duration::ZERO).map_err(failed)?;
    let set_up = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
        PRAGMA foreign_keys = ON;";
    connection.execute_batch(set_up).map_err(|error| in_use(path, error))?;
    migrate::migrate(&mut connection).map_err(|error| match error {
        migrate::MigrateError::Newer { found, known } => StoreError::Newer { found, known },
        migrate::MigrateError::Database(error) => in_use(path, error),
    })?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn in_use(path: &Path, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => StoreError::Unavailable(
            format!("{} is in use by another process; stop that one first", path.display()).into(),
        ),
        _ => failed(error),
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

fn ended_early() -> StoreError {
    StoreError::Unavailable("it is closed".into())
}

/// Calls that may wait for the thread; beyond them the store counts as down.
const MOST_WAITING: usize = 1_024;

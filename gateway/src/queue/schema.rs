//! The queue's file: how it is opened, and its tables.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::QueueError;

/// The format that this program writes.
pub(super) const FORMAT: i64 = 1;

/// Bytes of a page of the file.
pub(super) const PAGE_BYTES: u64 = 8192;

/// The queue's file in `dir`.
pub(super) fn file_in(dir: &Path) -> PathBuf {
    dir.join("queue.db")
}

/// Makes `dir` if it is not there.
pub(super) fn make_folder(dir: &Path) -> Result<(), QueueError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed("make the queue's folder", dir))
}

/// Opens the queue's file for writing, making it if it is not there, with room for `max_bytes`.
pub(super) fn open_writer(path: &Path, max_bytes: u64) -> Result<Connection, QueueError> {
    make_file(path)?;
    let store = Connection::open(path).map_err(|error| unusable(path, error))?;
    store
        .busy_timeout(BUSY_TIMEOUT)
        .map_err(|error| unusable(path, error))?;
    store.set_prepared_statement_cache_capacity(STATEMENTS);
    check(&store, path)?;
    let set_up = "PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL; PRAGMA secure_delete = FAST; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768;
        PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864;";
    store.execute_batch(set_up).map_err(|error| unusable(path, error))?;
    store.execute_batch(TABLES).map_err(|error| unusable(path, error))?;
    let pages = (max_bytes / PAGE_BYTES).max(SMALLEST_PAGES);
    store
        .pragma_update_and_check(None, "max_page_count", pages.cast_signed(), |_| Ok(()))
        .map_err(|error| unusable(path, error))?;
    Ok(store)
}

/// Opens the queue's file for reading, also while a gateway writes to it.
pub(super) fn open_reader(path: &Path) -> Result<Connection, QueueError> {
    // The engine would say less.
    fs::metadata(path).map_err(failed("open", path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let store = Connection::open_with_flags(path, flags).map_err(|error| unusable(path, error))?;
    store
        .busy_timeout(BUSY_TIMEOUT)
        .map_err(|error| unusable(path, error))?;
    check(&store, path)?;
    store
        .execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -2048;")
        .map_err(|error| unusable(path, error))?;
    Ok(store)
}

/// Refuses files that are no queue, or one of a later version.
fn check(store: &Connection, path: &Path) -> Result<(), QueueError> {
    let number = |name| {
        store
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(|error| unusable(path, error))
    };
    let tables: i64 = store
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| unusable(path, error))?;
    if tables == 0 {
        return Ok(());
    }
    if number("application_id")? != APPLICATION {
        return Err(QueueError::Foreign(path.to_owned()));
    }
    let found: i64 = store
        .query_row("SELECT value FROM meta WHERE key = 'format'", [], |row| row.get(0))
        .map_err(|error| unusable(path, error))?;
    if found > FORMAT {
        return Err(QueueError::Newer {
            path: path.to_owned(),
            found,
            known: FORMAT,
        });
    }
    Ok(())
}

/// Made here first, as SQLite would make it readable by everybody; its companion files take over the mode.
fn make_file(path: &Path) -> Result<(), QueueError> {
    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
        Ok(file) => {
            file.sync_all().map_err(failed("write", path))?;
            let folder = path.parent().unwrap_or_else(|| Path::new("."));
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(failed("write", folder))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed("make", path)(error)),
    }
}

fn unusable(path: &Path, error: rusqlite::Error) -> QueueError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => QueueError::Foreign(path.to_owned()),
        _ => QueueError::from_store("open its file", error),
    }
}

pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> QueueError {
    let path = path.to_owned();
    move |source| QueueError::Io { action, path, source }
}

/// What tells a queue from other files of the same engine.
const APPLICATION: i64 = 0x4947_5155;
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const STATEMENTS: usize = 64;
/// Less than this, and the tables themselves find no room.
const SMALLEST_PAGES: u64 = 32;

/// `events` is only appended to, and purged by range. `open` has one row for each event with open deliveries, so that a
/// start reads it without the events. A dead letter's key is its event's place and its number in one. `dedupe_log` has
/// one row for each commit; its content moves to a sorted slice when there is much of it.
const TABLES: &str = "BEGIN IMMEDIATE;
    PRAGMA application_id = 1229410645;
    CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT OR IGNORE INTO meta VALUES ('format', 1), ('purged_to', 0);
    CREATE TABLE IF NOT EXISTS events(
        seq INTEGER PRIMARY KEY, accepted_ms INTEGER NOT NULL, org INTEGER NOT NULL,
        head BLOB NOT NULL, audit BLOB NOT NULL, body BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS open(
        seq INTEGER PRIMARY KEY, accepted_ms INTEGER NOT NULL, org INTEGER NOT NULL, state BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS settled(seq INTEGER PRIMARY KEY, outcomes BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS dead(
        key INTEGER PRIMARY KEY, id BLOB NOT NULL, org INTEGER NOT NULL, subscription TEXT NOT NULL,
        retry_ms INTEGER, retrying INTEGER NOT NULL, abandoned_ms INTEGER, state BLOB NOT NULL, letter BLOB NOT NULL);
    CREATE INDEX IF NOT EXISTS dead_id ON dead(id);
    CREATE INDEX IF NOT EXISTS dead_retry ON dead(retry_ms) WHERE retry_ms IS NOT NULL;
    CREATE TABLE IF NOT EXISTS dedupe_log(id INTEGER PRIMARY KEY, entries BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS dedupe_slice(id INTEGER PRIMARY KEY, expires_ms INTEGER NOT NULL, filter BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS dedupe(
        slice INTEGER, first BLOB, entries BLOB NOT NULL, PRIMARY KEY (slice, first)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS spool(
        seq INTEGER PRIMARY KEY AUTOINCREMENT, count INTEGER NOT NULL, records BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS commands(
        id TEXT PRIMARY KEY, done_ms INTEGER NOT NULL, result BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS held(
        subscription TEXT PRIMARY KEY, reason TEXT NOT NULL, since_ms INTEGER NOT NULL) WITHOUT ROWID;
    COMMIT;";

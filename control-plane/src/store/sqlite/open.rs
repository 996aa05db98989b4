//! The file, and connections to it.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::super::StoreError;
use super::{failed, migrate};

/// A database file that belongs to this process until this is dropped.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// Locked. It is a file of its own: closing a second handle of the database would give up SQLite's own locks.
    _lock: File,
}

impl DatabaseFile {
    /// Makes `path` if it is missing, and claims it.
    pub(super) fn claim(path: PathBuf) -> Result<Self, StoreError> {
        let mut beside = path.clone().into_os_string();
        beside.push("-lock");
        let beside = PathBuf::from(beside);
        let lock = private(&beside)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(&path)),
            Err(TryLockError::Error(error)) => return Err(unusable(&beside, &error)),
        }
        // Made here first, as SQLite would make it readable by everybody; its companion files take over the mode.
        private(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// The connection that writes, with the schema of this release.
    pub(super) fn writer(&self) -> Result<Connection, StoreError> {
        let mut connection = Connection::open(&self.path).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        let set_up = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
            PRAGMA secure_delete = ON;";
        connection.execute_batch(set_up).map_err(|error| self.refused(error))?;
        migrate::migrate(&mut connection).map_err(|error| match error {
            migrate::MigrateError::Newer { found, known } => StoreError::Newer { found, known },
            migrate::MigrateError::Database(error) => self.refused(error),
        })?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    }

    /// A connection that only reads, for after the schema is there.
    pub(super) fn reader(&self) -> Result<Connection, StoreError> {
        // Not opened as read-only: whoever is the last to close has to tidy up.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        connection
            .execute_batch(&format!("PRAGMA query_only = ON; PRAGMA cache_size = -{CACHE_KIB};"))
            .map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    }

    fn refused(&self, error: rusqlite::Error) -> StoreError {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => in_use(&self.path),
            _ => failed(error),
        }
    }
}

/// Opens a file that only this user can read, making it if it is missing.
fn private(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| unusable(path, &error))
}

fn in_use(path: &Path) -> StoreError {
    StoreError::Unavailable(format!("{} is in use by another process; stop that one first", path.display()).into())
}

fn unusable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()).into())
}

/// For somebody who looks into the file with SQLite's own tools, as for a backup.
pub(super) const BUSY: Duration = Duration::from_secs(2);
const STATEMENTS: usize = 64;
/// Of each reader.
const CACHE_KIB: u32 = 8 * 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_file_belongs_to_one_at_a_time_and_only_its_owner_reads_it() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("store.db");
        let file = DatabaseFile::claim(path.clone()).unwrap();
        let writer = file.writer().unwrap();
        let refused = DatabaseFile::claim(path.clone()).unwrap_err().to_string();
        assert!(refused.contains("is in use by another process"), "{refused}");
        let reader = file.reader().unwrap();
        assert!(reader.execute("DELETE FROM versions", []).is_err(), "it only reads");
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        }
        drop((writer, reader, file));
        DatabaseFile::claim(path).unwrap();
    }

    #[test]
    fn a_reader_sees_what_was_committed_and_is_not_held_up() {
        let folder = TempDir::new().unwrap();
        let file = DatabaseFile::claim(folder.path().join("store.db")).unwrap();
        let (writer, reader) = (file.writer().unwrap(), file.reader().unwrap());
        let add = |id: &str| writer.execute("INSERT INTO gateways (id, body) VALUES (?, '')", [id]);
        let count = || reader.query_row("SELECT count(*) FROM gateways", [], |row| row.get::<_, i64>(0));
        add("one").unwrap();
        assert_eq!(count().unwrap(), 1);
        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        add("two").unwrap();
        assert_eq!(count().unwrap(), 1);
        writer.execute_batch("COMMIT").unwrap();
        assert_eq!(count().unwrap(), 2);
    }
}

//! The statements about the audit.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::super::StoreError;
use super::super::kept::{Place, Row};
use super::failed;
use super::kept::insert;

/// Adds entries.
pub(super) fn append(connection: &Connection, entries: &[Row]) -> Result<(), StoreError> {
    for row in entries {
        insert(connection, Place::AdminAudit, row, "ON CONFLICT (id) DO NOTHING")?;
    }
    Ok(())
}

/// Deletes entries from before `before`, at most `step`. Returns how many.
pub(super) fn prune(connection: &Connection, before: Timestamp, step: u32) -> Result<u32, StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM admin_audit WHERE rowid IN
             (SELECT rowid FROM admin_audit WHERE createdAt < ? ORDER BY createdAt LIMIT ?)",
        )
        .and_then(|mut delete| delete.execute(params![before.as_millisecond(), step]))
        .map(|deleted| u32::try_from(deleted).unwrap_or(u32::MAX))
        .map_err(failed)
}

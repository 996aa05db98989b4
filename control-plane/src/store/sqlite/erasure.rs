//! The statements that take out what is known of a person.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, params, params_from_iter};

use super::super::StoreError;
use super::super::kept::{Place, Row};
use super::failed;
use super::kept::values_of;
use super::open::BUSY;

/// Puts rows in the place of those that are there.
pub(super) fn rewrite(transaction: &Transaction<'_>, place: Place, rows: &[Row]) -> Result<(), StoreError> {
    for row in rows {
        let sets: Vec<String> = row.fields.iter().map(|(name, _)| format!("{name} = ?")).collect();
        let statement = format!(
            "UPDATE {} SET document = ?, {} WHERE id = ?",
            place.name(),
            sets.join(", ")
        );
        let values = std::iter::once(Value::from(row.document.clone()))
            .chain(values_of(row))
            .chain([row.id.clone().into()]);
        transaction
            .prepare_cached(&statement)
            .and_then(|mut update| update.execute(params_from_iter(values)))
            .map_err(failed)?;
    }
    Ok(())
}

pub(super) fn forget_dead_letters(
    transaction: &Transaction<'_>,
    ids: &[String],
    now: Timestamp,
) -> Result<(), StoreError> {
    for id in ids {
        transaction
            .prepare_cached("INSERT INTO dlq_gone (id, goneAt) VALUES (?, ?) ON CONFLICT (id) DO NOTHING")
            .and_then(|mut insert| insert.execute(params![id, now.as_millisecond()]))
            .and_then(|_| {
                transaction
                    .prepare_cached("DELETE FROM dlq WHERE id = ?")?
                    .execute([id])
            })
            .map_err(failed)?;
    }
    Ok(())
}

/// Puts what a command carries in the place of what it carried.
pub(super) fn change_command(transaction: &Transaction<'_>, id: &str, document: &str) -> Result<(), StoreError> {
    transaction
        .prepare_cached("UPDATE commands SET document = ? WHERE id = ?")
        .and_then(|mut update| update.execute([document, id]))
        .map(drop)
        .map_err(failed)
}

/// Moves everything from the log to the file; false while somebody reads the log. Nobody's change waits for those.
pub(super) fn empty_log(connection: &Connection) -> Result<bool, StoreError> {
    connection.busy_timeout(Duration::ZERO).map_err(failed)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    connection.busy_timeout(BUSY).map_err(failed)?;
    busy.map(|busy| !busy).map_err(failed)
}

//! The statements about sealing anew.

use rusqlite::{Connection, Row, Transaction, params};

use super::super::StoreError;
use super::super::reseal::{SEALED, STEP, SealedPlace, SealedRow};
use super::failed;

/// The next rows of a list that hold sealed texts.
pub(super) fn rows(connection: &Connection, place: SealedPlace, after: &str) -> Result<Vec<SealedRow>, StoreError> {
    let run = || -> rusqlite::Result<Vec<SealedRow>> {
        match place {
            SealedPlace::Objects(kind) => connection
                .prepare_cached(
                    "SELECT id, kind, id, body FROM objects
                     WHERE kind = ?1 AND id > ?2 AND instr(body, ?3) > 0 ORDER BY id LIMIT ?4",
                )?
                .query_map(params![kind.name(), after, SEALED, STEP], row)?
                .collect(),
            SealedPlace::Changes => {
                let (version, kind, id) = change(after);
                connection
                    .prepare_cached(
                        "SELECT version || '/' || kind || '/' || id, kind, id, body FROM changes
                         WHERE (version, kind, id) > (?1, ?2, ?3) AND instr(body, ?4) > 0
                         ORDER BY version, kind, id LIMIT ?5",
                    )?
                    .query_map(params![version, kind, id, SEALED, STEP], row)?
                    .collect()
            }
            SealedPlace::Sheets(shelf) => connection
                .prepare_cached(
                    "SELECT id, '', id, document FROM shelves
                     WHERE shelf = ?1 AND id > ?2 AND instr(document, ?3) = 1 ORDER BY id LIMIT ?4",
                )?
                .query_map(params![shelf.name(), after, SEALED, STEP], row)?
                .collect(),
        }
    };
    run().map_err(failed)
}

/// Replaces those that are still what was read. Returns how many.
pub(super) fn replace(
    transaction: &Transaction<'_>,
    place: SealedPlace,
    rows: &[(SealedRow, String)],
) -> Result<u64, StoreError> {
    let mut replaced = 0;
    for (row, new) in rows {
        let run = || match place {
            SealedPlace::Objects(kind) => transaction
                .prepare_cached("UPDATE objects SET body = ?1 WHERE kind = ?2 AND id = ?3 AND body = ?4")?
                .execute(params![new, kind.name(), row.id, row.document]),
            SealedPlace::Changes => {
                let (version, kind, id) = change(&row.key);
                transaction
                    .prepare_cached(
                        "UPDATE changes SET body = ?1 WHERE version = ?2 AND kind = ?3 AND id = ?4 AND body = ?5",
                    )?
                    .execute(params![new, version, kind, id, row.document])
            }
            SealedPlace::Sheets(shelf) => transaction
                .prepare_cached("UPDATE shelves SET document = ?1 WHERE shelf = ?2 AND id = ?3 AND document = ?4")?
                .execute(params![new, shelf.name(), row.id, row.document]),
        };
        replaced += run().map_err(failed)? as u64;
    }
    Ok(replaced)
}

/// Version, kind and identifier in the key of a change.
fn change(key: &str) -> (i64, &str, &str) {
    let mut parts = key.splitn(3, '/');
    let version = parts.next().and_then(|version| version.parse().ok()).unwrap_or(0);
    (
        version,
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    )
}

fn row(row: &Row<'_>) -> rusqlite::Result<SealedRow> {
    Ok(SealedRow {
        key: row.get(0)?,
        kind: row.get(1)?,
        id: row.get(2)?,
        document: row.get(3)?,
    })
}

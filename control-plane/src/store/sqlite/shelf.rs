//! The statements about shelves.

use filters::model::push::ObjectKind;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row as Read, Transaction, TransactionBehavior, params};

use super::super::StoreError;
use super::super::kept::Row;
use super::super::shelf::{Found, Leaf, Left, Shelf, Write};
use super::audit::append;
use super::failed;
use crate::seal::Sealer;

/// Makes all changes, or none and returns false.
pub(super) fn write(
    connection: &mut Connection,
    writes: &[Write],
    audit: &[Row],
    sealer: &Sealer,
) -> Result<bool, StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    // A transaction that is dropped is taken back.
    let fits = apply_all(&transaction, writes, audit, sealer)?;
    if fits {
        transaction.commit().map_err(failed)?;
    }
    Ok(fits)
}

/// The same inside of a transaction, which must be taken back if this returns false.
pub(super) fn apply_all(
    transaction: &Transaction<'_>,
    writes: &[Write],
    audit: &[Row],
    sealer: &Sealer,
) -> Result<bool, StoreError> {
    for change in writes {
        if !apply(transaction, change, sealer).map_err(failed)? {
            return Ok(false);
        }
    }
    append(transaction, audit)?;
    Ok(true)
}

/// Deletes what organizations leave behind.
pub(super) fn clear(transaction: &Transaction<'_>, leaves: &[Left]) -> Result<(), StoreError> {
    for left in leaves {
        let (org_id, shelves): (u64, &[Shelf]) = match left {
            Left::Documents(org_id) => (*org_id, Left::DOCUMENTS),
            Left::Trash(org_id) if was_deleted(transaction, *org_id)? => (*org_id, Left::TRASH),
            Left::Trash(_) => continue,
        };
        for shelf in shelves {
            transaction
                .prepare_cached("DELETE FROM shelves WHERE shelf = ? AND orgId = ?")
                .and_then(|mut delete| delete.execute(params![shelf.name(), org_id.cast_signed()]))
                .map_err(failed)?;
        }
    }
    Ok(())
}

/// True if an organization with this number is in the trash.
fn was_deleted(transaction: &Transaction<'_>, org_id: u64) -> Result<bool, StoreError> {
    transaction
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM shelves WHERE shelf = ?1 AND orgId = ?2 AND fields ->> '$.kind' = ?3)",
        )
        .and_then(|mut select| {
            let row = params![
                Shelf::Trash.name(),
                org_id.cast_signed(),
                ObjectKind::Organization.name()
            ];
            select.query_row(row, |row| row.get(0))
        })
        .map_err(failed)
}

/// The sheet whose `column` has this value.
pub(super) fn find(
    connection: &Connection,
    shelf: Shelf,
    column: &str,
    value: &str,
) -> Result<Option<Found>, StoreError> {
    let statement = format!("SELECT id, revision, document FROM shelves WHERE shelf = ? AND {column} = ?");
    connection
        .prepare_cached(&statement)
        .and_then(|mut select| select.query_row([shelf.name(), value], found).optional())
        .map_err(failed)
}

pub(super) fn list(
    connection: &Connection,
    shelf: Shelf,
    org_id: Option<u64>,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Found>, StoreError> {
    let mut select = connection
        .prepare_cached(
            "SELECT id, revision, document FROM shelves WHERE shelf = ?1 AND (?2 IS NULL OR orgId = ?2)
             AND (?3 IS NULL OR id > ?3) ORDER BY id LIMIT ?4",
        )
        .map_err(failed)?;
    let rows = select.query_map(params![shelf.name(), org_id.map(u64::cast_signed), after, limit], found);
    rows.and_then(Iterator::collect).map_err(failed)
}

/// The same from the last one on.
pub(super) fn list_back(
    connection: &Connection,
    shelf: Shelf,
    org_id: Option<u64>,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<Found>, StoreError> {
    let mut select = connection
        .prepare_cached(
            "SELECT id, revision, document FROM shelves WHERE shelf = ?1 AND (?2 IS NULL OR orgId = ?2)
             AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4",
        )
        .map_err(failed)?;
    let rows = select.query_map(
        params![shelf.name(), org_id.map(u64::cast_signed), before, limit],
        found,
    );
    rows.and_then(Iterator::collect).map_err(failed)
}

pub(super) fn prune(connection: &Connection, now: Timestamp, step: u32) -> Result<u32, StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM shelves WHERE (shelf, id) IN
             (SELECT shelf, id FROM shelves WHERE expiresAt <= ? ORDER BY expiresAt LIMIT ?)",
        )
        .and_then(|mut delete| delete.execute(params![now.as_millisecond(), step]))
        .map(|deleted| u32::try_from(deleted).unwrap_or(u32::MAX))
        .map_err(failed)
}

/// False if it cannot be made.
fn apply(connection: &Connection, change: &Write, sealer: &Sealer) -> rusqlite::Result<bool> {
    let (shelf, id, known) = (change.shelf.name(), &change.id, change.known.map(u64::cast_signed));
    let Some(leaf) = &change.leaf else {
        let mut delete = connection
            .prepare_cached("DELETE FROM shelves WHERE shelf = ?1 AND id = ?2 AND (?3 IS NULL OR revision = ?3)")?;
        let deleted = delete.execute(params![shelf, id, known])?;
        return Ok(deleted == 1 || known.is_none());
    };
    let sealed = leaf.sealed.then(|| sealer.seal(&leaf.document, &change.owner()));
    let statement = match known {
        None => {
            "INSERT INTO shelves (shelf, id, orgId, uniqueKey, revision, expiresAt, document, fields)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING"
        }
        Some(_) => {
            "UPDATE OR IGNORE shelves SET orgId = ?3, uniqueKey = ?4, revision = ?5, expiresAt = ?6, document = ?7,
             fields = ?8
             WHERE shelf = ?1 AND id = ?2 AND revision = ?5 - 1"
        }
    };
    let changed = connection.prepare_cached(statement)?.execute(params![
        shelf,
        id,
        leaf.org_id.map(u64::cast_signed),
        leaf.unique,
        change.revision().cast_signed(),
        leaf.expires_at.map(Timestamp::as_millisecond),
        sealed.as_ref().unwrap_or(&leaf.document),
        fields_text(leaf),
    ])?;
    Ok(changed == 1)
}

/// The fields that only MongoDB has an index for, kept so that a copy of the store has them.
pub(super) fn fields_text(leaf: &Leaf) -> String {
    let fields = leaf
        .fields
        .iter()
        .map(|(name, text)| (name.clone(), text.as_str().into()));
    serde_json::Value::Object(fields.collect()).to_string()
}

fn found(row: &Read<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        id: row.get(0)?,
        revision: row.get::<_, i64>(1)?.cast_unsigned(),
        document: row.get(2)?,
    })
}

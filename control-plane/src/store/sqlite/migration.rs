//! The statements about copies of a whole store.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row as Read, Transaction, params, params_from_iter};

use super::super::StoreError;
use super::super::kept::{Cell, Kept, Place, Row, record};
use super::super::migration::{Column, Copied, PAGE, cell, columns};
use super::super::shelf::{Leaf, Shelf};
use super::failed;
use super::kept::{insert, values_of};

/// The next records by identifier, whole.
pub(super) fn page<K: Kept>(connection: &Connection, after: &str) -> Result<Vec<(String, K)>, StoreError> {
    let large = K::LARGE.unwrap_or("NULL");
    let mut select = connection
        .prepare_cached(&format!(
            "SELECT id, document, {large} FROM {} WHERE id > ? ORDER BY id LIMIT ?",
            K::PLACE.name()
        ))
        .map_err(failed)?;
    let mut rows = select.query(params![after, PAGE]).map_err(failed)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let (id, document, large): (String, String, Option<String>) = row.try_into().map_err(failed)?;
        let record = record(&id, &document, large.as_deref())?;
        records.push((id, record));
    }
    Ok(records)
}

/// The next rows of a place that is kept by columns.
pub(super) fn plain(connection: &Connection, place: Place, after: &str) -> Result<Vec<Row>, StoreError> {
    let columns = columns(place);
    let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
    let statement = format!(
        "SELECT id, {} FROM {} WHERE id > ? ORDER BY id LIMIT ?",
        names.join(", "),
        place.name()
    );
    let read = |row: &Read<'_>| -> rusqlite::Result<Row> {
        let fields = columns.iter().map(|column| {
            let name = column.name();
            let value = match column {
                Column::Number(_) => cell(
                    row.get::<_, Option<i64>>(name)?
                        .map(|number| Cell::Number(number.cast_unsigned())),
                ),
                Column::Text(_) => cell(row.get::<_, Option<String>>(name)?.map(Cell::Text)),
                Column::Moment(_) => Cell::Moment(moment(row.get(name)?)),
            };
            Ok((name, value))
        });
        Ok(Row {
            fields: fields.collect::<rusqlite::Result<_>>()?,
            searched: Vec::new(),
            document: String::new(),
            id: row.get("id")?,
        })
    };
    connection
        .prepare_cached(&statement)
        .and_then(|mut select| select.query_map(params![after, PAGE], read)?.collect())
        .map_err(failed)
}

/// Inserts rows; those that are there already stay as they are.
pub(super) fn insert_rows(transaction: &Transaction<'_>, place: Place, rows: &[Row]) -> Result<(), StoreError> {
    for row in rows {
        if columns(place).is_empty() {
            insert(transaction, place, row, "ON CONFLICT (id) DO NOTHING")?;
            continue;
        }
        let names: Vec<&str> = row.fields.iter().map(|(name, _)| *name).collect();
        let statement = format!(
            "INSERT INTO {} (id, {}) VALUES (?{}) ON CONFLICT (id) DO NOTHING",
            place.name(),
            names.join(", "),
            ", ?".repeat(names.len())
        );
        let values = std::iter::once(Value::from(row.id.clone())).chain(values_of(row));
        transaction
            .prepare_cached(&statement)
            .and_then(|mut insert| insert.execute(params_from_iter(values)))
            .map_err(failed)?;
    }
    Ok(())
}

/// The next sheets of a shelf.
pub(super) fn copied(connection: &Connection, shelf: Shelf, after: &str) -> Result<Vec<Copied>, StoreError> {
    let read = |row: &Read<'_>| -> rusqlite::Result<Copied> {
        let fields: String = row.get(6)?;
        // It is written here only; what cannot be read is of use to nobody.
        let fields: BTreeMap<String, String> = serde_json::from_str(&fields).unwrap_or_default();
        Ok(Copied {
            id: row.get(0)?,
            revision: row.get::<_, i64>(1)?.cast_unsigned(),
            leaf: Leaf {
                org_id: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
                unique: row.get(3)?,
                expires_at: moment(row.get(4)?),
                document: row.get(5)?,
                fields: fields.into_iter().collect(),
                sealed: false,
            },
        })
    };
    connection
        .prepare_cached(
            "SELECT id, revision, orgId, uniqueKey, expiresAt, document, fields FROM shelves
             WHERE shelf = ? AND id > ? ORDER BY id LIMIT ?",
        )
        .and_then(|mut select| select.query_map(params![shelf.name(), after, PAGE], read)?.collect())
        .map_err(failed)
}

/// Puts sheets on a shelf as they are; those that are there already stay.
pub(super) fn insert_sheets(transaction: &Transaction<'_>, shelf: Shelf, sheets: &[Copied]) -> Result<(), StoreError> {
    for Copied { id, revision, leaf } in sheets {
        let row = params![
            shelf.name(),
            id,
            leaf.org_id.map(u64::cast_signed),
            leaf.unique,
            revision.cast_signed(),
            leaf.expires_at.map(Timestamp::as_millisecond),
            leaf.document,
            super::shelf::fields_text(leaf),
        ];
        transaction
            .prepare_cached(
                "INSERT INTO shelves (shelf, id, orgId, uniqueKey, revision, expiresAt, document, fields)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .and_then(|mut insert| insert.execute(row))
            .map_err(failed)?;
    }
    Ok(())
}

fn moment(milliseconds: Option<i64>) -> Option<Timestamp> {
    milliseconds.and_then(|at| Timestamp::from_millisecond(at).ok())
}

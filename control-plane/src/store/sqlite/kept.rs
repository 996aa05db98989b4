//! The statements about records of deliveries. Their columns have the records' JSON names.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params, params_from_iter};

use super::super::StoreError;
use super::super::kept::{Cell, Kept, Place, Query, Row, record};
use super::super::outcomes::Outcomes;
use super::{commands, failed, query, rollups};
use crate::rollups::Deltas;

/// Keeps a batch of what a gateway told.
pub(super) fn keep(transaction: &Transaction<'_>, outcomes: &Outcomes) -> Result<(), StoreError> {
    let mut counted = Deltas::default();
    for (log, sample) in outcomes.logs.iter().zip(&outcomes.samples) {
        if insert(transaction, Place::DeliveryLogs, log, "ON CONFLICT (id) DO NOTHING")? == 1 {
            counted.count(sample);
        }
    }
    rollups::add(transaction, &counted)?;
    for id in &outcomes.gone {
        transaction
            .prepare_cached("INSERT INTO dlq_gone (id, goneAt) VALUES (?, ?) ON CONFLICT (id) DO NOTHING")
            .and_then(|mut insert| insert.execute(params![id, Timestamp::now().as_millisecond()]))
            .map_err(failed)?;
        transaction
            .prepare_cached("DELETE FROM dlq WHERE id = ?")
            .and_then(|mut delete| delete.execute([id]))
            .map_err(failed)?;
    }
    for (letter, _) in &outcomes.letters {
        let gone = transaction
            .prepare_cached("SELECT 1 FROM dlq_gone WHERE id = ?")
            .and_then(|mut select| select.exists([&letter.id]))
            .map_err(failed)?;
        if !gone {
            insert(transaction, Place::DeadLetters, letter, &newer(letter))?;
        }
    }
    for (delivery, _) in &outcomes.scheduled {
        insert(transaction, Place::Scheduled, delivery, &newer(delivery))?;
    }
    for (id, result) in &outcomes.results {
        commands::finish(transaction, &outcomes.gateway_id, id, result)?;
    }
    Ok(())
}

/// Keeps records; those that are there already stay as they are.
pub(super) fn append(transaction: &Transaction<'_>, place: Place, rows: &[Row]) -> Result<(), StoreError> {
    for row in rows {
        insert(transaction, place, row, "ON CONFLICT (id) DO NOTHING")?;
    }
    Ok(())
}

pub(super) fn list<K: Kept>(connection: &Connection, query: &Query) -> Result<Vec<K>, StoreError> {
    let (statement, values) = query::listing::<K>(query);
    let mut select = connection.prepare_cached(&statement).map_err(failed)?;
    let mut rows = select.query(params_from_iter(values)).map_err(failed)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let (id, document): (String, String) = row.try_into().map_err(failed)?;
        records.push(record(&id, &document, None)?);
    }
    Ok(records)
}

pub(super) fn count<K: Kept>(connection: &Connection, query: &Query, most: u64) -> Result<u64, StoreError> {
    let (statement, values) = query::counting::<K>(query, most);
    let count: i64 = connection
        .prepare_cached(&statement)
        .and_then(|mut select| select.query_row(params_from_iter(values), |row| row.get(0)))
        .map_err(failed)?;
    Ok(count.cast_unsigned())
}

pub(super) fn find<K: Kept>(connection: &Connection, id: &str) -> Result<Option<K>, StoreError> {
    let large = K::LARGE.unwrap_or("NULL");
    let found: Option<(String, Option<String>)> = connection
        .prepare_cached(&format!(
            "SELECT document, {large} FROM {} WHERE id = ?",
            K::PLACE.name()
        ))
        .and_then(|mut select| select.query_row([id], |row| row.try_into()).optional())
        .map_err(failed)?;
    found
        .map(|(document, large)| record(id, &document, large.as_deref()))
        .transpose()
}

/// How many rows it wrote.
pub(super) fn insert(connection: &Connection, place: Place, row: &Row, otherwise: &str) -> Result<usize, StoreError> {
    let names: Vec<&str> = row.fields.iter().map(|(name, _)| *name).collect();
    let statement = format!(
        "INSERT INTO {} (id, document, {}) VALUES (?, ?{}) {otherwise}",
        place.name(),
        names.join(", "),
        ", ?".repeat(names.len())
    );
    let values = [Value::from(row.id.clone()), row.document.clone().into()]
        .into_iter()
        .chain(values_of(row));
    connection
        .prepare_cached(&statement)
        .and_then(|mut insert| insert.execute(params_from_iter(values)))
        .map_err(failed)
}

/// The values of the fields by which it is looked for.
pub(super) fn values_of(row: &Row) -> impl Iterator<Item = Value> {
    row.fields.iter().map(|(_, cell)| match cell {
        Cell::Number(number) => number.cast_signed().into(),
        Cell::Text(text) => text.clone().into(),
        Cell::Moment(at) => Value::from(at.map(Timestamp::as_millisecond)),
        Cell::Nothing => Value::Null,
    })
}

/// Takes the place of what changed before.
fn newer(row: &Row) -> String {
    let fields = row.fields.iter().map(|(name, _)| *name).chain(["document"]);
    let sets: Vec<String> = fields.map(|name| format!("{name} = excluded.{name}")).collect();
    format!(
        "ON CONFLICT (id) DO UPDATE SET {} WHERE excluded.updatedAt >= updatedAt",
        sets.join(", ")
    )
}

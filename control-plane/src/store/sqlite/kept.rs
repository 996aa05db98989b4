//! The statements about records of deliveries. Their columns have the records' JSON names.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params, params_from_iter};

use super::super::kept::{AGED, Aged, Cell, Kept, Place, Query, Row, record};
use super::super::outcomes::Outcomes;
use super::super::{MOST_SEARCHED, StoreError};
use super::records::pattern;
use super::{commands, failed};

/// Keeps a batch of what a gateway told.
pub(super) fn keep(transaction: &Transaction<'_>, outcomes: &Outcomes) -> Result<(), StoreError> {
    for log in &outcomes.logs {
        insert(transaction, Place::DeliveryLogs, log, "ON CONFLICT (id) DO NOTHING")?;
    }
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

pub(super) fn list<K: Kept>(connection: &Connection, query: &Query) -> Result<Vec<K>, StoreError> {
    let (mut statement, mut values) = narrowed::<K>("id, createdAt, document", query);
    statement.push_str(" ORDER BY createdAt DESC, id DESC LIMIT ? OFFSET ?");
    values.extend([Value::from(query.limit), Value::from(query.skip)]);
    let mut select = connection.prepare_cached(&statement).map_err(failed)?;
    let mut rows = select.query(params_from_iter(values)).map_err(failed)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let (id, document): (String, String) = (row.get(0).map_err(failed)?, row.get(2).map_err(failed)?);
        records.push(record(&id, &document, None)?);
    }
    Ok(records)
}

pub(super) fn count<K: Kept>(connection: &Connection, query: &Query) -> Result<u64, StoreError> {
    let (statement, values) = narrowed::<K>("id", query);
    let statement = format!("SELECT count(*) FROM ({statement})");
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

/// Deletes what is too old, and delivery logs beyond the newest `most`: at most `step` of each kind. Returns how many.
pub(super) fn prune(connection: &Connection, before: Timestamp, most: u64, step: u32) -> Result<u32, StoreError> {
    let mut deleted = 0;
    for Aged { place, since, states } in AGED {
        let states = states.iter().map(|state| format!("'{state}'")).collect::<Vec<_>>();
        let condition = match states.as_slice() {
            [] => String::new(),
            states => format!("status IN ({}) AND ", states.join(", ")),
        };
        let place = place.name();
        let statement = format!(
            "DELETE FROM {place} WHERE rowid IN
             (SELECT rowid FROM {place} WHERE {condition}{since} < ? ORDER BY {since} LIMIT ?)"
        );
        deleted += connection
            .prepare_cached(&statement)
            .and_then(|mut delete| delete.execute(params![before.as_millisecond(), step]))
            .map_err(failed)?;
    }
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM delivery_logs")
        .and_then(|mut count| count.query_row([], |row| row.get(0)))
        .map_err(failed)?;
    let excess = count.saturating_sub(i64::try_from(most).unwrap_or(i64::MAX));
    if excess > 0 {
        deleted += connection
            .prepare_cached(
                "DELETE FROM delivery_logs WHERE rowid IN
                 (SELECT rowid FROM delivery_logs ORDER BY createdAt LIMIT ?)",
            )
            .and_then(|mut delete| delete.execute([excess.min(step.into())]))
            .map_err(failed)?;
    }
    Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
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

/// The records that fit, in no order, with the values of the statement's parameters.
fn narrowed<K: Kept>(columns: &str, query: &Query) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let mut conditions = Vec::new();
    let mut narrow = |condition: String, value: Value| {
        conditions.push(condition);
        values.push(value);
    };
    if let Some(org_id) = query.org_id {
        narrow("orgId = ?".to_owned(), org_id.cast_signed().into());
    }
    for (field, value) in &query.equal {
        narrow(format!("{} = ?", field.name()), value.clone().into());
    }
    if let Some(from) = query.from {
        narrow("createdAt >= ?".to_owned(), from.as_millisecond().into());
    }
    if let Some(before) = query.before {
        narrow("createdAt < ?".to_owned(), before.as_millisecond().into());
    }
    if let Some(after) = &query.after {
        narrow("createdAt <= ?".to_owned(), after.at.as_millisecond().into());
        narrow("(createdAt, id) < (?".to_owned(), after.at.as_millisecond().into());
        values.push(after.id.clone().into());
        if let Some(last) = conditions.last_mut() {
            last.push_str(", ?)");
        }
    }
    let all = if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    };
    let Some(text) = &query.search else {
        return (format!("SELECT {columns} FROM {}{all}", K::PLACE.name()), values);
    };
    let place = values.len() + 1;
    let fields = K::SEARCHED
        .iter()
        .map(|field| format!("document ->> '$.{field}' LIKE ?{place} ESCAPE '\\'"));
    let statement = format!(
        "SELECT {columns} FROM (SELECT * FROM {}{all} ORDER BY createdAt DESC, id DESC LIMIT {MOST_SEARCHED}) WHERE ({})",
        K::PLACE.name(),
        fields.collect::<Vec<_>>().join(" OR ")
    );
    values.push(pattern(text).into());
    (statement, values)
}

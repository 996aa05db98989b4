//! The statements about records of calls.

use filters::model::ExecutionRecord;
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Rows, Transaction, params, params_from_iter};

use super::super::StoreError;
use super::super::records::{
    MOST_OF_A_TRACE, MOST_SEARCHED, RecordQuery, SEARCHED, created_at, decode, encode, status_name,
};
use super::failed;

/// Keeps records; those that are there already stay as they are.
pub(super) fn append(transaction: &Transaction<'_>, records: &[ExecutionRecord]) -> Result<(), StoreError> {
    let mut insert = transaction
        .prepare_cached(
            "INSERT INTO execution_logs (id, org_id, trace_id, integration_id, status, created_at, body)
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        )
        .map_err(failed)?;
    for record in records {
        let row = params![
            record.id,
            record.org_id.cast_signed(),
            record.trace_id,
            &*record.integration_config_id,
            status_name(record.status),
            created_at(record).as_millisecond(),
            encode(record)?,
        ];
        insert.execute(row).map_err(failed)?;
    }
    Ok(())
}

pub(super) fn list(connection: &Connection, query: &RecordQuery) -> Result<Vec<ExecutionRecord>, StoreError> {
    let mut statement = "SELECT id, created_at, body FROM execution_logs WHERE org_id = ?".to_owned();
    let mut values = vec![Value::from(query.org_id.cast_signed())];
    let status = query.status.map(|status| status_name(status).to_owned().into());
    let narrowings = [
        (" AND status = ?", status),
        (" AND integration_id = ?", query.integration.clone().map(Value::from)),
        (
            " AND body ->> '$.errorCategory' = ?",
            query.error_category.clone().map(Value::from),
        ),
        (
            " AND created_at >= ?",
            query.from.map(|from| from.as_millisecond().into()),
        ),
        (
            " AND created_at < ?",
            query.before.map(|before| before.as_millisecond().into()),
        ),
    ];
    for (condition, value) in narrowings {
        if let Some(value) = value {
            statement.push_str(condition);
            values.push(value);
        }
    }
    if let Some(text) = &query.search {
        let place = values.len() + 1;
        let fields = SEARCHED.map(|field| format!("body ->> '$.{field}' LIKE ?{place} ESCAPE '\\'"));
        statement = format!(
            "SELECT * FROM ({statement} ORDER BY created_at DESC, id DESC LIMIT {MOST_SEARCHED}) WHERE ({})",
            fields.join(" OR ")
        );
        values.push(pattern(text).into());
    }
    statement.push_str(" ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?");
    values.extend([Value::from(query.limit), Value::from(query.skip)]);
    let mut select = connection.prepare_cached(&statement).map_err(failed)?;
    read(select.query(params_from_iter(values)).map_err(failed)?)
}

/// The records of a trace, oldest first.
pub(super) fn of_trace(
    connection: &Connection,
    trace_id: &str,
    org_id: Option<u64>,
) -> Result<Vec<ExecutionRecord>, StoreError> {
    let mut select = connection
        .prepare_cached(
            "SELECT id, body FROM execution_logs WHERE trace_id = ?1 AND (?2 IS NULL OR org_id = ?2)
             ORDER BY created_at, id LIMIT ?3",
        )
        .map_err(failed)?;
    let rows = select.query(params![trace_id, org_id.map(u64::cast_signed), MOST_OF_A_TRACE]);
    read(rows.map_err(failed)?)
}

/// Deletes the oldest records: of those from before `before`, and of those beyond the newest `most`, at most `step`
/// each. Returns how many.
pub(super) fn prune(connection: &Connection, before: Timestamp, most: u64, step: u32) -> Result<u32, StoreError> {
    let run = || -> rusqlite::Result<usize> {
        let mut outlived = connection.prepare_cached(
            "DELETE FROM execution_logs WHERE rowid IN
             (SELECT rowid FROM execution_logs WHERE created_at < ? ORDER BY created_at LIMIT ?)",
        )?;
        let outlived = outlived.execute(params![before.as_millisecond(), step])?;
        let count: i64 = connection
            .prepare_cached("SELECT count(*) FROM execution_logs")?
            .query_row([], |row| row.get(0))?;
        let excess = count.saturating_sub(i64::try_from(most).unwrap_or(i64::MAX));
        if excess <= 0 {
            return Ok(outlived);
        }
        let mut oldest = connection.prepare_cached(
            "DELETE FROM execution_logs WHERE rowid IN
             (SELECT rowid FROM execution_logs ORDER BY created_at LIMIT ?)",
        )?;
        Ok(outlived + oldest.execute([excess.min(step.into())])?)
    };
    run()
        .map(|deleted| u32::try_from(deleted).unwrap_or(u32::MAX))
        .map_err(failed)
}

fn read(mut rows: Rows<'_>) -> Result<Vec<ExecutionRecord>, StoreError> {
    let mut records = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let id: String = row.get("id").map_err(failed)?;
        let body: String = row.get("body").map_err(failed)?;
        records.push(decode(&id, &body)?);
    }
    Ok(records)
}

/// What contains `text`, literally.
pub(super) fn pattern(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

//! The statements about commands to gateways, and about retries of many dead letters.

use std::sync::Arc;

use filters::model::command::CommandResult;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::super::StoreError;
use super::super::commands::{Bulk, BulkDocument, BulkProgress, CommandDocument, CommandRecord};
use super::super::kept::{decode, encode};
use super::failed;

/// Keeps new commands, and how far the retry of many is that they belong to.
pub(super) fn add(
    transaction: &Transaction<'_>,
    commands: &[CommandRecord],
    bulk: Option<&Bulk>,
) -> Result<bool, StoreError> {
    if let Some(bulk) = bulk
        && step_after(transaction, &bulk.id)? != bulk.step
    {
        return Ok(false);
    }
    for command in commands {
        let document = encode(&CommandDocument {
            command: command.command.clone(),
            created_by: command.created_by.clone(),
        })?;
        let row = params![
            command.id,
            command.org_id.cast_signed(),
            &*command.gateway_id,
            command.bulk_id,
            command.created_at.as_millisecond(),
            document,
        ];
        transaction
            .prepare_cached(
                "INSERT INTO commands (id, orgId, gatewayId, bulkId, createdAt, document) VALUES (?, ?, ?, ?, ?, ?)",
            )
            .and_then(|mut insert| insert.execute(row))
            .map_err(failed)?;
    }
    let Some(bulk) = bulk else { return Ok(true) };
    let row = params![
        bulk.id,
        bulk.org_id.cast_signed(),
        bulk.step,
        bulk.created_at.as_millisecond(),
        bulk.queued_at.map(Timestamp::as_millisecond),
        encode(&BulkDocument::of(bulk))?,
    ];
    transaction
        .prepare_cached(
            "INSERT INTO bulk_retries (id, orgId, step, createdAt, queuedAt, document) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET step = excluded.step, queuedAt = excluded.queuedAt,
                 document = excluded.document",
        )
        .and_then(|mut upsert| upsert.execute(row))
        .map_err(failed)?;
    Ok(true)
}

/// The step of a retry of many that is to be written next.
fn step_after(transaction: &Transaction<'_>, id: &str) -> Result<u32, StoreError> {
    let step: Option<u32> = transaction
        .prepare_cached("SELECT step FROM bulk_retries WHERE id = ?")
        .and_then(|mut select| select.query_row([id], |row| row.get(0)).optional())
        .map_err(failed)?;
    Ok(step.map_or(0, |step| step + 1))
}

pub(super) fn find(connection: &Connection, id: &str) -> Result<Option<CommandRecord>, StoreError> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE id = ?"))
        .and_then(|mut select| select.query_row([id], |row| Ok(command_of(row))).optional())
        .map_err(failed)?
        .transpose()
}

/// The first commands of a gateway that have no result.
pub(super) fn due(connection: &Connection, gateway_id: &str, most: u32) -> Result<Vec<CommandRecord>, StoreError> {
    let mut select = connection
        .prepare_cached(&format!(
            "{SELECT} WHERE gatewayId = ? AND doneAt IS NULL ORDER BY id LIMIT ?"
        ))
        .map_err(failed)?;
    let mut rows = select.query(params![gateway_id, most]).map_err(failed)?;
    let mut commands = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        commands.push(command_of(row)?);
    }
    Ok(commands)
}

/// Remembers that commands were sent, where that is not known yet.
pub(super) fn sent(transaction: &Transaction<'_>, ids: &[String], at: Timestamp) -> Result<(), StoreError> {
    for id in ids {
        transaction
            .prepare_cached("UPDATE commands SET sentAt = ? WHERE id = ? AND sentAt IS NULL")
            .and_then(|mut update| update.execute(params![at.as_millisecond(), id]))
            .map_err(failed)?;
    }
    Ok(())
}

/// Keeps the first result of a command of this gateway.
pub(super) fn finish(
    transaction: &Transaction<'_>,
    gateway_id: &str,
    id: &str,
    result: &CommandResult,
) -> Result<(), StoreError> {
    let (done, not_done) = CommandRecord::counts(result);
    let row = params![
        id,
        gateway_id,
        Timestamp::now().as_millisecond(),
        done.cast_signed(),
        not_done.cast_signed(),
        encode(result)?,
    ];
    transaction
        .prepare_cached(
            "UPDATE commands SET doneAt = ?3, done = ?4, failed = ?5, result = ?6
             WHERE id = ?1 AND gatewayId = ?2 AND doneAt IS NULL",
        )
        .and_then(|mut update| update.execute(row))
        .map_err(failed)?;
    Ok(())
}

/// Gives this result to all commands of a gateway that have none.
pub(super) fn finish_all(
    transaction: &Transaction<'_>,
    gateway_id: &str,
    result: &CommandResult,
) -> Result<(), StoreError> {
    let (done, not_done) = CommandRecord::counts(result);
    let row = params![
        gateway_id,
        Timestamp::now().as_millisecond(),
        done.cast_signed(),
        not_done.cast_signed(),
        encode(result)?,
    ];
    transaction
        .prepare_cached(
            "UPDATE commands SET doneAt = ?2, done = ?3, failed = ?4, result = ?5
             WHERE gatewayId = ?1 AND doneAt IS NULL",
        )
        .and_then(|mut update| update.execute(row))
        .map(drop)
        .map_err(failed)
}

pub(super) fn bulk(connection: &Connection, id: &str) -> Result<Option<(Bulk, BulkProgress)>, StoreError> {
    let found = connection
        .prepare_cached(&format!("{SELECT_BULK} WHERE id = ?"))
        .and_then(|mut select| select.query_row([id], |row| Ok(bulk_of(row))).optional())
        .map_err(failed)?
        .transpose()?;
    let Some(bulk) = found else { return Ok(None) };
    let (waiting, done, not_done): (i64, i64, i64) = connection
        .prepare_cached(
            "SELECT count(*) - count(doneAt), coalesce(sum(done), 0), coalesce(sum(failed), 0)
             FROM commands WHERE bulkId = ?",
        )
        .and_then(|mut select| select.query_row([id], |row| row.try_into()))
        .map_err(failed)?;
    let progress = BulkProgress {
        waiting: waiting.cast_unsigned(),
        done: done.cast_unsigned(),
        failed: not_done.cast_unsigned(),
    };
    Ok(Some((bulk, progress)))
}

/// Retries of many for which not all commands are made.
pub(super) fn open_bulks(connection: &Connection) -> Result<Vec<Bulk>, StoreError> {
    let mut select = connection
        .prepare_cached(&format!("{SELECT_BULK} WHERE queuedAt IS NULL ORDER BY id"))
        .map_err(failed)?;
    let mut rows = select.query([]).map_err(failed)?;
    let mut bulks = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        bulks.push(bulk_of(row)?);
    }
    Ok(bulks)
}

fn command_of(row: &Row<'_>) -> Result<CommandRecord, StoreError> {
    let id: String = row.get("id").map_err(failed)?;
    let document: String = row.get("document").map_err(failed)?;
    let CommandDocument { command, created_by } = decode("command", &id, &document)?;
    let result: Option<String> = row.get("result").map_err(failed)?;
    let done = match (result, moment(row, "doneAt")?) {
        (Some(result), Some(at)) => Some((decode("result of command", &id, &result)?, at)),
        _ => None,
    };
    Ok(CommandRecord {
        org_id: row.get::<_, i64>("orgId").map_err(failed)?.cast_unsigned(),
        gateway_id: Arc::from(row.get::<_, String>("gatewayId").map_err(failed)?),
        bulk_id: row.get("bulkId").map_err(failed)?,
        command,
        created_by,
        created_at: moment(row, "createdAt")?.unwrap_or_default(),
        sent_at: moment(row, "sentAt")?,
        done,
        id,
    })
}

fn bulk_of(row: &Row<'_>) -> Result<Bulk, StoreError> {
    let id: String = row.get("id").map_err(failed)?;
    let document: String = row.get("document").map_err(failed)?;
    let document: BulkDocument = decode("retry of many", &id, &document)?;
    let cursor = document.cursor().map_err(|error| StoreError::Corrupt {
        object: format!("retry of many {id}"),
        reason: error.to_string(),
    })?;
    Ok(Bulk {
        org_id: row.get::<_, i64>("orgId").map_err(failed)?.cast_unsigned(),
        filter: document.filter,
        total: document.total,
        queued: document.queued,
        step: row.get("step").map_err(failed)?,
        cursor,
        created_by: document.created_by,
        created_at: moment(row, "createdAt")?.unwrap_or_default(),
        queued_at: moment(row, "queuedAt")?,
        id,
    })
}

fn moment(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<i64> = row.get(column).map_err(failed)?;
    Ok(at.and_then(|at| Timestamp::from_millisecond(at).ok()))
}

const SELECT: &str = "SELECT id, orgId, gatewayId, bulkId, createdAt, sentAt, doneAt, document, result FROM commands";
const SELECT_BULK: &str = "SELECT id, orgId, step, createdAt, queuedAt, document FROM bulk_retries";

//! The statements, each as a function of the connection.

use filters::model::Snapshot;
use filters::model::push::ObjectId;
use rusqlite::{Connection, Row, Transaction, params};

use super::super::document::{self, Stored};
use super::super::{Change, Contents, GatewayRecord, HISTORY, MOST_GATEWAYS, StoreError, Touched, Version};
use super::failed;
use crate::seal::Sealer;

pub(super) fn load(transaction: &Transaction<'_>, sealer: &Sealer) -> Result<Contents, StoreError> {
    let mut select = transaction
        .prepare("SELECT kind, id, body FROM objects")
        .map_err(failed)?;
    let mut rows = select.query([]).map_err(failed)?;
    let mut objects = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let (kind, id, body): (String, String, String) = row.try_into().map_err(failed)?;
        objects.push(document::decode(&kind, &id, &body, sealer)?);
    }
    let mut versions = versions(transaction, None, None, HISTORY)?;
    versions.reverse();
    let recent = versions
        .into_iter()
        .map(|version| {
            let objects = touched(transaction, version.number)?;
            Ok(Touched { version, objects })
        })
        .collect::<Result<_, StoreError>>()?;
    Ok(Contents {
        snapshot: Snapshot::from_objects(head(transaction)?, objects),
        recent,
    })
}

pub(super) fn commit(
    transaction: &Transaction<'_>,
    version: &Version,
    put: &[Stored],
    delete: &[ObjectId],
) -> Result<(), StoreError> {
    if head(transaction)? + 1 != version.number {
        return Err(StoreError::Conflict(version.number));
    }
    let number = signed(version.number);
    transaction
        .prepare_cached(
            "INSERT INTO versions (number, author, message, at, digest, put, deleted, shares, canary)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .and_then(|mut insert| {
            insert.execute(params![
                number,
                version.author,
                version.message,
                version.at.to_string(),
                version.digest,
                signed(version.put),
                signed(version.deleted),
                json(&version.shares)?,
                version.canary.as_ref().map(json).transpose()?,
            ])
        })
        .map_err(failed)?;
    let write = || -> rusqlite::Result<()> {
        let mut upsert = transaction.prepare_cached(
            "INSERT INTO objects (kind, id, body, version) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body, version = excluded.version",
        )?;
        let mut remove = transaction.prepare_cached("DELETE FROM objects WHERE kind = ? AND id = ?")?;
        let mut record =
            transaction.prepare_cached("INSERT INTO changes (version, kind, id, body) VALUES (?, ?, ?, ?)")?;
        for Stored { kind, id, body } in put {
            upsert.execute(params![kind.name(), id, body, number])?;
            record.execute(params![number, kind.name(), id, body])?;
        }
        for object in delete {
            let (kind, id) = (object.kind(), object.text());
            remove.execute(params![kind.name(), id])?;
            record.execute(params![number, kind.name(), id, None::<&str>])?;
        }
        let mut share = transaction.prepare_cached("INSERT INTO version_shares (orgId, version) VALUES (?, ?)")?;
        for org_id in version.shares.iter().map(|share| share.org_id) {
            share.execute(params![org_id.cast_signed(), number])?;
        }
        Ok(())
    };
    write().map_err(failed)
}

pub(super) fn head(connection: &Connection) -> Result<u64, StoreError> {
    let head: i64 = connection
        .prepare_cached("SELECT coalesce(max(number), 0) FROM versions")
        .and_then(|mut select| select.query_row([], |row| row.get(0)))
        .map_err(failed)?;
    Ok(head.cast_unsigned())
}

/// The newest versions, of one organization or of all.
pub(super) fn versions(
    connection: &Connection,
    org_id: Option<u64>,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Version>, StoreError> {
    let before = before.map_or(i64::MAX, signed);
    let statement = match org_id {
        None => format!("SELECT {COLUMNS} FROM versions WHERE number < ?1 ORDER BY number DESC LIMIT ?2"),
        Some(_) => format!(
            "SELECT {COLUMNS} FROM version_shares JOIN versions ON versions.number = version_shares.version
             WHERE version_shares.orgId = ?3 AND version_shares.version < ?1
             ORDER BY version_shares.version DESC LIMIT ?2"
        ),
    };
    let mut select = connection.prepare_cached(&statement).map_err(failed)?;
    let mut rows = match org_id {
        None => select.query(params![before, limit]),
        Some(org_id) => select.query(params![before, limit, org_id.cast_signed()]),
    }
    .map_err(failed)?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        versions.push(version_of(row)?);
    }
    Ok(versions)
}

pub(super) fn version(
    connection: &Connection,
    number: u64,
    sealer: &Sealer,
) -> Result<Option<(Version, Change)>, StoreError> {
    let Some(next) = number.checked_add(1) else {
        return Ok(None);
    };
    let Some(version) = versions(connection, None, Some(next), 1)?
        .pop()
        .filter(|found| found.number == number)
    else {
        return Ok(None);
    };
    let mut select = connection
        .prepare_cached("SELECT kind, id, body FROM changes WHERE version = ? ORDER BY kind, id")
        .map_err(failed)?;
    let mut rows = select.query([signed(number)]).map_err(failed)?;
    let mut change = Change::default();
    while let Some(row) = rows.next().map_err(failed)? {
        let (kind, id, body): (String, String, Option<String>) = row.try_into().map_err(failed)?;
        match body {
            Some(body) => change.put.push(document::decode(&kind, &id, &body, sealer)?),
            None => change.delete.extend(document::object_id(&kind, &id)?),
        }
    }
    Ok(Some((version, change)))
}

pub(super) fn save_gateways(transaction: &Transaction<'_>, gateways: &[GatewayRecord]) -> Result<(), StoreError> {
    let mut upsert = transaction
        .prepare_cached(
            "INSERT INTO gateways (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
        )
        .map_err(failed)?;
    for gateway in gateways {
        let body = serde_json::to_string(gateway).map_err(|error| StoreError::Unavailable(error.into()))?;
        upsert.execute(params![gateway.gateway_id, body]).map_err(failed)?;
    }
    Ok(())
}

pub(super) fn remove_gateway(transaction: &Transaction<'_>, gateway_id: &str) -> Result<(), StoreError> {
    transaction
        .prepare_cached("DELETE FROM gateways WHERE id = ?")
        .and_then(|mut delete| delete.execute([gateway_id]))
        .map(drop)
        .map_err(failed)
}

pub(super) fn gateways(connection: &Connection) -> Result<Vec<GatewayRecord>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT id, body FROM gateways ORDER BY id LIMIT ?")
        .map_err(failed)?;
    let mut rows = select.query([MOST_GATEWAYS]).map_err(failed)?;
    let mut gateways = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let (id, body): (String, String) = row.try_into().map_err(failed)?;
        let gateway = serde_json::from_str(&body).map_err(|error| StoreError::Corrupt {
            object: format!("gateway {id:?}"),
            reason: error.to_string(),
        })?;
        gateways.push(gateway);
    }
    Ok(gateways)
}

fn touched(connection: &Connection, number: u64) -> Result<Vec<ObjectId>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT kind, id FROM changes WHERE version = ?")
        .map_err(failed)?;
    let mut rows = select.query([signed(number)]).map_err(failed)?;
    let mut objects = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let (kind, id): (String, String) = row.try_into().map_err(failed)?;
        objects.extend(document::object_id(&kind, &id)?);
    }
    Ok(objects)
}

/// What [`version_of`] reads of the table `versions`.
pub(super) const COLUMNS: &str = "versions.number AS number, versions.author AS author, versions.message AS message,
    versions.at AS at, versions.digest AS digest, versions.put AS put, versions.deleted AS deleted,
    versions.shares AS shares, versions.canary AS canary";

pub(super) fn version_of(row: &Row<'_>) -> Result<Version, StoreError> {
    let number: i64 = row.get("number").map_err(failed)?;
    let corrupt = |reason: String| StoreError::Corrupt {
        object: format!("version {number}"),
        reason,
    };
    let unsigned = |column: &str| row.get::<_, i64>(column).map(i64::cast_unsigned).map_err(failed);
    let (at, shares): (String, String) = (row.get("at").map_err(failed)?, row.get("shares").map_err(failed)?);
    let canary: Option<String> = row.get("canary").map_err(failed)?;
    let canary = canary.map(|canary| serde_json::from_str(&canary)).transpose();
    Ok(Version {
        number: number.cast_unsigned(),
        author: row.get("author").map_err(failed)?,
        message: row.get("message").map_err(failed)?,
        at: at.parse().map_err(|error: jiff::Error| corrupt(error.to_string()))?,
        digest: row.get("digest").map_err(failed)?,
        put: unsigned("put")?,
        deleted: unsigned("deleted")?,
        shares: serde_json::from_str(&shares).map_err(|error| corrupt(error.to_string()))?,
        canary: canary.map_err(|error| corrupt(error.to_string()))?,
    })
}

fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// SQLite knows signed numbers only. No sequence of versions gets past them.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

//! The statements about counts.

use std::collections::BTreeMap;

use filters::model::Tally;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::super::kept::{decode, encode};
use super::super::migration::PAGE;
use super::super::outcomes::Batch;
use super::super::rollups::{Counted, MOST_OF_A_SERIES, Series, Sums};
use super::super::{MOST_GATEWAYS, StoreError};
use super::failed;
use crate::rollups::{Bucket, Deltas, Flow, Span};

/// Adds counts to those that are there.
pub(super) fn add(transaction: &Transaction<'_>, deltas: &Deltas) -> Result<(), StoreError> {
    let mut select = transaction
        .prepare_cached(
            "SELECT document FROM rollups
             WHERE orgId = ? AND span = ? AND direction = ? AND integrationConfigId = ? AND startAt = ?",
        )
        .map_err(failed)?;
    let mut upsert = transaction
        .prepare_cached(
            "INSERT INTO rollups (orgId, span, direction, integrationConfigId, startAt, document) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET document = excluded.document",
        )
        .map_err(failed)?;
    for (bucket, delta) in deltas.iter() {
        let Bucket {
            org_id,
            span,
            flow,
            integration,
            start,
        } = bucket;
        let org_id = org_id.cast_signed();
        let (span, flow, start) = (span.name(), flow.name(), start.as_millisecond());
        let known: Option<String> = select
            .query_row(params![org_id, span, flow, &**integration, start], |row| row.get(0))
            .optional()
            .map_err(failed)?;
        let mut tally: Tally = match known {
            Some(known) => decode(NAME, integration, &known)?,
            None => Tally::default(),
        };
        tally.add(delta);
        upsert
            .execute(params![org_id, span, flow, &**integration, start, encode(&tally)?])
            .map_err(failed)?;
    }
    Ok(())
}

/// Adds what a gateway counted, unless this batch of it is the one that came last.
pub(super) fn add_once(transaction: &Transaction<'_>, batch: &Batch, deltas: &Deltas) -> Result<(), StoreError> {
    if deltas.is_empty() {
        return Ok(());
    }
    let changed = transaction
        .prepare_cached(
            "INSERT INTO call_batches (gatewayId, batch) VALUES (?, ?)
             ON CONFLICT DO UPDATE SET batch = excluded.batch WHERE batch <> excluded.batch",
        )
        .and_then(|mut upsert| upsert.execute(params![&*batch.gateway_id, batch.name]))
        .map_err(failed)?;
    if changed == 0 {
        return Ok(());
    }
    add(transaction, deltas)
}

pub(super) fn series(connection: &Connection, series: &Series) -> Result<Vec<(Timestamp, Tally)>, StoreError> {
    let integration = series.integration.as_deref().unwrap_or("");
    let mut select = connection
        .prepare_cached(
            "SELECT startAt, document FROM rollups
             WHERE orgId = ? AND span = ? AND direction = ? AND integrationConfigId = ? AND startAt >= ? AND startAt < ?
             ORDER BY startAt LIMIT ?",
        )
        .map_err(failed)?;
    let mut rows = select
        .query(params![
            series.org_id.cast_signed(),
            series.span.name(),
            series.flow.name(),
            integration,
            series.from.as_millisecond(),
            series.before.as_millisecond(),
            MOST_OF_A_SERIES
        ])
        .map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let (start, document): (i64, String) = row.try_into().map_err(failed)?;
        let start = Timestamp::from_millisecond(start).unwrap_or_default();
        found.push((start, decode(NAME, integration, &document)?));
    }
    Ok(found)
}

pub(super) fn sums(connection: &Connection, sums: &Sums) -> Result<BTreeMap<Counted, Tally>, StoreError> {
    let of_organization = match sums.org_id {
        Some(_) => "orgId = ?1",
        None => "?1 IS NULL",
    };
    let mut select = connection
        .prepare_cached(&format!(
            "SELECT orgId, direction, integrationConfigId, document FROM rollups
             WHERE {of_organization} AND span = ?2 AND startAt >= ?3 AND startAt < ?4 AND integrationConfigId <> ''"
        ))
        .map_err(failed)?;
    let mut rows = select
        .query(params![
            sums.org_id.map(u64::cast_signed),
            sums.span.name(),
            sums.from.as_millisecond(),
            sums.before.as_millisecond()
        ])
        .map_err(failed)?;
    let mut found: BTreeMap<Counted, Tally> = BTreeMap::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let (org_id, flow, integration, document): (i64, String, String, String) = row.try_into().map_err(failed)?;
        let tally: Tally = decode(NAME, &integration, &document)?;
        let counted = Counted {
            org_id: org_id.cast_unsigned(),
            flow: Flow::named(&flow).ok_or_else(|| unknown(&flow))?,
            integration,
        };
        found.entry(counted).or_default().add(&tally);
    }
    Ok(found)
}

/// The next counts in the order of their keys.
pub(super) fn page(connection: &Connection, after: Option<&Bucket>) -> Result<Vec<(Bucket, Tally)>, StoreError> {
    let beyond = match after {
        Some(_) => "(orgId, span, direction, integrationConfigId, startAt) > (?1, ?2, ?3, ?4, ?5)",
        None => "?1 IS NULL AND ?2 IS NULL AND ?3 IS NULL AND ?4 IS NULL AND ?5 IS NULL",
    };
    let mut select = connection
        .prepare_cached(&format!(
            "SELECT orgId, span, direction, integrationConfigId, startAt, document FROM rollups WHERE {beyond}
             ORDER BY orgId, span, direction, integrationConfigId, startAt LIMIT ?6"
        ))
        .map_err(failed)?;
    let key = params![
        after.map(|bucket| bucket.org_id.cast_signed()),
        after.map(|bucket| bucket.span.name()),
        after.map(|bucket| bucket.flow.name()),
        after.map(|bucket| &*bucket.integration),
        after.map(|bucket| bucket.start.as_millisecond()),
        PAGE
    ];
    let mut rows = select.query(key).map_err(failed)?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let (org_id, span, flow, integration, start, document): (i64, String, String, String, i64, String) =
            row.try_into().map_err(failed)?;
        let tally = decode(NAME, &integration, &document)?;
        let bucket = Bucket {
            org_id: org_id.cast_unsigned(),
            span: Span::named(&span).ok_or_else(|| unknown(&span))?,
            flow: Flow::named(&flow).ok_or_else(|| unknown(&flow))?,
            integration: integration.into(),
            start: Timestamp::from_millisecond(start).unwrap_or_default(),
        };
        counts.push((bucket, tally));
    }
    Ok(counts)
}

/// Puts counts in as they are; those that are there already stay.
pub(super) fn insert_missing(transaction: &Transaction<'_>, counts: &[(Bucket, Tally)]) -> Result<(), StoreError> {
    let mut insert = transaction
        .prepare_cached(
            "INSERT INTO rollups (orgId, span, direction, integrationConfigId, startAt, document) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        )
        .map_err(failed)?;
    for (bucket, tally) in counts {
        let row = params![
            bucket.org_id.cast_signed(),
            bucket.span.name(),
            bucket.flow.name(),
            &*bucket.integration,
            bucket.start.as_millisecond(),
            encode(tally)?
        ];
        insert.execute(row).map_err(failed)?;
    }
    Ok(())
}

pub(super) fn last_batches(connection: &Connection) -> Result<Vec<Batch>, StoreError> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Batch {
            gateway_id: row.get::<_, String>(0)?.into(),
            name: row.get(1)?,
        })
    };
    connection
        .prepare_cached("SELECT gatewayId, batch FROM call_batches ORDER BY gatewayId LIMIT ?")
        .and_then(|mut select| select.query_map([MOST_GATEWAYS], read)?.collect())
        .map_err(failed)
}

pub(super) fn insert_batches(transaction: &Transaction<'_>, batches: &[Batch]) -> Result<(), StoreError> {
    let mut insert = transaction
        .prepare_cached("INSERT INTO call_batches (gatewayId, batch) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .map_err(failed)?;
    for batch in batches {
        insert
            .execute(params![&*batch.gateway_id, batch.name])
            .map_err(failed)?;
    }
    Ok(())
}

pub(super) fn prune(connection: &Connection, span: Span, before: Timestamp, step: u32) -> Result<u32, StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM rollups WHERE (orgId, span, direction, integrationConfigId, startAt) IN
             (SELECT orgId, span, direction, integrationConfigId, startAt FROM rollups
              WHERE span = ? AND startAt < ? ORDER BY startAt LIMIT ?)",
        )
        .and_then(|mut delete| delete.execute(params![span.name(), before.as_millisecond(), step]))
        .map(|deleted| u32::try_from(deleted).unwrap_or(u32::MAX))
        .map_err(failed)
}

fn unknown(name: &str) -> StoreError {
    StoreError::Corrupt {
        object: "a count".to_owned(),
        reason: format!("{name:?} is neither a span nor a direction"),
    }
}

const NAME: &str = "count of";

//! Counts, and records that are written together with what they count.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use filters::model::Tally;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};

use super::super::kept::{Place, Row};
use super::super::migration::PAGE;
use super::super::outcomes::Batch;
use super::super::rollups::{Counted, MOST_OF_A_SERIES, Series, Sums};
use super::super::{MOST_GATEWAYS, StoreError};
use super::commit::{KEYS_AT_ONCE, is_duplicate};
use super::documents::{number, text, unsigned};
use super::kept::{date, delete_oldest, document_of, insert_missing};
use super::{MongoStore, failed};
use crate::rollups::{Bucket, Deltas, Flow, Sample, Span};

/// What is written in one transaction.
#[derive(Clone, Copy)]
pub(super) enum Writes<'a> {
    /// Those attempts that are not there yet, and their counts.
    Attempts(&'a [Row], &'a [Sample]),
    /// What a gateway counted, unless this batch of it is the one that came last.
    Calls(&'a Batch, &'a Deltas),
}

/// Writes all of it or nothing, and anew where somebody else wrote the same at the same time.
pub(super) async fn write(store: &MongoStore, writes: Writes<'_>) -> Result<(), StoreError> {
    let is_empty = match writes {
        Writes::Attempts(rows, _) => rows.is_empty(),
        Writes::Calls(_, deltas) => deltas.is_empty(),
    };
    if is_empty {
        return Ok(());
    }
    let mut session = store.client.start_session().await.map_err(failed)?;
    loop {
        match try_write(store, &mut session, writes).await {
            Ok(()) => return Ok(()),
            // The caller's time limit ends this.
            Err(error) if is_duplicate(&error) || error.contains_label(TRANSIENT_TRANSACTION_ERROR) => {
                tracing::debug!(%error, "counts are written anew");
                // Ended already where the server took it back; else it must not stay open.
                let _ = session.abort_transaction().await;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

pub(super) async fn series(store: &MongoStore, series: &Series) -> Result<Vec<(Timestamp, Tally)>, StoreError> {
    let filter = doc! {
        "orgId": number(series.org_id),
        "span": series.span.name(),
        "direction": series.flow.name(),
        "integrationConfigId": series.integration.as_deref().unwrap_or(""),
        "startAt": {"$gte": date(series.from), "$lt": date(series.before)},
    };
    let found = store.collections.rollups.find(filter).sort(doc! {"startAt": 1});
    let found = found.limit(i64::from(MOST_OF_A_SERIES)).await.map_err(failed)?;
    let documents: Vec<Document> = found.try_collect().await.map_err(failed)?;
    let read = |document: &Document| Ok((start_of(document)?, tally_of(document)));
    documents.iter().map(read).collect()
}

pub(super) async fn sums(store: &MongoStore, sums: &Sums) -> Result<BTreeMap<Counted, Tally>, StoreError> {
    let mut filter = doc! {
        "span": sums.span.name(),
        "startAt": {"$gte": date(sums.from), "$lt": date(sums.before)},
        "integrationConfigId": {"$ne": ""},
    };
    if let Some(org_id) = sums.org_id {
        filter.insert("orgId", number(org_id));
    }
    let mut cursor = store.collections.rollups.find(filter).await.map_err(failed)?;
    let mut found: BTreeMap<Counted, Tally> = BTreeMap::new();
    while let Some(document) = cursor.try_next().await.map_err(failed)? {
        let counted = Counted {
            org_id: unsigned(&document, "orgId").unwrap_or_default(),
            flow: named(&document, "direction", Flow::named)?,
            integration: text(&document, "integrationConfigId")?.to_owned(),
        };
        found.entry(counted).or_default().add(&tally_of(&document));
    }
    Ok(found)
}

/// The next counts in the order of their identifiers.
pub(super) async fn page(store: &MongoStore, after: Option<&Bucket>) -> Result<Vec<(Bucket, Tally)>, StoreError> {
    let after = after.map(key_of).unwrap_or_default();
    let found = store.collections.rollups.find(doc! {"_id": {"$gt": after}});
    let found = found.sort(doc! {"_id": 1}).limit(i64::from(PAGE));
    let documents: Vec<Document> = found.await.map_err(failed)?.try_collect().await.map_err(failed)?;
    let read = |document: &Document| {
        let bucket = Bucket {
            org_id: unsigned(document, "orgId").unwrap_or_default(),
            span: named(document, "span", Span::named)?,
            flow: named(document, "direction", Flow::named)?,
            integration: text(document, "integrationConfigId")?.into(),
            start: start_of(document)?,
        };
        Ok((bucket, tally_of(document)))
    };
    documents.iter().map(read).collect()
}

/// Puts counts in as they are; those that are there already stay.
pub(super) async fn insert_missing_counts(store: &MongoStore, counts: &[(Bucket, Tally)]) -> Result<(), StoreError> {
    let nested = |counts: Vec<(String, u64)>| {
        let fields = counts.into_iter().map(|(name, count)| (name, increment(count).into()));
        fields.collect::<Document>()
    };
    let documents = counts.iter().map(|(bucket, tally)| {
        let mut document = fields_of(bucket);
        document.extend(doc! {
            "_id": key_of(bucket),
            "succeeded": increment(tally.succeeded),
            "failed": increment(tally.failed),
            "retried": increment(tally.retried),
            "totalMs": increment(tally.latency.total_ms),
        });
        let errors = tally.errors.iter().map(|(category, count)| (category.clone(), *count));
        let ranges = tally
            .latency
            .ranges
            .iter()
            .map(|(range, count)| (range.to_string(), *count));
        document.insert("errors", nested(errors.collect()));
        document.insert("ranges", nested(ranges.collect()));
        document
    });
    insert_missing(&store.collections.rollups, documents.collect()).await
}

pub(super) async fn last_batches(store: &MongoStore) -> Result<Vec<Batch>, StoreError> {
    let found = store.collections.call_batches.find(doc! {}).sort(doc! {"_id": 1});
    let found = found.limit(i64::from(MOST_GATEWAYS)).await.map_err(failed)?;
    let documents: Vec<Document> = found.try_collect().await.map_err(failed)?;
    let read = |document: &Document| {
        Ok(Batch {
            gateway_id: text(document, "_id")?.into(),
            name: text(document, "batch")?.to_owned(),
        })
    };
    documents.iter().map(read).collect()
}

pub(super) async fn insert_batches(store: &MongoStore, batches: &[Batch]) -> Result<(), StoreError> {
    let documents = batches
        .iter()
        .map(|batch| doc! {"_id": &*batch.gateway_id, "batch": &batch.name});
    insert_missing(&store.collections.call_batches, documents.collect()).await
}

pub(super) async fn prune(store: &MongoStore, span: Span, before: Timestamp, step: u32) -> Result<u32, StoreError> {
    let over = doc! {"span": span.name(), "startAt": {"$lt": date(before)}};
    delete_oldest(&store.collections.rollups, over, "startAt", step).await
}

async fn try_write(store: &MongoStore, session: &mut ClientSession, writes: Writes<'_>) -> Result<(), Error> {
    session.start_transaction().await?;
    match writes {
        Writes::Attempts(rows, samples) => append_counted(store, session, rows, samples).await?,
        Writes::Calls(batch, deltas) => add_once(store, session, batch, deltas).await?,
    }
    loop {
        match session.commit_transaction().await {
            Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {}
            other => return other,
        }
    }
}

async fn append_counted(
    store: &MongoStore,
    session: &mut ClientSession,
    rows: &[Row],
    samples: &[Sample],
) -> Result<(), Error> {
    let mut there = present(store, session, rows).await?;
    // One may be twice in a batch, too.
    let missing: Vec<_> = rows
        .iter()
        .zip(samples)
        .filter(|(row, _)| there.insert(row.id.clone()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let documents: Vec<Document> = missing.iter().map(|(row, _)| document_of(row)).collect();
    let insert = store.collections.place(Place::DeliveryLogs).insert_many(documents);
    insert.session(&mut *session).await?;
    let mut deltas = Deltas::default();
    missing.iter().for_each(|(_, sample)| deltas.count(sample));
    add(store, session, &deltas).await
}

async fn add_once(
    store: &MongoStore,
    session: &mut ClientSession,
    batch: &Batch,
    deltas: &Deltas,
) -> Result<(), Error> {
    let batches = &store.collections.call_batches;
    let key = doc! {"_id": &*batch.gateway_id};
    let last = batches.find_one(key.clone()).session(&mut *session).await?;
    if last.is_some_and(|last| last.get_str("batch").is_ok_and(|last| last == batch.name)) {
        return Ok(());
    }
    let set = doc! {"$set": {"batch": &batch.name}};
    batches.update_one(key, set).upsert(true).session(&mut *session).await?;
    add(store, session, deltas).await
}

/// The identifiers of those that are there.
async fn present(store: &MongoStore, session: &mut ClientSession, rows: &[Row]) -> Result<HashSet<String>, Error> {
    let mut found = HashSet::new();
    for rows in rows.chunks(KEYS_AT_ONCE) {
        let keys: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let there = store
            .collections
            .place(Place::DeliveryLogs)
            .find(doc! {"_id": {"$in": keys}});
        let mut cursor = there.projection(doc! {"_id": 1}).session(&mut *session).await?;
        let documents: Vec<Document> = cursor.stream(session).try_collect().await?;
        found.extend(
            documents
                .iter()
                .filter_map(|document| Some(document.get_str("_id").ok()?.to_owned())),
        );
    }
    Ok(found)
}

async fn add(store: &MongoStore, session: &mut ClientSession, deltas: &Deltas) -> Result<(), Error> {
    for (bucket, tally) in deltas.iter() {
        let key = doc! {"_id": key_of(bucket)};
        let update = doc! {"$inc": increments(tally), "$setOnInsert": fields_of(bucket)};
        let rollups = &store.collections.rollups;
        rollups
            .update_one(key, update)
            .upsert(true)
            .session(&mut *session)
            .await?;
    }
    Ok(())
}

fn key_of(bucket: &Bucket) -> String {
    let Bucket {
        org_id,
        span,
        flow,
        integration,
        start,
    } = bucket;
    let (span, flow, start) = (span.name(), flow.name(), start.as_millisecond());
    format!("{org_id}/{span}/{flow}/{start}/{integration}")
}

fn fields_of(bucket: &Bucket) -> Document {
    doc! {
        "orgId": number(bucket.org_id),
        "span": bucket.span.name(),
        "direction": bucket.flow.name(),
        "integrationConfigId": &*bucket.integration,
        "startAt": date(bucket.start),
    }
}

fn start_of(document: &Document) -> Result<Timestamp, StoreError> {
    let start = document.get_datetime("startAt").map_err(|error| StoreError::Corrupt {
        object: format!("count {:?}", document.get_str("_id").unwrap_or_default()),
        reason: error.to_string(),
    })?;
    Ok(Timestamp::from_millisecond(start.timestamp_millis()).unwrap_or_default())
}

fn named<T>(document: &Document, field: &str, named: fn(&str) -> Option<T>) -> Result<T, StoreError> {
    let name = text(document, field)?;
    named(name).ok_or_else(|| StoreError::Corrupt {
        object: format!("count {:?}", document.get_str("_id").unwrap_or_default()),
        reason: format!("{name:?} is no {field}"),
    })
}

fn increments(tally: &Tally) -> Document {
    let mut counts = doc! {
        "succeeded": increment(tally.succeeded),
        "failed": increment(tally.failed),
        "retried": increment(tally.retried),
        "totalMs": increment(tally.latency.total_ms),
    };
    for (category, count) in &tally.errors {
        counts.insert(format!("errors.{category}"), increment(*count));
    }
    for (range, count) in &tally.latency.ranges {
        counts.insert(format!("ranges.{range}"), increment(*count));
    }
    counts
}

fn increment(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn tally_of(document: &Document) -> Tally {
    let counts = |field: &str| {
        let counts = document.get_document(field).ok().into_iter().flatten();
        counts.filter_map(|(name, count)| Some((name.clone(), whole(count)?)))
    };
    let mut tally = Tally {
        succeeded: unsigned(document, "succeeded").unwrap_or(0),
        failed: unsigned(document, "failed").unwrap_or(0),
        retried: unsigned(document, "retried").unwrap_or(0),
        errors: counts("errors").collect(),
        ..Tally::default()
    };
    tally.latency.total_ms = unsigned(document, "totalMs").unwrap_or(0);
    tally.latency.ranges = counts("ranges")
        .filter_map(|(range, count)| Some((range.parse().ok()?, count)))
        .collect();
    tally
}

fn whole(count: &Bson) -> Option<u64> {
    match count {
        Bson::Int32(count) => u64::try_from(*count).ok(),
        Bson::Int64(count) => u64::try_from(*count).ok(),
        _ => None,
    }
}

const PAUSE: Duration = Duration::from_millis(5);

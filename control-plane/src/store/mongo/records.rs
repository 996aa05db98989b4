//! Records of calls.

use filters::model::ExecutionRecord;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::Collection;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::{Error, ErrorKind};

use super::super::StoreError;
use super::super::records::{
    MOST_OF_A_TRACE, MOST_SEARCHED, RecordQuery, SEARCHED, created_at, decode, encode, status_name,
};
use super::commit::{DUPLICATE_KEY, KEYS_AT_ONCE};
use super::documents::{number, text};
use super::kept::insert_missing;
use super::{MongoStore, failed};

/// Keeps records; those that are there already stay as they are.
pub(super) async fn append(store: &MongoStore, records: &[ExecutionRecord]) -> Result<(), StoreError> {
    let documents = records.iter().map(document_of).collect::<Result<Vec<_>, _>>()?;
    insert_missing(&store.collections.execution_logs, documents).await
}

pub(super) async fn list(store: &MongoStore, query: &RecordQuery) -> Result<Vec<ExecutionRecord>, StoreError> {
    let mut fitting = doc! {"orgId": number(query.org_id)};
    if let Some(status) = query.status {
        fitting.insert("status", status_name(status));
    }
    if let Some(integration) = &query.integration {
        fitting.insert("integrationConfigId", integration);
    }
    if let Some(category) = &query.error_category {
        fitting.insert("errorCategory", category);
    }
    let moments = [("$gte", query.from), ("$lt", query.before)];
    let moments: Document = moments
        .into_iter()
        .filter_map(|(operator, at)| Some((operator.to_owned(), date(at?).into())))
        .collect();
    if !moments.is_empty() {
        fitting.insert("createdAt", moments);
    }
    let mut stages = vec![doc! {"$match": fitting}, doc! {"$sort": {"createdAt": -1, "_id": -1}}];
    if let Some(search) = &query.search {
        let pattern = pattern(search);
        let fields = SEARCHED.map(|field| doc! {field: {"$regex": &pattern, "$options": "i"}});
        stages.push(doc! {"$limit": i64::from(MOST_SEARCHED)});
        stages.push(doc! {"$match": {"$or": fields.to_vec()}});
    }
    stages.push(doc! {"$skip": i64::from(query.skip)});
    stages.push(doc! {"$limit": i64::from(query.limit)});
    let cursor = store
        .collections
        .execution_logs
        .aggregate(stages)
        .await
        .map_err(failed)?;
    let documents: Vec<Document> = cursor.try_collect().await.map_err(failed)?;
    documents.iter().map(record_of).collect()
}

/// The records of a trace, oldest first.
pub(super) async fn of_trace(
    store: &MongoStore,
    trace_id: &str,
    org_id: Option<u64>,
) -> Result<Vec<ExecutionRecord>, StoreError> {
    let mut filter = doc! {"traceId": trace_id};
    if let Some(org_id) = org_id {
        filter.insert("orgId", number(org_id));
    }
    let found = store.collections.execution_logs.find(filter);
    let found = found
        .sort(doc! {"createdAt": 1, "_id": 1})
        .limit(i64::from(MOST_OF_A_TRACE));
    let documents: Vec<Document> = found.await.map_err(failed)?.try_collect().await.map_err(failed)?;
    documents.iter().map(record_of).collect()
}

/// Deletes the oldest records: of those from before `before`, and of those beyond the newest `most`, at most `step`
/// each. Returns how many.
pub(super) async fn prune(store: &MongoStore, before: Timestamp, most: u64, step: u32) -> Result<u32, StoreError> {
    let logs = &store.collections.execution_logs;
    let outlived = delete_oldest(logs, doc! {"createdAt": {"$lt": date(before)}}, "createdAt", step).await?;
    let count = logs.estimated_document_count().await.map_err(failed)?;
    let excess = u32::try_from(count.saturating_sub(most)).unwrap_or(u32::MAX);
    Ok(outlived + delete_oldest(logs, doc! {}, "createdAt", excess.min(step)).await?)
}

pub(super) async fn delete_oldest(
    logs: &Collection<Document>,
    filter: Document,
    since: &str,
    most: u32,
) -> Result<u32, StoreError> {
    if most == 0 {
        return Ok(0);
    }
    let oldest = logs.find(filter).sort(doc! {since: 1}).limit(i64::from(most));
    let oldest = oldest.projection(doc! {"_id": 1}).await.map_err(failed)?;
    let oldest: Vec<Document> = oldest.try_collect().await.map_err(failed)?;
    let keys = oldest
        .iter()
        .map(|document| text(document, "_id"))
        .collect::<Result<Vec<_>, _>>()?;
    let mut deleted = 0;
    for keys in keys.chunks(KEYS_AT_ONCE) {
        let gone = logs.delete_many(doc! {"_id": {"$in": keys}}).await.map_err(failed)?;
        deleted += u32::try_from(gone.deleted_count).unwrap_or(u32::MAX);
    }
    Ok(deleted)
}

fn document_of(record: &ExecutionRecord) -> Result<Document, StoreError> {
    Ok(doc! {
        "_id": &record.id,
        "traceId": &record.trace_id,
        "requestId": &record.request_id,
        "orgId": number(record.org_id),
        "integrationConfigId": &*record.integration_config_id,
        "integrationName": &record.integration_name,
        "status": status_name(record.status),
        "path": &record.path,
        "errorCategory": record.error_category.as_deref(),
        "errorMessage": record.error_message.as_deref(),
        "createdAt": date(created_at(record)),
        "document": encode(record)?,
    })
}

fn record_of(document: &Document) -> Result<ExecutionRecord, StoreError> {
    decode(text(document, "_id")?, text(document, "document")?)
}

pub(super) fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.as_millisecond())
}

/// What contains `text`, literally.
pub(super) fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii_punctuation() {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

/// True if the only thing that is wrong is that some of the documents are there already.
pub(super) fn is_only_duplicates(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::InsertMany(error) => {
            error.write_concern_error.is_none()
                && error
                    .write_errors
                    .as_ref()
                    .is_some_and(|errors| errors.iter().all(|error| error.code == DUPLICATE_KEY))
        }
        _ => false,
    }
}

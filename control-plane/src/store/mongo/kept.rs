//! Records of deliveries. Their documents have the records' JSON names, those of the product's source documents.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use mongodb::Collection;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::error::{Error, ErrorKind};

use super::super::kept::{AGED, Aged, Cell, Kept, MANY, Place, Query, Row, record};
use super::super::outcomes::{Outcomes, Retention};
use super::super::{MOST_SEARCHED, StoreError};
use super::commit::{DUPLICATE_KEY, KEYS_AT_ONCE, is_duplicate};
use super::documents::{number, text};
use super::rollups::Writes;
use super::{MongoStore, commands, failed, rollups};

/// Keeps a batch of what a gateway told. Attempts and their counts are one transaction; the rest is none, as each part of
/// it can be done again.
pub(super) async fn keep(store: &MongoStore, outcomes: &Outcomes) -> Result<(), StoreError> {
    rollups::write(store, Writes::Attempts(&outcomes.logs, &outcomes.samples)).await?;
    let (letters, gone) = (
        store.collections.place(Place::DeadLetters),
        store.collections.place(Place::DeadLettersGone),
    );
    if !outcomes.gone.is_empty() {
        // First of all: whoever brings one of them in at the same time looks here afterwards.
        let now = DateTime::now();
        let marks = outcomes.gone.iter().map(|id| doc! {"_id": id, "goneAt": now});
        insert_missing(gone, marks.collect()).await?;
        delete(letters, &outcomes.gone).await?;
    }
    upsert_all(letters, &outcomes.letters).await?;
    let ids: Vec<String> = outcomes.letters.iter().map(|(row, _)| row.id.clone()).collect();
    delete(letters, &present(gone, &ids).await?).await?;
    upsert_all(store.collections.place(Place::Scheduled), &outcomes.scheduled).await?;
    for (id, result) in &outcomes.results {
        commands::finish(store, &outcomes.gateway_id, id, result).await?;
    }
    Ok(())
}

pub(super) async fn list<K: Kept>(store: &MongoStore, query: &Query) -> Result<Vec<K>, StoreError> {
    let mut stages = narrowed::<K>(query);
    stages.push(doc! {"$skip": i64::from(query.skip)});
    stages.push(doc! {"$limit": i64::from(query.limit)});
    stages.push(doc! {"$project": {"document": 1}});
    let cursor = store
        .collections
        .place(K::PLACE)
        .aggregate(stages)
        .await
        .map_err(failed)?;
    let documents: Vec<Document> = cursor.try_collect().await.map_err(failed)?;
    documents
        .iter()
        .map(|document| record(text(document, "_id")?, text(document, "document")?, None))
        .collect()
}

pub(super) async fn count<K: Kept>(store: &MongoStore, query: &Query, most: u64) -> Result<u64, StoreError> {
    let mut stages = narrowed::<K>(query);
    stages.push(doc! {"$limit": i64::try_from(most.max(1)).unwrap_or(i64::MAX)});
    stages.push(doc! {"$count": "count"});
    let mut cursor = store
        .collections
        .place(K::PLACE)
        .aggregate(stages)
        .await
        .map_err(failed)?;
    let counted = cursor.try_next().await.map_err(failed)?;
    Ok(counted
        .as_ref()
        .and_then(|counted| super::documents::unsigned(counted, "count"))
        .unwrap_or(0))
}

pub(super) async fn find<K: Kept>(store: &MongoStore, id: &str) -> Result<Option<K>, StoreError> {
    let found = store.collections.place(K::PLACE).find_one(doc! {"_id": id});
    let Some(document) = found.await.map_err(failed)? else {
        return Ok(None);
    };
    let large = K::LARGE.map(|field| text(&document, field)).transpose()?;
    record(id, text(&document, "document")?, large).map(Some)
}

/// Deletes what is too old, and of [`MANY`] the oldest beyond the most: at most `step` of each kind and organization.
/// Returns how many.
pub(super) async fn prune(store: &MongoStore, retention: &Retention, step: u32) -> Result<u32, StoreError> {
    let mut deleted = 0;
    for Aged { place, since, states } in AGED {
        let aged = |before: Timestamp| {
            let mut filter = doc! {since: {"$lt": date(before)}};
            if !states.is_empty() {
                filter.insert("status", doc! {"$in": states.to_vec()});
            }
            filter
        };
        let collection = store.collections.place(place);
        deleted += delete_oldest(collection, aged(retention.before), since, step).await?;
        if place.is_of_organizations() {
            for (org_id, before) in &retention.sooner {
                let mut filter = aged(*before);
                filter.insert("orgId", number(*org_id));
                deleted += delete_oldest(collection, filter, since, step).await?;
            }
        }
    }
    let most = retention.most;
    for place in MANY.map(|place| store.collections.place(place)) {
        let count = place.estimated_document_count().await.map_err(failed)?;
        let excess = u32::try_from(count.saturating_sub(most)).unwrap_or(u32::MAX);
        deleted += delete_oldest(place, doc! {}, "createdAt", excess.min(step)).await?;
    }
    Ok(deleted)
}

/// Keeps records; those that are there already stay as they are.
pub(super) async fn append(store: &MongoStore, place: Place, rows: &[Row]) -> Result<(), StoreError> {
    let place = store.collections.place(place);
    insert_missing(place, rows.iter().map(document_of).collect()).await
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

/// Inserts documents; those that are there already stay as they are.
pub(super) async fn insert_missing(
    collection: &Collection<Document>,
    documents: Vec<Document>,
) -> Result<(), StoreError> {
    if documents.is_empty() {
        return Ok(());
    }
    // Not ordered: one that is there already does not stop the others.
    match collection.insert_many(documents).ordered(false).await {
        Err(error) if !is_only_duplicates(&error) => Err(failed(error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Puts each document in the place of one that changed before.
async fn upsert_all(collection: &Collection<Document>, rows: &[(Row, Timestamp)]) -> Result<(), StoreError> {
    let upserts: Vec<_> = rows
        .iter()
        .map(|(row, changed)| upsert(collection, row, *changed))
        .collect();
    stream::iter(upserts).buffer_unordered(AT_ONCE).try_collect().await
}

async fn upsert(collection: &Collection<Document>, row: &Row, changed: Timestamp) -> Result<(), StoreError> {
    let document = document_of(row);
    let older = doc! {"_id": &row.id, "updatedAt": {"$lte": date(changed)}};
    // Where it is there and newer, the filter finds nothing and the insert meets it. Two first ones may meet, too; then
    // the second time decides.
    for _ in 0..2 {
        let replaced = collection.replace_one(older.clone(), &document).upsert(true).await;
        match replaced {
            Err(error) if is_duplicate(&error) => {}
            other => return other.map(drop).map_err(failed),
        }
    }
    Ok(())
}

async fn present(collection: &Collection<Document>, ids: &[String]) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    for ids in ids.chunks(KEYS_AT_ONCE) {
        let cursor = collection.find(doc! {"_id": {"$in": ids}}).await.map_err(failed)?;
        let documents: Vec<Document> = cursor.try_collect().await.map_err(failed)?;
        for document in &documents {
            found.push(text(document, "_id")?.to_owned());
        }
    }
    Ok(found)
}

pub(super) async fn delete(collection: &Collection<Document>, ids: &[String]) -> Result<(), StoreError> {
    for ids in ids.chunks(KEYS_AT_ONCE) {
        let gone = collection.delete_many(doc! {"_id": {"$in": ids}});
        gone.await.map_err(failed)?;
    }
    Ok(())
}

pub(super) fn document_of(row: &Row) -> Document {
    let fields = row.fields.iter().map(|(name, cell)| {
        let value = match cell {
            Cell::Number(value) => number(*value),
            Cell::Text(text) => text.into(),
            Cell::Moment(at) => at.map_or(Bson::Null, |at| date(at).into()),
            Cell::Nothing => Bson::Null,
        };
        ((*name).to_owned(), value)
    });
    let searched = row
        .searched
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_deref().map_or(Bson::Null, Into::into)));
    let mut document: Document = fields.chain(searched).collect();
    document.insert("_id", &row.id);
    document.insert("document", &row.document);
    document
}

/// Stages that let through what fits, the newest first.
fn narrowed<K: Kept>(query: &Query) -> Vec<Document> {
    let mut fitting = doc! {};
    if let Some(org_id) = query.org_id {
        fitting.insert("orgId", number(org_id));
    }
    for (field, value) in &query.equal {
        fitting.insert(field.name(), value);
    }
    let moments = [("$gte", query.from), ("$lt", query.before)];
    let moments: Document = moments
        .into_iter()
        .filter_map(|(operator, at)| Some((operator.to_owned(), date(at?).into())))
        .collect();
    if !moments.is_empty() {
        fitting.insert("createdAt", moments);
    }
    if let Some(after) = &query.after {
        let at = date(after.at);
        let later = doc! {"createdAt": at, "_id": {"$lt": &after.id}};
        fitting.insert("$or", vec![doc! {"createdAt": {"$lt": at}}, later]);
    }
    let mut stages = vec![doc! {"$match": fitting}, doc! {"$sort": {"createdAt": -1, "_id": -1}}];
    if let Some(search) = &query.search {
        let pattern = pattern(search);
        let fields = K::SEARCHED
            .iter()
            .map(|field| doc! {*field: {"$regex": &pattern, "$options": "i"}});
        stages.push(doc! {"$limit": i64::from(MOST_SEARCHED)});
        stages.push(doc! {"$match": {"$or": fields.collect::<Vec<_>>()}});
    }
    stages
}

pub(super) fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.as_millisecond())
}

/// What contains `text`, literally.
fn pattern(text: &str) -> String {
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
fn is_only_duplicates(error: &Error) -> bool {
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

/// Documents that are written at a time.
pub(super) const AT_ONCE: usize = 16;

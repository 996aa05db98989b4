//! Shelves: a collection each.

use filters::model::push::ObjectKind;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::error::{Error, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::options::IndexOptions;
use mongodb::{ClientSession, Collection, IndexModel};

use super::super::StoreError;
use super::super::kept::{Place, Row};
use super::super::shelf::{Found, Left, Shelf, Write};
use super::commit::is_duplicate;
use super::documents::{number, text, unsigned};
use super::kept::document_of as document_of_row;
use super::kept::{date, delete_oldest};
use super::{MongoStore, failed};

/// Makes the indexes that are missing.
pub(super) async fn set_up(store: &MongoStore) -> Result<(), StoreError> {
    for &shelf in Shelf::ALL {
        let mut indexes = vec![
            (doc! {"uniqueKey": 1}, true),
            (doc! {"orgId": 1, "_id": 1}, false),
            (doc! {"expiresAt": 1}, false),
        ];
        if shelf == Shelf::Users {
            indexes.push((doc! {"orgId": 1, "role": 1}, false));
        }
        for (keys, unique) in indexes {
            let options = IndexOptions::builder().unique(unique.then_some(true)).build();
            let index = IndexModel::builder().keys(keys).options(options).build();
            collection(store, shelf).create_index(index).await.map_err(failed)?;
        }
    }
    Ok(())
}

/// Makes all changes in one transaction, or none and returns false.
pub(super) async fn write(store: &MongoStore, writes: &[Write], audit: &[Row]) -> Result<bool, StoreError> {
    let mut session = store.client.start_session().await.map_err(failed)?;
    loop {
        match try_write(store, &mut session, writes, audit).await {
            Ok(written) => return Ok(written),
            Err(error) if is_duplicate(&error) => return Ok(false),
            // The caller's time limit ends this.
            Err(error) if error.contains_label(TRANSIENT_TRANSACTION_ERROR) => {
                tracing::debug!(%error, "sheets are written anew");
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// The sheet whose `field` has this value.
pub(super) async fn find(
    store: &MongoStore,
    shelf: Shelf,
    field: &str,
    value: &str,
) -> Result<Option<Found>, StoreError> {
    let document = collection(store, shelf).find_one(doc! {field: value}).await;
    document.map_err(failed)?.as_ref().map(found).transpose()
}

pub(super) async fn list(
    store: &MongoStore,
    shelf: Shelf,
    org_id: Option<u64>,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Found>, StoreError> {
    let mut filter = doc! {};
    if let Some(org_id) = org_id {
        filter.insert("orgId", number(org_id));
    }
    if let Some(after) = after {
        filter.insert("_id", doc! {"$gt": after});
    }
    let sheets = collection(store, shelf);
    let found_ones = sheets.find(filter).sort(doc! {"_id": 1}).limit(i64::from(limit));
    let documents: Vec<Document> = found_ones.await.map_err(failed)?.try_collect().await.map_err(failed)?;
    documents.iter().map(found).collect()
}

/// The same from the last one on.
pub(super) async fn list_back(
    store: &MongoStore,
    shelf: Shelf,
    org_id: Option<u64>,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<Found>, StoreError> {
    let mut filter = doc! {};
    if let Some(org_id) = org_id {
        filter.insert("orgId", number(org_id));
    }
    if let Some(before) = before {
        filter.insert("_id", doc! {"$lt": before});
    }
    let sheets = collection(store, shelf);
    let found_ones = sheets.find(filter).sort(doc! {"_id": -1}).limit(i64::from(limit));
    let documents: Vec<Document> = found_ones.await.map_err(failed)?.try_collect().await.map_err(failed)?;
    documents.iter().map(found).collect()
}

pub(super) async fn prune(store: &MongoStore, now: Timestamp, step: u32) -> Result<u32, StoreError> {
    let mut deleted = 0;
    for &shelf in Shelf::ALL {
        let over = doc! {"expiresAt": {"$lte": date(now)}};
        deleted += delete_oldest(&collection(store, shelf), over, "expiresAt", step).await?;
    }
    Ok(deleted)
}

async fn try_write(
    store: &MongoStore,
    session: &mut ClientSession,
    writes: &[Write],
    audit: &[Row],
) -> Result<bool, Error> {
    session.start_transaction().await?;
    if !apply_all(store, session, writes, audit).await? {
        session.abort_transaction().await?;
        return Ok(false);
    }
    loop {
        match session.commit_transaction().await {
            Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(true),
        }
    }
}

/// Deletes what organizations leave behind.
pub(super) async fn clear(store: &MongoStore, session: &mut ClientSession, leaves: &[Left]) -> Result<(), Error> {
    for left in leaves {
        let (org_id, shelves): (u64, &[Shelf]) = match left {
            Left::Documents(org_id) => (*org_id, Left::DOCUMENTS),
            Left::Trash(org_id) => {
                let deleted = doc! {"orgId": number(*org_id), "kind": ObjectKind::Organization.name()};
                let trash = collection(store, Shelf::Trash);
                let found = trash.find_one(deleted);
                match found.session(&mut *session).await? {
                    Some(_) => (*org_id, Left::TRASH),
                    None => continue,
                }
            }
        };
        for &shelf in shelves {
            let sheets = collection(store, shelf);
            let delete = sheets.delete_many(doc! {"orgId": number(org_id)});
            delete.session(&mut *session).await?;
        }
    }
    Ok(())
}

/// Makes all changes inside of a transaction, which must be aborted if this returns false.
pub(super) async fn apply_all(
    store: &MongoStore,
    session: &mut ClientSession,
    writes: &[Write],
    audit: &[Row],
) -> Result<bool, Error> {
    let alike = |one: &Write, other: &Write| one.shelf == other.shelf && one.is_new() && other.is_new();
    for run in writes.chunk_by(alike) {
        match run {
            [change] => {
                if !apply(store, session, change).await? {
                    return Ok(false);
                }
            }
            [first, ..] => {
                let documents: Vec<Document> = run.iter().filter_map(|change| document_of(store, change)).collect();
                let sheets = collection(store, first.shelf);
                sheets.insert_many(documents).session(&mut *session).await?;
            }
            [] => {}
        }
    }
    if !audit.is_empty() {
        let documents: Vec<Document> = audit.iter().map(document_of_row).collect();
        let insert = store.collections.place(Place::AdminAudit).insert_many(documents);
        insert.session(&mut *session).await?;
    }
    Ok(true)
}

/// False if it cannot be made.
async fn apply(store: &MongoStore, session: &mut ClientSession, change: &Write) -> Result<bool, Error> {
    let sheets = collection(store, change.shelf);
    let mut there = doc! {"_id": &change.id};
    if let Some(known) = change.known {
        there.insert("revision", number(known));
    }
    let Some(document) = document_of(store, change) else {
        let deleted = sheets.delete_one(there).session(session).await?;
        return Ok(deleted.deleted_count == 1 || change.known.is_none());
    };
    if change.known.is_none() {
        sheets.insert_one(document).session(session).await?;
        return Ok(true);
    }
    let replaced = sheets.replace_one(there, document).session(session).await?;
    Ok(replaced.matched_count == 1)
}

/// The sheet as it is kept; `None` for a deletion.
fn document_of(store: &MongoStore, change: &Write) -> Option<Document> {
    let leaf = change.leaf.as_ref()?;
    let mut document: Document = leaf
        .fields
        .iter()
        .map(|(name, value)| (name.clone(), value.into()))
        .collect();
    document.extend(doc! {
        "_id": &change.id,
        "orgId": leaf.org_id.map_or(Bson::Null, number),
        "uniqueKey": &leaf.unique,
        "revision": number(change.revision()),
        "expiresAt": leaf.expires_at.map(|at| DateTime::from_millis(at.as_millisecond())),
        "document": if leaf.sealed { store.sealer.seal(&leaf.document, &change.owner()) } else { leaf.document.clone() },
    });
    Some(document)
}

fn collection(store: &MongoStore, shelf: Shelf) -> Collection<Document> {
    store.database.collection(shelf.name())
}

fn found(document: &Document) -> Result<Found, StoreError> {
    Ok(Found {
        id: text(document, "_id")?.to_owned(),
        revision: unsigned(document, "revision").unwrap_or(0),
        document: text(document, "document")?.to_owned(),
    })
}

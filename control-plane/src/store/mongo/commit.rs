//! Writing.

use std::time::Duration;

use filters::model::push::ObjectKind;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure};
use mongodb::options::ReadConcern;
use uuid::Uuid;

use super::super::kept::Row;
use super::super::shelf::{Left, Write};
use super::super::{Change, GatewayRecord, StoreError, Version};
use super::documents::{deletion_of, documents_of, number, version_document};
use super::{MongoStore, failed, shelf};

/// Everything that a version writes.
struct Writes<'a> {
    commit: String,
    version: Document,
    changes: Vec<Document>,
    objects: Vec<ObjectWrites>,
    leaves: &'a [Left],
    sheets: &'a [Write],
    audit: &'a [Row],
}

/// What a version writes to one collection.
struct ObjectWrites {
    kind: ObjectKind,
    /// What is there before.
    keys: Vec<String>,
    /// What is there after.
    documents: Vec<Document>,
}

/// Why a try did not work.
enum Failure {
    /// Another version has the number, or the one before is not there.
    Conflict,
    /// A sheet is not as it should be.
    Stale,
    /// Nothing was written; the same may work a moment later.
    Passing(Error),
    /// It cannot be told whether it was written.
    Unknown(Error),
    /// The server refuses it.
    Final(Error),
}

/// Writes a version. Whatever goes wrong, the store is asked whether it has the version before an error is believed:
/// after a failover or a restart a server may not remember that it has done what it is asked to do again.
pub(super) async fn commit(
    store: &MongoStore,
    version: &Version,
    change: &Change,
    leaves: &[Left],
    sheets: &[Write],
    audit: &[Row],
) -> Result<(), StoreError> {
    let writes = Writes {
        leaves,
        sheets,
        audit,
        ..writes_of(store, version, change)
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let failure = match try_commit(store, version.number, &writes).await {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        match written(store, version.number, &writes.commit).await {
            Some(true) => return Ok(()),
            Some(false) => return Err(StoreError::Conflict(version.number)),
            None => {}
        }
        match failure {
            Failure::Conflict => return Err(StoreError::Conflict(version.number)),
            Failure::Stale => return Err(StoreError::Stale),
            Failure::Final(error) => return Err(failed(error)),
            // The caller's time limit ends this.
            Failure::Passing(error) | Failure::Unknown(error) => {
                tracing::debug!(%error, version = version.number, "a version is written anew");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// True if the version is ours, false if it is somebody else's, `None` if it is not there or cannot be read.
async fn written(store: &MongoStore, version: u64, commit: &str) -> Option<bool> {
    let found = store
        .collections
        .versions
        .find_one(doc! {"_id": number(version)})
        .await
        .ok()??;
    Some(found.get_str("commit").is_ok_and(|found| found == commit))
}

fn writes_of(store: &MongoStore, version: &Version, change: &Change) -> Writes<'static> {
    let commit = Uuid::now_v7().to_string();
    let mut writes = Writes {
        version: version_document(version, &commit),
        commit,
        changes: Vec::with_capacity(change.put.len() + change.delete.len()),
        objects: Vec::new(),
        leaves: &[],
        sheets: &[],
        audit: &[],
    };
    for object in &change.put {
        let (kind, document, entry) = documents_of(object, version.number, &store.sealer);
        let objects = writes.of(kind);
        objects.keys.extend(document.get_str("_id").map(str::to_owned));
        objects.documents.push(document);
        writes.changes.push(entry);
    }
    for id in &change.delete {
        let (kind, key, entry) = deletion_of(id, version.number);
        writes.of(kind).keys.push(key);
        writes.changes.push(entry);
    }
    writes
}

async fn try_commit(store: &MongoStore, version: u64, writes: &Writes<'_>) -> Result<(), Failure> {
    let mut session = store.client.start_session().await.map_err(Failure::of)?;
    let begun = session.start_transaction().read_concern(ReadConcern::snapshot()).await;
    begun.map_err(Failure::of)?;
    // Dropping the session ends a transaction that was not committed.
    if let Some(before) = version.checked_sub(1).filter(|before| *before > 0) {
        let before = store.collections.versions.find_one(doc! {"_id": number(before)});
        if before.session(&mut session).await.map_err(Failure::of)?.is_none() {
            return Err(Failure::Conflict);
        }
    }
    let versions = &store.collections.versions;
    versions
        .insert_one(&writes.version)
        .session(&mut session)
        .await
        .map_err(Failure::of)?;
    for ObjectWrites { kind, keys, documents } in &writes.objects {
        let collection = store.collections.objects(*kind);
        for keys in keys.chunks(KEYS_AT_ONCE) {
            let before = collection.delete_many(doc! {"_id": {"$in": keys}});
            before.session(&mut session).await.map_err(Failure::of)?;
        }
        if !documents.is_empty() {
            collection
                .insert_many(documents)
                .session(&mut session)
                .await
                .map_err(Failure::of)?;
        }
    }
    if !writes.changes.is_empty() {
        let changes = &store.collections.changes;
        changes
            .insert_many(&writes.changes)
            .session(&mut session)
            .await
            .map_err(Failure::of)?;
    }
    let cleared = shelf::clear(store, &mut session, writes.leaves).await;
    cleared.map_err(Failure::of)?;
    match shelf::apply_all(store, &mut session, writes.sheets, writes.audit).await {
        Ok(true) => {}
        Ok(false) => return Err(Failure::Stale),
        Err(error) if is_duplicate(&error) => return Err(Failure::Stale),
        Err(error) => return Err(Failure::of(error)),
    }
    session.commit_transaction().await.map_err(Failure::of)
}

pub(super) async fn save_gateways(store: &MongoStore, gateways: &[GatewayRecord]) -> Result<(), StoreError> {
    let collection = &store.collections.gateways;
    for gateway in gateways {
        let text = serde_json::to_string(gateway).map_err(|error| StoreError::Unavailable(error.into()))?;
        let document = doc! {
            "_id": &gateway.gateway_id,
            "lastSeenAt": DateTime::from_millis(gateway.last_seen.as_millisecond()),
            "document": text,
        };
        let replace = || {
            collection
                .replace_one(doc! {"_id": &gateway.gateway_id}, &document)
                .upsert(true)
        };
        match replace().await {
            // Two upserts of the same document may both find it missing; the second time it is there.
            Err(error) if is_duplicate(&error) => replace().await.map_err(failed)?,
            other => other.map_err(failed)?,
        };
    }
    Ok(())
}

impl Writes<'_> {
    fn of(&mut self, kind: ObjectKind) -> &mut ObjectWrites {
        let index = self
            .objects
            .iter()
            .position(|objects| objects.kind == kind)
            .unwrap_or_else(|| {
                self.objects.push(ObjectWrites {
                    kind,
                    keys: Vec::new(),
                    documents: Vec::new(),
                });
                self.objects.len() - 1
            });
        &mut self.objects[index]
    }
}

impl Failure {
    fn of(error: Error) -> Self {
        if is_duplicate(&error) {
            Self::Conflict
        } else if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) {
            Self::Unknown(error)
        } else if error.contains_label(TRANSIENT_TRANSACTION_ERROR) {
            Self::Passing(error)
        } else {
            Self::Final(error)
        }
    }
}

pub(super) fn is_duplicate(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE_KEY,
        ErrorKind::InsertMany(error) => {
            let errors = error.write_errors.iter().flatten();
            errors.clone().count() > 0 && errors.clone().all(|error| error.code == DUPLICATE_KEY)
        }
        ErrorKind::Command(error) => error.code == DUPLICATE_KEY,
        _ => false,
    }
}

/// The server's work for such a list may grow with the square of its length.
pub(super) const KEYS_AT_ONCE: usize = 200;
pub(super) const DUPLICATE_KEY: i32 = 11000;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

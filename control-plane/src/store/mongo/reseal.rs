//! Sealing anew.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mongodb::Collection;
use mongodb::bson::{Document, doc};

use super::super::StoreError;
use super::super::reseal::{SEALED, STEP, SealedPlace, SealedRow};
use super::documents::{names_in, text};
use super::kept::AT_ONCE;
use super::{MongoStore, failed};

/// The next documents of a list that hold sealed texts.
pub(super) async fn rows(store: &MongoStore, place: SealedPlace, after: &str) -> Result<Vec<SealedRow>, StoreError> {
    // A sheet is sealed as a whole.
    let pattern = match place {
        SealedPlace::Objects(_) | SealedPlace::Changes => SEALED.to_owned(),
        SealedPlace::Sheets(_) => format!("^{SEALED}"),
    };
    let filter = doc! {"_id": {"$gt": after}, "document": {"$regex": pattern}};
    let collection = collection(store, place);
    let found = collection
        .find(filter)
        .sort(doc! {"_id": 1})
        .limit(i64::from(STEP))
        .projection(doc! {"document": 1, "kind": 1, "id": 1, "direction": 1});
    let documents: Vec<Document> = found.await.map_err(failed)?.try_collect().await.map_err(failed)?;
    documents.iter().map(|document| row(place, document)).collect()
}

/// Replaces those that are still what was read. Returns how many.
pub(super) async fn replace(
    store: &MongoStore,
    place: SealedPlace,
    rows: &[(SealedRow, String)],
) -> Result<u64, StoreError> {
    let collection = collection(store, place);
    let updates: Vec<_> = rows
        .iter()
        .map(|(row, new)| {
            let same = doc! {"_id": &row.key, "document": &row.document};
            let update = collection.update_one(same, doc! {"$set": {"document": new}});
            async move { update.await.map(|updated| updated.matched_count).map_err(failed) }
        })
        .collect();
    let updated: Vec<u64> = stream::iter(updates).buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(updated.iter().sum())
}

fn collection(store: &MongoStore, place: SealedPlace) -> Collection<Document> {
    match place {
        SealedPlace::Objects(kind) => store.collections.objects(kind).clone(),
        SealedPlace::Changes => store.collections.changes.clone(),
        SealedPlace::Sheets(shelf) => store.database.collection(shelf.name()),
    }
}

fn row(place: SealedPlace, document: &Document) -> Result<SealedRow, StoreError> {
    let key = text(document, "_id")?.to_owned();
    let (kind, id) = match place {
        SealedPlace::Objects(kind) => (kind.name(), key.as_str()),
        SealedPlace::Changes => names_in(document)?,
        SealedPlace::Sheets(_) => ("", key.as_str()),
    };
    Ok(SealedRow {
        kind: kind.to_owned(),
        id: id.to_owned(),
        document: text(document, "document")?.to_owned(),
        key,
    })
}

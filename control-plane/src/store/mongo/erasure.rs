//! Taking out what is known of a person.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mongodb::Collection;
use mongodb::bson::{DateTime, Document, doc};

use super::super::StoreError;
use super::super::kept::{Place, Row};
use super::documents::text;
use super::kept::{AT_ONCE, delete, document_of, insert_missing};
use super::{MongoStore, failed};

/// Puts documents in the place of those that are there.
pub(super) async fn rewrite(store: &MongoStore, place: Place, rows: &[Row]) -> Result<(), StoreError> {
    replace(store.collections.place(place), rows.iter().map(document_of).collect()).await
}

pub(super) async fn forget_dead_letters(store: &MongoStore, ids: &[String]) -> Result<(), StoreError> {
    let now = DateTime::now();
    // First of all: whoever brings one of them in at the same time looks here afterwards.
    let marks = ids.iter().map(|id| doc! {"_id": id, "goneAt": now});
    insert_missing(store.collections.place(Place::DeadLettersGone), marks.collect()).await?;
    delete(store.collections.place(Place::DeadLetters), ids).await
}

/// Puts what a command carries in the place of what it carried.
pub(super) async fn change_command(store: &MongoStore, id: &str, document: &str) -> Result<(), StoreError> {
    let update = store
        .collections
        .place(Place::Commands)
        .update_one(doc! {"_id": id}, doc! {"$set": {"document": document}});
    update.await.map(drop).map_err(failed)
}

async fn replace(collection: &Collection<Document>, documents: Vec<Document>) -> Result<(), StoreError> {
    let replaced = documents.into_iter().map(|document| async move {
        let id = text(&document, "_id")?.to_owned();
        let replaced = collection.replace_one(doc! {"_id": id}, document).await;
        replaced.map(drop).map_err(failed)
    });
    let replaced: Vec<_> = replaced.collect();
    stream::iter(replaced).buffer_unordered(AT_ONCE).try_collect().await
}

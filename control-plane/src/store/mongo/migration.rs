//! Copies of a whole store.

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::Collection;
use mongodb::bson::{Bson, DateTime, Document, doc};

use super::super::StoreError;
use super::super::kept::{Cell, Kept, Place, Row, record};
use super::super::migration::{Column, Copied, PAGE, cell, columns};
use super::super::shelf::{Leaf, Shelf};
use super::documents::{number, text, unsigned};
use super::kept::{document_of, insert_missing};
use super::{MongoStore, failed};

/// The next records by identifier, whole.
pub(super) async fn page<K: Kept>(store: &MongoStore, after: &str) -> Result<Vec<(String, K)>, StoreError> {
    let documents = next(store.collections.place(K::PLACE), after).await?;
    let read = documents.iter().map(|document| {
        let id = text(document, "_id")?;
        let large = K::LARGE.map(|field| text(document, field)).transpose()?;
        Ok((id.to_owned(), record(id, text(document, "document")?, large)?))
    });
    read.collect()
}

/// The next documents of a place that is kept by fields.
pub(super) async fn plain(store: &MongoStore, place: Place, after: &str) -> Result<Vec<Row>, StoreError> {
    let documents = next(store.collections.place(place), after).await?;
    let read = documents.iter().map(|document| {
        let fields = columns(place).iter().map(|column| {
            let name = column.name();
            let value = match column {
                Column::Number(_) => cell(unsigned(document, name).map(Cell::Number)),
                Column::Text(_) => cell(document.get_str(name).ok().map(|text| Cell::Text(text.to_owned()))),
                Column::Moment(_) => Cell::Moment(moment(document, name)),
            };
            (name, value)
        });
        Ok(Row {
            id: text(document, "_id")?.to_owned(),
            fields: fields.collect(),
            searched: Vec::new(),
            document: String::new(),
        })
    });
    read.collect()
}

/// Inserts documents; those that are there already stay as they are.
pub(super) async fn insert_rows(store: &MongoStore, place: Place, rows: &[Row]) -> Result<(), StoreError> {
    let documents = rows.iter().map(|row| {
        let mut document = document_of(row);
        // Of a place that is kept by fields, it is one of them.
        if let Some((_, Cell::Text(text))) = row.fields.iter().find(|(name, _)| *name == "document") {
            document.insert("document", text);
        } else if !columns(place).is_empty() {
            document.remove("document");
        }
        document
    });
    insert_missing(store.collections.place(place), documents.collect()).await
}

/// The next sheets of a shelf.
pub(super) async fn copied(store: &MongoStore, shelf: Shelf, after: &str) -> Result<Vec<Copied>, StoreError> {
    let documents = next(&store.database.collection(shelf.name()), after).await?;
    let read = documents.iter().map(|document| {
        let mut fields: Vec<(String, String)> = document
            .iter()
            .filter(|(name, _)| !OF_EACH_SHEET.contains(&name.as_str()))
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        fields.sort_unstable();
        Ok(Copied {
            id: text(document, "_id")?.to_owned(),
            revision: unsigned(document, "revision").unwrap_or(0),
            leaf: Leaf {
                org_id: unsigned(document, "orgId"),
                unique: text(document, "uniqueKey")?.to_owned(),
                expires_at: moment(document, "expiresAt"),
                document: text(document, "document")?.to_owned(),
                fields,
                sealed: false,
            },
        })
    });
    read.collect()
}

/// Puts sheets on a shelf as they are; those that are there already stay.
pub(super) async fn insert_sheets(store: &MongoStore, shelf: Shelf, sheets: &[Copied]) -> Result<(), StoreError> {
    let documents = sheets.iter().map(|Copied { id, revision, leaf }| {
        let mut document: Document = leaf
            .fields
            .iter()
            .map(|(name, value)| (name.clone(), value.into()))
            .collect();
        document.extend(doc! {
            "_id": id,
            "orgId": leaf.org_id.map_or(Bson::Null, number),
            "uniqueKey": &leaf.unique,
            "revision": number(*revision),
            "expiresAt": leaf.expires_at.map(|at| DateTime::from_millis(at.as_millisecond())),
            "document": &leaf.document,
        });
        document
    });
    insert_missing(&store.database.collection(shelf.name()), documents.collect()).await
}

async fn next(collection: &Collection<Document>, after: &str) -> Result<Vec<Document>, StoreError> {
    let found = collection.find(doc! {"_id": {"$gt": after}});
    let found = found
        .sort(doc! {"_id": 1})
        .limit(i64::from(PAGE))
        .await
        .map_err(failed)?;
    found.try_collect().await.map_err(failed)
}

fn moment(document: &Document, field: &str) -> Option<Timestamp> {
    let at = document.get_datetime(field).ok()?;
    Timestamp::from_millisecond(at.timestamp_millis()).ok()
}

const OF_EACH_SHEET: [&str; 6] = ["_id", "orgId", "uniqueKey", "revision", "expiresAt", "document"];

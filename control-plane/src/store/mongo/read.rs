//! Reading.

use std::collections::HashMap;

use filters::model::Snapshot;
use filters::model::push::{ObjectId, ObjectKind};
use futures_util::TryStreamExt as _;
use mongodb::ClientSession;
use mongodb::bson::{Document, doc};
use mongodb::options::ReadConcern;

use super::super::document::{decode, object_id};
use super::super::{Change, Contents, GatewayRecord, HISTORY, MOST_GATEWAYS, StoreError, Touched, Version};
use super::documents::{names_in, number, text, unsigned, version_of};
use super::{MongoStore, failed};

/// Everything, as of one moment: read in one transaction.
pub(super) async fn load(store: &MongoStore) -> Result<Contents, StoreError> {
    let mut session = store.client.start_session().await.map_err(failed)?;
    let begun = session.start_transaction().read_concern(ReadConcern::snapshot()).await;
    begun.map_err(failed)?;
    let contents = load_in(store, &mut session).await;
    // Nothing was written.
    session.abort_transaction().await.map_err(failed)?;
    contents
}

#[expect(clippy::too_many_lines, reason = "one query for each collection")]
async fn load_in(store: &MongoStore, session: &mut ClientSession) -> Result<Contents, StoreError> {
    let versions = store.collections.versions.find(doc! {});
    let versions = versions
        .sort(doc! {"_id": -1})
        .limit(i64::from(HISTORY))
        .session(&mut *session);
    let mut cursor = versions.await.map_err(failed)?;
    let documents: Vec<Document> = cursor.stream(session).try_collect().await.map_err(failed)?;
    let mut versions = documents.iter().map(version_of).collect::<Result<Vec<_>, _>>()?;
    versions.reverse();

    let first = versions.first().map_or(0, |version| version.number);
    let mut touched: HashMap<u64, Vec<ObjectId>> = HashMap::new();
    let changes = store
        .collections
        .changes
        .find(doc! {"version": {"$gte": number(first)}});
    let changes = changes
        .projection(doc! {"version": 1, "kind": 1, "id": 1})
        .session(&mut *session);
    let mut cursor = changes.await.map_err(failed)?;
    while let Some(document) = cursor.next(session).await.transpose().map_err(failed)? {
        let (kind, id) = names_in(&document)?;
        let version = unsigned(&document, "version").unwrap_or_default();
        touched.entry(version).or_default().extend(object_id(kind, id)?);
    }

    let mut objects = Vec::new();
    for kind in ObjectKind::ALL {
        let filter = match kind {
            ObjectKind::Security => doc! {"_id": "security"},
            // Both are in one collection.
            ObjectKind::Integration => doc! {"direction": "INBOUND"},
            ObjectKind::Outbound => doc! {"direction": "OUTBOUND"},
            ObjectKind::Organization
            | ObjectKind::Unit
            | ObjectKind::EventType
            | ObjectKind::ProducerKey
            | ObjectKind::Certificate
            | ObjectKind::Lookup
            | ObjectKind::Consumer => doc! {},
        };
        let found = store.collections.objects(kind).find(filter);
        let found = found.projection(doc! {"document": 1}).session(&mut *session);
        let mut cursor = found.await.map_err(failed)?;
        while let Some(document) = cursor.next(session).await.transpose().map_err(failed)? {
            objects.push(decode(
                kind.name(),
                text(&document, "_id")?,
                text(&document, "document")?,
                &store.sealer,
            )?);
        }
    }
    Ok(Contents {
        snapshot: Snapshot::from_objects(versions.last().map_or(0, |version| version.number), objects),
        recent: versions
            .into_iter()
            .map(|version| Touched {
                objects: touched.remove(&version.number).unwrap_or_default(),
                version,
            })
            .collect(),
    })
}

pub(super) async fn head(store: &MongoStore) -> Result<u64, StoreError> {
    let newest = store.collections.versions.find_one(doc! {});
    let newest = newest
        .sort(doc! {"_id": -1})
        .projection(doc! {"_id": 1})
        .await
        .map_err(failed)?;
    Ok(newest.and_then(|newest| unsigned(&newest, "_id")).unwrap_or(0))
}

pub(super) async fn versions(
    store: &MongoStore,
    org_id: Option<u64>,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Version>, StoreError> {
    let mut filter = match before {
        // Compared as numbers only if it is one for BSON too.
        Some(before) => doc! {"_id": {"$lt": i64::try_from(before).unwrap_or(i64::MAX)}},
        None => doc! {},
    };
    if let Some(org_id) = org_id {
        filter.insert("shares.orgId", number(org_id));
    }
    let found = store.collections.versions.find(filter);
    let cursor = found
        .sort(doc! {"_id": -1})
        .limit(i64::from(limit))
        .await
        .map_err(failed)?;
    let documents: Vec<Document> = cursor.try_collect().await.map_err(failed)?;
    documents.iter().map(version_of).collect()
}

pub(super) async fn version(store: &MongoStore, number: u64) -> Result<Option<(Version, Change)>, StoreError> {
    let number = super::documents::number(number);
    let found = store
        .collections
        .versions
        .find_one(doc! {"_id": &number})
        .await
        .map_err(failed)?;
    let Some(found) = found else { return Ok(None) };
    let version = version_of(&found)?;
    let changes = store
        .collections
        .changes
        .find(doc! {"version": number})
        .sort(doc! {"_id": 1});
    let mut cursor = changes.await.map_err(failed)?;
    let mut change = Change::default();
    while let Some(document) = cursor.try_next().await.map_err(failed)? {
        let (kind, id) = names_in(&document)?;
        match document.get_str("document") {
            Ok(body) => change.put.push(decode(kind, id, body, &store.sealer)?),
            Err(_) => change.delete.extend(object_id(kind, id)?),
        }
    }
    Ok(Some((version, change)))
}

pub(super) async fn gateways(store: &MongoStore) -> Result<Vec<GatewayRecord>, StoreError> {
    let found = store
        .collections
        .gateways
        .find(doc! {})
        .sort(doc! {"_id": 1})
        .limit(i64::from(MOST_GATEWAYS));
    let mut cursor = found.await.map_err(failed)?;
    let mut gateways = Vec::new();
    while let Some(document) = cursor.try_next().await.map_err(failed)? {
        let read = serde_json::from_str(text(&document, "document")?);
        gateways.push(read.map_err(|error| StoreError::Corrupt {
            object: format!("gateway {}", document.get_str("_id").unwrap_or_default()),
            reason: error.to_string(),
        })?);
    }
    Ok(gateways)
}

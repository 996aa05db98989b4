//! The past.

use std::collections::{BTreeSet, HashMap};

use filters::model::push::{Object, ObjectId};
use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, doc};

use super::super::document::{decode, object_id};
use super::super::history::Step;
use super::super::{StoreError, Version};
use super::commit::KEYS_AT_ONCE;
use super::documents::{names_in, number, unsigned, version_of};
use super::{MongoStore, failed};

/// The versions of one object.
pub(super) async fn of_object(
    store: &MongoStore,
    id: &ObjectId,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Step>, StoreError> {
    let (kind, text) = (id.kind().name(), id.text());
    let mut filter = doc! {"kind": kind, "id": &text};
    if let Some(before) = before {
        // Compared as numbers only if it is one for BSON too.
        filter.insert("version", doc! {"$lt": i64::try_from(before).unwrap_or(i64::MAX)});
    }
    let found = store.collections.changes.find(filter);
    let cursor = found.sort(doc! {"version": -1}).limit(i64::from(limit)).await;
    let changes: Vec<Document> = cursor.map_err(failed)?.try_collect().await.map_err(failed)?;
    let numbers: Vec<_> = changes
        .iter()
        .filter_map(|change| unsigned(change, "version"))
        .collect();
    let mut versions = versions(store, &numbers).await?;
    let mut steps = Vec::with_capacity(changes.len());
    for change in &changes {
        let number = unsigned(change, "version").unwrap_or_default();
        let version = versions.remove(&number).ok_or_else(|| StoreError::Corrupt {
            object: format!("version {number}"),
            reason: "it is missing".to_owned(),
        })?;
        let body = change.get_str("document").ok();
        let object = body.map(|body| decode(kind, &text, body, &store.sealer)).transpose()?;
        steps.push(Step { version, object });
    }
    Ok(steps)
}

/// The objects that a range of versions touched.
pub(super) async fn touched(store: &MongoStore, after: u64, upto: u64) -> Result<Vec<ObjectId>, StoreError> {
    let range = doc! {"version": {"$gt": number(after), "$lte": number(upto)}};
    let found = store.collections.changes.find(range);
    let mut cursor = found.projection(doc! {"kind": 1, "id": 1}).await.map_err(failed)?;
    let mut objects = BTreeSet::new();
    while let Some(document) = cursor.try_next().await.map_err(failed)? {
        let (kind, id) = names_in(&document)?;
        objects.extend(object_id(kind, id)?);
    }
    Ok(objects.into_iter().collect())
}

/// What objects were at a version.
pub(super) async fn objects_at(
    store: &MongoStore,
    at: u64,
    ids: &[ObjectId],
) -> Result<Vec<Option<Object>>, StoreError> {
    // Of each object the newest change up to then; those of a kind are asked for together.
    let mut bodies: HashMap<(&str, String), Option<String>> = HashMap::new();
    let mut of_kind: HashMap<&str, Vec<String>> = HashMap::new();
    for id in ids {
        of_kind.entry(id.kind().name()).or_default().push(id.text());
    }
    for (kind, texts) in &of_kind {
        for texts in texts.chunks(KEYS_AT_ONCE) {
            let filter = doc! {"kind": *kind, "id": {"$in": texts}, "version": {"$lte": number(at)}};
            let found = store.collections.changes.find(filter).sort(doc! {"version": 1});
            let mut cursor = found.await.map_err(failed)?;
            while let Some(document) = cursor.try_next().await.map_err(failed)? {
                let (_, id) = names_in(&document)?;
                let body = document.get_str("document").ok().map(str::to_owned);
                bodies.insert((kind, id.to_owned()), body);
            }
        }
    }
    let found = ids.iter().map(|id| {
        let (kind, text) = (id.kind().name(), id.text());
        let body = bodies.get(&(kind, text.clone())).and_then(Option::as_deref);
        body.map(|body| decode(kind, &text, body, &store.sealer)).transpose()
    });
    found.collect()
}

async fn versions(store: &MongoStore, numbers: &[u64]) -> Result<HashMap<u64, Version>, StoreError> {
    let numbers: Vec<_> = numbers.iter().map(|version| number(*version)).collect();
    let found = store.collections.versions.find(doc! {"_id": {"$in": numbers}});
    let mut cursor = found.await.map_err(failed)?;
    let mut versions = HashMap::new();
    while let Some(document) = cursor.try_next().await.map_err(failed)? {
        let version = version_of(&document)?;
        versions.insert(version.number, version);
    }
    Ok(versions)
}

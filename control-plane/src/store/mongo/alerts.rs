//! Alerts.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, doc};

use super::super::StoreError;
use super::super::alerts::{Lately, MOST_COUNTED};
use super::super::kept::{Kept as _, Place};
use super::commit::is_duplicate;
use super::documents::{number, text, unsigned};
use super::kept::date;
use super::kept::document_of;
use super::{MongoStore, failed};
use crate::alerts::{Alert, DeadLetterCount};

/// Keeps an alert in the place of its revision `known`; as a new one if `None`. False if another was quicker.
pub(super) async fn save(store: &MongoStore, alert: Alert, known: Option<u64>) -> Result<bool, StoreError> {
    let id = alert.id.clone();
    let document = document_of(&alert.into_row()?);
    let alerts = store.collections.place(Place::Alerts);
    let saved = match known {
        None => alerts.insert_one(document).await.map(|_| true),
        Some(known) => {
            let before = doc! {"_id": id, "revision": number(known)};
            let replaced = alerts.replace_one(before, document).await;
            replaced.map(|replaced| replaced.matched_count == 1)
        }
    };
    match saved {
        Err(error) if is_duplicate(&error) => Ok(false),
        other => other.map_err(failed),
    }
}

/// The number of dead letters by subscription.
pub(super) async fn dead_letters(store: &MongoStore, lately: Lately) -> Result<Vec<DeadLetterCount>, StoreError> {
    let is_abandoned = doc! {"$eq": ["$status", "ABANDONED"]};
    let since = |field: &str, at| doc! {"$gte": [field, date(at)]};
    let one_if = |condition: Document| doc! {"$sum": {"$cond": [condition, 1_i64, 0_i64]}};
    let newly = vec![is_abandoned.clone(), since("$updatedAt", lately.abandoned_since)];
    let group = doc! {
        "_id": {"orgId": "$orgId", "integrationConfigId": "$integrationConfigId"},
        "all": {"$sum": 1_i64},
        "abandoned": one_if(is_abandoned),
        "new": one_if(since("$createdAt", lately.new_since)),
        "newlyAbandoned": one_if(doc! {"$and": newly}),
    };
    let stages = [
        doc! {"$group": group},
        doc! {"$sort": {"_id": 1}},
        doc! {"$limit": i64::from(MOST_COUNTED)},
    ];
    let letters = store.collections.place(Place::DeadLetters);
    let cursor = letters.aggregate(stages).await.map_err(failed)?;
    let counts: Vec<Document> = cursor.try_collect().await.map_err(failed)?;
    counts.iter().map(count_of).collect()
}

fn count_of(document: &Document) -> Result<DeadLetterCount, StoreError> {
    let corrupt = |reason: String| StoreError::Corrupt {
        object: "the number of dead letters".to_owned(),
        reason,
    };
    let about = document
        .get_document("_id")
        .map_err(|error| corrupt(error.to_string()))?;
    let number =
        |from: &Document, field: &str| unsigned(from, field).ok_or_else(|| corrupt(format!("{field} is no number")));
    let abandoned = number(document, "abandoned")?;
    Ok(DeadLetterCount {
        org_id: number(about, "orgId")?,
        integration_config_id: text(about, "integrationConfigId")?.to_owned(),
        waiting: number(document, "all")?.saturating_sub(abandoned),
        abandoned,
        new: number(document, "new")?,
        newly_abandoned: number(document, "newlyAbandoned")?,
    })
}

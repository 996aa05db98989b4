//! Commands to gateways, and retries of many dead letters.

use std::sync::Arc;

use filters::model::command::CommandResult;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::ClientSession;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::{Error, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};

use super::super::StoreError;
use super::super::commands::{Bulk, BulkDocument, BulkProgress, CommandDocument, CommandRecord};
use super::super::kept::{Place, Row, decode, encode};
use super::documents::{number, text, unsigned};
use super::kept::date;
use super::{MongoStore, failed, shelf};

/// Keeps new commands, and how far the retry of many is that they belong to: one transaction.
pub(super) async fn add(
    store: &MongoStore,
    commands: &[CommandRecord],
    bulk: Option<&Bulk>,
) -> Result<bool, StoreError> {
    let commands = commands.iter().map(document_of).collect::<Result<Vec<_>, _>>()?;
    let bulk = bulk.map(|bulk| Ok((bulk.step, document_of_bulk(bulk)?))).transpose()?;
    let mut session = store.client.start_session().await.map_err(failed)?;
    loop {
        match try_add(store, &mut session, &commands, bulk.as_ref()).await {
            Ok(written) => return Ok(written),
            // The caller's time limit ends this.
            Err(error) if error.contains_label(TRANSIENT_TRANSACTION_ERROR) => {
                tracing::debug!(%error, "commands are written anew");
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

async fn try_add(
    store: &MongoStore,
    session: &mut ClientSession,
    commands: &[Document],
    bulk: Option<&(u32, Document)>,
) -> Result<bool, Error> {
    session.start_transaction().await?;
    if let Some((step, bulk)) = bulk {
        let bulks = store.collections.place(Place::BulkRetries);
        let id = bulk.get("_id").cloned();
        let there = bulks.find_one(doc! {"_id": &id}).session(&mut *session).await?;
        let there = there.as_ref().and_then(|there| unsigned(there, "step"));
        if there.map_or(0, |there| there + 1) != u64::from(*step) {
            session.abort_transaction().await?;
            return Ok(false);
        }
        // Whoever writes it at the same time meets this one here.
        let upsert = bulks.replace_one(doc! {"_id": id}, bulk).upsert(true);
        upsert.session(&mut *session).await?;
    }
    if !commands.is_empty() {
        let insert = store.collections.place(Place::Commands).insert_many(commands);
        insert.session(&mut *session).await?;
    }
    loop {
        match session.commit_transaction().await {
            Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(true),
        }
    }
}

pub(super) async fn find(store: &MongoStore, id: &str) -> Result<Option<CommandRecord>, StoreError> {
    let found = store.collections.place(Place::Commands).find_one(doc! {"_id": id});
    let found = found.await.map_err(failed)?;
    found.as_ref().map(command_of).transpose()
}

/// The first commands of a gateway that have no result.
pub(super) async fn due(store: &MongoStore, gateway_id: &str, most: u32) -> Result<Vec<CommandRecord>, StoreError> {
    let found = store
        .collections
        .place(Place::Commands)
        .find(doc! {"gatewayId": gateway_id, "doneAt": null});
    let found = found.sort(doc! {"_id": 1}).limit(i64::from(most));
    let documents: Vec<Document> = found.await.map_err(failed)?.try_collect().await.map_err(failed)?;
    documents.iter().map(command_of).collect()
}

/// Remembers that commands were sent, where that is not known yet.
pub(super) async fn sent(store: &MongoStore, ids: &[String], at: Timestamp) -> Result<(), StoreError> {
    let update = store.collections.place(Place::Commands).update_many(
        doc! {"_id": {"$in": ids}, "sentAt": null},
        doc! {"$set": {"sentAt": date(at)}},
    );
    update.await.map(drop).map_err(failed)
}

/// Keeps the first result of a command of this gateway.
pub(super) async fn finish(
    store: &MongoStore,
    gateway_id: &str,
    id: &str,
    result: &CommandResult,
) -> Result<(), StoreError> {
    let update = store.collections.place(Place::Commands).update_one(
        doc! {"_id": id, "gatewayId": gateway_id, "doneAt": null},
        doc! {"$set": finished(result)?},
    );
    update.await.map(drop).map_err(failed)
}

/// Forgets a gateway, and gives this result to all commands of it that have none: one transaction.
pub(super) async fn remove_gateway(
    store: &MongoStore,
    gateway_id: &str,
    result: &CommandResult,
    audit: &[Row],
) -> Result<(), StoreError> {
    let set = finished(result)?;
    let mut session = store.client.start_session().await.map_err(failed)?;
    loop {
        match try_remove(store, &mut session, gateway_id, &set, audit).await {
            Ok(()) => return Ok(()),
            // The caller's time limit ends this.
            Err(error) if error.contains_label(TRANSIENT_TRANSACTION_ERROR) => {
                tracing::debug!(%error, "a gateway is removed anew");
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

async fn try_remove(
    store: &MongoStore,
    session: &mut ClientSession,
    gateway_id: &str,
    set: &Document,
    audit: &[Row],
) -> Result<(), Error> {
    session.start_transaction().await?;
    let gateways = &store.collections.gateways;
    let delete = gateways.delete_one(doc! {"_id": gateway_id});
    delete.session(&mut *session).await?;
    let update = store.collections.place(Place::Commands).update_many(
        doc! {"gatewayId": gateway_id, "doneAt": null},
        doc! {"$set": set.clone()},
    );
    update.session(&mut *session).await?;
    let _all_fit = shelf::apply_all(store, session, &[], audit).await?;
    loop {
        match session.commit_transaction().await {
            Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {}
            other => return other,
        }
    }
}

fn finished(result: &CommandResult) -> Result<Document, StoreError> {
    let (done, not_done) = CommandRecord::counts(result);
    Ok(doc! {
        "doneAt": DateTime::now(),
        "done": number(done),
        "failed": number(not_done),
        "result": encode(result)?,
    })
}

pub(super) async fn bulk(store: &MongoStore, id: &str) -> Result<Option<(Bulk, BulkProgress)>, StoreError> {
    let found = store.collections.place(Place::BulkRetries).find_one(doc! {"_id": id});
    let Some(found) = found.await.map_err(failed)? else {
        return Ok(None);
    };
    let stages = [
        doc! {"$match": {"bulkId": id}},
        doc! {"$group": {
            "_id": null,
            "waiting": {"$sum": {"$cond": [{"$eq": ["$doneAt", null]}, 1, 0]}},
            "done": {"$sum": "$done"},
            "failed": {"$sum": "$failed"},
        }},
    ];
    let mut cursor = store
        .collections
        .place(Place::Commands)
        .aggregate(stages)
        .await
        .map_err(failed)?;
    let sums = cursor.try_next().await.map_err(failed)?.unwrap_or_default();
    let sum = |field| unsigned(&sums, field).unwrap_or(0);
    let progress = BulkProgress {
        waiting: sum("waiting"),
        done: sum("done"),
        failed: sum("failed"),
    };
    Ok(Some((bulk_of(&found)?, progress)))
}

/// Retries of many for which not all commands are made.
pub(super) async fn open_bulks(store: &MongoStore) -> Result<Vec<Bulk>, StoreError> {
    let found = store
        .collections
        .place(Place::BulkRetries)
        .find(doc! {"queuedAt": null});
    let documents: Vec<Document> = found
        .sort(doc! {"_id": 1})
        .await
        .map_err(failed)?
        .try_collect()
        .await
        .map_err(failed)?;
    documents.iter().map(bulk_of).collect()
}

fn document_of(command: &CommandRecord) -> Result<Document, StoreError> {
    let document = encode(&CommandDocument {
        command: command.command.clone(),
        created_by: command.created_by.clone(),
    })?;
    Ok(doc! {
        "_id": &command.id,
        "orgId": number(command.org_id),
        "gatewayId": &*command.gateway_id,
        "bulkId": command.bulk_id.as_deref(),
        "createdAt": date(command.created_at),
        "sentAt": null,
        "doneAt": null,
        "document": document,
    })
}

fn command_of(document: &Document) -> Result<CommandRecord, StoreError> {
    let id = text(document, "_id")?;
    let CommandDocument { command, created_by } = decode("command", id, text(document, "document")?)?;
    let done = match (document.get_str("result"), moment(document, "doneAt")) {
        (Ok(result), Some(at)) => Some((decode("result of command", id, result)?, at)),
        _ => None,
    };
    Ok(CommandRecord {
        id: id.to_owned(),
        org_id: unsigned(document, "orgId").unwrap_or_default(),
        gateway_id: Arc::from(text(document, "gatewayId")?),
        bulk_id: document.get_str("bulkId").ok().map(str::to_owned),
        command,
        created_by,
        created_at: moment(document, "createdAt").unwrap_or_default(),
        sent_at: moment(document, "sentAt"),
        done,
    })
}

fn document_of_bulk(bulk: &Bulk) -> Result<Document, StoreError> {
    Ok(doc! {
        "_id": &bulk.id,
        "orgId": number(bulk.org_id),
        "step": i64::from(bulk.step),
        "createdAt": date(bulk.created_at),
        "queuedAt": bulk.queued_at.map(date),
        "document": encode(&BulkDocument::of(bulk))?,
    })
}

fn bulk_of(document: &Document) -> Result<Bulk, StoreError> {
    let id = text(document, "_id")?;
    let read: BulkDocument = decode("retry of many", id, text(document, "document")?)?;
    let cursor = read.cursor().map_err(|error| StoreError::Corrupt {
        object: format!("retry of many {id}"),
        reason: error.to_string(),
    })?;
    Ok(Bulk {
        id: id.to_owned(),
        org_id: unsigned(document, "orgId").unwrap_or_default(),
        filter: read.filter,
        total: read.total,
        queued: read.queued,
        step: unsigned(document, "step")
            .and_then(|step| step.try_into().ok())
            .unwrap_or_default(),
        cursor,
        created_by: read.created_by,
        created_at: moment(document, "createdAt").unwrap_or_default(),
        queued_at: moment(document, "queuedAt"),
    })
}

fn moment(document: &Document, field: &str) -> Option<Timestamp> {
    let at = document.get_datetime(field).ok()?;
    Timestamp::from_millisecond(at.timestamp_millis()).ok()
}

//! The MongoDB store. Writes are acknowledged by the majority, from the journal; a version is one transaction.
//!
//! The documents have the fields that people search by at the top, and the object itself as its exact JSON text in
//! `document`: BSON would change numbers, and older servers refuse field names that mappings may hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use filters::model::Tally;
use filters::model::command::CommandResult;
use filters::model::push::{Object, ObjectId};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use mongodb::bson::{Document, doc};
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::{ChangeStreamEvent, ResumeToken};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{Acknowledgment, ClientOptions, IndexOptions, ReadConcern, SelectionCriteria, WriteConcern};
use mongodb::{Client, Database, IndexModel};
use tokio::sync::Mutex;

use self::collections::Collections;
use self::rollups::Writes;
use super::history::Step;
use super::kept::{Place, Row};
use super::migration::Copied;
use super::outcomes::{Batch, Retention};
use super::reseal::{SealedPlace, SealedRow};
use super::rollups::{Counted, Series, Sums};
use super::shelf::{Found, Left, Shelf, Write};
use super::{
    Bulk, BulkProgress, Change, CommandRecord, Contents, GatewayRecord, Kept, Lately, Outcomes, Query, StoreError,
    Version,
};
use crate::alerts::{Alert, DeadLetterCount};
use crate::config::MongodbConfig;
use crate::rollups::{Bucket, Deltas, Span};
use crate::seal::Sealer;

mod alerts;
mod collections;
mod commands;
mod commit;
mod documents;
mod erasure;
mod expiry;
mod history;
mod kept;
mod migration;
mod read;
mod reseal;
mod rollups;
mod shelf;

/// A MongoDB replica set.
#[derive(Debug)]
pub(super) struct MongoStore {
    client: Client,
    database: Database,
    collections: Collections,
    sealer: Arc<Sealer>,
    timeout: Duration,
    /// Tells of new versions; opened when somebody waits for one.
    news: Box<Mutex<News>>,
}

/// The change stream of versions.
#[derive(Debug, Default)]
struct News {
    stream: Option<ChangeStream<ChangeStreamEvent<Document>>>,
    /// Where a broken stream is taken up again.
    place: Option<ResumeToken>,
}

impl MongoStore {
    /// Connects, and makes collections and indexes that are missing.
    pub(super) async fn open(
        config: &MongodbConfig,
        sealer: Arc<Sealer>,
        timeout: Duration,
    ) -> Result<Self, StoreError> {
        let open = async {
            let mut options = ClientOptions::parse(config.uri.expose()).await.map_err(unparsed)?;
            options.app_name.get_or_insert_with(|| "integration-gateway".to_owned());
            options.write_concern = Some(
                WriteConcern::builder()
                    .w(Acknowledgment::Majority)
                    .journal(true)
                    .w_timeout(timeout)
                    .build(),
            );
            options.read_concern = Some(ReadConcern::majority());
            options.selection_criteria = Some(SelectionCriteria::ReadPreference(
                mongodb::options::ReadPreference::Primary,
            ));
            let client = Client::with_options(options).map_err(failed)?;
            let database = client.database(&config.database);
            let store = Self {
                collections: Collections::of(&database),
                database,
                client,
                sealer,
                timeout,
                news: Box::default(),
            };
            store.set_up().await?;
            Ok(store)
        };
        tokio::time::timeout(timeout, open)
            .await
            .map_err(|_| StoreError::TimedOut(timeout))?
    }

    pub(super) async fn load(&self) -> Result<Contents, StoreError> {
        self.within(read::load(self)).await
    }

    pub(super) async fn commit(
        &self,
        version: &Version,
        change: &Change,
        leaves: &[Left],
        sheets: &[Write],
        audit: &[Row],
    ) -> Result<(), StoreError> {
        self.within(commit::commit(self, version, change, leaves, sheets, audit))
            .await
    }

    pub(super) async fn head(&self) -> Result<u64, StoreError> {
        self.within(read::head(self)).await
    }

    pub(super) async fn versions(
        &self,
        org_id: Option<u64>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Version>, StoreError> {
        self.within(read::versions(self, org_id, before, limit)).await
    }

    pub(super) async fn history(
        &self,
        id: &ObjectId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Step>, StoreError> {
        self.within(history::of_object(self, id, before, limit)).await
    }

    pub(super) async fn touched(&self, after: u64, upto: u64) -> Result<Vec<ObjectId>, StoreError> {
        self.within(history::touched(self, after, upto)).await
    }

    pub(super) async fn objects_at(&self, number: u64, ids: &[ObjectId]) -> Result<Vec<Option<Object>>, StoreError> {
        self.within(history::objects_at(self, number, ids)).await
    }

    pub(super) async fn version(&self, number: u64) -> Result<Option<(Version, Change)>, StoreError> {
        self.within(read::version(self, number)).await
    }

    pub(super) async fn save_gateways(&self, gateways: &[GatewayRecord]) -> Result<(), StoreError> {
        self.within(commit::save_gateways(self, gateways)).await
    }

    pub(super) async fn remove_gateway(
        &self,
        gateway_id: &str,
        result: &CommandResult,
        audit: &[Row],
    ) -> Result<(), StoreError> {
        self.within(commands::remove_gateway(self, gateway_id, result, audit))
            .await
    }

    pub(super) async fn gateways(&self) -> Result<Vec<GatewayRecord>, StoreError> {
        self.within(read::gateways(self)).await
    }

    pub(super) async fn keep_calls(&self, batch: &Batch, rows: &[Row], counted: &Deltas) -> Result<(), StoreError> {
        self.within(async {
            kept::append(self, Place::ExecutionLogs, rows).await?;
            rollups::write(self, Writes::Calls(batch, counted)).await
        })
        .await
    }

    pub(super) async fn expire_records(&self, days: u32) -> Result<(), StoreError> {
        self.within(expiry::expire(self, days)).await
    }

    pub(super) async fn series(&self, series: &Series) -> Result<Vec<(Timestamp, Tally)>, StoreError> {
        self.within(rollups::series(self, series)).await
    }

    pub(super) async fn sums(&self, sums: &Sums) -> Result<BTreeMap<Counted, Tally>, StoreError> {
        self.within(rollups::sums(self, sums)).await
    }

    pub(super) async fn prune_rollups(&self, span: Span, before: Timestamp, step: u32) -> Result<u32, StoreError> {
        self.within(rollups::prune(self, span, before, step)).await
    }

    pub(super) async fn keep_outcomes(&self, outcomes: Outcomes) -> Result<(), StoreError> {
        self.within(kept::keep(self, &outcomes)).await
    }

    pub(super) async fn list<K: Kept>(&self, query: &Query) -> Result<Vec<K>, StoreError> {
        self.within(kept::list(self, query)).await
    }

    pub(super) async fn count<K: Kept>(&self, query: &Query, most: u64) -> Result<u64, StoreError> {
        self.within(kept::count::<K>(self, query, most)).await
    }

    pub(super) async fn find<K: Kept>(&self, id: &str) -> Result<Option<K>, StoreError> {
        self.within(kept::find(self, id)).await
    }

    pub(super) async fn prune_records(&self, retention: &Retention, step: u32) -> Result<u32, StoreError> {
        self.within(kept::prune(self, retention, step)).await
    }

    pub(super) async fn add_commands(
        &self,
        commands: &[CommandRecord],
        bulk: Option<&Bulk>,
    ) -> Result<bool, StoreError> {
        self.within(commands::add(self, commands, bulk)).await
    }

    pub(super) async fn command(&self, id: &str) -> Result<Option<CommandRecord>, StoreError> {
        self.within(commands::find(self, id)).await
    }

    pub(super) async fn due_commands(&self, gateway_id: &str, most: u32) -> Result<Vec<CommandRecord>, StoreError> {
        self.within(commands::due(self, gateway_id, most)).await
    }

    pub(super) async fn commands_sent(&self, ids: &[String], at: Timestamp) -> Result<(), StoreError> {
        self.within(commands::sent(self, ids, at)).await
    }

    pub(super) async fn bulk(&self, id: &str) -> Result<Option<(Bulk, BulkProgress)>, StoreError> {
        self.within(commands::bulk(self, id)).await
    }

    pub(super) async fn open_bulks(&self) -> Result<Vec<Bulk>, StoreError> {
        self.within(commands::open_bulks(self)).await
    }

    pub(super) async fn save_alert(&self, alert: Alert, known: Option<u64>) -> Result<bool, StoreError> {
        self.within(alerts::save(self, alert, known)).await
    }

    pub(super) async fn dead_letter_counts(&self, lately: Lately) -> Result<Vec<DeadLetterCount>, StoreError> {
        self.within(alerts::dead_letters(self, lately)).await
    }

    pub(super) async fn write_sheets(&self, writes: &[Write], audit: &[Row]) -> Result<bool, StoreError> {
        self.within(shelf::write(self, writes, audit)).await
    }

    pub(super) async fn sheet(&self, shelf: Shelf, field: &str, value: &str) -> Result<Option<Found>, StoreError> {
        self.within(shelf::find(self, shelf, field, value)).await
    }

    pub(super) async fn sheets(
        &self,
        shelf: Shelf,
        org_id: Option<u64>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Found>, StoreError> {
        self.within(shelf::list(self, shelf, org_id, after, limit)).await
    }

    pub(super) async fn sheets_before(
        &self,
        shelf: Shelf,
        org_id: Option<u64>,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Found>, StoreError> {
        self.within(shelf::list_back(self, shelf, org_id, before, limit)).await
    }

    pub(super) async fn prune_sheets(&self, now: Timestamp, step: u32) -> Result<u32, StoreError> {
        self.within(shelf::prune(self, now, step)).await
    }

    pub(super) async fn prune_audit(&self, before: Timestamp, step: u32) -> Result<u32, StoreError> {
        let old = doc! {"createdAt": {"$lt": kept::date(before)}};
        let audit = self.collections.place(Place::AdminAudit);
        self.within(kept::delete_oldest(audit, old, "createdAt", step)).await
    }

    pub(super) async fn sealed_rows(&self, place: SealedPlace, after: &str) -> Result<Vec<SealedRow>, StoreError> {
        self.within(reseal::rows(self, place, after)).await
    }

    pub(super) async fn replace_sealed(
        &self,
        place: SealedPlace,
        rows: &[(SealedRow, String)],
    ) -> Result<u64, StoreError> {
        self.within(reseal::replace(self, place, rows)).await
    }

    pub(super) async fn page<K: Kept>(&self, after: &str) -> Result<Vec<(String, K)>, StoreError> {
        self.within(migration::page(self, after)).await
    }

    pub(super) async fn page_of_counts(&self, after: Option<&Bucket>) -> Result<Vec<(Bucket, Tally)>, StoreError> {
        self.within(rollups::page(self, after)).await
    }

    pub(super) async fn insert_counts(&self, counts: &[(Bucket, Tally)]) -> Result<(), StoreError> {
        self.within(rollups::insert_missing_counts(self, counts)).await
    }

    pub(super) async fn last_batches(&self) -> Result<Vec<Batch>, StoreError> {
        self.within(rollups::last_batches(self)).await
    }

    pub(super) async fn insert_batches(&self, batches: &[Batch]) -> Result<(), StoreError> {
        self.within(rollups::insert_batches(self, batches)).await
    }

    pub(super) async fn plain(&self, place: Place, after: &str) -> Result<Vec<Row>, StoreError> {
        self.within(migration::plain(self, place, after)).await
    }

    pub(super) async fn copied(&self, shelf: Shelf, after: &str) -> Result<Vec<Copied>, StoreError> {
        self.within(migration::copied(self, shelf, after)).await
    }

    pub(super) async fn insert_rows(&self, place: Place, rows: &[Row]) -> Result<(), StoreError> {
        self.within(migration::insert_rows(self, place, rows)).await
    }

    pub(super) async fn insert_sheets(&self, shelf: Shelf, sheets: &[Copied]) -> Result<(), StoreError> {
        self.within(migration::insert_sheets(self, shelf, sheets)).await
    }

    pub(super) async fn rewrite(&self, place: Place, rows: &[Row]) -> Result<(), StoreError> {
        self.within(erasure::rewrite(self, place, rows)).await
    }

    pub(super) async fn change_command(&self, id: &str, document: &str) -> Result<(), StoreError> {
        self.within(erasure::change_command(self, id, document)).await
    }

    pub(super) async fn forget_dead_letters(&self, ids: &[String]) -> Result<(), StoreError> {
        self.within(erasure::forget_dead_letters(self, ids)).await
    }

    pub(super) fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Waits until somebody made a version. Safe to drop while it waits.
    pub(super) async fn changed(&self) -> Result<(), StoreError> {
        let mut news = self.news.lock().await;
        let News { stream, place } = &mut *news;
        if stream.is_none() {
            // Taken: a place that the server knows no more would fail for ever.
            let watch = self.collections.versions.watch().resume_after(place.take());
            let opened = async { watch.await.map_err(failed) };
            *stream = Some(self.within(opened).await?);
        }
        let Some(open) = stream else { return Ok(()) };
        let told = open.next().await;
        *place = open.resume_token();
        match told {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => {
                *stream = None;
                Err(failed(error))
            }
            None => {
                *stream = None;
                Err(StoreError::Unavailable("the change stream ended".into()))
            }
        }
    }

    pub(super) async fn close(&self) {
        // Every caller has waited for what it began. A stream that somebody waits on is not waited for.
        if let Ok(mut news) = self.news.try_lock() {
            news.stream.take();
        }
        let shutdown = self.client.clone().shutdown().immediate(true);
        // Connections that do not close in time are dropped.
        let _ = tokio::time::timeout(self.timeout, shutdown).await;
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        tokio::time::timeout(self.timeout, call)
            .await
            .map_err(|_| StoreError::TimedOut(self.timeout))?
    }

    async fn set_up(&self) -> Result<(), StoreError> {
        let hello = self.database.run_command(doc! {"hello": 1}).await.map_err(failed)?;
        if !hello.contains_key("setName") && !hello.get_str("msg").is_ok_and(|kind| kind == "isdbgrid") {
            let message = "the server is not part of a replica set, so it has no transactions; start it with --replSet";
            return Err(StoreError::Unavailable(message.into()));
        }
        let settings = &self.collections.settings;
        let schema = settings.find_one(doc! {"_id": "schema"}).await.map_err(failed)?;
        let found = schema.as_ref().and_then(|schema| schema.get_i64("version").ok());
        match found {
            Some(found) if found > SCHEMA => return Err(StoreError::Newer { found, known: SCHEMA }),
            Some(_) => {}
            None => {
                let set = doc! {"$set": {"version": SCHEMA}};
                settings
                    .update_one(doc! {"_id": "schema"}, set)
                    .upsert(true)
                    .await
                    .map_err(failed)?;
            }
        }
        for (collection, keys, unique) in self.collections.indexes() {
            let options = IndexOptions::builder().unique(unique.then_some(true)).build();
            let index = IndexModel::builder().keys(keys).options(options).build();
            collection.create_index(index).await.map_err(failed)?;
        }
        shelf::set_up(self).await
    }
}

fn failed(error: Error) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

/// A connection string holds a password, and the driver quotes what it cannot read.
fn unparsed(error: Error) -> StoreError {
    match *error.kind {
        ErrorKind::InvalidArgument { .. } => {
            let message =
                "store.mongodb.uri is not a connection string such as mongodb://user:password@host/?replicaSet=rs0";
            StoreError::Unavailable(message.into())
        }
        _ => failed(error),
    }
}

/// The newest form of the documents that this release knows.
const SCHEMA: i64 = 1;

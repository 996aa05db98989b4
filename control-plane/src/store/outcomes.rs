//! A batch of what gateways tell of deliveries, sorted by what becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use filters::model::ExecutionRecord;
use filters::model::command::CommandResult;
use filters::model::delivery::{DeadLetter, DeliveryLog, DeliveryRecord, ScheduledDelivery};
use jiff::Timestamp;

use super::kept::{Kept, Query, Row, moment};
use super::{Implementation, Store, StoreError};
use crate::rollups::{Clocks, Deltas, Sample};

/// What a gateway told. Of an object that it told of several times, the last counts.
#[derive(Debug)]
pub struct Outcomes {
    pub(super) gateway_id: Arc<str>,
    /// Attempts; those that are there already stay as they are.
    pub(super) logs: Vec<Row>,
    /// The attempts as they are counted, in the same order.
    pub(super) samples: Vec<Sample>,
    /// Dead letters with when they changed, which take the place of older ones.
    pub(super) letters: Vec<(Row, Timestamp)>,
    /// Dead letters that are none any more, and never will be again.
    pub(super) gone: Vec<String>,
    /// Scheduled deliveries with when they changed, which take the place of older ones.
    pub(super) scheduled: Vec<(Row, Timestamp)>,
    /// Commands of this gateway, with what became of them; the first result stays.
    pub(super) results: Vec<(String, CommandResult)>,
}

impl Outcomes {
    /// Sorts the records of a gateway. Under whatever name they come, they are of the gateway that sends them. Attempts are
    /// counted by these clocks.
    ///
    /// # Errors
    /// If one of them cannot be written as JSON.
    pub fn sort(gateway_id: &Arc<str>, records: Vec<DeliveryRecord>, clocks: &Clocks) -> Result<Self, StoreError> {
        let mut logs: Vec<DeliveryLog> = Vec::new();
        let mut letters: BTreeMap<String, DeadLetter> = BTreeMap::new();
        let mut gone = BTreeSet::new();
        let mut scheduled: BTreeMap<String, ScheduledDelivery> = BTreeMap::new();
        let mut results: BTreeMap<String, CommandResult> = BTreeMap::new();
        for record in records {
            match record {
                DeliveryRecord::Log(mut log) => {
                    log.gateway_id = Arc::clone(gateway_id);
                    logs.push(*log);
                }
                DeliveryRecord::DeadLetter(mut letter) => {
                    letter.gateway_id = Arc::clone(gateway_id);
                    letters.insert(letter.id.clone(), *letter);
                }
                DeliveryRecord::DeadLetterGone(id) => {
                    letters.remove(&id);
                    gone.insert(id);
                }
                DeliveryRecord::Scheduled(mut delivery) => {
                    delivery.gateway_id = Arc::clone(gateway_id);
                    scheduled.insert(delivery.id.clone(), *delivery);
                }
                DeliveryRecord::Commanded { id, result } => {
                    results.entry(id).or_insert(result);
                }
            }
        }
        let dated = |updated_at: &str, row: Result<Row, StoreError>| Ok((row?, moment(updated_at)));
        Ok(Self {
            gateway_id: Arc::clone(gateway_id),
            samples: logs
                .iter()
                .map(|log| Sample::of(log, moment(&log.created_at), clocks))
                .collect(),
            logs: logs.into_iter().map(DeliveryLog::into_row).collect::<Result<_, _>>()?,
            letters: letters
                .into_values()
                .filter(|letter| !gone.contains(&letter.id))
                .map(|letter| dated(&letter.updated_at.clone(), letter.into_row()))
                .collect::<Result<_, StoreError>>()?,
            gone: gone.into_iter().collect(),
            scheduled: scheduled
                .into_values()
                .map(|delivery| dated(&delivery.updated_at.clone(), delivery.into_row()))
                .collect::<Result<_, StoreError>>()?,
            results: results.into_iter().collect(),
        })
    }
}

/// What is not kept any longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Calls, attempts and commands from before this moment go, and what else is told of deliveries and is over since
    /// before then.
    pub before: Timestamp,
    /// The same for the records of organizations that keep theirs for less time.
    pub sooner: BTreeMap<u64, Timestamp>,
    /// Calls and attempts beyond so many of each go, the oldest first.
    pub most: u64,
}

/// A batch of calls. A gateway sends one until it is acknowledged, then the next one.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Whose it is.
    pub gateway_id: Arc<str>,
    /// Its name.
    pub name: String,
}

impl Store {
    /// Keeps a batch of records of calls, and adds what the gateway counted. Records that are there already (by `id`) stay
    /// as they are, and what the gateway's last batch counted is not added again, so a batch may come twice.
    ///
    /// # Errors
    /// If the store does not work. Some of the records may be kept.
    pub async fn keep_calls(
        &self,
        batch: Batch,
        records: Vec<ExecutionRecord>,
        counted: Deltas,
    ) -> Result<(), StoreError> {
        let rows = records.into_iter().map(ExecutionRecord::into_row);
        let rows: Vec<Row> = rows.collect::<Result<_, _>>()?;
        match &self.0 {
            Implementation::Sqlite(store) => store.keep_calls(batch, rows, counted).await,
            Implementation::Mongo(store) => store.keep_calls(&batch, &rows, &counted).await,
        }
    }

    /// Keeps what a gateway told of deliveries and commands, so that a repeat of it changes nothing.
    ///
    /// # Errors
    /// If the store does not work. Some of it may be kept.
    pub async fn keep_outcomes(&self, outcomes: Outcomes) -> Result<(), StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.keep_outcomes(outcomes).await,
            Implementation::Mongo(store) => store.keep_outcomes(outcomes).await,
        }
    }

    /// The records that `query` asks for, newest first, without their large parts.
    ///
    /// # Errors
    /// If the store does not work, or a record cannot be read.
    pub async fn list<K: Kept>(&self, query: &Query) -> Result<Vec<K>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.list(query).await,
            Implementation::Mongo(store) => store.list(query).await,
        }
    }

    /// The same question, where the text that is looked for is a whole identifier of records that fit the rest: then these
    /// are asked for, however old they are.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn identified<K: Kept>(&self, query: Query) -> Result<Query, StoreError> {
        let Some(text) = &query.search else {
            return Ok(query);
        };
        for identifier in K::IDENTIFIERS {
            let mut identified = query.clone();
            identified.equal.push((*identifier, text.clone()));
            identified.search = None;
            // Whatever page is asked for: it is one of them.
            let any = Query {
                after: None,
                ..identified.clone()
            };
            if self.count::<K>(&any, 1).await? > 0 {
                return Ok(identified);
            }
        }
        Ok(query)
    }

    /// How many records fit `query`, on all pages; `most` if there are more.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn count<K: Kept>(&self, query: &Query, most: u64) -> Result<u64, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.count::<K>(query, most).await,
            Implementation::Mongo(store) => store.count::<K>(query, most).await,
        }
    }

    /// The record `id`, whole.
    ///
    /// # Errors
    /// If the store does not work, or the record cannot be read.
    pub async fn find<K: Kept>(&self, id: &str) -> Result<Option<K>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.find(id).await,
            Implementation::Mongo(store) => store.find(id).await,
        }
    }

    /// Has the store itself delete calls and attempts after so many days, where it can.
    ///
    /// # Errors
    /// If the store does not work, or does not know how.
    pub async fn expire_records(&self, days: u32) -> Result<(), StoreError> {
        match &self.0 {
            Implementation::Sqlite(_) => Ok(()),
            Implementation::Mongo(store) => store.expire_records(days).await,
        }
    }

    /// Deletes what is too old or too many, at most `step` of each kind and organization. Returns how many.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn prune_records(&self, retention: &Retention, step: u32) -> Result<u32, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.prune_records(retention, step).await,
            Implementation::Mongo(store) => store.prune_records(retention, step).await,
        }
    }
}

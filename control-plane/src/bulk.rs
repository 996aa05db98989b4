//! Retries of many dead letters: commands are made of them in the background, a page at a time. How far that is, is
//! written with each page, so that it goes on after a restart where it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use filters::model::command::Command;
use filters::model::delivery::{DeadLetter, DeadLetterStatus};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::commands::{Commands, Draft};
use crate::store::{Bulk, BulkFilter, CommandRecord, Field, Kept as _, Query, Store, StoreError};

/// Retries of many dead letters.
#[derive(Debug)]
pub(crate) struct Bulks {
    store: Arc<Store>,
    commands: Arc<Commands>,
    begun: Notify,
}

impl Bulks {
    pub(crate) fn new(store: Arc<Store>, commands: Arc<Commands>) -> Self {
        Self {
            store,
            commands,
            begun: Notify::new(),
        }
    }

    /// Retries these dead letters, all of one organization.
    ///
    /// # Errors
    /// If the store does not work; then nothing was begun.
    pub(crate) async fn retry(
        &self,
        org_id: u64,
        letters: &[DeadLetter],
        author: &str,
    ) -> Result<(Bulk, Vec<CommandRecord>), StoreError> {
        let count = letters.len() as u64;
        let bulk = Bulk {
            total: count,
            queued: count,
            queued_at: Some(Timestamp::now()),
            ..new(org_id, None, author)
        };
        let commands = self.commands.give_for(retries(letters), &bulk).await?;
        Ok((bulk, commands.unwrap_or_default()))
    }

    /// Begins to retry all dead letters of an organization that `filter` lets through.
    ///
    /// # Errors
    /// If the store does not work; then nothing was begun.
    pub(crate) async fn begin(&self, org_id: u64, filter: BulkFilter, author: &str) -> Result<Bulk, StoreError> {
        let mut bulk = new(org_id, Some(filter), author);
        let query = query(&bulk);
        let mut total = self.store.count::<DeadLetter>(&query, u64::MAX).await?;
        if bulk.filter.as_ref().is_some_and(|filter| filter.status.is_none()) {
            let mut retrying = query;
            retrying.equal.push((Field::Status, "RETRYING".to_owned()));
            total = total.saturating_sub(self.store.count::<DeadLetter>(&retrying, u64::MAX).await?);
        }
        bulk.total = total;
        self.store.add_commands(&[], Some(&bulk)).await?;
        self.begun.notify_one();
        Ok(bulk)
    }

    /// Makes commands for the retries that were begun, until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            if let Err(error) = self.go_on(&stop).await {
                tracing::warn!(%error, "a retry of many dead letters does not go on; it is tried again");
            }
            tokio::select! {
                () = self.begun.notified() => {}
                // For those of a process that is gone, and after an error.
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn go_on(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        for mut bulk in self.store.open_bulks().await? {
            while bulk.queued_at.is_none() {
                if stop.is_cancelled() || !self.page(&mut bulk).await? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Makes commands of the next page; false if another process did so already.
    async fn page(&self, bulk: &mut Bulk) -> Result<bool, StoreError> {
        let mut letters: Vec<DeadLetter> = self.store.list(&query(bulk)).await?;
        bulk.step += 1;
        if letters.len() < PAGE as usize {
            bulk.queued_at = Some(Timestamp::now());
        }
        if let Some(last) = letters.last() {
            bulk.cursor = Some(last.cursor());
        }
        letters.retain(|letter| letter.status != DeadLetterStatus::Retrying);
        bulk.queued += letters.len() as u64;
        let written = self.commands.give_for(retries(&letters), bulk).await?;
        Ok(written.is_some())
    }
}

fn new(org_id: u64, filter: Option<BulkFilter>, author: &str) -> Bulk {
    Bulk {
        id: Uuid::now_v7().to_string(),
        org_id,
        filter,
        total: 0,
        queued: 0,
        step: 0,
        cursor: None,
        created_by: author.to_owned(),
        created_at: Timestamp::now(),
        queued_at: None,
    }
}

/// The next page of the dead letters. They come newest first, so those that die after the first page are not met.
fn query(bulk: &Bulk) -> Query {
    let filter = bulk.filter.clone().unwrap_or_default();
    let equal = [
        (Field::Status, filter.status),
        (Field::Integration, filter.integration_config_id),
        (Field::EventType, filter.event_type),
        (Field::ErrorCategory, filter.error_category),
        (Field::Direction, filter.direction),
    ];
    let equal = equal.into_iter().filter_map(|(field, value)| Some((field, value?)));
    Query {
        org_id: Some(bulk.org_id),
        equal: equal.collect(),
        from: filter.from,
        before: filter.before,
        search: None,
        after: bulk.cursor.clone(),
        skip: 0,
        limit: PAGE,
    }
}

/// Commands to the gateways that own the dead letters.
fn retries(letters: &[DeadLetter]) -> Vec<Draft> {
    let mut owned: BTreeMap<(u64, &Arc<str>), Vec<String>> = BTreeMap::new();
    for letter in letters {
        let owner = (letter.org_id, &letter.gateway_id);
        owned.entry(owner).or_default().push(letter.id.clone());
    }
    let drafts = owned.into_iter().map(|((org_id, gateway_id), ids)| Draft {
        org_id,
        gateway_id: Arc::clone(gateway_id),
        command: Command::RetryDeadLetters { ids, payload: None },
    });
    drafts.collect()
}

/// Dead letters of a page, and the most of one command.
const PAGE: u32 = 100;
const LOOK_EVERY: Duration = Duration::from_secs(10);

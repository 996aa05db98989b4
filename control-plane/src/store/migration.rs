//! Everything of one store, copied to another one, and compared afterwards.
//!
//! What is there already is passed over, so that a copy that was interrupted goes on. Versions are made anew one after
//! the other, as their objects are what they add up to; everything else is copied page by page in the order of
//! identifiers.

use std::collections::BTreeMap;

use filters::model::ExecutionRecord;
use filters::model::delivery::{DeadLetter, DeliveryLog, ScheduledDelivery};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::kept::{Cell, Kept, Place, Row, encode, whole};
use super::shelf::{Leaf, Shelf, Shelved, Write};
use super::{Beside, Implementation, Store, StoreError};
use crate::alerts::Alert;
use crate::audit::AuditEntry;

/// A sheet as it lies on its shelf.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) id: String,
    pub(super) revision: u64,
    /// Its text is as it is kept: sealed, if it is.
    pub(super) leaf: Leaf,
}

/// How a column or field is kept that only one of the stores writes by name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    Number(&'static str),
    Text(&'static str),
    Moment(&'static str),
}

/// Lies in a store while it is being filled, so that nobody takes it for whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filling {
    id: String,
    /// The store that it is filled from.
    pub from: String,
    /// Since when.
    pub since: Timestamp,
}

impl Filling {
    /// That begins now.
    pub fn from(from: &str) -> Self {
        Self {
            id: FILLING.to_owned(),
            from: from.to_owned(),
            since: whole(Timestamp::now()),
        }
    }
}

impl Shelved for Filling {
    const SHELF: Shelf = Shelf::Migrations;
    const NAME: &'static str = "migration";

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        None
    }
}

/// How many things of each kind there are, and a digest of them all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory(BTreeMap<&'static str, (u64, [u8; 32])>);

impl Inventory {
    /// The kinds with how many there are of each.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(kind, (count, _))| (*kind, *count))
    }

    /// True if there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.counts().all(|(_, count)| count == 0)
    }

    /// The kinds of which another store has others.
    pub fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'static str> + 'a {
        let differs = |kind: &&'static str| self.0.get(kind) != other.0.get(kind);
        self.0.keys().copied().filter(differs)
    }

    fn begin(&mut self, kind: &'static str) {
        self.0.entry(kind).or_default();
    }

    /// Adds one thing. The order in which they come makes no difference.
    fn add(&mut self, kind: &'static str, text: &str) {
        let (count, digest) = self.0.entry(kind).or_default();
        *count += 1;
        for (sum, byte) in digest.iter_mut().zip(Sha256::digest(text.as_bytes())) {
            *sum ^= byte;
        }
    }
}

impl Store {
    /// The migration that fills this store and has not ended.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn filling(&self) -> Result<Option<Filling>, StoreError> {
        Ok(self.sheet::<Filling>(FILLING).await?.map(|sheet| sheet.value))
    }

    /// Says that this store is being filled. False if it is said already.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn begin_filling(&self, filling: &Filling) -> Result<bool, StoreError> {
        self.write(vec![Write::new(filling)?], Vec::new()).await
    }

    /// Says that this store is whole.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn end_filling(&self) -> Result<(), StoreError> {
        self.write(vec![Write::delete::<Filling>(FILLING, None)], Vec::new())
            .await
            .map(drop)
    }

    /// Copies everything to `to`, but for what is there already.
    ///
    /// # Errors
    /// If one of the stores does not work, or something cannot be read.
    pub async fn copy_to(&self, to: &Self) -> Result<(), StoreError> {
        let (head, first) = (self.head().await?, to.head().await? + 1);
        for number in first..=head {
            let (version, change) = self.version(number).await?.ok_or_else(|| missing(number))?;
            to.commit(&version, &change, Beside::default()).await?;
            if number % TELL_EVERY == 0 {
                tracing::info!(number, head, "versions are copied");
            }
        }
        to.save_gateways(&self.gateways().await?).await?;
        self.copy_kept::<DeliveryLog>(to).await?;
        self.copy_kept::<DeadLetter>(to).await?;
        self.copy_kept::<ScheduledDelivery>(to).await?;
        self.copy_kept::<Alert>(to).await?;
        self.copy_kept::<AuditEntry>(to).await?;
        self.copy_kept::<ExecutionRecord>(to).await?;
        self.copy_counts(to).await?;
        for place in PLAIN {
            let mut after = String::new();
            loop {
                let rows = self.plain(place, &after).await?;
                let Some(last) = rows.last() else { break };
                after.clone_from(&last.id);
                to.insert_rows(place, rows).await?;
            }
        }
        for shelf in shelves() {
            let mut after = String::new();
            loop {
                let sheets = self.copied(shelf, &after).await?;
                let Some(last) = sheets.last() else { break };
                after.clone_from(&last.id);
                to.insert_sheets(shelf, sheets).await?;
            }
        }
        Ok(())
    }

    /// Looks at everything, to compare it with another store.
    ///
    /// # Errors
    /// If the store does not work, or something cannot be read.
    pub async fn inventory(&self) -> Result<Inventory, StoreError> {
        let mut inventory = Inventory::default();
        self.add_versions(&mut inventory).await?;
        inventory.begin("gateways");
        for gateway in self.gateways().await? {
            inventory.add("gateways", &encode(&gateway)?);
        }
        self.add_kept::<DeliveryLog>(&mut inventory).await?;
        self.add_kept::<DeadLetter>(&mut inventory).await?;
        self.add_kept::<ScheduledDelivery>(&mut inventory).await?;
        self.add_kept::<Alert>(&mut inventory).await?;
        self.add_kept::<AuditEntry>(&mut inventory).await?;
        self.add_kept::<ExecutionRecord>(&mut inventory).await?;
        self.add_counts(&mut inventory).await?;
        for place in PLAIN {
            inventory.begin(place.name());
            let mut after = String::new();
            loop {
                let rows = self.plain(place, &after).await?;
                let Some(last) = rows.last() else { break };
                after.clone_from(&last.id);
                for row in &rows {
                    inventory.add(place.name(), &format!("{}{:?}{}", row.id, row.fields, row.document));
                }
            }
        }
        for shelf in shelves() {
            self.add_sheets(shelf, &mut inventory).await?;
        }
        Ok(inventory)
    }

    async fn add_versions(&self, inventory: &mut Inventory) -> Result<(), StoreError> {
        let head = self.head().await?;
        inventory.begin("versions");
        for number in 1..=head {
            let (version, mut change) = self.version(number).await?.ok_or_else(|| missing(number))?;
            // Stores list them in an order of their own.
            change.put.sort_by_key(filters::model::push::Object::id);
            change.delete.sort_unstable();
            let text = format!("{version:?}{}{}", encode(&change.put)?, encode(&change.delete)?);
            inventory.add("versions", &text);
        }
        inventory.begin("objects");
        if head == 0 {
            // The rules for connections, which every snapshot has, were never written.
            return Ok(());
        }
        for object in self.load().await?.snapshot.objects() {
            inventory.add("objects", &encode(&object)?);
        }
        Ok(())
    }

    async fn copy_kept<K: Kept>(&self, to: &Self) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let records = self.page::<K>(&after).await?;
            let Some((last, _)) = records.last() else { return Ok(()) };
            after.clone_from(last);
            let rows = records.into_iter().map(|(_, record)| record.into_row());
            to.insert_rows(K::PLACE, rows.collect::<Result<_, _>>()?).await?;
        }
    }

    async fn add_kept<K: Kept>(&self, inventory: &mut Inventory) -> Result<(), StoreError> {
        let kind = K::PLACE.name();
        inventory.begin(kind);
        let mut after = String::new();
        loop {
            let records = self.page::<K>(&after).await?;
            let Some((last, _)) = records.last() else { return Ok(()) };
            after.clone_from(last);
            for (_, record) in records {
                let row = record.into_row()?;
                inventory.add(kind, &format!("{:?}{:?}{}", row.fields, row.searched, row.document));
            }
        }
    }

    async fn copy_counts(&self, to: &Self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let counts = self.page_of_counts(after.as_ref()).await?;
            let Some((last, _)) = counts.last() else { break };
            after = Some(last.clone());
            to.insert_counts(counts).await?;
        }
        to.insert_batches(self.last_batches().await?).await
    }

    async fn add_counts(&self, inventory: &mut Inventory) -> Result<(), StoreError> {
        inventory.begin("rollups");
        let mut after = None;
        loop {
            let counts = self.page_of_counts(after.as_ref()).await?;
            let Some((last, _)) = counts.last() else { break };
            after = Some(last.clone());
            for (bucket, tally) in &counts {
                inventory.add("rollups", &format!("{bucket:?}{}", encode(tally)?));
            }
        }
        inventory.begin("call_batches");
        for batch in self.last_batches().await? {
            inventory.add("call_batches", &format!("{batch:?}"));
        }
        Ok(())
    }

    async fn add_sheets(&self, shelf: Shelf, inventory: &mut Inventory) -> Result<(), StoreError> {
        inventory.begin(shelf.name());
        let mut after = String::new();
        loop {
            let sheets = self.copied(shelf, &after).await?;
            let Some(last) = sheets.last() else { return Ok(()) };
            after.clone_from(&last.id);
            for Copied { id, revision, leaf } in &sheets {
                let text = format!(
                    "{id} {revision} {:?} {} {:?} {:?} {}",
                    leaf.org_id, leaf.unique, leaf.expires_at, leaf.fields, leaf.document
                );
                inventory.add(shelf.name(), &text);
            }
        }
    }

    /// The next records by identifier, whole, at most [`PAGE`].
    pub(crate) async fn page<K: Kept>(&self, after: &str) -> Result<Vec<(String, K)>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.page(after).await,
            Implementation::Mongo(store) => store.page(after).await,
        }
    }

    pub(super) async fn plain(&self, place: Place, after: &str) -> Result<Vec<Row>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.plain(place, after).await,
            Implementation::Mongo(store) => store.plain(place, after).await,
        }
    }

    async fn copied(&self, shelf: Shelf, after: &str) -> Result<Vec<Copied>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.copied(shelf, after).await,
            Implementation::Mongo(store) => store.copied(shelf, after).await,
        }
    }

    async fn insert_rows(&self, place: Place, rows: Vec<Row>) -> Result<(), StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.insert_rows(place, rows).await,
            Implementation::Mongo(store) => store.insert_rows(place, &rows).await,
        }
    }

    async fn insert_sheets(&self, shelf: Shelf, sheets: Vec<Copied>) -> Result<(), StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.insert_sheets(shelf, sheets).await,
            Implementation::Mongo(store) => store.insert_sheets(shelf, &sheets).await,
        }
    }
}

/// What a place consists of that holds no records of a [`Kept`] kind; its `document`, if it has one, comes on top.
pub(super) fn columns(place: Place) -> &'static [Column] {
    use Column::{Moment, Number, Text};
    match place {
        Place::Commands => &[
            Number("orgId"),
            Text("gatewayId"),
            Text("bulkId"),
            Moment("createdAt"),
            Moment("sentAt"),
            Moment("doneAt"),
            Number("done"),
            Number("failed"),
            Text("document"),
            Text("result"),
        ],
        Place::BulkRetries => &[
            Number("orgId"),
            Number("step"),
            Moment("createdAt"),
            Moment("queuedAt"),
            Text("document"),
        ],
        Place::DeadLettersGone => &[Moment("goneAt")],
        Place::ExecutionLogs
        | Place::DeliveryLogs
        | Place::DeadLetters
        | Place::Scheduled
        | Place::Alerts
        | Place::AdminAudit => &[],
    }
}

impl Column {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Number(name) | Self::Text(name) | Self::Moment(name) => name,
        }
    }
}

/// A value of a column; `None` where there is none.
pub(super) fn cell(value: Option<Cell>) -> Cell {
    value.unwrap_or(Cell::Nothing)
}

fn shelves() -> impl Iterator<Item = Shelf> {
    Shelf::ALL.iter().copied().filter(|shelf| *shelf != Shelf::Migrations)
}

fn missing(number: u64) -> StoreError {
    StoreError::Corrupt {
        object: format!("version {number}"),
        reason: "it is missing".to_owned(),
    }
}

const PLAIN: [Place; 3] = [Place::Commands, Place::BulkRetries, Place::DeadLettersGone];
const FILLING: &str = "filling";
/// The most that are read at a time.
pub(super) const PAGE: u32 = 200;
const TELL_EVERY: u64 = 1_000;

//! What the control plane keeps for itself and gateways never see: users, keys, templates, drafts. Each sheet lies on a
//! shelf, under an identifier, with a revision that whoever writes it must know.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::kept::{decode, encode, whole};
use super::{Implementation, Store, StoreError};
use crate::audit::AuditEntry;

/// A shelf: a kind of documents that the control plane keeps for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    /// People who may sign in.
    Users,
    /// Keys of programs.
    ApiKeys,
    /// Sessions of people who signed in.
    Sessions,
    /// Integrations to begin with.
    Templates,
    /// Fields of events, for those who write mappings.
    FieldSchemas,
    /// How the console looks to an organization.
    UiConfigs,
    /// Deleted objects that may come back.
    Trash,
    /// What those deleted objects were.
    TrashContents,
    /// Changes that are not published.
    Drafts,
    /// Publications that began with some of the gateways.
    Rollouts,
    /// What an organization says of its own records, as how long they are kept.
    Settings,
    /// Erasures of persons, and how far they are.
    Erasures,
    /// Jobs that are configured.
    Jobs,
    /// That the store is being filled.
    Migrations,
    /// Daily reports that somebody tells.
    Reports,
    /// Messages on alerts that wait to be sent.
    Notices,
}

impl Shelf {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Users,
        Self::ApiKeys,
        Self::Sessions,
        Self::Templates,
        Self::FieldSchemas,
        Self::UiConfigs,
        Self::Trash,
        Self::TrashContents,
        Self::Drafts,
        Self::Rollouts,
        Self::Settings,
        Self::Erasures,
        Self::Jobs,
        Self::Migrations,
        Self::Reports,
        Self::Notices,
    ];

    /// Its name in both stores; where the product's source documents have one, it is that.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::ApiKeys => "api_keys",
            Self::Sessions => "sessions",
            Self::Templates => "templates",
            Self::FieldSchemas => "field_schemas",
            Self::UiConfigs => "ui_config",
            Self::Trash => "trash",
            Self::TrashContents => "trash_contents",
            Self::Drafts => "drafts",
            Self::Rollouts => "rollouts",
            Self::Settings => "organization_settings",
            Self::Erasures => "erasures",
            Self::Jobs => "scheduled_jobs",
            Self::Migrations => "migrations",
            Self::Reports => "daily_reports",
            Self::Notices => "alert_notices",
        }
    }
}

/// What can lie on a shelf.
pub trait Shelved: Serialize + DeserializeOwned + fmt::Debug + Send + 'static {
    /// Which one.
    const SHELF: Shelf;
    /// What one of them is called.
    const NAME: &'static str;
    /// True where the whole document is encrypted.
    const SEALED: bool = false;

    /// Its identifier.
    fn id(&self) -> &str;

    /// The organization that it belongs to; `None` for those of the whole installation.
    fn org_id(&self) -> Option<u64>;

    /// A text that no other sheet of the shelf may have, as the e-mail address of a user; the identifier if `None`.
    fn unique(&self) -> Option<String> {
        None
    }

    /// When it goes by itself.
    fn expires_at(&self) -> Option<Timestamp> {
        None
    }

    /// Fields that people who look into the database search by; never secrets.
    fn fields(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// A document with its revision, which grows by one with each change; the first is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet<T> {
    /// How often it was written.
    pub revision: u64,
    /// What it holds.
    pub value: T,
}

/// One change on a shelf.
#[derive(Clone, Debug)]
pub struct Write {
    pub(super) shelf: Shelf,
    pub(super) id: String,
    /// The revision that it takes the place of; `None` for a new sheet, and for a deletion whatever the revision is.
    pub(super) known: Option<u64>,
    /// `None` deletes.
    pub(super) leaf: Option<Leaf>,
}

/// What an organization leaves behind that nobody with the same number may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Its documents, once it is deleted. What it has in the trash stays, as it may come back itself.
    Documents(u64),
    /// What is in the trash of an organization that was deleted, once another one has its number.
    Trash(u64),
}

impl Left {
    /// The shelves of an organization's documents.
    pub(super) const DOCUMENTS: &[Shelf] = &[
        Shelf::Templates,
        Shelf::FieldSchemas,
        Shelf::UiConfigs,
        Shelf::Drafts,
        Shelf::Settings,
        Shelf::Jobs,
    ];
    /// Those of its trash.
    pub(super) const TRASH: &[Shelf] = &[Shelf::Trash, Shelf::TrashContents];
}

/// A sheet as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) org_id: Option<u64>,
    pub(super) unique: String,
    pub(super) expires_at: Option<Timestamp>,
    /// By name.
    pub(super) fields: Vec<(String, String)>,
    pub(super) document: String,
    pub(super) sealed: bool,
}

/// A sheet as it is read.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) revision: u64,
    pub(super) document: String,
}

impl Write {
    /// A new sheet.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn new<T: Shelved>(value: &T) -> Result<Self, StoreError> {
        Self::put(value, None)
    }

    /// A sheet in the place of its revision `known`.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn replace<T: Shelved>(value: &T, known: u64) -> Result<Self, StoreError> {
        Self::put(value, Some(known))
    }

    /// Deletes a sheet that is at revision `known`; whatever revision it is at if `None`, also if it is not there.
    pub fn delete<T: Shelved>(id: &str, known: Option<u64>) -> Self {
        Self {
            shelf: T::SHELF,
            id: id.to_owned(),
            known,
            leaf: None,
        }
    }

    fn put<T: Shelved>(value: &T, known: Option<u64>) -> Result<Self, StoreError> {
        let id = value.id().to_owned();
        let mut fields: Vec<_> = value
            .fields()
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text))
            .collect();
        fields.sort_unstable();
        let leaf = Leaf {
            org_id: value.org_id(),
            unique: value.unique().unwrap_or_else(|| id.clone()),
            expires_at: value.expires_at().map(whole),
            fields,
            document: encode(value)?,
            sealed: T::SEALED,
        };
        Ok(Self {
            shelf: T::SHELF,
            id,
            known,
            leaf: Some(leaf),
        })
    }

    /// True for a new sheet.
    pub(super) fn is_new(&self) -> bool {
        self.known.is_none() && self.leaf.is_some()
    }

    /// The revision that a sheet has after this.
    pub(super) fn revision(&self) -> u64 {
        self.known.unwrap_or(0) + 1
    }

    /// To whom its sealed text is bound.
    pub(super) fn owner(&self) -> String {
        owner(self.shelf, &self.id)
    }
}

impl Store {
    /// Makes all of these changes, with what is said of them in the audit, or none. False, and nothing is written, if a
    /// sheet is not at the revision that its change takes the place of, or an identifier or unique text is taken.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn write(&self, writes: Vec<Write>, audit: Vec<AuditEntry>) -> Result<bool, StoreError> {
        let audit = super::audit::rows(audit)?;
        match &self.0 {
            Implementation::Sqlite(store) => store.write_sheets(writes, audit).await,
            Implementation::Mongo(store) => store.write_sheets(&writes, &audit).await,
        }
    }

    /// The sheet `id`.
    ///
    /// # Errors
    /// If the store does not work, or it cannot be read.
    pub async fn sheet<T: Shelved>(&self, id: &str) -> Result<Option<Sheet<T>>, StoreError> {
        let found = match &self.0 {
            Implementation::Sqlite(store) => store.sheet(T::SHELF, "id", id).await,
            Implementation::Mongo(store) => store.sheet(T::SHELF, "_id", id).await,
        };
        found?.map(|found| self.read(&found)).transpose()
    }

    /// The sheet that has this unique text.
    ///
    /// # Errors
    /// If the store does not work, or it cannot be read.
    pub async fn sheet_of<T: Shelved>(&self, unique: &str) -> Result<Option<Sheet<T>>, StoreError> {
        let found = match &self.0 {
            Implementation::Sqlite(store) => store.sheet(T::SHELF, "uniqueKey", unique).await,
            Implementation::Mongo(store) => store.sheet(T::SHELF, "uniqueKey", unique).await,
        };
        found?.map(|found| self.read(&found)).transpose()
    }

    /// The sheets of an organization (of all, and of the installation, if `None`) after the identifier `after`, by
    /// identifier, at most `limit`.
    ///
    /// # Errors
    /// If the store does not work, or one of them cannot be read.
    pub async fn sheets<T: Shelved>(
        &self,
        org_id: Option<u64>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Sheet<T>>, StoreError> {
        let found = match &self.0 {
            Implementation::Sqlite(store) => store.sheets(T::SHELF, org_id, after, limit).await,
            Implementation::Mongo(store) => store.sheets(T::SHELF, org_id, after, limit).await,
        };
        found?.iter().map(|found| self.read(found)).collect()
    }

    /// The same from the last identifier on: those before `before`, by identifier downwards. Of identifiers that grow with
    /// the time, those are the newest.
    ///
    /// # Errors
    /// If the store does not work, or one of them cannot be read.
    pub async fn sheets_before<T: Shelved>(
        &self,
        org_id: Option<u64>,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Sheet<T>>, StoreError> {
        let found = match &self.0 {
            Implementation::Sqlite(store) => store.sheets_before(T::SHELF, org_id, before, limit).await,
            Implementation::Mongo(store) => store.sheets_before(T::SHELF, org_id, before, limit).await,
        };
        found?.iter().map(|found| self.read(found)).collect()
    }

    /// Deletes sheets whose time is over at `now`, at most `step`. Returns how many.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn prune_sheets(&self, now: Timestamp, step: u32) -> Result<u32, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.prune_sheets(now, step).await,
            Implementation::Mongo(store) => store.prune_sheets(now, step).await,
        }
    }

    fn read<T: Shelved>(&self, found: &Found) -> Result<Sheet<T>, StoreError> {
        let opened = T::SEALED
            .then(|| self.sealer().open(&found.document, &owner(T::SHELF, &found.id)))
            .transpose()
            .map_err(|error| StoreError::Corrupt {
                object: format!("{} {}", T::NAME, found.id),
                reason: error.to_string(),
            })?;
        Ok(Sheet {
            revision: found.revision,
            value: decode(T::NAME, &found.id, opened.as_deref().unwrap_or(&found.document))?,
        })
    }
}

/// To whom the sealed text of a sheet is bound.
pub(super) fn owner(shelf: Shelf, id: &str) -> String {
    format!("{}/{id}", shelf.name())
}

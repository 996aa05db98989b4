//! Sealing anew what an older key sealed, a step at a time.
//!
//! A text is replaced only where it is still what was read, so that this may go on beside everything else that writes.
//! Each text names its key: a rotation that was killed goes on with what is left.

use filters::model::push::ObjectKind;

use super::document::reseal_secrets;
use super::shelf::Shelf;
use super::{Implementation, Store, StoreError};
use crate::seal::{MARK, Sealer};

/// A list of things that may hold sealed texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SealedPlace {
    /// The objects of a kind, at the newest version.
    Objects(ObjectKind),
    /// What each version changed.
    Changes,
    /// The sheets of a shelf.
    Sheets(Shelf),
}

/// Something that holds sealed texts.
#[derive(Debug)]
pub(super) struct SealedRow {
    /// Where it stands in its list; as the store likes it.
    pub(super) key: String,
    /// The kind of its object; nothing for sheets.
    pub(super) kind: String,
    /// Identifier of the object or the sheet.
    pub(super) id: String,
    /// The text as it is kept.
    pub(super) document: String,
}

/// What a walk over everything that is sealed found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Objects, changes and sheets with texts of an older key.
    pub stale: u64,
    /// Those of them that are sealed with the newest key now.
    pub resealed: u64,
}

impl Store {
    /// Seals everything anew that an older key sealed. What somebody changes in the meantime is left to them.
    ///
    /// # Errors
    /// If the store does not work, or a text opens with none of the keys. What was sealed anew until then stays so.
    pub async fn reseal(&self) -> Result<Resealed, StoreError> {
        let mut walked = Resealed::default();
        for place in SealedPlace::all() {
            let mut after = String::new();
            loop {
                let rows = self.sealed_rows(place, after).await?;
                let Some(last) = rows.last() else { break };
                after = last.key.clone();
                let mut changes = Vec::new();
                for row in rows {
                    if let Some(document) = anew(place, &row, self.sealer())? {
                        changes.push((row, document));
                    }
                }
                if !changes.is_empty() {
                    walked.stale += changes.len() as u64;
                    walked.resealed += self.replace_sealed(place, changes).await?;
                }
            }
        }
        Ok(walked)
    }

    /// The next rows of a list that hold sealed texts, at most [`STEP`].
    async fn sealed_rows(&self, place: SealedPlace, after: String) -> Result<Vec<SealedRow>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.sealed_rows(place, after).await,
            Implementation::Mongo(store) => store.sealed_rows(place, &after).await,
        }
    }

    /// Replaces those that are still what was read. Returns how many.
    async fn replace_sealed(&self, place: SealedPlace, rows: Vec<(SealedRow, String)>) -> Result<u64, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.replace_sealed(place, rows).await,
            Implementation::Mongo(store) => store.replace_sealed(place, &rows).await,
        }
    }
}

impl SealedPlace {
    fn all() -> impl Iterator<Item = Self> {
        let objects = ObjectKind::ALL.into_iter().map(Self::Objects);
        let sheets = Shelf::ALL.iter().copied().map(Self::Sheets);
        objects.chain([Self::Changes]).chain(sheets)
    }
}

/// The text with everything in it sealed by the newest key; `None` if that is so already.
fn anew(place: SealedPlace, row: &SealedRow, sealer: &Sealer) -> Result<Option<String>, StoreError> {
    let SealedPlace::Sheets(shelf) = place else {
        return reseal_secrets(&row.kind, &row.id, &row.document, sealer);
    };
    // The text of a sheet that is not sealed is a JSON object and begins with its brace.
    if !sealer.is_stale(&row.document) {
        return Ok(None);
    }
    let owner = super::shelf::owner(shelf, &row.id);
    let opened = sealer
        .open(&row.document, &owner)
        .map_err(|error| StoreError::Corrupt {
            object: owner.clone(),
            reason: error.to_string(),
        })?;
    Ok(Some(sealer.seal(&opened, &owner)))
}

/// What a row must contain to be looked at.
pub(super) const SEALED: &str = MARK;
/// The most rows that are read at a time.
pub(super) const STEP: u32 = 200;

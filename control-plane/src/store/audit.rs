//! The audit as both stores keep it.

use jiff::Timestamp;

use super::kept::{Cell, Cursor, Kept, Place, Row, encode, whole};
use super::{Implementation, Store, StoreError};
use crate::audit::AuditEntry;

/// Entries as they are kept.
pub(super) fn rows(entries: Vec<AuditEntry>) -> Result<Vec<Row>, StoreError> {
    entries.into_iter().map(AuditEntry::into_row).collect()
}

impl Store {
    /// Deletes entries from before `before`, at most `step`. Returns how many.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn prune_audit(&self, before: Timestamp, step: u32) -> Result<u32, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.prune_audit(before, step).await,
            Implementation::Mongo(store) => store.prune_audit(before, step).await,
        }
    }
}

impl Kept for AuditEntry {
    const PLACE: Place = Place::AdminAudit;
    const NAME: &'static str = "audit entry";
    const SEARCHED: &'static [&'static str] = &["actor", "action", "target"];

    fn into_row(self) -> Result<Row, StoreError> {
        let mut fields = vec![
            ("createdAt", Cell::Moment(Some(whole(self.created_at)))),
            ("actor", Cell::Text(self.actor.clone())),
            ("action", Cell::Text(self.action.clone())),
            ("target", Cell::Text(self.target.clone())),
        ];
        fields.extend(self.org_id.map(|org_id| ("orgId", Cell::Number(org_id))));
        Ok(Row {
            document: encode(&self)?,
            fields,
            searched: Vec::new(),
            id: self.id,
        })
    }

    fn cursor(&self) -> Cursor {
        Cursor {
            at: whole(self.created_at),
            id: self.id.clone(),
        }
    }
}

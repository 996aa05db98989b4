//! The audit as both stores keep it.

use super::StoreError;
use super::kept::{Cell, Cursor, Kept, Place, Row, encode, whole};
use crate::audit::AuditEntry;

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

//! Removing an event from the file, so that nothing of it can be read there.

use rusqlite::{OptionalExtension as _, params};

use super::group::{Group, Refusal};
use super::{QueueError, Seq};

impl Group<'_> {
    /// Removes an event that nothing is open of and that has no dead letters. Of the newest one its place stays, so that
    /// it is not given twice, and nothing else.
    pub(super) fn erase(&mut self, seq: Seq) -> Result<(), Refusal> {
        let is_in_use: bool = self
            .store
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM open WHERE seq = ?1)
                 OR EXISTS (SELECT 1 FROM dead WHERE key BETWEEN ?1 << 16 AND ?1 << 16 | 65535)",
            )?
            .query_row([seq], |row| row.get(0))?;
        if is_in_use || self.staged.rows.contains_key(&seq) {
            let message = format!("event {seq} has open deliveries or dead letters");
            return Err(QueueError::Invalid(message).into());
        }
        let newest: Option<Seq> = self
            .store
            .prepare_cached("SELECT max(seq) FROM events")?
            .query_row([], |row| row.get(0))
            .optional()?
            .flatten();
        // Whole pages that are freed are overwritten, too; at other times that would cost a write each.
        self.store.pragma_update(None, "secure_delete", true)?;
        let erased = if newest == Some(seq) {
            self.store
                .prepare_cached(
                    "UPDATE events SET body = CAST('null' AS BLOB), head = CAST(json_remove(json_set(
                        CAST(head AS TEXT), '$.id', 'erased'), '$.subject', '$.correlationId', '$.extensions') AS BLOB)
                     WHERE seq = ?1",
                )
                .and_then(|mut update| update.execute([seq]))
        } else {
            self.store
                .prepare_cached("DELETE FROM events WHERE seq = ?1")
                .and_then(|mut delete| delete.execute(params![seq]))
        };
        let settled = self
            .store
            .prepare_cached("DELETE FROM settled WHERE seq = ?1")
            .and_then(|mut delete| delete.execute([seq]));
        self.store.pragma_update(None, "secure_delete", "FAST")?;
        erased?;
        settled?;
        Ok(())
    }
}

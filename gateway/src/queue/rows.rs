//! The rows of `open` that a commit looks at: each is read once and written once, however many operations change it.

use std::collections::hash_map::Entry;

use rusqlite::{Connection, params};

use super::group::{Group, Refusal, unwritable};
use super::row::{Names, OpenRow, decode_open, decode_outcomes, encode_open, encode_outcomes};
use super::{DeliveryKey, QueueError, Seq};

/// A row of `open` that the commit looked at. It is written once, at the end.
#[derive(Debug)]
pub(super) struct Touched {
    row: Option<OpenRow>,
    on_disk: bool,
    changed: bool,
}

impl Group<'_> {
    /// What is open of the event at `seq`, to be changed.
    pub(super) fn row(&mut self, seq: Seq) -> Result<Option<&mut OpenRow>, Refusal> {
        let touched = match self.staged.rows.entry(seq) {
            Entry::Occupied(occupied) => occupied.into_mut(),
            Entry::Vacant(vacant) => {
                let row = read_row(self.store, seq, self.names)?;
                vacant.insert(Touched {
                    on_disk: row.is_some(),
                    row,
                    changed: false,
                })
            }
        };
        touched.changed |= touched.row.is_some();
        Ok(touched.row.as_mut())
    }

    /// The same, also for an event of which nothing is open any more; `None` if there is no such event.
    pub(super) fn reopened(&mut self, seq: Seq) -> Result<Option<&mut OpenRow>, Refusal> {
        if self.row(seq)?.is_none() {
            let Some(row) = settled_row(self.store, seq, self.names)? else {
                return Ok(None);
            };
            let on_disk = false;
            let touched = Touched {
                row: Some(row),
                on_disk,
                changed: true,
            };
            self.staged.rows.insert(seq, touched);
        }
        self.row(seq)
    }

    /// Writes the rows that changed, each once.
    pub(super) fn write_rows(&mut self) -> rusqlite::Result<()> {
        let rows = std::mem::take(&mut self.staged.rows);
        for (seq, touched) in rows.iter().filter(|(_, touched)| touched.changed) {
            self.write_row(*seq, touched)?;
        }
        for seq in std::mem::take(&mut self.staged.revived) {
            let row = rows.get(&seq).and_then(|touched| touched.row.as_ref());
            if seq <= self.purged_to && row.is_none_or(|row| row.deliveries.is_empty()) {
                self.throw_out(seq)?;
            }
        }
        Ok(())
    }

    fn write_row(&self, seq: Seq, touched: &Touched) -> rusqlite::Result<()> {
        let Some(row) = &touched.row else { return Ok(()) };
        if !row.deliveries.is_empty() {
            let state = encode_open(&row.deliveries, &row.outcomes).map_err(unwritable)?;
            self.store
                .prepare_cached("INSERT OR REPLACE INTO open(seq, accepted_ms, org, state) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![seq, row.accepted_ms, row.org_id.cast_signed(), &state])?;
            return Ok(());
        }
        if touched.on_disk {
            self.store
                .prepare_cached("DELETE FROM open WHERE seq = ?1")?
                .execute([seq])?;
        }
        if seq <= self.purged_to && self.throw_out(seq)? {
            return Ok(());
        }
        let outcomes = encode_outcomes(&row.outcomes).map_err(unwritable)?;
        self.store
            .prepare_cached("INSERT OR REPLACE INTO settled(seq, outcomes) VALUES (?1, ?2)")?
            .execute(params![seq, &outcomes])?;
        Ok(())
    }

    /// Throws an event out that has outlived its time, unless it has a dead letter.
    fn throw_out(&self, seq: Seq) -> rusqlite::Result<bool> {
        let (first, last) = DeliveryKey::packed_range(seq);
        let is_dead = self
            .store
            .prepare_cached("SELECT 1 FROM dead WHERE key BETWEEN ?1 AND ?2")?
            .exists([first, last])?;
        if is_dead {
            return Ok(false);
        }
        for statement in [
            "DELETE FROM events WHERE seq = ?1",
            "DELETE FROM settled WHERE seq = ?1",
        ] {
            self.store.prepare_cached(statement)?.execute([seq])?;
        }
        Ok(true)
    }
}

/// Reads what is open of the event at `seq`.
fn read_row(store: &Connection, seq: Seq, names: &mut Names) -> Result<Option<OpenRow>, Refusal> {
    let mut select = store.prepare_cached("SELECT accepted_ms, org, state FROM open WHERE seq = ?1")?;
    let mut rows = select.query([seq])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let state = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
    let (deliveries, outcomes) = decode_open(state, names).map_err(|error| QueueError::damaged("open", seq, &error))?;
    Ok(Some(OpenRow {
        accepted_ms: row.get(0)?,
        org_id: row.get::<_, i64>(1)?.cast_unsigned(),
        deliveries,
        outcomes,
    }))
}

/// The row of an event of which nothing is open.
fn settled_row(store: &Connection, seq: Seq, names: &mut Names) -> Result<Option<OpenRow>, Refusal> {
    let mut select = store
        .prepare_cached("SELECT accepted_ms, org, outcomes FROM events LEFT JOIN settled USING (seq) WHERE seq = ?1")?;
    let mut rows = select.query([seq])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let outcomes = row.get_ref(2)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
    let outcomes = outcomes.map(|bytes| decode_outcomes(bytes, names)).transpose();
    Ok(Some(OpenRow {
        accepted_ms: row.get(0)?,
        org_id: row.get::<_, i64>(1)?.cast_unsigned(),
        deliveries: Vec::new(),
        outcomes: outcomes
            .map_err(|error| QueueError::damaged("settled", seq, &error))?
            .unwrap_or_default(),
    }))
}

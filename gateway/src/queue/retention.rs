//! What the writer does when nobody waits: settled events go when their time is over or room is needed, expired digests
//! and old commands go, and files shrink. Each step is short, and a commit of its own where it writes.

use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior, params};

use super::Seq;
use super::schema::PAGE_BYTES;

/// How long things are kept.
#[derive(Debug)]
pub(super) struct Retention {
    settled_ms: i64,
    max_bytes: u64,
    /// Events up to here are gone, but for those that were not settled.
    pub(super) purged_to: Seq,
    pruned: Option<Instant>,
}

/// What the file holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pages {
    pub(super) all: u64,
    pub(super) free: u64,
}

impl Pages {
    pub(super) fn measure(store: &Connection) -> rusqlite::Result<Self> {
        let number = |pragma| {
            let pages: i64 = store.prepare_cached(pragma)?.query_row([], |row| row.get(0))?;
            Ok::<_, rusqlite::Error>(pages.cast_unsigned())
        };
        Ok(Self {
            all: number("PRAGMA page_count")?,
            free: number("PRAGMA freelist_count")?,
        })
    }

    pub(super) fn used_bytes(self) -> u64 {
        self.all.saturating_sub(self.free) * PAGE_BYTES
    }
}

impl Retention {
    pub(super) fn load(store: &Connection, settled: Duration, max_bytes: u64) -> rusqlite::Result<Self> {
        Ok(Self {
            settled_ms: i64::try_from(settled.as_millis()).unwrap_or(i64::MAX),
            max_bytes,
            purged_to: store.query_row("SELECT value FROM meta WHERE key = 'purged_to'", [], |row| row.get(0))?,
            pruned: None,
        })
    }

    /// True if the queue has as much as it may.
    pub(super) fn is_full(&self, pages: Pages) -> bool {
        pages.used_bytes() >= self.max_bytes
    }

    /// True if the queue has as much as it may before calls that failed are turned away: they must not take the room of events,
    /// which nobody may lose.
    pub(super) fn is_full_for_calls(&self, pages: Pages) -> bool {
        pages.used_bytes() >= self.max_bytes / 2
    }

    /// Throws a few settled events out if it is time; says how many, and `None` if there was nothing to do.
    ///
    /// The newest event always stays, so that no place is given twice.
    pub(super) fn purge(
        &mut self,
        store: &mut Connection,
        pages: Pages,
        newest: Seq,
        now_ms: i64,
    ) -> rusqlite::Result<Option<u64>> {
        let needs_room = pages.used_bytes() > self.max_bytes / 10 * 9;
        let before_ms = if needs_room {
            i64::MAX
        } else {
            now_ms.saturating_sub(self.settled_ms)
        };
        let last: Option<Seq> = store
            .prepare_cached(
                "SELECT max(seq) FROM (SELECT seq, accepted_ms FROM events WHERE seq > ?1 AND seq < ?2 ORDER BY seq LIMIT ?3)
                WHERE accepted_ms < ?4",
            )?
            .query_row(params![self.purged_to, newest, STEP, before_ms], |row| row.get(0))?;
        let Some(last) = last else { return Ok(None) };
        let transaction = store.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let gone = transaction
            .prepare_cached(PURGE_EVENTS)?
            .execute(params![self.purged_to, last])?;
        transaction
            .prepare_cached(PURGE_SETTLED)?
            .execute(params![self.purged_to, last])?;
        transaction.execute("UPDATE meta SET value = ?1 WHERE key = 'purged_to'", [last])?;
        transaction.commit()?;
        self.purged_to = last;
        Ok(Some(gone as u64))
    }

    /// Now and then, forgets commands and dead letters that were given up long ago. True if dead letters went.
    pub(super) fn prune(&mut self, store: &mut Connection, now_ms: i64) -> rusqlite::Result<bool> {
        if self.pruned.is_some_and(|when| when.elapsed() < PRUNE_INTERVAL) {
            return Ok(false);
        }
        self.pruned = Some(Instant::now());
        let transaction = store.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "DELETE FROM commands WHERE done_ms < ?1",
            [now_ms.saturating_sub(COMMANDS_MS)],
        )?;
        let gone = transaction.execute(
            "DELETE FROM dead WHERE retrying = 0 AND abandoned_ms < ?1",
            [now_ms.saturating_sub(self.settled_ms)],
        )?;
        // Their events are out of the purge's reach already.
        transaction.execute(PURGE_EVENTS, params![0, self.purged_to])?;
        transaction.execute(PURGE_SETTLED, params![0, self.purged_to])?;
        transaction.commit()?;
        Ok(gone > 0)
    }
}

/// Gives free pages back to the file system if there are many; false if there were not.
pub(super) fn shrink(store: &Connection, pages: Pages) -> rusqlite::Result<bool> {
    if pages.free < SPARE_PAGES.max(pages.all / 4) {
        return Ok(false);
    }
    vacuum(store, 256)?;
    Ok(true)
}

/// Gives this many free pages back to the file system; less if there are less.
pub(super) fn vacuum(store: &Connection, pages: u32) -> rusqlite::Result<()> {
    let mut vacuum = store.prepare_cached(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

const PURGE_EVENTS: &str = "DELETE FROM events WHERE seq > ?1 AND seq <= ?2
    AND NOT EXISTS (SELECT 1 FROM open WHERE open.seq = events.seq)
    AND NOT EXISTS (SELECT 1 FROM dead WHERE dead.key BETWEEN events.seq << 16 AND events.seq << 16 | 65535)";
const PURGE_SETTLED: &str = "DELETE FROM settled WHERE seq > ?1 AND seq <= ?2
    AND NOT EXISTS (SELECT 1 FROM events WHERE events.seq = settled.seq)";
/// Events of a step.
const STEP: i64 = 256;
const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);
const COMMANDS_MS: i64 = 30 * 86_400_000;
/// 64 MB stay for what comes next.
const SPARE_PAGES: u64 = 8192;

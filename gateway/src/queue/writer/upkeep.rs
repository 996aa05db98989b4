//! What the writer does between commits: handing over what was found at the start, and tidying up.

use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use tracing::{error, info, warn};

use super::super::retention::{Pages, shrink, vacuum};
use super::super::schema::BUSY_TIMEOUT;
use super::super::{QueueError, Scrubbed};
use super::{TICK, Writer, now_ms};

impl Writer {
    /// Hands over another piece of what was found at the start.
    pub(super) fn recover(&mut self) {
        let Some(recovery) = &mut self.recovery else { return };
        let piece = recovery.next(&self.store, &mut self.names, &mut self.shared.depths.lock());
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => {
                // It goes on from where it was.
                error!(%error, "the queue cannot read what is open; it tries again");
                std::thread::sleep(TICK);
                return;
            }
        };
        for error in piece.damaged {
            error!(%error, "deliveries are lost");
        }
        if piece.is_last {
            self.recovery = None;
            *self.shared.recovering.lock() = false;
            let open = self.shared.depths.lock().open;
            self.shared.levels.lock().open = open;
            self.metrics.open.set(open.cast_signed());
            info!(open, "everything open was handed over");
        }
        if !piece.handed.is_empty() {
            (self.hand_off)(piece.handed);
        }
    }

    /// What is to be done beside the commits, a step of it.
    pub(super) fn look_after(&mut self, is_idle: bool) {
        if let Err(error) = self.try_look_after(is_idle) {
            self.behind = false;
            warn!(%error, "the queue cannot tidy up");
        }
    }

    fn try_look_after(&mut self, is_idle: bool) -> rusqlite::Result<()> {
        self.checkpoint()?;
        self.count_pages()?;
        let now_ms = now_ms();
        if self.digests.is_full() {
            self.digests.compact(&mut self.store, now_ms)?;
        }
        let is_time = self.measured.is_none_or(|when| when.elapsed() >= TICK);
        if is_time {
            self.measure()?;
        }
        if !(is_time || self.behind) || self.recovery.is_some() {
            return Ok(());
        }
        let purged = self
            .retention
            .purge(&mut self.store, self.pages, self.next_seq - 1, now_ms)?;
        self.metrics.purged.inc_by(purged.unwrap_or(0));
        self.behind = purged.is_some();
        if self.behind {
            return self.count_pages();
        }
        self.behind = self.digests.expire(&mut self.store, now_ms)?;
        if self.retention.prune(&mut self.store, now_ms)? {
            self.recount_dead()?;
        }
        if is_idle && shrink(&self.store, self.pages)? {
            self.behind = true;
            self.count_pages()?;
        }
        Ok(())
    }

    /// Moves the log into the file when it is long. Callers have their answers by then.
    fn checkpoint(&mut self) -> rusqlite::Result<()> {
        let pages: i64 = self
            .store
            .prepare_cached("PRAGMA wal_checkpoint(NOOP)")?
            .query_row([], |row| row.get(1))?;
        if pages < self.moved_pages {
            // It began anew.
            self.moved_pages = 0;
        }
        // While somebody reads for long, it only grows; trying after each commit would not change that.
        if pages >= self.moved_pages + CHECKPOINT_PAGES {
            self.store
                .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?
                .query_row([], |_| Ok(()))?;
            self.moved_pages = pages;
        }
        Ok(())
    }

    /// Gives some free pages back, or else empties the log.
    pub(super) fn scrub(&mut self) -> Result<Scrubbed, QueueError> {
        self.try_scrub()
            .map_err(|error| QueueError::from_store("take out what was removed", error))
    }

    fn try_scrub(&mut self) -> rusqlite::Result<Scrubbed> {
        self.count_pages()?;
        let free = self.pages.free;
        if free > 0 {
            vacuum(&self.store, SCRUBBED_PAGES)?;
            self.count_pages()?;
            if (1..free).contains(&self.pages.free) {
                return Ok(Scrubbed::InPart);
            }
        }
        // Nobody's event waits for those who read.
        self.store.busy_timeout(Duration::ZERO)?;
        let busy = self
            .store
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        self.store.busy_timeout(BUSY_TIMEOUT)?;
        if busy? {
            return Ok(Scrubbed::Held);
        }
        self.moved_pages = 0;
        Ok(Scrubbed::Whole)
    }

    /// How much room there is.
    pub(in crate::queue) fn measure(&mut self) -> rusqlite::Result<()> {
        self.measured = Some(Instant::now());
        let free = statvfs(&self.dir)
            .ok()
            .map(|disk| disk.blocks_available().saturating_mul(disk.fragment_size()));
        self.shared.levels.lock().free_disk_bytes = free;
        self.metrics.used_bytes.set(self.pages.used_bytes().cast_signed());
        self.count_pages()
    }

    /// How much of the file is in use.
    fn count_pages(&mut self) -> rusqlite::Result<()> {
        self.pages = Pages::measure(&self.store)?;
        self.shared.levels.lock().used_bytes = self.pages.used_bytes();
        Ok(())
    }

    /// Counts the dead letters anew.
    pub(in crate::queue) fn recount_dead(&self) -> rusqlite::Result<()> {
        let mut select = self
            .store
            .prepare_cached("SELECT subscription, org, count(*) FROM dead GROUP BY subscription, org")?;
        let counts = select.query_map([], |row| {
            let org: i64 = row.get(1)?;
            let count: i64 = row.get(2)?;
            Ok((row.get::<_, String>(0)?, org.cast_unsigned(), count.cast_unsigned()))
        })?;
        let counts = counts.collect::<Result<Vec<_>, _>>()?;
        let mut depths = self.shared.depths.lock();
        depths.set_dead(counts);
        self.shared.levels.lock().dead = depths.dead;
        self.metrics.dead.set(depths.dead.cast_signed());
        Ok(())
    }
}

/// Pages that are given back while others wait: 8 MB.
const SCRUBBED_PAGES: u32 = 1024;
/// Pages in the log beyond which it is moved into the file: 8 MB.
const CHECKPOINT_PAGES: i64 = 1000;

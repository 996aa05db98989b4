//! The one thread that writes: it takes all that waits, commits it at once, and tells everybody.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{oneshot, watch};
use tracing::{error, warn};

use super::dedupe::Digests;
use super::group::{Group, Staged};
use super::operation::Operation;
use super::recovery::Recovery;
use super::retention::{Pages, Retention};
use super::row::Names;
use super::spool::Reach;
use super::stats::{Depths, Levels};
use super::{HandOff, QueueError, QueueMetrics, Seq};

mod committed;
mod upkeep;

/// What callers see of the writer.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) levels: Mutex<Levels>,
    pub(super) depths: Mutex<Depths>,
    pub(super) recovering: Mutex<bool>,
    pub(super) reach: watch::Sender<Reach>,
    /// Operations that were sent and not taken yet.
    pub(super) waiting: AtomicU64,
}

/// The writer's own state. What it knows is what is on disk.
pub(super) struct Writer {
    pub(super) store: Connection,
    pub(super) dir: PathBuf,
    /// Keeps other processes out as long as it is open.
    pub(super) lock: File,
    pub(super) shared: Arc<Shared>,
    pub(super) hand_off: HandOff,
    pub(super) metrics: QueueMetrics,
    pub(super) records: bool,
    pub(super) digests: Digests,
    pub(super) names: Names,
    pub(super) next_seq: Seq,
    pub(super) recovery: Option<Recovery>,
    pub(super) retention: Retention,
    /// When the next dead letter is tried again.
    pub(super) retry_ms: Option<i64>,
    pub(super) measured: Option<Instant>,
    pub(super) pages: Pages,
    /// True while settled events wait to be thrown out.
    pub(super) behind: bool,
    /// Pages that were in the log when it was moved into the file last.
    pub(super) moved_pages: i64,
}

impl Writer {
    /// Works until the queue is closed, or everybody has let go of it.
    pub(super) fn run(mut self, operations: &Receiver<Operation>) {
        let _bell = Bell(Arc::clone(&self.shared));
        let mut closing = None;
        // Of a queue without much in it, everything is handed over before anything new.
        self.recover();
        while closing.is_none() {
            let Some(first) = self.next(operations) else { break };
            let mut group = Vec::new();
            if let Some(first) = first {
                gather(first, operations, &mut group, &mut closing);
                self.shared.waiting.fetch_sub(group.len() as u64, Ordering::Relaxed);
            }
            if self.recovery.is_none() && self.retry_ms.is_some_and(|due| due <= now_ms()) {
                group.push(Operation::RetryDue);
            }
            let is_idle = group.is_empty();
            if !is_idle {
                self.commit(group);
            }
            self.recover();
            self.look_after(is_idle);
        }
        self.end(operations, closing);
    }

    /// The next operation; `Some(None)` if other work is due, `None` if there will be none any more.
    fn next(&self, operations: &Receiver<Operation>) -> Option<Option<Operation>> {
        if self.recovery.is_some() || self.behind {
            return match operations.try_recv() {
                Ok(operation) => Some(Some(operation)),
                Err(TryRecvError::Empty) => Some(None),
                Err(TryRecvError::Disconnected) => None,
            };
        }
        let until_retry = self
            .retry_ms
            .map_or(i64::MAX, |due| due.saturating_sub(now_ms()).max(0));
        let patience = TICK.min(Duration::from_millis(until_retry.cast_unsigned()));
        match operations.recv_timeout(patience) {
            Ok(operation) => Some(Some(operation)),
            Err(RecvTimeoutError::Timeout) => Some(None),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Carries out a group of operations in one commit. If one of them makes it fail, the others get commits of their own.
    fn commit(&mut self, mut group: Vec<Operation>) {
        if self.retention.is_full_for_calls(self.pages) {
            let is_call = |operation: &Operation| matches!(operation, Operation::Bury(_));
            for call in group.extract_if(.., |operation| is_call(operation)) {
                call.fail(QueueError::Full);
            }
        }
        if self.retention.is_full(self.pages) {
            // The rest of the room is for settling what is there.
            let (new, rest) = without_events(group);
            new.into_iter().for_each(|operation| operation.fail(QueueError::Full));
            group = rest;
        }
        if group.is_empty() {
            return;
        }
        let failure = match self.attempt(&mut group) {
            Ok(staged) => return self.committed(staged, group),
            Err(failure) => failure,
        };
        self.metrics.failed_commits.inc();
        match failure.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => {
                self.behind = true;
                let (new, rest) = without_events(group);
                let may_fit = !new.is_empty();
                self.refuse(new, &failure);
                match may_fit {
                    true => self.commit(rest),
                    false => self.refuse(rest, &failure),
                }
            }
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::DatabaseBusy
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory,
            ) => self.refuse(group, &failure),
            _ if group.len() == 1 => self.refuse(group, &failure),
            _ => group.into_iter().for_each(|operation| self.commit(vec![operation])),
        }
    }

    fn attempt(&mut self, group: &mut [Operation]) -> rusqlite::Result<Staged> {
        if !self.store.is_autocommit() {
            // Taking the last one back failed.
            self.store.execute_batch("ROLLBACK")?;
        }
        self.store.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let written = self.write(group).and_then(|staged| {
            let started = Instant::now();
            self.store.prepare_cached("COMMIT")?.execute([])?;
            self.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
            self.metrics.group_operations.observe(group.len() as f64);
            Ok(staged)
        });
        if written.is_err()
            && !self.store.is_autocommit()
            && let Err(error) = self.store.execute_batch("ROLLBACK")
        {
            error!(%error, "the queue cannot take back a commit that failed");
        }
        written
    }

    fn write(&mut self, group: &mut [Operation]) -> rusqlite::Result<Staged> {
        let mut commit = Group::new(&self.store, &self.digests, &mut self.names, now_ms(), self.next_seq);
        commit.purged_to = self.retention.purged_to;
        commit.records = self.records;
        for operation in group {
            commit.carry_out(operation)?;
        }
        commit.finish()?;
        Ok(commit.staged)
    }

    fn refuse(&mut self, group: Vec<Operation>, failure: &rusqlite::Error) {
        if group.is_empty() {
            return;
        }
        let was_failing = std::mem::replace(&mut self.shared.levels.lock().failing, true);
        if !was_failing {
            error!(error = %failure, "the queue cannot write");
        }
        for operation in group {
            if matches!(operation, Operation::RetryDue) {
                self.retry_ms = Some(now_ms() + RETRY_PAUSE_MS);
            }
            operation.fail(QueueError::from_store("write", repeated(failure)));
        }
    }

    /// Closes the file, and tells those who still wait.
    fn end(self, operations: &Receiver<Operation>, closing: Option<oneshot::Sender<()>>) {
        if let Err(error) = self.store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            warn!(%error, "the queue's log is left for the next start");
        }
        if let Err((_, error)) = self.store.close() {
            warn!(%error, "the queue's file was not closed");
        }
        drop(self.lock);
        for operation in operations.try_iter() {
            operation.fail(QueueError::Closed);
        }
        if let Some(closing) = closing {
            _ = closing.send(());
        }
    }
}

/// Says that nothing is written any more, however the writer ended.
struct Bell(Arc<Shared>);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.levels.lock().failing = true;
        if std::thread::panicking() {
            error!("the queue's writer broke down; nothing is taken in or settled until the gateway is started again");
        }
    }
}

/// Takes what waits, up to a whole group.
fn gather(
    first: Operation,
    operations: &Receiver<Operation>,
    group: &mut Vec<Operation>,
    closing: &mut Option<oneshot::Sender<()>>,
) {
    let mut bytes = 0;
    let mut next = Some(first);
    while let Some(operation) = next {
        if let Operation::Close(answer) = operation {
            *closing = Some(answer);
            return;
        }
        bytes += operation.bytes();
        group.push(operation);
        if group.len() >= MOST_OPERATIONS || bytes >= MOST_BYTES {
            return;
        }
        next = operations.try_recv().ok();
    }
}

/// Events and calls that are to be kept, and everything else.
fn without_events(group: Vec<Operation>) -> (Vec<Operation>, Vec<Operation>) {
    let are_events = |operation: &Operation| matches!(operation, Operation::Accept(_) | Operation::Bury(_));
    group.into_iter().partition(are_events)
}

/// The same failure for another caller.
fn repeated(failure: &rusqlite::Error) -> rusqlite::Error {
    match failure {
        rusqlite::Error::SqliteFailure(code, message) => rusqlite::Error::SqliteFailure(*code, message.clone()),
        other => rusqlite::Error::ToSqlConversionFailure(other.to_string().into()),
    }
}

pub(super) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

const TICK: Duration = Duration::from_secs(1);
const RETRY_PAUSE_MS: i64 = 1000;
/// A group takes what waits, up to these.
const MOST_OPERATIONS: usize = 1024;
const MOST_BYTES: usize = 4 << 20;

//! Why the queue did not do something.

use std::io;
use std::path::PathBuf;

use super::{DeliveryKey, Seq};

/// Why the queue did not do something. What it did not do left no trace.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Another process has the queue.
    #[error("the queue in {} is in use by another process; stop that process first, or let this one take it over", .0.display())]
    Locked(PathBuf),
    /// A later version of this program made it.
    #[error(
        "the queue in {} has the format {found}, and this version of the gateway knows formats up to {known}; \
         start the version that made it, or a later one", path.display()
    )]
    Newer {
        /// Its folder.
        path: PathBuf,
        /// Format of the files.
        found: i64,
        /// The newest format that this program knows.
        known: i64,
    },
    /// The file is no queue.
    #[error("{} is not a queue of this gateway; move it away, or name another folder in `queue.dir`", .0.display())]
    Foreign(PathBuf),
    /// The folder cannot be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk, or the room that the queue may use, is full.
    #[error("there is no room left on the queue's disk")]
    Full,
    /// The store failed.
    #[error("the queue cannot {action}: {source}")]
    Store {
        /// What was tried.
        action: &'static str,
        /// What the store said.
        source: rusqlite::Error,
    },
    /// A row cannot be read.
    #[error("row {row} of `{table}` in the queue is damaged ({reason}); `gateway queue verify` shows what else is")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The row.
        row: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// The delivery is settled already, or there never was one.
    #[error("delivery {}-{} is not open", .0.seq, .0.number)]
    NotOpen(DeliveryKey),
    /// The queue does not have the event any more, or never had.
    #[error("event {0} is not in the queue")]
    NoEvent(Seq),
    /// What was handed over cannot be kept.
    #[error("{0}")]
    Invalid(String),
    /// More waits to be written than may wait.
    #[error("too much waits to be written; try again")]
    Busy,
    /// It was closed.
    #[error("the queue is closed")]
    Closed,
}

impl QueueError {
    /// True where trying again helps nothing: the queue is not ours to open.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Locked(_) | Self::Newer { .. } | Self::Foreign(_))
    }

    /// What the store said when it was to `action`.
    pub(super) fn from_store(action: &'static str, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            _ => Self::Store { action, source },
        }
    }

    /// A row of `table` that cannot be read.
    pub(super) fn damaged(table: &'static str, row: i64, reason: &impl std::fmt::Display) -> Self {
        Self::Damaged {
            table,
            row,
            reason: reason.to_string(),
        }
    }
}

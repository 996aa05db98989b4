//! Opening the queue.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::watch;

use super::dedupe::{Digests, MOST_RECENT};
use super::operation::Operation;
use super::reader::Readers;
use super::recovery::Recovery;
use super::retention::{Pages, Retention};
use super::row::Names;
use super::schema::{self, failed};
use super::stats::Levels;
use super::writer::{Shared, Writer};
use super::{HandOff, Queue, QueueError, QueueSettings, Seq, spool};

/// Opens the queue in `dir`, and starts its writer.
pub(super) fn open(dir: &Path, settings: QueueSettings, hand_off: HandOff) -> Result<Queue, QueueError> {
    schema::make_folder(dir)?;
    let lock = lock(dir)?;
    let path = schema::file_in(dir);
    // The room beyond the level at which no more events are taken in is for settling those that are there.
    let store = schema::open_writer(&path, settings.max_bytes.saturating_add(settings.max_bytes / 4))?;
    let (writer, shared) = writer(store, dir, lock, &settings, hand_off)
        .map_err(|error| QueueError::from_store("read what it has", error))?;
    let (operations, receiver) = mpsc::channel::<Operation>();
    std::thread::Builder::new()
        .name("queue".to_owned())
        .spawn(move || writer.run(&receiver))
        .map_err(failed("start the writer of", dir))?;
    Ok(Queue {
        operations,
        shared,
        readers: Readers::new(&path),
        records: settings.records,
    })
}

fn writer(
    store: Connection,
    dir: &Path,
    lock: File,
    settings: &QueueSettings,
    hand_off: HandOff,
) -> rusqlite::Result<(Writer, Arc<Shared>)> {
    let (reach, spool_bytes) = spool::measure(&store)?;
    let newest: Seq = store.query_row(
        "SELECT max(coalesce((SELECT max(seq) FROM events), 0), coalesce((SELECT max(seq) FROM open), 0),
            (SELECT value FROM meta WHERE key = 'purged_to'))",
        [],
        |row| row.get(0),
    )?;
    let levels = Levels {
        spool_bytes,
        ..Levels::default()
    };
    let shared = Arc::new(Shared {
        levels: Mutex::new(levels),
        depths: Mutex::default(),
        recovering: Mutex::new(true),
        reach: watch::Sender::new(reach),
        waiting: 0.into(),
    });
    let mut writer = Writer {
        digests: Digests::load(&store, MOST_RECENT)?,
        retention: Retention::load(&store, settings.retention, settings.max_bytes)?,
        retry_ms: store.query_row("SELECT min(retry_ms) FROM dead", [], |row| row.get(0))?,
        store,
        dir: dir.to_owned(),
        lock,
        shared: Arc::clone(&shared),
        hand_off,
        metrics: settings.metrics.clone(),
        records: settings.records,
        names: Names::default(),
        next_seq: newest + 1,
        recovery: Some(Recovery::default()),
        measured: None,
        pages: Pages::default(),
        behind: false,
        moved_pages: 0,
    };
    writer.recount_dead()?;
    writer.measure()?;
    settings.metrics.spool_bytes.set(spool_bytes.cast_signed());
    Ok((writer, shared))
}

/// Owns the folder as long as the file is open.
fn lock(dir: &Path) -> Result<File, QueueError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(QueueError::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed("lock", &path)(error)),
    }
}

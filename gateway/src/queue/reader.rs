//! Reading beside the writer: a few connections that see what was committed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use filters::event::Event;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, types};
use tokio::sync::Semaphore;

use super::{QueueError, Seq, schema};

/// Connections for reading, each used by one task at a time.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    turns: Semaphore,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Arc<Self> {
        Arc::new(Self {
            path: path.to_owned(),
            idle: Mutex::default(),
            turns: Semaphore::new(CONNECTIONS),
        })
    }

    /// Reads, in a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let readers = Arc::clone(self);
        // Held by the thread that reads, as the caller may go away.
        let turn = self.clone().turn().await?;
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let idle = readers.idle.lock().pop();
            let store = match idle {
                Some(store) => store,
                None => schema::open_reader(&readers.path)?,
            };
            let result = read(&store);
            readers.idle.lock().push(store);
            result
        });
        reading.await.unwrap_or(Err(QueueError::Closed))
    }

    /// Waits for those who read, and closes the connections.
    pub(super) async fn close(&self) {
        let everyone = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
        if let Ok(turns) = self.turns.acquire_many(everyone).await {
            self.turns.close();
            turns.forget();
        }
        self.idle.lock().clear();
    }

    async fn turn(self: Arc<Self>) -> Result<Turn, QueueError> {
        let permit = self.turns.acquire().await.map_err(|_| QueueError::Closed)?;
        permit.forget();
        Ok(Turn(self))
    }
}

/// The right to use a connection.
struct Turn(Arc<Readers>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.turns.add_permits(1);
    }
}

/// The event at `seq`.
pub(super) fn event(store: &Connection, seq: Seq) -> rusqlite::Result<Option<Arc<Event>>> {
    store
        .prepare_cached("SELECT head, body FROM events WHERE seq = ?1")?
        .query_row([seq], |row| decode_event(row.get_ref(0)?, row.get_ref(1)?))
        .optional()
}

/// An event from its two columns.
pub(super) fn decode_event(head: types::ValueRef<'_>, body: types::ValueRef<'_>) -> rusqlite::Result<Arc<Event>> {
    let head = serde_json::from_slice(head.as_blob()?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, types::Type::Blob, Box::new(error)))?;
    Ok(Arc::new(Event {
        head,
        payload: Bytes::copy_from_slice(body.as_blob()?),
    }))
}

const CONNECTIONS: usize = 4;

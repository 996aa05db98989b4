//! Messages that wait to be sent, kept so that they outlive this process: another one, or the next, sends them.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::notice::Notice;
use crate::store::{Sheet, Shelf, Shelved, Store, StoreError, Write};

/// A message to one receiver.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Waiting {
    /// Identifier of the message, and who gets it.
    id: String,
    /// Who gets it.
    pub(super) channel: String,
    /// Nobody else takes it before; whoever has it says so again from time to time.
    held_until: Timestamp,
    posted_at: Timestamp,
    /// What is sent.
    pub(super) notice: Notice,
}

impl Shelved for Waiting {
    const SHELF: Shelf = Shelf::Notices;
    const NAME: &'static str = "message on an alert";

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        None
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.posted_at.checked_add(WORTH_SENDING).ok()
    }
}

/// A message that this process has; with the revision under which it is kept, if it is.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) waiting: Waiting,
    revision: Option<u64>,
}

/// Where messages are kept. Without a store they are in memory only.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelter {
    store: Arc<OnceLock<Arc<Store>>>,
    /// Those that this process has.
    held: Arc<Mutex<BTreeSet<String>>>,
}

impl Shelter {
    /// Keeps messages in `store` from now on.
    pub(super) fn keep_in(&self, store: &Arc<Store>) {
        drop(self.store.set(Arc::clone(store)));
    }

    /// Keeps a message for each of these receivers. What cannot be kept is sent all the same.
    pub(super) async fn keep(&self, notice: &Notice, channels: impl Iterator<Item = &str>) -> Vec<Held> {
        let now = Timestamp::now();
        let waiting = channels.map(|channel| Waiting {
            id: format!("{}/{channel}", notice.id),
            channel: channel.to_owned(),
            held_until: later(now, Duration::ZERO),
            posted_at: now,
            notice: notice.clone(),
        });
        let waiting: Vec<Waiting> = waiting.collect();
        let revision = match self.store.get() {
            Some(store) if !waiting.is_empty() => {
                let writes = waiting.iter().map(Write::new).collect::<Result<Vec<_>, _>>();
                written(store, writes).await.then_some(1)
            }
            _ => None,
        };
        self.held
            .lock()
            .extend(waiting.iter().map(|waiting| waiting.id.clone()));
        let held = waiting.into_iter().map(|waiting| Held { waiting, revision });
        held.collect()
    }

    /// The messages that nobody has: those of a process that is gone.
    ///
    /// # Errors
    /// If the store does not work.
    pub(super) async fn take_over(&self, is_start: bool) -> Result<Vec<Held>, StoreError> {
        let Some(store) = self.store.get() else {
            return Ok(Vec::new());
        };
        let now = Timestamp::now();
        let mut taken = Vec::new();
        let sheets: Vec<Sheet<Waiting>> = store.sheets(None, None, MOST_TAKEN).await?;
        for Sheet { revision, value } in sheets {
            // At the start of the only process there is, nobody has any.
            let is_free = value.held_until < now || (is_start && !store.is_shared());
            if !is_free || self.held.lock().contains(&value.id) {
                continue;
            }
            let waiting = Waiting {
                held_until: later(now, Duration::ZERO),
                ..value
            };
            if store
                .write(vec![Write::replace(&waiting, revision)?], Vec::new())
                .await?
            {
                self.held.lock().insert(waiting.id.clone());
                taken.push(Held {
                    waiting,
                    revision: Some(revision + 1),
                });
            }
        }
        Ok(taken)
    }

    /// Says that a message is still had, and is tried after `pause`. False if somebody else has taken it.
    pub(super) async fn hold(&self, held: &mut Held, pause: Duration) -> bool {
        let (Some(store), Some(revision)) = (self.store.get(), held.revision) else {
            return true;
        };
        held.waiting.held_until = later(Timestamp::now(), pause);
        let write = Write::replace(&held.waiting, revision).map(|write| vec![write]);
        let write = async { store.write(write?, Vec::new()).await };
        match tokio::time::timeout(PATIENCE, write).await {
            Ok(Ok(true)) => {
                held.revision = Some(revision + 1);
                true
            }
            Ok(Ok(false)) => {
                self.held.lock().remove(&held.waiting.id);
                false
            }
            // While the store does not work, nobody else takes it either.
            Ok(Err(_)) | Err(_) => true,
        }
    }

    /// Leaves a message to the next process; false if it is in memory only.
    pub(super) fn leave(&self, held: &Held) -> bool {
        self.held.lock().remove(&held.waiting.id);
        held.revision.is_some()
    }

    /// Forgets a message that was sent or given up.
    pub(super) async fn forget(&self, held: &Held) {
        if let (Some(store), Some(_)) = (self.store.get(), held.revision) {
            let gone = Write::delete::<Waiting>(&held.waiting.id, None);
            written(store, Ok(vec![gone])).await;
        }
        self.held.lock().remove(&held.waiting.id);
    }
}

/// True if it was written. Nobody waits for long: a message that is kept too long is sent twice, under the same identifier.
async fn written(store: &Store, writes: Result<Vec<Write>, StoreError>) -> bool {
    let write = async { store.write(writes?, Vec::new()).await };
    match tokio::time::timeout(PATIENCE, write).await {
        Ok(Ok(written)) => written,
        Ok(Err(error)) => {
            tracing::warn!(%error, "a message on an alert is in memory only");
            false
        }
        Err(_) => {
            tracing::warn!("the store is slow; a message on an alert is in memory only");
            false
        }
    }
}

fn later(now: Timestamp, pause: Duration) -> Timestamp {
    now.checked_add(HELD_FOR + pause).unwrap_or(Timestamp::MAX)
}

/// Beyond what a try may take.
const HELD_FOR: Duration = Duration::from_secs(2 * 60);
const PATIENCE: Duration = Duration::from_secs(2);
/// After that, nobody wants to hear of it.
const WORTH_SENDING: SignedDuration = SignedDuration::from_hours(24);
const MOST_TAKEN: u32 = 1_000;

//! What became of deliveries and commands, on its way from the queue's spool to the control plane: a batch at a time, and
//! again until it is settled. The queue keeps it until then, over reconnects and restarts.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tracing::warn;

use crate::queue::{Queue, QueueError};

/// The part of one connection in this: batches to send, and a way to say which of them are settled. Dropping it ends it.
pub(super) struct Outcomes {
    batches: mpsc::Receiver<Utf8Bytes>,
    settled: mpsc::Sender<i64>,
}

impl Outcomes {
    /// Begins with the oldest that is not settled, as soon as the queue is open.
    pub(super) fn begin(opened: watch::Receiver<Option<Queue>>) -> Self {
        let (batches, to_send) = mpsc::channel(1);
        let (settled, heard) = mpsc::channel(WAITING);
        tokio::spawn(ship(opened, batches, heard));
        Self {
            batches: to_send,
            settled,
        }
    }

    /// The next message to send. Safe to drop while it waits.
    pub(super) async fn next(&mut self) -> Utf8Bytes {
        match self.batches.recv().await {
            Some(batch) => batch,
            // The queue is closed; the connection goes on without it.
            None => std::future::pending().await,
        }
    }

    /// The control plane has everything up to here.
    pub(super) fn settled(&self, up_to: i64) {
        // Without room, so many answers wait already that the batch is sent again.
        let _ = self.settled.try_send(up_to);
    }
}

async fn ship(
    mut opened: watch::Receiver<Option<Queue>>,
    batches: mpsc::Sender<Utf8Bytes>,
    mut settled: mpsc::Receiver<i64>,
) {
    let queue = tokio::select! {
        opened = opened.wait_for(Option::is_some) => opened.ok().and_then(|queue| queue.clone()),
        () = batches.closed() => None,
    };
    let Some(queue) = queue else { return };
    let mut after = 0;
    loop {
        tokio::select! {
            () = queue.spool_beyond(after) => {}
            () = batches.closed() => return,
        }
        match ship_one(&queue, after, &batches, &mut settled).await {
            Ok(Some(up_to)) => after = up_to,
            Ok(None) => {}
            Err(QueueError::Closed) => return,
            Err(error) => {
                warn!(%error, "outcomes of deliveries cannot be shipped; it is tried again");
                sleep(PAUSE).await;
            }
        }
        if batches.is_closed() {
            return;
        }
    }
}

/// Sends the records after `after`, and says up to where they are settled; `None` if that was not heard in time.
async fn ship_one(
    queue: &Queue,
    after: i64,
    batches: &mpsc::Sender<Utf8Bytes>,
    settled: &mut mpsc::Receiver<i64>,
) -> Result<Option<i64>, QueueError> {
    let Some(batch) = queue.spooled(after, MOST_BYTES).await? else {
        return Ok(None);
    };
    let up_to = batch.up_to;
    // The records are JSON already.
    let message = format!(r#"{{"message":"outcomes","upTo":{up_to},"records":{}}}"#, batch.json);
    drop(batch);
    if batches.send(message.into()).await.is_err() {
        return Ok(None);
    }
    let until = Instant::now() + SEND_AGAIN;
    while let Ok(Some(heard)) = timeout_at(until, settled.recv()).await {
        // An answer to an earlier sending of an earlier batch says nothing of this one.
        if heard >= up_to {
            queue.acknowledge(up_to).await?;
            return Ok(Some(up_to));
        }
    }
    Ok(None)
}

/// Of a batch. A single row of the spool may have more: a dead letter comes with its payload.
const MOST_BYTES: usize = 512 << 10;
/// Longer than the control plane waits for its store.
const SEND_AGAIN: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_secs(1);
/// Answers that wait to be looked at.
const WAITING: usize = 16;

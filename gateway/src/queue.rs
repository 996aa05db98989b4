//! The durable queue: events and their deliveries on disk before they are acknowledged.

mod browse;
mod call;
mod commands;
mod dead;
mod dedupe;
pub mod delivery;
mod erase;
mod error;
mod export;
mod group;
mod listing;
mod metrics;
mod open;
mod operation;
mod reader;
mod recovery;
mod retention;
mod row;
mod rows;
mod schema;
mod settings;
mod spool;
mod stats;
mod verify;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use filters::event::Event;
use filters::model::command::CommandResult;
use tokio::sync::oneshot;
use uuid::Uuid;

pub use call::{CALL, DeadArrival, Setback};
pub use delivery::{
    Accepted, Arrival, Dedupe, DeliveryKey, DeliveryState, Handed, Next, OpenDelivery, Record, Seq, Settlement,
    Skipped, Step,
};
pub use error::QueueError;
pub use export::{ExportError, export};
pub use listing::{
    Cancellation, DeadEntry, DeadFilter, DeliveryAudit, EventAudit, History, HistoryRange, Hold, KeptEvent, OpenEntry,
    OpenFilter, Replay, Scrubbed, Spooled,
};
pub use metrics::QueueMetrics;
pub use settings::QueueSettings;
pub use stats::{Levels, QueueStats, SubscriptionDepth};
pub use verify::{Verified, verify};

use self::call::Burying;
use self::operation::{Action, Command, Incoming, Operation, Settling, Task};
use self::reader::Readers;
use self::writer::Shared;

/// Called with deliveries that are to be made: of events just accepted, of events found at the start (their event is
/// `None`), of dead letters whose time has come. The calls come from one thread, and events come in the order of their
/// places; only deliveries of dead letters and replays come later than their event's place says. It must be quick.
pub type HandOff = Box<dyn Fn(Vec<Handed>) + Send>;

/// A page of the dead letters of the queue in `dir`, without their payloads, also while a gateway works with it.
///
/// # Errors
/// If there is no queue, or it cannot be read.
pub fn dead_letters(dir: &Path, filter: &DeadFilter) -> Result<Vec<DeadEntry>, QueueError> {
    dead::page(&schema::open_reader(&schema::file_in(dir))?, filter)
}

/// The dead letter `id` of the queue in `dir`, with its payload.
///
/// # Errors
/// If there is no queue, or it cannot be read.
pub fn dead_letter(dir: &Path, id: Uuid) -> Result<Option<DeadEntry>, QueueError> {
    dead::whole(&schema::open_reader(&schema::file_in(dir))?, id)
}

/// The queue. Clones are the same queue.
#[derive(Clone, Debug)]
pub struct Queue {
    operations: mpsc::Sender<Operation>,
    shared: Arc<Shared>,
    readers: Arc<Readers>,
    records: bool,
}

impl Queue {
    /// Opens the queue in `dir`, making it if it is not there, and begins to hand over what is open.
    ///
    /// It blocks, for milliseconds.
    ///
    /// # Errors
    /// [`QueueError::Locked`] while another process has it; otherwise if the folder or the files cannot be used.
    pub fn open(dir: &Path, settings: QueueSettings, hand_off: HandOff) -> Result<Self, QueueError> {
        open::open(dir, settings, hand_off)
    }

    /// Keeps events, all or none of them, and returns when they are on disk. A repeat is answered with the event that is
    /// kept. If the caller goes away, the events may be kept nonetheless.
    ///
    /// # Errors
    /// If they are not kept.
    pub async fn accept(&self, arrivals: Vec<Arrival>) -> Result<Vec<Accepted>, QueueError> {
        if self.shared.waiting.load(Ordering::Relaxed) > MOST_WAITING {
            return Err(QueueError::Busy);
        }
        let events = arrivals.into_iter().map(Incoming::prepare).collect::<Result<_, _>>()?;
        let (task, answer) = Task::new(events);
        self.send(Operation::Accept(task));
        answered(answer).await
    }

    /// Writes down what became of an attempt. The call itself sends it to the writer; the future only waits until it is
    /// on disk, so dropping it calls nothing off.
    ///
    /// # Errors
    /// [`QueueError::NotOpen`] for a delivery that is settled already; otherwise if it is not written, and can be tried
    /// again.
    pub fn settle(&self, settlement: Arc<Settlement>) -> impl Future<Output = Result<(), QueueError>> + Send + use<> {
        let answer = Settling::prepare(&settlement, self.records).map(|settling| {
            let (task, answer) = Task::new(settling);
            self.send(Operation::Settle(task));
            answer
        });
        async { answered(answer?).await }
    }

    /// Keeps a call that failed for good as a dead letter; false if it is the repeat of one that is kept. The call itself
    /// sends it to the writer, as [`Self::settle`] does.
    ///
    /// # Errors
    /// If it is not kept.
    pub fn bury(&self, arrival: DeadArrival) -> impl Future<Output = Result<bool, QueueError>> + Send + use<> {
        let sent = if self.shared.waiting.load(Ordering::Relaxed) > MOST_WAITING {
            Err(QueueError::Busy)
        } else {
            Burying::prepare(arrival, self.records).map(|burying| {
                let (task, answer) = Task::new(Box::new(burying));
                self.send(Operation::Bury(task));
                answer
            })
        };
        async { answered(sent?).await }
    }

    /// How many dead letters there are of a subscription, or of the calls of an integration.
    pub fn dead_of(&self, integration: &str) -> u64 {
        self.shared.depths.lock().dead_of(integration)
    }

    /// The event at `seq`, from disk; `None` if it is not there any more.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn event(&self, seq: Seq) -> Result<Option<Arc<Event>>, QueueError> {
        self.read(move |store| reader::event(store, seq)).await
    }

    /// The events at `seqs`, in the same order; one trip for all of them.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn events(&self, seqs: Vec<Seq>) -> Result<Vec<Option<Arc<Event>>>, QueueError> {
        self.read(move |store| seqs.iter().map(|seq| reader::event(store, *seq)).collect())
            .await
    }

    /// What became of the event at `seq`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn audit(&self, seq: Seq) -> Result<Option<EventAudit>, QueueError> {
        self.readers.read(move |store| browse::audit(store, seq)).await
    }

    /// Records after `after` (0 to begin with; the last batch's [`Spooled::up_to`] to go on), at most `max_bytes` of them
    /// unless a single row has more; `None` if there are none.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn spooled(&self, after: i64, max_bytes: usize) -> Result<Option<Spooled>, QueueError> {
        self.read(move |store| spool::read(store, after, max_bytes)).await
    }

    /// Returns when there are records after `after`; never once the queue is closed.
    pub async fn spool_beyond(&self, after: i64) {
        let mut reach = self.shared.reach.subscribe();
        let grown = reach.wait_for(|reach| reach.newest > after.max(reach.acknowledged));
        // The sender lives as long as the queue.
        drop(grown.await);
    }

    /// Forgets the records up to `up_to`: the control plane has them.
    ///
    /// # Errors
    /// If it is not written.
    pub async fn acknowledge(&self, up_to: i64) -> Result<(), QueueError> {
        let (task, answer) = Task::new(up_to);
        self.send(Operation::Acknowledge(task));
        answered(answer).await
    }

    /// A page of the dead letters, without their payloads.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn dead(&self, filter: DeadFilter) -> Result<Vec<DeadEntry>, QueueError> {
        self.readers.read(move |store| dead::page(store, &filter)).await
    }

    /// The dead letter `id` with its payload.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn dead_letter(&self, id: Uuid) -> Result<Option<DeadEntry>, QueueError> {
        self.readers.read(move |store| dead::whole(store, id)).await
    }

    /// Tries dead letters again, now: they become open deliveries and are handed over, with `payload` (JSON) in the
    /// place of their own if it is given. They stay in the list until they are settled.
    ///
    /// With `command` that is remembered in the same commit, with a record of the result for the control plane; a
    /// repeat does nothing and is answered with the first result. It is the same with the methods below.
    ///
    /// # Errors
    /// If it is not written. What cannot be tried again is in the result.
    pub async fn dead_retry(
        &self,
        ids: Vec<String>,
        payload: Option<String>,
        command: Option<String>,
    ) -> Result<CommandResult, QueueError> {
        let payload = payload.map(String::into_boxed_str);
        self.act(Action::Retry { ids, payload }, command).await
    }

    /// Gives dead letters up: they are not tried again unless an operator does.
    ///
    /// # Errors
    /// If it is not written. What cannot be given up is in the result.
    pub async fn dead_abandon(&self, ids: Vec<String>, command: Option<String>) -> Result<CommandResult, QueueError> {
        self.act(Action::Abandon(ids), command).await
    }

    /// Forgets dead letters.
    ///
    /// # Errors
    /// If it is not written. What cannot be forgotten is in the result.
    pub async fn dead_drop(&self, ids: Vec<String>, command: Option<String>) -> Result<CommandResult, QueueError> {
        self.act(Action::Forget(ids), command).await
    }

    /// A page of the open deliveries, in the order of their events.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn open_deliveries(&self, filter: OpenFilter) -> Result<Vec<OpenEntry>, QueueError> {
        self.readers
            .read(move |store| browse::open_deliveries(store, &filter))
            .await
    }

    /// Calls open deliveries off.
    ///
    /// # Errors
    /// If it is not written. What is not open is in the result.
    pub async fn cancel(
        &self,
        cancellations: Vec<Cancellation>,
        command: Option<String>,
    ) -> Result<CommandResult, QueueError> {
        self.act(Action::cancel(cancellations, self.records)?, command).await
    }

    /// A page of an organization's events, to be replayed.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn history(&self, range: HistoryRange) -> Result<History, QueueError> {
        self.read(move |store| browse::history(store, &range)).await
    }

    /// The places of events by their identifiers; what is not there any more is left out. It searches from the newest on.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn find(&self, org_id: u64, ids: Vec<String>) -> Result<Vec<KeptEvent>, QueueError> {
        let mut left = ids;
        let mut found = Vec::new();
        let mut before = Some(Seq::MAX);
        while let Some(newest) = before.filter(|_| !left.is_empty()) {
            let ids = std::mem::take(&mut left);
            let piece = self.read(move |store| {
                let mut ids = ids;
                let (found, before) = browse::find(store, org_id, &mut ids, newest)?;
                Ok((found, before, ids))
            });
            let (events, rest, ids) = piece.await?;
            found.extend(events);
            (left, before) = (ids, rest);
        }
        Ok(found)
    }

    /// Makes deliveries of events that are kept; they are handed over. `command` goes with the last page of a long one.
    ///
    /// # Errors
    /// If it is not written. Events that are gone are in the result, by their place.
    pub async fn replay(&self, replays: Vec<Replay>, command: Option<String>) -> Result<CommandResult, QueueError> {
        self.act(Action::Replay(replays), command).await
    }

    /// Removes events that nothing is open of and that have no dead letters; nothing of them stays in the file.
    ///
    /// # Errors
    /// If it is not written. Those that cannot be removed are in the result, by their place.
    pub async fn erase(&self, seqs: Vec<Seq>) -> Result<CommandResult, QueueError> {
        self.act(Action::Erase(seqs), None).await
    }

    /// Takes what was removed out of the files, a piece at a time: at the end neither a free page nor the log holds it.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub async fn scrub(&self) -> Result<Scrubbed, QueueError> {
        let (task, answer) = Task::new(());
        self.send(Operation::Scrub(task));
        answered(answer).await
    }

    /// Waits until the control plane has all records that are in the spool by now.
    pub async fn spool_told(&self) {
        let mut reach = self.shared.reach.subscribe();
        let newest = reach.borrow().newest;
        // An error means that nothing will be told any more.
        drop(reach.wait_for(|reach| reach.acknowledged >= newest).await);
    }

    /// Holds a subscription back or, with `reason: None`, lets it go on. The queue only remembers it, over restarts.
    ///
    /// # Errors
    /// If it is not written.
    pub async fn hold(
        &self,
        subscription: Arc<str>,
        reason: Option<String>,
        command: Option<String>,
    ) -> Result<CommandResult, QueueError> {
        self.act(Action::Hold { subscription, reason }, command).await
    }

    /// The subscriptions that are held back.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn held(&self) -> Result<Vec<Hold>, QueueError> {
        self.read(commands::held).await
    }

    /// The result of the command `id`, if it was carried out in the last 30 days.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn command_done(&self, id: &str) -> Result<Option<CommandResult>, QueueError> {
        let id = id.to_owned();
        let done = self.read(move |store| commands::done(store, &id)).await?;
        done.transpose()
    }

    /// Remembers a command whose effect is elsewhere, with a record of its result and with what else operators are told.
    ///
    /// # Errors
    /// If it is not written.
    pub async fn command_finish(
        &self,
        id: String,
        result: CommandResult,
        records: Vec<Record>,
    ) -> Result<CommandResult, QueueError> {
        self.act(Action::Remember { result, records }, Some(id)).await
    }

    /// How much there is.
    pub fn levels(&self) -> Levels {
        Levels {
            waiting: self.shared.waiting.load(Ordering::Relaxed),
            ..*self.shared.levels.lock()
        }
    }

    /// Open deliveries by organization.
    pub fn open_by_organization(&self) -> Vec<(u64, u64)> {
        self.shared.depths.lock().by_organization()
    }

    /// What is there, by subscription.
    pub fn stats(&self) -> QueueStats {
        let (levels, recovering) = (self.levels(), *self.shared.recovering.lock());
        self.shared.depths.lock().stats(levels, recovering)
    }

    /// Writes what was sent, and closes the files; another process can open them when this returns. Whatever comes later
    /// is answered with [`QueueError::Closed`].
    pub async fn close(&self) {
        self.readers.close().await;
        let (closing, closed) = oneshot::channel();
        self.send(Operation::Close(closing));
        // An error means that it is closed already.
        drop(closed.await);
    }

    async fn act(&self, action: Action, command: Option<String>) -> Result<CommandResult, QueueError> {
        let (task, answer) = Task::new(Box::new(Command { id: command, action }));
        self.send(Operation::Command(task));
        answered(answer).await
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, QueueError> {
        self.readers
            .read(move |store| read(store).map_err(browse::unread))
            .await
    }

    /// Sends to the writer. Without one, the operation is dropped, and with it the way to its answer.
    fn send(&self, operation: Operation) {
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        drop(self.operations.send(operation));
    }
}

async fn answered<T>(answer: oneshot::Receiver<Result<T, QueueError>>) -> Result<T, QueueError> {
    answer.await.unwrap_or(Err(QueueError::Closed))
}

/// More events are not let in while so many operations wait; a writer that keeps up has a few hundred.
const MOST_WAITING: u64 = 65_536;

#[cfg(test)]
mod tests;

//! One commit: what its operations write, and what the queue knows once it is on disk.

use std::sync::Arc;

use ahash::AHashMap;
use filters::model::delivery::{DeliveryStatus, ScheduledDelivery};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::dedupe::{self, Digest, Digests, Known};
use super::operation::{Dying, Goes, Incoming, Operation, Settling};
use super::row::{Names, Outcome};
use super::rows::Touched;
use super::spool::{self, Gathered};
use super::stats::Move;
use super::{Accepted, DeliveryKey, Handed, QueueError, Record, Seq};

/// A commit in the making. Nothing that it knows is the queue's before it is on disk.
pub(super) struct Group<'w> {
    pub(super) store: &'w Connection,
    pub(super) digests: &'w Digests,
    pub(super) names: &'w mut Names,
    pub(super) now_ms: i64,
    /// Events up to here were thrown out when they were settled; the others among them follow when they are.
    pub(super) purged_to: Seq,
    /// Whether records are kept.
    pub(super) records: bool,
    pub(super) staged: Staged,
}

/// What is new once the commit is on disk.
#[derive(Debug, Default)]
pub(super) struct Staged {
    /// Place of the next event.
    pub(super) next_seq: Seq,
    /// When it was made.
    pub(super) now_ms: i64,
    pub(super) rows: AHashMap<Seq, Touched>,
    pub(super) digests: AHashMap<Digest, Known>,
    /// Events that had a dead letter which is none any more.
    pub(super) revived: Vec<Seq>,
    /// Deliveries of old events that are to be made.
    pub(super) handed: Vec<Handed>,
    pub(super) moves: Vec<Move>,
    pub(super) spool: Gathered,
    /// Up to where the control plane has the records, and how many bytes that were.
    pub(super) acknowledged: Option<(i64, u64)>,
    /// When the first of the new dead letters is tried again.
    pub(super) retry_ms: Option<i64>,
    /// Whether other times of retries changed.
    pub(super) retries_changed: bool,
}

/// Why an operation is not done.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The operation cannot be done, and wrote nothing.
    Operation(QueueError),
    /// The whole commit cannot be made.
    Store(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error)
    }
}

impl From<QueueError> for Refusal {
    fn from(error: QueueError) -> Self {
        Self::Operation(error)
    }
}

impl<'w> Group<'w> {
    /// An empty one; the next event gets the place `next_seq`.
    pub(super) fn new(
        store: &'w Connection,
        digests: &'w Digests,
        names: &'w mut Names,
        now_ms: i64,
        next_seq: Seq,
    ) -> Self {
        Self {
            store,
            digests,
            names,
            now_ms,
            purged_to: 0,
            records: true,
            staged: Staged {
                next_seq,
                now_ms,
                ..Staged::default()
            },
        }
    }

    /// Carries an operation out. Its outcome is left in it, to be told after the commit.
    pub(super) fn carry_out(&mut self, operation: &mut Operation) -> rusqlite::Result<()> {
        match operation {
            Operation::Accept(task) => task.outcome = Some(kept(self.accept(&task.input))?),
            Operation::Settle(task) => task.outcome = Some(kept(self.settle(&task.input))?),
            Operation::Bury(task) => task.outcome = Some(kept(self.bury(&task.input))?),
            Operation::Acknowledge(task) => {
                let bytes = spool::acknowledge(self.store, task.input)?;
                let before = self.staged.acknowledged.unwrap_or_default();
                self.staged.acknowledged = Some((before.0.max(task.input), before.1 + bytes));
                task.outcome = Some(Ok(()));
            }
            Operation::Command(task) => task.outcome = Some(kept(self.command(&task.input))?),
            Operation::RetryDue => self.retry_due()?,
            // It is done after the commit.
            Operation::Scrub(_) | Operation::Close(_) => {}
        }
        Ok(())
    }

    /// Writes what was gathered.
    pub(super) fn finish(&mut self) -> rusqlite::Result<()> {
        if !self.staged.digests.is_empty() {
            let entries: Vec<_> = self
                .staged
                .digests
                .iter()
                .map(|(digest, known)| (*digest, *known))
                .collect();
            dedupe::append(self.store, entries.iter())?;
        }
        self.write_rows()?;
        self.staged.spool.write(self.store)
    }

    fn accept(&mut self, events: &[Incoming]) -> Result<Vec<Accepted>, Refusal> {
        let mut accepted = Vec::with_capacity(events.len());
        for event in events {
            let dedupe = event.arrival.dedupe;
            if dedupe.window_ms > 0 {
                if let Some(seq) = self.known(&dedupe.key)? {
                    accepted.push(Accepted::Repeat(self.kept_id(seq, event)?));
                    continue;
                }
                let known = Known {
                    seq: self.staged.next_seq,
                    expires_ms: self.now_ms.saturating_add(dedupe.window_ms),
                };
                self.staged.digests.insert(dedupe.key, known);
            }
            accepted.push(Accepted::New(self.insert(event)?));
        }
        Ok(accepted)
    }

    fn insert(&mut self, event: &Incoming) -> Result<Seq, Refusal> {
        let seq = self.staged.next_seq;
        self.staged.next_seq += 1;
        let org = event.arrival.event.head.org_id.cast_signed();
        self.store
            .prepare_cached(
                "INSERT INTO events(seq, accepted_ms, org, head, audit, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                seq,
                self.now_ms,
                org,
                &event.head,
                &event.audit,
                &event.arrival.event.payload[..]
            ])?;
        if !event.open.is_empty() {
            self.store
                .prepare_cached("INSERT INTO open(seq, accepted_ms, org, state) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![seq, self.now_ms, org, &event.open])?;
        }
        for (number, delivery) in &event.arrival.scheduled {
            let key = DeliveryKey { seq, number: *number };
            self.record(&Record::Scheduled(Box::new(ScheduledDelivery {
                id: key.scheduled_id(&delivery.gateway_id),
                ..delivery.clone()
            })))?;
        }
        Ok(seq)
    }

    pub(super) fn known(&self, digest: &Digest) -> rusqlite::Result<Option<Seq>> {
        match self.staged.digests.get(digest) {
            Some(known) => Ok(Some(known.seq)),
            None => self.digests.find(self.store, digest, self.now_ms),
        }
    }

    /// The identifier of the event at `seq`; that of its repeat if it was thrown out already.
    fn kept_id(&self, seq: Seq, repeat: &Incoming) -> rusqlite::Result<String> {
        #[derive(serde::Deserialize)]
        struct Head {
            id: String,
        }
        let head: Option<Vec<u8>> = self
            .store
            .prepare_cached("SELECT head FROM events WHERE seq = ?1")?
            .query_row([seq], |row| row.get(0))
            .optional()?;
        let head = head.and_then(|head| serde_json::from_slice::<Head>(&head).ok());
        Ok(head.map_or_else(|| repeat.arrival.event.head.id.clone(), |head| head.id))
    }

    pub(super) fn settle(&mut self, settling: &Settling) -> Result<(), Refusal> {
        let DeliveryKey { seq, number } = settling.key;
        let now_ms = self.now_ms;
        let Some(row) = self.row(seq)? else {
            return Err(QueueError::NotOpen(settling.key).into());
        };
        let Some(index) = row.deliveries.iter().position(|one| one.number == number) else {
            return Err(QueueError::NotOpen(settling.key).into());
        };
        let delivery = &mut row.deliveries[index];
        let was_dead = delivery.state.dead_retries.is_some();
        let mut moved = Move {
            seq,
            subscription: Arc::clone(&delivery.subscription),
            org_id: row.org_id,
            accepted_ms: row.accepted_ms,
            open: 0,
            dead: 0,
        };
        let status = match &settling.goes {
            Goes::On(state) => {
                let is_dead = state.dead_retries.is_some();
                delivery.state = state.clone();
                if was_dead && !is_dead {
                    self.undead(settling.key, &mut moved)?;
                    self.staged.moves.push(moved);
                }
                return Ok(self.tell(settling)?);
            }
            Goes::Ends(status) => *status,
            Goes::Dies(_) | Goes::Rests(_) => DeliveryStatus::Failed,
        };
        row.deliveries.remove(index);
        row.outcomes.push(Outcome {
            number,
            status,
            settled_ms: now_ms,
            subscription: Arc::clone(&moved.subscription),
        });
        moved.open = -1;
        match &settling.goes {
            Goes::Dies(dying) => self.die(settling.key, dying, was_dead, &mut moved)?,
            Goes::Rests(resting) => self.rest(settling.key, resting)?,
            _ if was_dead => self.undead(settling.key, &mut moved)?,
            _ => {}
        }
        self.staged.moves.push(moved);
        Ok(self.tell(settling)?)
    }

    fn tell(&mut self, settling: &Settling) -> rusqlite::Result<()> {
        self.staged.spool.push(self.store, &settling.records, settling.count)
    }

    fn die(&mut self, key: DeliveryKey, dying: &Dying, was_dead: bool, moved: &mut Move) -> rusqlite::Result<()> {
        self.store
            .prepare_cached(
                "INSERT OR REPLACE INTO dead(key, id, org, subscription, retry_ms, retrying, abandoned_ms, state, letter)
                VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8)",
            )?
            .execute(params![
                key.packed(),
                &dying.id[..],
                moved.org_id.cast_signed(),
                &*moved.subscription,
                dying.retry_ms,
                dying.abandoned.then_some(self.now_ms),
                &dying.state,
                &dying.letter,
            ])?;
        moved.dead = if was_dead { 0 } else { 1 };
        if let Some(retry_ms) = dying.retry_ms {
            let first = self.staged.retry_ms.map_or(retry_ms, |first| first.min(retry_ms));
            self.staged.retry_ms = Some(first);
        }
        Ok(())
    }

    /// A dead letter is none any more.
    pub(super) fn undead(&mut self, key: DeliveryKey, moved: &mut Move) -> rusqlite::Result<()> {
        self.forget_call(key)?;
        let rows = self
            .store
            .prepare_cached("DELETE FROM dead WHERE key = ?1")?
            .execute([key.packed()])?;
        moved.dead = -i32::try_from(rows).unwrap_or(0);
        self.staged.revived.push(key.seq);
        Ok(())
    }
}

/// Tells what ends an operation from what ends the commit.
fn kept<T>(result: Result<T, Refusal>) -> rusqlite::Result<Result<T, QueueError>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Refusal::Operation(error)) => Ok(Err(error)),
        Err(Refusal::Store(error)) => Err(error),
    }
}

pub(super) fn unwritable(error: postcard::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

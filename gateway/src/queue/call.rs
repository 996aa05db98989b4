//! Calls of clients that became dead letters. Each is kept by one operation, as an event that matches no subscription; making
//! it again is a delivery like others, after which it is gone, or the dead letter that it was.

use std::sync::Arc;

use filters::event::Event;
use filters::model::delivery::{DeadLetter, DeadLetterStatus, DeliveryDirection, ErrorCategory};
use rusqlite::params;

use super::dead::{self, unspeakable};
use super::dedupe::Known;
use super::group::{Group, Refusal};
use super::operation::{Audit, unwritable};
use super::row::encode_state;
use super::stats::Move;
use super::{Dedupe, DeliveryKey, DeliveryState, QueueError, Record};

/// The type of the events that stand for calls. No event type has such a name, so that nothing is delivered of them.
pub const CALL: &str = "$call";

/// A call that failed for good.
#[derive(Clone, Debug)]
pub struct DeadArrival {
    /// Stands for the call: its type is [`CALL`], and its payload the body of the call.
    pub event: Arc<Event>,
    /// With what the call is made again; it waits for an operator.
    pub state: DeliveryState,
    /// What operators see of it.
    pub letter: DeadLetter,
    /// Identity by which a repeat of the call is known; it is no dead letter of its own as long as the first one is there.
    pub dedupe: Option<Dedupe>,
}

/// Why a call that became a dead letter is one still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// What happened, for people.
    pub error: String,
    /// Why it failed.
    pub category: ErrorCategory,
    /// Status of the partner's answer.
    pub status: Option<u16>,
}

/// A dead letter of a call, ready to be written.
#[derive(Debug)]
pub(super) struct Burying {
    pub(super) event: Arc<Event>,
    dedupe: Option<Dedupe>,
    head: Vec<u8>,
    audit: Vec<u8>,
    id: [u8; 16],
    state: Vec<u8>,
    letter: Vec<u8>,
    subscription: Arc<str>,
    /// JSON of the record, with a comma after it; empty where none is kept.
    record: Vec<u8>,
}

impl Burying {
    pub(super) fn prepare(arrival: DeadArrival, with_records: bool) -> Result<Self, QueueError> {
        let DeadArrival {
            event,
            state,
            letter,
            dedupe,
        } = arrival;
        let audit = Audit {
            producer: event.head.source.as_str().into(),
            skipped: Vec::new(),
        };
        let stored = serde_json::to_vec(&letter).map_err(unwritable)?;
        let subscription = Arc::clone(&letter.integration_config_id);
        let mut record = Vec::new();
        if with_records {
            record = serde_json::to_vec(&Record::DeadLetter(Box::new(letter))).map_err(unwritable)?;
            record.push(b',');
        }
        Ok(Self {
            head: serde_json::to_vec(&event.head).map_err(unwritable)?,
            audit: serde_json::to_vec(&audit).map_err(unwritable)?,
            id: state.id.into_bytes(),
            state: encode_state(&state).map_err(unwritable)?,
            letter: stored,
            subscription,
            record,
            event,
            dedupe,
        })
    }

    /// About how many bytes it writes.
    pub(super) fn bytes(&self) -> usize {
        let parts = [&self.head, &self.audit, &self.state, &self.letter, &self.record];
        parts.map(Vec::len).iter().sum::<usize>() + self.event.payload.len()
    }
}

/// A dead letter of a call that stays one.
#[derive(Debug)]
pub(super) struct Resting {
    state: DeliveryState,
    setback: Setback,
}

impl Resting {
    pub(super) fn of(state: &DeliveryState, setback: &Setback) -> Self {
        Self {
            state: state.clone(),
            setback: setback.clone(),
        }
    }
}

impl Group<'_> {
    /// Keeps a call; false if it is the repeat of one that is kept.
    pub(super) fn bury(&mut self, burying: &Burying) -> Result<bool, Refusal> {
        if let Some(dedupe) = burying.dedupe {
            if let Some(seq) = self.known(&dedupe.key)?
                && self.is_dead(DeliveryKey { seq, number: 0 })?
            {
                return Ok(false);
            }
            let known = Known {
                seq: self.staged.next_seq,
                expires_ms: self.now_ms.saturating_add(dedupe.window_ms),
            };
            self.staged.digests.insert(dedupe.key, known);
        }
        let key = DeliveryKey {
            seq: self.staged.next_seq,
            number: 0,
        };
        self.staged.next_seq += 1;
        let org_id = burying.event.head.org_id;
        self.store
            .prepare_cached(
                "INSERT INTO events(seq, accepted_ms, org, head, audit, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                key.seq,
                self.now_ms,
                org_id.cast_signed(),
                &burying.head,
                &burying.audit,
                &burying.event.payload[..]
            ])?;
        self.store
            .prepare_cached(
                "INSERT INTO dead(key, id, org, subscription, retry_ms, retrying, abandoned_ms, state, letter)
                VALUES (?1, ?2, ?3, ?4, NULL, 0, NULL, ?5, ?6)",
            )?
            .execute(params![
                key.packed(),
                &burying.id[..],
                org_id.cast_signed(),
                &*burying.subscription,
                &burying.state,
                &burying.letter,
            ])?;
        self.staged.moves.push(Move {
            seq: key.seq,
            subscription: Arc::clone(&burying.subscription),
            org_id,
            accepted_ms: self.now_ms,
            open: 0,
            dead: 1,
        });
        let count = u32::from(!burying.record.is_empty());
        self.staged.spool.push(self.store, &burying.record, count)?;
        Ok(true)
    }

    /// Puts a call that was made again, and failed again, back to rest.
    pub(super) fn rest(&mut self, key: DeliveryKey, resting: &Resting) -> Result<(), Refusal> {
        let Some(mut entry) = dead::entry(self.store, "key = ?1", key.packed())?? else {
            return Err(QueueError::NotOpen(key).into());
        };
        let Setback {
            error,
            category,
            status,
        } = resting.setback.clone();
        let letter = &mut entry.letter;
        letter.status = DeadLetterStatus::PendingOperator;
        letter.last_error = error;
        letter.error_category = category;
        letter.last_status = status;
        letter.attempt_count = resting.state.attempts;
        letter.updated_at = crate::clock::now_rfc3339();
        let stored = serde_json::to_vec(letter).map_err(unspeakable)?;
        let state = encode_state(&resting.state).map_err(unwritable)?;
        self.store
            .prepare_cached(
                "UPDATE dead SET retrying = 0, retry_ms = NULL, abandoned_ms = NULL, state = ?2, letter = ?3 WHERE key = ?1",
            )?
            .execute(params![key.packed(), state, stored])?;
        entry.state = resting.state.clone();
        entry.letter.original_payload = dead::payload(self.store, &entry)?;
        self.record(&Record::DeadLetter(Box::new(entry.letter)))
    }

    /// Forgets the body of a call whose dead letter goes: nobody can ask for it any more.
    pub(super) fn forget_call(&self, key: DeliveryKey) -> rusqlite::Result<()> {
        let Ok(Some(entry)) = dead::entry(self.store, "key = ?1", key.packed())? else {
            return Ok(());
        };
        if entry.letter.direction == DeliveryDirection::Inbound {
            self.store
                .prepare_cached("UPDATE events SET body = x'' WHERE seq = ?1")?
                .execute([key.seq])?;
        }
        Ok(())
    }

    fn is_dead(&self, key: DeliveryKey) -> rusqlite::Result<bool> {
        self.store
            .prepare_cached("SELECT 1 FROM dead WHERE key = ?1")?
            .exists([key.packed()])
    }
}

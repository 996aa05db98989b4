//! What callers send to the writer, made ready in their own tasks: the one writer only binds bytes.

use std::sync::Arc;

use filters::model::command::CommandResult;
use filters::model::delivery::{DeadLetter, DeadLetterStatus, DeliveryStatus};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;

use super::call::{Burying, Resting};
use super::row::{encode_open, encode_state};
use super::{
    Accepted, Arrival, Cancellation, DeliveryKey, DeliveryState, Next, QueueError, Record, Replay, Scrubbed, Seq,
    Settlement, Skipped,
};

/// One thing that the writer is to do. It is done as a whole or not at all.
#[derive(Debug)]
pub(super) enum Operation {
    Accept(Task<Vec<Incoming>, Vec<Accepted>>),
    Settle(Task<Settling, ()>),
    /// A call that failed for good; true if it is kept, false for a repeat of one that is.
    Bury(Task<Box<Burying>, bool>),
    Acknowledge(Task<i64, ()>),
    Command(Task<Box<Command>, CommandResult>),
    /// What was removed is to go from the files.
    Scrub(Task<(), Scrubbed>),
    /// The time of dead letters has come.
    RetryDue,
    Close(oneshot::Sender<()>),
}

/// Something to do, and who waits for it.
#[derive(Debug)]
pub(super) struct Task<I, O> {
    pub(super) input: I,
    pub(super) answer: oneshot::Sender<Result<O, QueueError>>,
    /// What came of it, if the commit that it is part of succeeds.
    pub(super) outcome: Option<Result<O, QueueError>>,
}

impl<I, O> Task<I, O> {
    /// The task, and where its answer comes.
    pub(super) fn new(input: I) -> (Self, oneshot::Receiver<Result<O, QueueError>>) {
        let (answer, receiver) = oneshot::channel();
        let task = Self {
            input,
            answer,
            outcome: None,
        };
        (task, receiver)
    }

    /// Tells the caller; it may have gone away.
    pub(super) fn tell(self) {
        drop(self.answer.send(self.outcome.unwrap_or(Err(QueueError::Closed))));
    }

    pub(super) fn fail(self, error: QueueError) {
        drop(self.answer.send(Err(error)));
    }
}

impl Operation {
    /// About how many bytes it writes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Accept(task) => task.input.iter().map(Incoming::bytes).sum(),
            Self::Settle(task) => task.input.records.len() + 128,
            Self::Bury(task) => task.input.bytes(),
            Self::Acknowledge(_) | Self::Command(_) | Self::Scrub(_) | Self::RetryDue | Self::Close(_) => 128,
        }
    }

    /// Tells the caller that it is not done.
    pub(super) fn fail(self, error: QueueError) {
        match self {
            Self::Accept(task) => task.fail(error),
            Self::Settle(task) => task.fail(error),
            Self::Bury(task) => task.fail(error),
            Self::Acknowledge(task) => task.fail(error),
            Self::Command(task) => task.fail(error),
            Self::Scrub(task) => task.fail(error),
            Self::RetryDue | Self::Close(_) => {}
        }
    }
}

/// An event that is to be kept.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) arrival: Arrival,
    /// Its head, as JSON.
    pub(super) head: Vec<u8>,
    /// Who sent it and who does not get it, as JSON.
    pub(super) audit: Vec<u8>,
    /// Its row of `open`; empty for an event that nobody gets.
    pub(super) open: Vec<u8>,
}

impl Incoming {
    pub(super) fn prepare(arrival: Arrival) -> Result<Self, QueueError> {
        let counted = arrival.deliveries.iter().zip(0..=u16::MAX);
        if arrival.deliveries.len() > usize::from(u16::MAX)
            || counted.into_iter().any(|(delivery, number)| delivery.number != number)
        {
            let message = "the deliveries of an event must be numbered from 0, and be 65535 at most";
            return Err(QueueError::Invalid(message.to_owned()));
        }
        if arrival.event.payload.len() > MOST_BYTES {
            let message = format!(
                "the payload has {} bytes; at most {MOST_BYTES} can be kept",
                arrival.event.payload.len()
            );
            return Err(QueueError::Invalid(message));
        }
        let audit = Audit {
            producer: Arc::clone(&arrival.producer),
            skipped: arrival.skipped.clone(),
        };
        let open = match arrival.deliveries.as_slice() {
            [] => Vec::new(),
            deliveries => encode_open(deliveries, &[]).map_err(unwritable)?,
        };
        Ok(Self {
            head: serde_json::to_vec(&arrival.event.head).map_err(unwritable)?,
            audit: serde_json::to_vec(&audit).map_err(unwritable)?,
            open,
            arrival,
        })
    }

    fn bytes(&self) -> usize {
        self.arrival.event.payload.len() + self.head.len() + self.audit.len() + self.open.len() + 64
    }
}

/// The audit column of `events`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Audit {
    pub(super) producer: Arc<str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) skipped: Vec<Skipped>,
}

/// What became of an attempt.
#[derive(Debug)]
pub(super) struct Settling {
    pub(super) key: DeliveryKey,
    pub(super) goes: Goes,
    /// JSON of the records with a comma after each.
    pub(super) records: Vec<u8>,
    pub(super) count: u32,
}

/// How a delivery goes on.
#[derive(Debug)]
pub(super) enum Goes {
    /// It ended so.
    Ends(DeliveryStatus),
    On(DeliveryState),
    /// As a dead letter.
    Dies(Box<Dying>),
    /// As the dead letter of a call that it was.
    Rests(Box<Resting>),
}

/// A new dead letter.
#[derive(Debug)]
pub(super) struct Dying {
    pub(super) id: [u8; 16],
    /// [`DeliveryState`] as bytes.
    pub(super) state: Vec<u8>,
    pub(super) retry_ms: Option<i64>,
    pub(super) abandoned: bool,
    /// The record as JSON, without its payload.
    pub(super) letter: Vec<u8>,
}

impl Settling {
    /// Makes `settlement` ready; its records only where they are kept.
    pub(super) fn prepare(settlement: &Settlement, with_records: bool) -> Result<Self, QueueError> {
        let told = &settlement.records;
        let mut records = Vec::new();
        let mut count = 0;
        for record in told.iter().filter(|_| with_records) {
            serde_json::to_writer(&mut records, record).map_err(unwritable)?;
            records.push(b',');
            count += 1;
        }
        let goes = match &settlement.next {
            Next::Settled => Goes::Ends(ended(told)),
            Next::Again(state) => Goes::On(state.clone()),
            Next::Dead { state, retry_ms } => Goes::Dies(Box::new(dying(state, *retry_ms, told)?)),
            Next::StillDead { state, setback } => Goes::Rests(Box::new(Resting::of(state, setback))),
        };
        Ok(Self {
            key: settlement.key,
            goes,
            records,
            count,
        })
    }
}

/// What the records say of the end of their delivery. One that has none was delivered before, and stayed open only until its
/// producer was told; an end without an attempt was somebody's wish.
fn ended(records: &[Record]) -> DeliveryStatus {
    if records.is_empty() {
        return DeliveryStatus::Success;
    }
    let last = records.iter().rev().find_map(|record| match record {
        Record::Log(log) => Some(log.status),
        _ => None,
    });
    match last {
        Some(status @ (DeliveryStatus::Success | DeliveryStatus::Failed)) => status,
        _ => DeliveryStatus::Abandoned,
    }
}

fn dying(state: &DeliveryState, retry_ms: Option<i64>, records: &[Record]) -> Result<Dying, QueueError> {
    let letter = records.iter().find_map(|record| match record {
        Record::DeadLetter(letter) => Some(letter),
        _ => None,
    });
    let Some(letter) = letter else {
        let message = "a dead letter must come with its record";
        return Err(QueueError::Invalid(message.to_owned()));
    };
    // The event has it, or the state if an operator edited it.
    let letter = DeadLetter {
        original_payload: Value::Null,
        ..DeadLetter::clone(letter)
    };
    Ok(Dying {
        id: state.id.into_bytes(),
        state: encode_state(state).map_err(unwritable)?,
        retry_ms,
        abandoned: letter.status == DeadLetterStatus::Abandoned,
        letter: serde_json::to_vec(&letter).map_err(unwritable)?,
    })
}

/// What an operator, or a command from the control plane, wants.
#[derive(Debug)]
pub(super) struct Command {
    /// Under which it is remembered.
    pub(super) id: Option<String>,
    pub(super) action: Action,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Action {
    Retry {
        ids: Vec<String>,
        payload: Option<Box<str>>,
    },
    Abandon(Vec<String>),
    Forget(Vec<String>),
    Cancel(Vec<(String, Settling)>),
    Replay(Vec<Replay>),
    /// These events go.
    Erase(Vec<Seq>),
    Hold {
        subscription: Arc<str>,
        reason: Option<String>,
    },
    /// Its effect is elsewhere.
    Remember {
        result: CommandResult,
        /// What operators are told of it.
        records: Vec<Record>,
    },
}

impl Action {
    pub(super) fn cancel(cancellations: Vec<Cancellation>, with_records: bool) -> Result<Self, QueueError> {
        let prepared = cancellations
            .into_iter()
            .map(|one| Ok((one.id, Settling::prepare(&one.settlement, with_records)?)));
        Ok(Self::Cancel(prepared.collect::<Result<_, QueueError>>()?))
    }
}

pub(super) fn unwritable(error: impl std::fmt::Display) -> QueueError {
    QueueError::Invalid(format!("it cannot be written down: {error}"))
}

const MOST_BYTES: usize = 256 << 20;

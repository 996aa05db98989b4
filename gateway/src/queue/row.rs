//! Rows of the queue as bytes: a version, then the fields in the order given here. Fields are only ever added at the end,
//! under a new version.

use std::collections::HashSet;
use std::sync::Arc;

use ahash::RandomState;
use filters::model::delivery::{DeliveryStatus, TriggerType};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DeliveryState, OpenDelivery, Step};

/// What is open of an event, and what is not any more.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct OpenRow {
    /// Organization.
    pub(super) org_id: u64,
    /// When the event was accepted.
    pub(super) accepted_ms: i64,
    /// Its open deliveries.
    pub(super) deliveries: Vec<OpenDelivery>,
    /// Its other deliveries.
    pub(super) outcomes: Vec<Outcome>,
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Number among the event's deliveries.
    pub(super) number: u16,
    /// How.
    pub(super) status: DeliveryStatus,
    /// When.
    pub(super) settled_ms: i64,
    /// To whom.
    pub(super) subscription: Arc<str>,
}

/// Identifiers of subscriptions, each kept once however many deliveries name it.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<Arc<str>, RandomState>);

impl Names {
    /// The shared form of `name`.
    pub(super) fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        if self.0.len() >= MOST_NAMES {
            self.0.clear();
        }
        let name: Arc<str> = name.into();
        self.0.insert(Arc::clone(&name));
        name
    }
}

/// The state column of `open`.
pub(super) fn encode_open(deliveries: &[OpenDelivery], outcomes: &[Outcome]) -> Result<Vec<u8>, postcard::Error> {
    let row = StoredRow {
        deliveries: deliveries.iter().map(StoredDelivery::of).collect(),
        outcomes: outcomes.iter().map(StoredOutcome::of).collect(),
    };
    postcard::to_extend(&row, started(64 + 96 * deliveries.len()))
}

/// What [`encode_open`] wrote.
pub(super) fn decode_open(
    bytes: &[u8],
    names: &mut Names,
) -> Result<(Vec<OpenDelivery>, Vec<Outcome>), postcard::Error> {
    let row: StoredRow<'_> = postcard::from_bytes(content(bytes)?)?;
    let deliveries = row.deliveries.into_iter().map(|delivery| {
        Ok(OpenDelivery {
            number: delivery.number,
            subscription: names.shared(delivery.subscription),
            state: delivery.state.read()?,
        })
    });
    let deliveries = deliveries.collect::<Result<_, postcard::Error>>()?;
    let outcomes = row.outcomes.into_iter().map(|outcome| outcome.read(names));
    Ok((deliveries, outcomes.collect::<Result<_, postcard::Error>>()?))
}

/// The outcomes column of `settled`.
pub(super) fn encode_outcomes(outcomes: &[Outcome]) -> Result<Vec<u8>, postcard::Error> {
    let outcomes: Vec<_> = outcomes.iter().map(StoredOutcome::of).collect();
    postcard::to_extend(&outcomes, started(16 * outcomes.len()))
}

/// What [`encode_outcomes`] wrote.
pub(super) fn decode_outcomes(bytes: &[u8], names: &mut Names) -> Result<Vec<Outcome>, postcard::Error> {
    let outcomes: Vec<StoredOutcome<'_>> = postcard::from_bytes(content(bytes)?)?;
    outcomes.into_iter().map(|outcome| outcome.read(names)).collect()
}

/// The state column of `dead`.
pub(super) fn encode_state(state: &DeliveryState) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_extend(&StoredState::of(state), started(80))
}

/// What [`encode_state`] wrote.
pub(super) fn decode_state(bytes: &[u8]) -> Result<DeliveryState, postcard::Error> {
    postcard::from_bytes::<StoredState<'_>>(content(bytes)?)?.read()
}

fn started(bytes: usize) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + bytes);
    row.push(VERSION);
    row
}

fn content(bytes: &[u8]) -> Result<&[u8], postcard::Error> {
    match bytes.split_first() {
        Some((&VERSION, content)) => Ok(content),
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}

#[derive(Serialize, Deserialize)]
struct StoredRow<'a> {
    #[serde(borrow)]
    deliveries: Vec<StoredDelivery<'a>>,
    #[serde(borrow)]
    outcomes: Vec<StoredOutcome<'a>>,
}

#[derive(Serialize, Deserialize)]
struct StoredDelivery<'a> {
    number: u16,
    subscription: &'a str,
    #[serde(borrow)]
    state: StoredState<'a>,
}

#[derive(Serialize, Deserialize)]
struct StoredState<'a> {
    id: [u8; 16],
    trigger: u8,
    due_ms: i64,
    attempts: u32,
    order_key: Option<u64>,
    step: u16,
    back: bool,
    answers: Option<&'a str>,
    occurrences: u32,
    dead_retries: Option<u32>,
    payload: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
struct StoredOutcome<'a> {
    number: u16,
    status: u8,
    settled_ms: i64,
    subscription: &'a str,
}

impl<'a> StoredDelivery<'a> {
    fn of(delivery: &'a OpenDelivery) -> Self {
        Self {
            number: delivery.number,
            subscription: &delivery.subscription,
            state: StoredState::of(&delivery.state),
        }
    }
}

impl<'a> StoredState<'a> {
    fn of(state: &'a DeliveryState) -> Self {
        let (step, back) = match state.step {
            Step::Forward(step) => (step, false),
            Step::Back(step) => (step, true),
        };
        Self {
            id: state.id.into_bytes(),
            trigger: match state.trigger {
                TriggerType::Event => 0,
                TriggerType::Manual => 1,
                TriggerType::Scheduled => 2,
                TriggerType::Replay => 3,
            },
            due_ms: state.due_ms,
            attempts: state.attempts,
            order_key: state.order_key,
            step,
            back,
            answers: state.answers.as_deref(),
            occurrences: state.occurrences,
            dead_retries: state.dead_retries,
            payload: state.payload.as_deref(),
        }
    }

    fn read(&self) -> Result<DeliveryState, postcard::Error> {
        Ok(DeliveryState {
            id: Uuid::from_bytes(self.id),
            trigger: match self.trigger {
                0 => TriggerType::Event,
                1 => TriggerType::Manual,
                2 => TriggerType::Scheduled,
                3 => TriggerType::Replay,
                _ => return Err(postcard::Error::DeserializeBadEnum),
            },
            due_ms: self.due_ms,
            attempts: self.attempts,
            order_key: self.order_key,
            step: if self.back {
                Step::Back(self.step)
            } else {
                Step::Forward(self.step)
            },
            answers: self.answers.map(Into::into),
            occurrences: self.occurrences,
            dead_retries: self.dead_retries,
            payload: self.payload.map(Into::into),
        })
    }
}

impl<'a> StoredOutcome<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        Self {
            number: outcome.number,
            status: match outcome.status {
                DeliveryStatus::Pending => 0,
                DeliveryStatus::Retrying => 1,
                DeliveryStatus::Success => 2,
                DeliveryStatus::Failed => 3,
                DeliveryStatus::Abandoned => 4,
            },
            settled_ms: outcome.settled_ms,
            subscription: &outcome.subscription,
        }
    }

    fn read(&self, names: &mut Names) -> Result<Outcome, postcard::Error> {
        Ok(Outcome {
            number: self.number,
            status: match self.status {
                0 => DeliveryStatus::Pending,
                1 => DeliveryStatus::Retrying,
                2 => DeliveryStatus::Success,
                3 => DeliveryStatus::Failed,
                4 => DeliveryStatus::Abandoned,
                _ => return Err(postcard::Error::DeserializeBadEnum),
            },
            settled_ms: self.settled_ms,
            subscription: names.shared(self.subscription),
        })
    }
}

const VERSION: u8 = 1;
/// More subscriptions than a gateway has; beyond it the names are gathered anew.
const MOST_NAMES: usize = 100_000;

//! A worker: takes a delivery, makes the attempt, has its outcome written, and takes the next.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use filters::delivery::Pass;
use filters::event::Event;
use filters::model::delivery::{DeliveryLog, DeliveryStatus};
use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::hold::Hold;
use super::job::{Job, Outcome};
use super::lanes::{Duty, Taken, Ticket};
use super::scheduler::shared::{Shared, Task};
use super::stats::Failure;
use super::work::{Crash, Unread, Unsettled, Work};
use crate::queue::{Next, Record, Settlement};

/// What a worker did, to be taken in when it asks for the next delivery.
pub(super) enum Done {
    /// It is written.
    Settled {
        /// The delivery.
        ticket: Ticket,
        /// How it goes on.
        next: Next,
        /// Its event, for another attempt.
        event: Arc<Event>,
        /// True for that of a deleted subscription.
        is_burial: bool,
    },
    /// It is not, and nothing comes of it.
    Undone {
        /// The delivery.
        ticket: Ticket,
        /// What the lane still counts.
        counted: Counted,
        /// Why.
        failure: Failure,
        /// When to try again, in milliseconds.
        wait_ms: i64,
    },
}

/// What a lane counts of a delivery that is being worked on, besides that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// An attempt at the endpoint.
    Attempt(Pass),
    /// A burial.
    Burial,
    /// Nothing (any more).
    Nothing,
}

/// Works until there is nothing to do and enough others rest.
pub(super) async fn work<W: Work>(shared: Arc<Shared<W>>) {
    let bell = Arc::new(Notify::new());
    let mut done = None;
    let mut was_called = true;
    loop {
        match shared.next_task(&bell, done.take(), was_called) {
            Task::Delivery(taken, work) => {
                was_called = false;
                match guarded(&shared, work, *taken).await {
                    Some(next) => done = Some(next),
                    // The queue is closed: what is in flight stays open in it.
                    None => return,
                }
            }
            Task::Rest => {
                was_called = true;
                bell.notified().await;
            }
            Task::Leave => return,
        }
    }
}

/// Does what is to be done with a delivery, whatever goes wrong; `None` if the queue is closed.
async fn guarded<W: Work>(shared: &Arc<Shared<W>>, work: &W, taken: Taken<W::Endpoint>) -> Option<Done> {
    let (ticket, seq) = (taken.ticket, taken.key.seq);
    let mut counted = match &taken.duty {
        Duty::Send { pass, .. } => Counted::Attempt(*pass),
        Duty::Bury { .. } => Counted::Burial,
    };
    let delivering = AssertUnwindSafe(deliver(shared, work, taken, &mut counted)).catch_unwind();
    delivering.await.unwrap_or_else(|panic| {
        let error = message(&*panic);
        tracing::error!(seq, %error, "a delivery failed by a fault of the gateway; it waits");
        shared.has_crashed();
        let failure = Failure {
            message: format!("the gateway failed ({error})"),
            at_ms: shared.now_ms(),
            status: None,
        };
        Some(Done::Undone {
            ticket,
            counted,
            failure,
            wait_ms: BROKEN_MS,
        })
    })
}

async fn deliver<W: Work>(
    shared: &Arc<Shared<W>>,
    work: &W,
    taken: Taken<W::Endpoint>,
    counted: &mut Counted,
) -> Option<Done> {
    let (ticket, key) = (taken.ticket, taken.key);
    let event = match taken.event {
        Some(event) => event,
        None => match work.event(key.seq).await {
            Ok(event) => {
                shared.was_read_back();
                event
            }
            Err(why) => return Some(unread(ticket, *counted, key.seq, &why, shared.now_ms())),
        },
    };
    let job = Job {
        key,
        accepted_ms: taken.accepted_ms,
        event: Arc::clone(&event),
        state: taken.state,
    };
    let (settlement, hold) = match taken.duty {
        Duty::Bury { id, last } => (work.bury(&job, &id, last.as_ref()), None),
        Duty::Send {
            endpoint,
            pass,
            longest,
        } => {
            let outcome = attempt(shared, work, job, &endpoint, longest).await;
            let failure = failure(&outcome.settlement, shared.now_ms());
            *counted = Counted::Nothing;
            let hold = shared.answered(ticket, pass, &outcome.verdict, failure);
            (outcome.settlement, hold)
        }
    };
    let settlement = Arc::new(settlement);
    let is_open = match settle(shared, work, &settlement).await {
        Ok(()) => true,
        Err(End::Gone) => false,
        Err(End::Closed) => return None,
    };
    if let Some((id, hold)) = hold {
        remember(work, id, &hold).await;
    }
    let next = match Arc::try_unwrap(settlement) {
        // Whoever settled it meanwhile wants no other attempt.
        _ if !is_open => Next::Settled,
        Ok(own) => own.next,
        Err(shared) => shared.next.clone(),
    };
    Some(Done::Settled {
        ticket,
        next,
        event,
        is_burial: *counted == Counted::Burial,
    })
}

/// Makes the attempt, whatever it does.
async fn attempt<W: Work>(
    shared: &Shared<W>,
    work: &W,
    job: Job,
    endpoint: &Arc<W::Endpoint>,
    longest: Duration,
) -> Outcome {
    let attempting = AssertUnwindSafe(work.attempt(job.clone(), endpoint)).catch_unwind();
    let crash = match timeout(longest, attempting).await {
        Ok(Ok(outcome)) => return outcome,
        Ok(Err(panic)) => Crash::Panic(message(&*panic)),
        Err(_) => Crash::Overdue,
    };
    tracing::error!(seq = job.key.seq, delivery = %job.state.id, error = %crash, "an attempt did not come to its end");
    shared.has_crashed();
    work.crashed(&job, endpoint, crash)
}

/// Why an outcome is not written, and never will be.
enum End {
    /// The delivery is not open any more.
    Gone,
    /// The queue is closed.
    Closed,
}

/// Has the outcome written, however long it takes.
async fn settle<W: Work>(shared: &Arc<Shared<W>>, work: &W, settlement: &Arc<Settlement>) -> Result<(), End> {
    let mut pause = SHORTEST_PAUSE;
    let mut waiting = None;
    loop {
        let error = match work.settle(settlement).await {
            Ok(()) => return Ok(()),
            Err(Unsettled::Gone) => {
                tracing::warn!(
                    seq = settlement.key.seq,
                    "a delivery was settled by somebody else during an attempt"
                );
                return Err(End::Gone);
            }
            Err(Unsettled::Closed) => return Err(End::Closed),
            Err(Unsettled::Later(error)) => error,
        };
        if waiting.is_none() {
            tracing::error!(seq = settlement.key.seq, %error, "the queue cannot keep an outcome; trying again");
            waiting = Some(shared.cannot_write());
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn remember<W: Work>(work: &W, id: Arc<str>, hold: &Hold) {
    tracing::warn!(subscription = %id, reason = %hold.reason, "an endpoint gets no more events until an operator enables it");
    if let Err(error) = work.remember(Arc::clone(&id), Some(hold)).await {
        tracing::error!(subscription = %id, %error, "cannot remember that an endpoint is held; a restart forgets it");
    }
}

fn unread(ticket: Ticket, counted: Counted, seq: i64, why: &Unread, at_ms: i64) -> Done {
    tracing::error!(seq, error = %why, "cannot read an event back; its delivery waits");
    let wait_ms = match why {
        Unread::Missing => BROKEN_MS,
        Unread::Later(_) => UNREAD_MS,
    };
    let failure = Failure {
        message: format!("the event cannot be read: {why}"),
        at_ms,
        status: None,
    };
    Done::Undone {
        ticket,
        counted,
        failure,
        wait_ms,
    }
}

/// What went wrong, as the record of the attempt says.
fn failure(settlement: &Settlement, at_ms: i64) -> Option<Failure> {
    let log = settlement.records.iter().rev().find_map(|record| match record {
        Record::Log(log) => Some(&**log),
        _ => None,
    })?;
    let DeliveryLog {
        status,
        response_status,
        error_message,
        ..
    } = log;
    if matches!(status, DeliveryStatus::Success | DeliveryStatus::Pending) {
        return None;
    }
    Some(Failure {
        message: error_message.clone().unwrap_or_else(|| "it failed".to_owned()),
        at_ms,
        status: *response_status,
    })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

/// From one try to write an outcome to the next.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// From one try to read an event to the next.
const UNREAD_MS: i64 = 1_000;
/// From one try to the next where something is broken that only people can repair.
const BROKEN_MS: i64 = 60_000;

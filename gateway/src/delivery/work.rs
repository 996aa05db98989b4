//! What the dispatcher has done by others: attempts are made, and what became of them is written down.

use std::sync::Arc;

use filters::event::Event;

use super::hold::{Hold, NotKept};
use super::job::{Job, Outcome};
use crate::queue::{Seq, Settlement};

/// Makes attempts and keeps their outcomes.
pub(super) trait Work: Send + Sync + 'static {
    /// What attempts at the endpoints of a subscription are made with.
    type Endpoint: Send + Sync + 'static;

    /// Makes one attempt. It may be dropped at any await, and may panic.
    fn attempt(&self, job: Job, endpoint: &Arc<Self::Endpoint>) -> impl Future<Output = Outcome> + Send;

    /// The outcome of an attempt that did not come to its end. It may have reached the endpoint.
    fn crashed(&self, job: &Job, endpoint: &Arc<Self::Endpoint>, crash: Crash) -> Outcome;

    /// What becomes of a delivery whose subscription `id` was deleted. `last` is what the subscription was, if it is
    /// known.
    fn bury(&self, job: &Job, id: &Arc<str>, last: Option<&Arc<Self::Endpoint>>) -> Settlement;

    /// Writes `settlement` down, and returns when it is on disk.
    fn settle(&self, settlement: &Arc<Settlement>) -> impl Future<Output = Result<(), Unsettled>> + Send;

    /// Reads an event back.
    fn event(&self, seq: Seq) -> impl Future<Output = Result<Arc<Event>, Unread>> + Send;

    /// Remembers over restarts that a subscription is held, or that it is not.
    fn remember(&self, subscription: Arc<str>, hold: Option<&Hold>)
    -> impl Future<Output = Result<(), NotKept>> + Send;

    /// How much room there is for what attempts leave behind, in percent: fewer attempts are made below 100, and none at
    /// 0. It is asked often, so it must cost nothing.
    fn room_percent(&self) -> u8;
}

/// How an attempt did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Crash {
    /// It panicked, with this message.
    #[error("the attempt failed by a fault of the gateway ({0})")]
    Panic(String),
    /// It outlasted all of its timeouts.
    #[error("the attempt was given up: it took longer than all of its timeouts together")]
    Overdue,
}

/// Why a settlement is not on disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsettled {
    /// The delivery is not open any more: somebody else settled it. There is nothing to do.
    #[error("the delivery is not open any more")]
    Gone,
    /// The queue is closed, and stays so.
    #[error("the queue is closed")]
    Closed,
    /// It may work later.
    #[error("{0}")]
    Later(String),
}

/// Why an event is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    /// The queue does not have it.
    #[error("the queue does not have the event any more")]
    Missing,
    /// It may work later.
    #[error("{0}")]
    Later(String),
}

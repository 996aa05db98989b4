//! What the edge and the request flow tell each other about one request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Connection;

/// What the request flow tells the guard about the request that is under way.
#[derive(Debug, Default)]
pub struct RequestState {
    /// The connection that it came on.
    connection: Arc<Connection>,
    /// The request is finished: the next head may come.
    pub(super) finished: AtomicBool,
    /// Milliseconds that the request may last: for its body to arrive, and for a write to be taken; 0 for no end.
    pub(super) time: AtomicU64,
    /// Milliseconds from the first wait for the answer to its head; 0 for no end.
    pub(super) answer_deadline: AtomicU64,
    /// Milliseconds that an answer which has begun may be silent; 0 where somebody else keeps that time.
    pub(super) silence: AtomicU64,
}

impl RequestState {
    /// A request on `connection`.
    pub fn on(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            ..Self::default()
        }
    }

    /// The connection that it came on.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Lets the next request in.
    pub fn finish(&self) {
        self.finished.store(true, Ordering::Release);
    }

    /// Sets how long the client may take to send its body, and how long it may take nothing of the answer.
    pub fn client_within(&self, time: Duration) {
        self.time.store(millis(time), Ordering::Release);
    }

    /// Sets by when the answer must have begun: reading ends in a timeout then.
    pub fn answer_within(&self, time: Duration) {
        self.answer_deadline.store(millis(time), Ordering::Release);
    }

    /// The answer has begun.
    pub fn answered(&self) {
        self.answer_deadline.store(0, Ordering::Release);
        self.silence.store(0, Ordering::Release);
    }

    /// Sets how long the answer, which has begun, may be silent: reading ends in a timeout then.
    pub fn silent_within(&self, time: Duration) {
        self.silence.store(millis(time), Ordering::Release);
    }

    /// True while an answer is waited for that was to begin, or to go on, by some time.
    pub fn awaits_answer(&self) -> bool {
        self.partner_limit() > 0
    }

    /// Milliseconds that the partner has from the first wait for it; 0 for no end.
    pub(super) fn partner_limit(&self) -> u64 {
        match self.answer_deadline.load(Ordering::Acquire) {
            0 => self.silence.load(Ordering::Acquire),
            deadline => deadline,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

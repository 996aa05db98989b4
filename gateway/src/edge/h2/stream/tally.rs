//! What the requests of one connection come to: how many are open, and how many were asked for and given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::sync::Notify;

/// The requests of one connection.
#[derive(Debug, Default)]
pub struct Tally {
    open: AtomicU32,
    answered: AtomicU64,
    given_up: AtomicU64,
    /// Told when the last open request is over.
    idle: Notify,
}

/// One open request; it is over when this is dropped.
#[derive(Debug)]
pub struct Open {
    tally: Arc<Tally>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Answered,
    GivenUp,
}

/// Requests that a client may give up before they are answered, beside one for each that it lets be answered.
const MOST_GIVEN_UP: u64 = 100;

impl Tally {
    /// A request begins.
    pub fn open(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::AcqRel);
        Open {
            tally: Arc::clone(self),
            state: State::Waiting,
        }
    }

    /// True while a request is open.
    pub fn is_busy(&self) -> bool {
        self.open.load(Ordering::Acquire) > 0
    }

    /// Returns when no request is open.
    pub async fn idle(&self) {
        while self.is_busy() {
            let idle = self.idle.notified();
            if self.is_busy() {
                idle.await;
            }
        }
    }

    /// True for a client that asks for more than it takes: each request costs the partner, and giving it up costs the
    /// client nothing (CVE-2023-44487).
    pub fn is_abused(&self) -> bool {
        self.given_up.load(Ordering::Relaxed) > MOST_GIVEN_UP + self.answered.load(Ordering::Relaxed)
    }
}

impl Open {
    /// The answer began.
    pub fn answered(&mut self) {
        if self.state == State::Waiting {
            self.state = State::Answered;
            self.tally.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The client gave it up.
    pub fn left(&mut self) {
        if self.state == State::Waiting {
            self.state = State::GivenUp;
            self.tally.given_up.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.tally.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.tally.idle.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn giving_up_is_borne_in_proportion() {
        let tally = Arc::new(Tally::default());
        for _ in 0..MOST_GIVEN_UP {
            tally.open().left();
        }
        assert!(!tally.is_abused());
        tally.open().left();
        assert!(tally.is_abused());
        tally.open().answered();
        assert!(!tally.is_abused());
        let mut twice = tally.open();
        twice.answered();
        twice.left();
        assert!(!tally.is_abused(), "an answer that broke off was answered");
    }

    #[tokio::test]
    async fn idle_is_when_the_last_request_is_over() {
        let tally = Arc::new(Tally::default());
        let (one, two) = (tally.open(), tally.open());
        let waiting = tokio::spawn({
            let tally = Arc::clone(&tally);
            async move { tally.idle().await }
        });
        drop(one);
        assert!(tally.is_busy());
        drop(two);
        waiting.await.unwrap();
    }
}

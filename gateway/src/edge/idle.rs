//! The wait for a request: a connection holds next to nothing meanwhile.

use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::{FIRST_READ, Guard, Phase};

impl Guard {
    /// Waits for the first bytes of a request. False if the client went away or sent nothing for as long as `idle`.
    pub async fn request_begins(&mut self, idle: Duration) -> bool {
        poll_fn(|cx| self.poll_begins(cx, idle)).await
    }

    fn poll_begins(&mut self, cx: &mut Context<'_>, idle: Duration) -> Poll<bool> {
        if matches!(self.phase, Phase::Waiting) && self.request.finished.load(Ordering::Acquire) {
            self.phase = Phase::Head;
        }
        // In any other phase reading tells what there is to know.
        if !matches!(self.phase, Phase::Head) || !self.held.is_empty() {
            return Poll::Ready(true);
        }
        match self.poll_hold(cx, FIRST_READ) {
            Poll::Ready(read) => {
                self.since = None;
                Poll::Ready(read.is_ok_and(|read| read > 0))
            }
            Poll::Pending => {
                ready!(self.poll_deadline(cx, idle));
                Poll::Ready(false)
            }
        }
    }
}

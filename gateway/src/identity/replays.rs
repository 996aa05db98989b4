//! Signatures that were seen, for as long as their time would let them pass again.

use std::sync::Arc;
use std::time::Duration;

use ahash::AHashSet;
use filters::auth::AuthRefusal;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::NotKnown;

/// What was seen in the last while, in two generations: each is forgotten as a whole.
#[derive(Debug)]
pub(super) struct Replays {
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    /// A generation is kept for at least this long after its last entry.
    window: Duration,
    since: Instant,
    now: AHashSet<[u8; 16]>,
    before: AHashSet<[u8; 16]>,
}

impl Replays {
    /// For signatures that pass for `window_s` seconds; with what `known` has seen, whatever the window was there.
    pub(super) fn carried(known: Option<&Arc<Self>>, window_s: u64) -> Arc<Self> {
        let window = Duration::from_secs(window_s);
        match known {
            Some(known) => {
                let mut seen = known.seen.lock();
                seen.window = seen.window.max(window);
                Arc::clone(known)
            }
            None => Arc::new(Self::new(window)),
        }
    }

    fn new(window: Duration) -> Self {
        Self {
            seen: Mutex::new(Seen {
                window,
                since: Instant::now(),
                now: AHashSet::new(),
                before: AHashSet::new(),
            }),
        }
    }

    /// Notes a signature.
    ///
    /// # Errors
    /// If it was there before, or there is no room to remember it: what cannot be remembered could come twice.
    pub(super) fn take(&self, signature: [u8; 16]) -> Result<(), NotKnown> {
        let mut seen = self.seen.lock();
        seen.turn_over(Instant::now());
        if seen.before.contains(&signature) || seen.now.contains(&signature) {
            return Err(AuthRefusal::Replayed.into());
        }
        if seen.now.len() >= MOST_SEEN {
            return Err(NotKnown::Unavailable);
        }
        seen.now.insert(signature);
        Ok(())
    }
}

impl Seen {
    fn turn_over(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        if age < self.window {
            return;
        }
        self.before = std::mem::take(&mut self.now);
        if age >= self.window * 2 {
            self.before = AHashSet::new();
        }
        self.since = now;
    }
}

/// The most signatures of one generation; some 20 MB. At the usual window of ten minutes that is 870 a second.
const MOST_SEEN: usize = 1 << 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_signature_is_taken_once_for_the_whole_window() {
        let replays = Replays::new(Duration::from_secs(600));
        tokio::time::advance(Duration::from_secs(599)).await;
        assert_eq!(replays.take([1; 16]), Ok(()));
        for _ in 0..6 {
            assert_eq!(replays.take([1; 16]), Err(AuthRefusal::Replayed.into()));
            tokio::time::advance(Duration::from_secs(99)).await;
        }
        assert_eq!(replays.take([2; 16]), Ok(()));
        assert_eq!(replays.take([1; 16]), Err(AuthRefusal::Replayed.into()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_out_of_time_is_forgotten() {
        let replays = Replays::new(Duration::from_secs(600));
        assert_eq!(replays.take([1; 16]), Ok(()));
        tokio::time::advance(Duration::from_secs(1_200)).await;
        assert_eq!(replays.take([2; 16]), Ok(()));
        assert_eq!(replays.seen.lock().before.len(), 0);
        assert_eq!(replays.seen.lock().now.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_edit_of_the_integration_forgets_nothing() {
        let before = Replays::carried(None, 600);
        assert_eq!(before.take([1; 16]), Ok(()));
        let after = Replays::carried(Some(&before), 60);
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(after.take([1; 16]), Err(AuthRefusal::Replayed.into()));
    }
}

//! The workers that are there, and which of them to call.
//!
//! There is a worker for each attempt under way, and a few more that rest. A worker takes the next delivery as soon as it
//! is done with one. Whoever makes work available calls one worker, which calls the next if there is more: so nobody is
//! called in vain, and the one that rested last, whose memory is warm, works first.

use std::sync::Arc;

use tokio::sync::Notify;

/// The workers.
#[derive(Debug, Default)]
pub(super) struct Crew {
    /// Those that rest.
    resting: Vec<Arc<Notify>>,
    /// All of them.
    size: usize,
    /// Those that were called and have not looked for work yet.
    called: usize,
}

/// Who is to be called, once the lock is released.
#[derive(Debug)]
pub(super) enum Call {
    /// A worker that rests.
    Wake(Arc<Notify>),
    /// A new one.
    Hire,
}

impl Crew {
    /// Somebody to call, if there is work for one more of at most `most`.
    pub(super) fn call(&mut self, most: usize) -> Option<Call> {
        if self.called >= CALLED_AT_A_TIME {
            return None;
        }
        let call = match self.resting.pop() {
            Some(worker) => Call::Wake(worker),
            None if self.size < most => {
                self.size += 1;
                Call::Hire
            }
            None => return None,
        };
        self.called += 1;
        Some(call)
    }

    /// A worker that was called looks for work.
    pub(super) const fn came(&mut self) {
        self.called = self.called.saturating_sub(1);
    }

    /// A worker has nothing to do: true if it is to rest, false if it is to go.
    pub(super) fn rests(&mut self, worker: &Arc<Notify>) -> bool {
        if self.resting.len() < RESTING {
            self.resting.push(Arc::clone(worker));
            return true;
        }
        self.size = self.size.saturating_sub(1);
        false
    }
}

/// So many workers are on their way at a time; each calls the next.
const CALLED_AT_A_TIME: usize = 2;
/// So many may rest; each keeps the memory of an attempt.
const RESTING: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_hired_than_may_work() {
        let mut crew = Crew::default();
        for _ in 0..3 {
            assert!(matches!(crew.call(3), Some(Call::Hire)));
            crew.came();
        }
        assert!(crew.call(3).is_none());
        let worker = Arc::new(Notify::new());
        assert!(crew.rests(&worker));
        assert!(matches!(crew.call(3), Some(Call::Wake(same)) if Arc::ptr_eq(&same, &worker)));
    }

    #[test]
    fn few_are_on_their_way_and_few_rest() {
        let mut crew = Crew::default();
        let called = std::iter::from_fn(|| crew.call(1000)).count();
        assert_eq!(called, CALLED_AT_A_TIME);
        for _ in 0..200 {
            crew.came();
            if crew.call(1000).is_none() {
                break;
            }
        }
        let size = crew.size;
        let rest = (0..size).filter(|_| crew.rests(&Arc::new(Notify::new()))).count();
        assert_eq!((rest, crew.size), (RESTING, RESTING));
    }
}

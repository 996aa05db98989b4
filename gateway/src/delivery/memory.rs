//! The events that are kept in memory for their deliveries, within a budget. The others are read back when they are due.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use filters::event::Event;

use crate::queue::Seq;

/// Events in memory, each once however many deliveries it has.
#[derive(Debug)]
pub(super) struct Bodies {
    by_seq: HashMap<Seq, Body, RandomState>,
    bytes: usize,
    budget: usize,
}

#[derive(Debug)]
struct Body {
    event: Arc<Event>,
    bytes: usize,
    /// Deliveries that keep it.
    keepers: u32,
}

impl Bodies {
    /// At most about `budget` bytes.
    pub(super) fn new(budget: usize) -> Self {
        Self {
            by_seq: HashMap::default(),
            bytes: 0,
            budget,
        }
    }

    /// Keeps `event` for one more delivery, if there is room or it is there already: the bytes that it takes.
    pub(super) fn keep(&mut self, seq: Seq, event: &Arc<Event>) -> Option<usize> {
        if let Some(body) = self.by_seq.get_mut(&seq) {
            body.keepers += 1;
            return Some(body.bytes);
        }
        let bytes = size(event);
        if self.bytes + bytes > self.budget {
            return None;
        }
        self.bytes += bytes;
        let body = Body {
            event: Arc::clone(event),
            bytes,
            keepers: 1,
        };
        self.by_seq.insert(seq, body);
        Some(bytes)
    }

    /// The event `seq`, if it is in memory.
    pub(super) fn get(&self, seq: Seq) -> Option<&Arc<Event>> {
        self.by_seq.get(&seq).map(|body| &body.event)
    }

    /// Bytes of the event `seq`; 0 if it is not in memory.
    pub(super) fn bytes_of(&self, seq: Seq) -> usize {
        self.by_seq.get(&seq).map_or(0, |body| body.bytes)
    }

    /// One delivery keeps it no more: the bytes that it takes.
    pub(super) fn release(&mut self, seq: Seq) -> usize {
        let Some(body) = self.by_seq.get_mut(&seq) else {
            return 0;
        };
        let bytes = body.bytes;
        body.keepers -= 1;
        if body.keepers == 0 {
            self.by_seq.remove(&seq);
            self.bytes -= bytes;
            let room = self.by_seq.capacity();
            if room > SPARE && self.by_seq.len() < room / 8 {
                self.by_seq.shrink_to(room / 4);
            }
        }
        bytes
    }

    /// Bytes in memory.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The most bytes in memory.
    pub(super) const fn budget(&self) -> usize {
        self.budget
    }
}

/// About what an event takes: its payload, and its head.
pub(super) fn size(event: &Event) -> usize {
    event.payload.len() + HEAD
}

/// Bytes of a usual head with what surrounds it.
const HEAD: usize = 512;
/// Room that is not worth giving back.
const SPARE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::super::testing::event;
    use super::*;

    #[test]
    fn an_event_counts_once_however_many_keep_it() {
        let mut bodies = Bodies::new(3 * (HEAD + 100));
        let one = event(1, 100);
        assert_eq!(bodies.keep(1, &one), Some(HEAD + 100));
        assert_eq!(bodies.keep(1, &one), Some(HEAD + 100));
        assert_eq!(bodies.bytes(), HEAD + 100);
        bodies.release(1);
        assert!(bodies.get(1).is_some());
        bodies.release(1);
        assert!(bodies.get(1).is_none());
        assert_eq!(bodies.bytes(), 0);
    }

    #[test]
    fn beyond_the_budget_nothing_is_kept() {
        let mut bodies = Bodies::new(2 * (HEAD + 100));
        assert!(bodies.keep(1, &event(1, 100)).is_some());
        assert!(bodies.keep(2, &event(2, 101)).is_none());
        assert!(bodies.keep(3, &event(3, 100)).is_some());
        assert!(bodies.keep(1, &event(1, 100)).is_some(), "what is there takes no more");
        assert_eq!(bodies.bytes(), bodies.budget());
    }
}

//! Deliveries that wait for each other: of those with the same order key only the first goes out.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, VecDeque};

use ahash::RandomState;

use super::lanes::EntryIx;
use crate::queue::DeliveryKey;

/// The orders of one subscription, by order key. A key without deliveries takes no memory.
#[derive(Debug, Default)]
pub(super) struct Orders {
    lines: HashMap<u64, Line, RandomState>,
}

/// The deliveries with one order key.
#[derive(Debug)]
struct Line {
    /// The one that may go out. It stays first until it leaves, whoever comes.
    head: EntryIx,
    /// The others, in the order of their events.
    behind: VecDeque<EntryIx>,
}

impl Orders {
    /// Puts `entry` in line; true if it is the first. `key_of` names entries that are in line already.
    pub(super) fn enter(
        &mut self,
        order_key: u64,
        entry: EntryIx,
        key: DeliveryKey,
        key_of: impl Fn(EntryIx) -> DeliveryKey,
    ) -> bool {
        let line = match self.lines.entry(order_key) {
            Slot::Vacant(vacant) => {
                vacant.insert(Line {
                    head: entry,
                    behind: VecDeque::new(),
                });
                return true;
            }
            Slot::Occupied(occupied) => occupied.into_mut(),
        };
        match line.behind.back() {
            // Events come in their order; only repeats (replays, dead letters) come late.
            Some(last) if key_of(*last) > key => {
                let place = line.behind.partition_point(|other| key_of(*other) < key);
                line.behind.insert(place, entry);
            }
            _ => line.behind.push_back(entry),
        }
        false
    }

    /// Takes `entry` out of line. If it was the first, the next one is returned.
    pub(super) fn leave(&mut self, order_key: u64, entry: EntryIx) -> Option<EntryIx> {
        let Slot::Occupied(mut occupied) = self.lines.entry(order_key) else {
            return None;
        };
        let line = occupied.get_mut();
        if line.head != entry {
            line.behind.retain(|other| *other != entry);
            return None;
        }
        let Some(next) = line.behind.pop_front() else {
            occupied.remove();
            self.give_back();
            return None;
        };
        line.head = next;
        if line.behind.capacity() > SPARE && line.behind.len() < line.behind.capacity() / 4 {
            line.behind.shrink_to(line.behind.len() * 2);
        }
        Some(next)
    }

    /// How many keys have deliveries.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    fn give_back(&mut self) {
        let room = self.lines.capacity();
        if room > SPARE && self.lines.len() < room / 8 {
            self.lines.shrink_to(room / 4);
        }
    }
}

/// Room that is not worth giving back.
const SPARE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(entry: EntryIx) -> DeliveryKey {
        DeliveryKey {
            seq: i64::from(entry.0),
            number: 0,
        }
    }

    fn enter(orders: &mut Orders, order_key: u64, number: u32) -> bool {
        let entry = EntryIx(number);
        orders.enter(order_key, entry, key_of(entry), key_of)
    }

    #[test]
    fn the_first_goes_and_the_others_follow_in_the_order_of_their_events() {
        let mut orders = Orders::default();
        assert!(enter(&mut orders, 1, 5));
        assert!(!enter(&mut orders, 1, 8));
        assert!(!enter(&mut orders, 1, 9));
        assert!(!enter(&mut orders, 1, 3), "a late one does not push the first away");
        assert!(enter(&mut orders, 2, 10), "another key waits for nobody");
        assert_eq!(orders.leave(1, EntryIx(5)), Some(EntryIx(3)));
        assert_eq!(orders.leave(1, EntryIx(8)), None, "it was not the first");
        assert_eq!(orders.leave(1, EntryIx(3)), Some(EntryIx(9)));
        assert_eq!(orders.leave(1, EntryIx(9)), None);
        assert_eq!(orders.len(), 1);
        assert!(enter(&mut orders, 1, 11));
    }

    #[test]
    fn keys_that_are_done_take_no_memory() {
        let mut orders = Orders::default();
        for number in 0..100_000 {
            enter(&mut orders, u64::from(number), number);
        }
        for number in 0..100_000 {
            assert_eq!(orders.leave(u64::from(number), EntryIx(number)), None);
        }
        assert!(orders.lines.capacity() < 1000, "{}", orders.lines.capacity());
    }
}

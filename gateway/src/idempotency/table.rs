//! The table of keys, in bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ahash::RandomState;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Kept;

type Key = [u8; 32];

/// Keys with what is known of them.
#[derive(Debug)]
pub(super) struct Table {
    entries: HashMap<Key, Entry, RandomState>,
    shares: HashMap<u64, Share, RandomState>,
    bytes: usize,
    max_bytes: usize,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    org_id: u64,
    /// Tells the entry from an earlier one of its key.
    number: u64,
    fingerprint: Key,
    state: State,
    bytes: usize,
}

#[derive(Debug)]
enum State {
    UnderWay(watch::Receiver<()>),
    /// `None` if it was too large.
    Ended(Option<Arc<Kept>>, Instant),
}

/// What one organization takes up: its ended requests, oldest first.
#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    ended: BTreeMap<u64, Key>,
}

/// What is known of a key.
pub(super) enum Found {
    Nothing,
    UnderWay(watch::Receiver<()>),
    Kept(Arc<Kept>),
    NotKept,
    Other,
}

impl Table {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            entries: HashMap::default(),
            shares: HashMap::default(),
            bytes: 0,
            max_bytes,
            next: 0,
        }
    }

    /// What is known of `key` for a request with this fingerprint.
    pub(super) fn find(&mut self, key: &Key, fingerprint: &Key, now: Instant) -> Found {
        let Some(entry) = self.entries.get(key) else {
            return Found::Nothing;
        };
        match &entry.state {
            State::Ended(_, expires) if *expires <= now => {
                self.remove(key);
                Found::Nothing
            }
            _ if entry.fingerprint != *fingerprint => Found::Other,
            State::UnderWay(first_ends) => Found::UnderWay(first_ends.clone()),
            State::Ended(Some(answer), _) => Found::Kept(Arc::clone(answer)),
            State::Ended(None, _) => Found::NotKept,
        }
    }

    /// Notes that the first request of `key` is under way. Returns what tells it from others.
    pub(super) fn begin(&mut self, key: Key, org_id: u64, fingerprint: Key, first_ends: watch::Receiver<()>) -> u64 {
        self.next += 1;
        let entry = Entry {
            org_id,
            number: self.next,
            fingerprint,
            state: State::UnderWay(first_ends),
            // Those under way are as many as there are requests, which are bounded elsewhere.
            bytes: 0,
        };
        self.entries.insert(key, entry);
        self.next
    }

    /// Keeps the answer of the request `number`, or that it cannot be kept.
    pub(super) fn end(&mut self, key: &Key, number: u64, answer: Option<Kept>, expires: Instant) {
        let most = MOST_ANSWER.min(self.max_bytes / 4);
        let answer = answer.filter(|answer| size_of(answer) <= most);
        let bytes = ENTRY_BYTES + answer.as_ref().map_or(0, size_of);
        let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.number == number) else {
            return;
        };
        entry.state = State::Ended(answer.map(Arc::new), expires);
        entry.bytes = bytes;
        let share = self.shares.entry(entry.org_id).or_default();
        share.ended.insert(number, *key);
        share.bytes += bytes;
        self.bytes += bytes;
        while self.bytes > self.max_bytes {
            self.make_room();
        }
    }

    /// The request `number` ended without an answer for others.
    pub(super) fn give_up(&mut self, key: &Key, number: u64) {
        let is_it = |entry: &Entry| entry.number == number && matches!(entry.state, State::UnderWay(_));
        if self.entries.get(key).is_some_and(is_it) {
            self.entries.remove(key);
        }
    }

    /// Forgets the oldest answer of the organization that takes up most.
    fn make_room(&mut self) {
        let largest = self.shares.values().max_by_key(|share| share.bytes);
        match largest.and_then(|share| share.ended.first_key_value()) {
            Some((_, key)) => {
                let key = *key;
                self.remove(&key);
            }
            // Nothing is kept: the count must be wrong, and an endless loop is worse.
            None => self.bytes = 0,
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some(entry) = self.entries.remove(key) else { return };
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        if let Some(share) = self.shares.get_mut(&entry.org_id) {
            share.bytes = share.bytes.saturating_sub(entry.bytes);
            share.ended.remove(&entry.number);
            if share.ended.is_empty() {
                self.shares.remove(&entry.org_id);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn size_of(answer: &Kept) -> usize {
    let fields = answer.headers.iter();
    let fields: usize = fields.map(|(name, value)| name.as_str().len() + value.len() + 64).sum();
    answer.body.len() + fields
}

/// The largest answer that is kept.
const MOST_ANSWER: usize = 1024 * 1024;
/// What an entry takes besides its answer.
const ENTRY_BYTES: usize = 256;

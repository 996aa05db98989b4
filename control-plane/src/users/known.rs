//! Who was found to be behind a session or a key a moment ago, so that not each request asks the store.
//!
//! What this process changes is forgotten here at once, what others change after [`FRESH`]. While the store does not answer,
//! what was found before still counts for [`STALE`]: reads that can be served are served, and nothing can be changed anyway.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::access::Operator;

/// Somebody who was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) operator: Arc<Operator>,
    /// When the session or key ends.
    pub(super) expires_at: Option<Timestamp>,
}

/// Those who were found lately, by session or by hash of the key.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// Grows when everything is forgotten, so that what was read before is not remembered after.
    era: u64,
    by_name: HashMap<String, (Instant, Found)>,
    /// When the store was asked in vain.
    failed_at: Option<Instant>,
}

/// What was remembered of somebody.
pub(super) enum Remembered {
    /// It counts.
    Fresh(Found),
    /// It counts if the store does not answer.
    Stale(Found),
    /// Nothing.
    Nothing,
}

impl Known {
    /// What is remembered, and the era to give back with what the store says.
    pub(super) fn get(&self, name: &str) -> (Remembered, u64) {
        let entries = self.0.lock();
        // Not each request waits for a store that does not answer.
        let is_down = entries.failed_at.is_some_and(|at| at.elapsed() < PAUSE);
        let fresh = if is_down { STALE } else { FRESH };
        let remembered = match entries.by_name.get(name) {
            Some((at, found)) if at.elapsed() < fresh => Remembered::Fresh(found.clone()),
            Some((at, found)) if at.elapsed() < STALE => Remembered::Stale(found.clone()),
            _ => Remembered::Nothing,
        };
        (remembered, entries.era)
    }

    /// Remembers what the store said, unless something was changed since it was asked in `era`.
    pub(super) fn put(&self, name: &str, found: Found, era: u64) {
        let mut entries = self.0.lock();
        if entries.era != era {
            return;
        }
        if entries.by_name.len() >= MOST && !entries.by_name.contains_key(name) {
            entries.by_name.retain(|_, (at, _)| at.elapsed() < FRESH);
            if entries.by_name.len() >= MOST {
                entries.by_name.clear();
            }
        }
        entries.by_name.insert(name.to_owned(), (Instant::now(), found));
    }

    /// The store did not answer.
    pub(super) fn store_failed(&self) {
        self.0.lock().failed_at = Some(Instant::now());
    }

    /// Forgets one who is not there any more.
    pub(super) fn forget(&self, name: &str) {
        self.0.lock().by_name.remove(name);
    }

    /// Forgets everybody, as something was changed.
    pub(super) fn forget_all(&self) {
        let mut entries = self.0.lock();
        entries.era += 1;
        entries.by_name.clear();
    }
}

/// How long another control plane's change may go unseen.
const FRESH: Duration = Duration::from_millis(500);
/// How long somebody counts while the store does not answer.
const STALE: Duration = Duration::from_secs(300);
/// How long a store that did not answer is not asked about those who are remembered.
const PAUSE: Duration = Duration::from_secs(3);
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Proof, Role};

    fn found() -> Found {
        Found {
            operator: Arc::new(Operator::new("ana".to_owned(), Role::Admin, None, Proof::OperatorKey)),
            expires_at: None,
        }
    }

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let known = Known::default();
        let (_, era) = known.get("s");
        known.put("s", found(), era);
        let (remembered, era) = known.get("s");
        assert!(matches!(remembered, Remembered::Fresh(_)));
        known.forget_all();
        known.put("s", found(), era);
        assert!(matches!(known.get("s").0, Remembered::Nothing));
    }

    #[test]
    fn memory_is_bounded() {
        let known = Known::default();
        for number in 0..2 * MOST {
            known.put(&number.to_string(), found(), 0);
        }
        assert!(known.0.lock().by_name.len() <= MOST);
    }
}

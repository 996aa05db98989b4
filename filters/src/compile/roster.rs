//! Who is in a plan and in which slot, and what changes from one plan to the next.

use std::sync::Arc;

use ahash::AHashMap;

use crate::model::Snapshot;
use crate::plan::{Integration, Plan};
use crate::route::Edit;

/// The integrations of the plan in the making: those of the plan before, and what was changed since.
#[derive(Default)]
pub(super) struct Roster {
    pub(super) integrations: Vec<Option<Arc<Integration>>>,
    pub(super) slots: AHashMap<Arc<str>, usize>,
    pub(super) edits: Vec<Edit>,
    free: Vec<usize>,
}

impl Roster {
    /// Starts from the integrations of `previous`, less those that `snapshot` does not have any more.
    pub(super) fn of(previous: Option<&Plan>, snapshot: &Snapshot) -> Self {
        let Some(previous) = previous else {
            return Self::default();
        };
        let mut roster = Self {
            integrations: previous.integrations.clone(),
            slots: previous.slots.clone(),
            ..Self::default()
        };
        for slot in (0..roster.integrations.len()).rev() {
            let gone = match &roster.integrations[slot] {
                Some(integration) => !snapshot.integrations.contains_key(&integration.id),
                None => true,
            };
            if gone {
                if let Some(before) = roster.integrations[slot].take() {
                    roster.slots.remove(&before.id);
                    roster.edits.push(Edit::removal(before));
                }
                roster.free.push(slot);
            }
        }
        roster
    }

    /// The slot that the integration has, or a free one for a new integration.
    pub(super) fn slot_for(&mut self, id: &Arc<str>) -> usize {
        if let Some(slot) = self.slots.get(id) {
            return *slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.integrations.push(None);
            self.integrations.len() - 1
        });
        self.slots.insert(Arc::clone(id), slot);
        slot
    }

    /// Puts what an integration compiled to into its slot; `None` if it did not compile.
    pub(super) fn put(&mut self, slot: usize, compiled: Option<Arc<Integration>>) {
        let before = std::mem::replace(&mut self.integrations[slot], compiled.clone());
        self.edits.push(Edit {
            before,
            after: compiled,
        });
    }
}

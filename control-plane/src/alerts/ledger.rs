//! What is kept of alerts, beside others who may keep the same: of several control planes one says what happened.

use std::collections::{BTreeMap, VecDeque};

use super::alert::{Alert, AlertStatus};
use super::book::Change;
use crate::store::{Store, StoreError};

/// Writes alerts down, in the order in which they changed.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The revision that is kept of each open alert.
    kept: BTreeMap<String, u64>,
    /// Alerts that could not be written yet.
    waiting: VecDeque<Alert>,
    /// True if another control plane was quicker, so that the open alerts have to be read anew.
    pub(super) is_behind: bool,
}

impl Ledger {
    /// Another one begins, or takes over what the others wrote: these are the open alerts.
    pub(super) fn learn(&mut self, open: &[Alert]) {
        self.kept = open.iter().map(|alert| (alert.id.clone(), alert.revision)).collect();
        self.is_behind = false;
    }

    /// Writes the changes down, and what could not be written before. Gives back those that nobody else has told of. What
    /// cannot be written is told all the same, as otherwise nobody might be told.
    pub(super) async fn write(&mut self, store: &Store, changes: Vec<Change>) -> (Vec<Change>, Result<(), StoreError>) {
        let mut works = Ok(());
        while let Some(alert) = self.waiting.pop_front() {
            if let Err(error) = self.save(store, &alert).await {
                self.waiting.push_front(alert);
                works = Err(error);
                break;
            }
        }
        let mut told = Vec::new();
        for change in changes {
            let is_ours = match &works {
                Ok(()) => self.save(store, &change.alert).await,
                // One after the other.
                Err(_) => Ok(true),
            };
            match is_ours {
                Ok(false) => continue,
                Ok(true) if works.is_ok() => {}
                Ok(true) => self.wait(change.alert.clone()),
                Err(error) => {
                    self.wait(change.alert.clone());
                    works = Err(error);
                }
            }
            told.push(change);
        }
        (told, works)
    }

    async fn save(&mut self, store: &Store, alert: &Alert) -> Result<bool, StoreError> {
        let is_ours = store.save_alert(alert, self.kept.get(&alert.id).copied()).await?;
        match (is_ours, alert.status) {
            (false, _) => self.is_behind = true,
            (true, AlertStatus::Open) => drop(self.kept.insert(alert.id.clone(), alert.revision)),
            (true, AlertStatus::Resolved) => drop(self.kept.remove(&alert.id)),
        }
        Ok(is_ours)
    }

    fn wait(&mut self, alert: Alert) {
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push_back(alert);
        }
    }
}

/// Beyond it the oldest that can be written are worth more than the newest.
const MOST_WAITING: usize = 10_000;

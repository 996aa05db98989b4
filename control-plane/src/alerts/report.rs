//! The daily report: what failed in a day, told once, by one of the control planes.

use std::fmt::Write as _;

use filters::model::Snapshot;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::alert::{Alert, AlertStatus, DeadLetterCount};
use super::judge::words;
use crate::config::alerts::report::{LATEST, ReportConfig};
use crate::store::{Lately, Query, Shelf, Shelved, Store, StoreError, Write};

/// Tells when a report is due, and makes it.
#[derive(Debug)]
pub(super) struct Reporter {
    config: ReportConfig,
    /// The last moment for which somebody has told it, or was too late to.
    done: Option<Timestamp>,
}

/// What failed in a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    /// Alerts that were raised in that time.
    pub(crate) raised: usize,
    /// Those of them that are open.
    pub(crate) open: usize,
    /// Titles of the open ones, at most 50.
    pub(crate) titles: Vec<String>,
    /// Dead letters, by subscription: those with most new ones first, at most 50.
    pub(crate) dead_letters: Vec<Failing>,
}

/// Dead letters of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failing {
    org_id: u64,
    integration_config_id: String,
    /// As people know it.
    #[serde(skip)]
    name: String,
    /// Those that became dead letters in that time.
    new: u64,
    /// Those that were given up in that time.
    given_up: u64,
    /// All that there are.
    total: u64,
}

/// Who of several control planes tells it: whoever lays this on the shelf.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Claim {
    id: String,
    due: Timestamp,
}

impl Shelved for Claim {
    const SHELF: Shelf = Shelf::Reports;
    const NAME: &'static str = "daily report";

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        None
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.due.checked_add(SignedDuration::from_hours(24 * 7)).ok()
    }
}

impl Reporter {
    pub(super) fn new(config: &ReportConfig) -> Self {
        Self {
            config: config.clone(),
            done: None,
        }
    }

    /// The report, if it is due and nobody else tells it.
    ///
    /// # Errors
    /// If the store does not work; it is due again then.
    pub(super) async fn due(
        &mut self,
        store: &Store,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Option<Report>, StoreError> {
        let Some(due) = self.config.due(now).filter(|due| self.done != Some(*due)) else {
            return Ok(None);
        };
        if now.duration_since(due) > LATEST {
            self.done = Some(due);
            return Ok(None);
        }
        let report = made(store, snapshot, due).await?;
        let claim = Claim {
            id: due.to_string(),
            due,
        };
        // Written last: what could not be made is not told of as made.
        let is_ours = store.write(vec![Write::new(&claim)?], Vec::new()).await?;
        self.done = Some(due);
        Ok(is_ours.then_some(report))
    }
}

impl Report {
    /// One line.
    pub(super) fn subject(&self, installation: &str) -> String {
        let new: u64 = self.dead_letters.iter().map(|failing| failing.new).sum();
        format!(
            "[DAILY REPORT] {installation}: {} raised, {} open, {}",
            words::count(self.raised as u64, "alert"),
            self.open,
            words::count(new, "new dead letter")
        )
    }

    /// Everything, for people.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "From {} to {}.\n\nAlerts: {} raised, {} of them open.\n",
            words::moment(self.from),
            words::moment(self.until),
            self.raised,
            self.open
        );
        for title in &self.titles {
            let _ = writeln!(text, "- {title}");
        }
        text.push_str("\nDead letters:");
        if self.dead_letters.is_empty() {
            text.push_str(" none.\n");
        } else {
            text.push('\n');
        }
        for failing in &self.dead_letters {
            let _ = writeln!(
                text,
                "- {}: {} new, {} given up, {} in all",
                failing.name, failing.new, failing.given_up, failing.total
            );
        }
        text
    }
}

/// The report of the day before `until`.
async fn made(store: &Store, snapshot: &Snapshot, until: Timestamp) -> Result<Report, StoreError> {
    let from = until.checked_sub(DAY).unwrap_or(Timestamp::MIN);
    let query = Query {
        from: Some(from),
        before: Some(until),
        limit: MOST_ALERTS,
        ..Query::default()
    };
    let alerts: Vec<Alert> = store.list(&query).await?;
    let lately = Lately {
        new_since: from,
        abandoned_since: from,
    };
    let counts = store.dead_letter_counts(lately).await?;
    let open = alerts.iter().filter(|alert| alert.status == AlertStatus::Open);
    Ok(Report {
        from,
        until,
        raised: alerts.len(),
        open: open.clone().count(),
        titles: open.map(|alert| alert.title.clone()).take(MOST_LISTED).collect(),
        dead_letters: failing(snapshot, counts),
    })
}

fn failing(snapshot: &Snapshot, counts: Vec<DeadLetterCount>) -> Vec<Failing> {
    let mut failing: Vec<Failing> = counts
        .into_iter()
        .map(|count| Failing {
            org_id: count.org_id,
            name: words::subscription(snapshot, count.org_id, &count.integration_config_id),
            integration_config_id: count.integration_config_id,
            new: count.new,
            given_up: count.newly_abandoned,
            total: count.waiting.saturating_add(count.abandoned),
        })
        .collect();
    failing.sort_by_key(|one| std::cmp::Reverse((one.new, one.total)));
    failing.truncate(MOST_LISTED);
    failing
}

const DAY: SignedDuration = SignedDuration::from_hours(24);
const MOST_ALERTS: u32 = 1_000;
const MOST_LISTED: usize = 50;

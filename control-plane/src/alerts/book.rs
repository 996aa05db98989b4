//! The open alerts: one when a condition has held for long enough, a reminder now and then, one word when it is over.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::alert::{Alert, AlertStatus, Finding};
use super::judge::{Judge, Verdict};

/// The open alerts, and the conditions that may become some.
#[derive(Debug)]
pub(crate) struct Book {
    timing: Timing,
    open: BTreeMap<String, Tracked>,
    /// Conditions that hold, and since when they have been seen, by key.
    pending: BTreeMap<String, Timestamp>,
}

/// When something is said again, and when no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// A condition must be gone for so long before its alert is over.
    pub(crate) clear: SignedDuration,
    /// An alert that goes on is said again after this time.
    pub(crate) remind: Option<SignedDuration>,
}

#[derive(Debug)]
struct Tracked {
    alert: Alert,
    over_since: Option<Timestamp>,
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    Raised,
    Reminded,
    Resolved,
}

/// An alert to which something happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) happened: Happened,
    pub(crate) alert: Alert,
}

impl Book {
    pub(crate) fn new(timing: Timing) -> Self {
        Self {
            timing,
            open: BTreeMap::new(),
            pending: BTreeMap::new(),
        }
    }

    /// Takes over what is kept of the open alerts: after a start, or when another control plane was quicker.
    pub(crate) fn learn(&mut self, kept: Vec<Alert>) {
        let mut before = std::mem::take(&mut self.open);
        for alert in kept {
            let over_since = before.remove(&alert.key).and_then(|tracked| tracked.over_since);
            self.pending.remove(&alert.key);
            self.open.insert(alert.key.clone(), Tracked { alert, over_since });
        }
    }

    /// The open alerts.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Alert> {
        self.open.values().map(|tracked| &tracked.alert)
    }

    /// Goes on to the moment of `judge`: what is to be said, the worst first.
    pub(crate) fn step(&mut self, judge: &Judge<'_>) -> Vec<Change> {
        let now = judge.now();
        let mut findings: BTreeMap<String, Finding> = BTreeMap::new();
        for finding in judge.findings() {
            findings.entry(finding.key()).or_insert(finding);
        }
        self.pending.retain(|key, _| findings.contains_key(key));
        let mut changes = self.close(judge, &findings);
        for (key, finding) in findings {
            match self.open.get_mut(&key) {
                Some(tracked) => changes.extend(tracked.goes_on(finding, now, self.timing.remind)),
                None => changes.extend(self.see(key, finding, now)),
            }
        }
        changes.sort_by_key(|change| change.alert.rule);
        changes
    }

    /// A condition that is no alert yet.
    fn see(&mut self, key: String, finding: Finding, now: Timestamp) -> Option<Change> {
        let seen = *self.pending.entry(key.clone()).or_insert(now);
        if now.duration_since(seen) < finding.hold || self.open.len() >= MOST_OPEN {
            return None;
        }
        self.pending.remove(&key);
        let alert = finding.raise(key.clone(), seen, now);
        let tracked = Tracked {
            alert: alert.clone(),
            over_since: None,
        };
        self.open.insert(key, tracked);
        Some(Change {
            happened: Happened::Raised,
            alert,
        })
    }

    /// Ends the alerts whose condition has been gone for long enough.
    fn close(&mut self, judge: &Judge<'_>, findings: &BTreeMap<String, Finding>) -> Vec<Change> {
        let (now, clear) = (judge.now(), self.timing.clear);
        let gone = self.open.extract_if(.., |key, tracked| {
            if findings.contains_key(key) {
                return false;
            }
            match judge.verdict(&tracked.alert) {
                Verdict::Undecided => {
                    tracked.over_since = None;
                    false
                }
                Verdict::Over(how) => {
                    let over_since = *tracked.over_since.get_or_insert(now);
                    let is_over = now.duration_since(over_since) >= clear;
                    if is_over {
                        tracked.alert.resolve(how, now);
                    }
                    is_over
                }
            }
        });
        let resolved = |(_, tracked): (String, Tracked)| Change {
            happened: Happened::Resolved,
            alert: tracked.alert,
        };
        gone.map(resolved).collect()
    }
}

impl Tracked {
    /// The condition still holds.
    fn goes_on(&mut self, finding: Finding, now: Timestamp, remind: Option<SignedDuration>) -> Option<Change> {
        self.over_since = None;
        let alert = &mut self.alert;
        alert.title = finding.title;
        alert.detail = finding.detail;
        finding.advice.clone_into(&mut alert.advice);
        alert.gateway_ids = finding.gateway_ids;
        if now.duration_since(alert.notified_at) < remind? {
            return None;
        }
        alert.notified_at = now;
        alert.reminders += 1;
        alert.revision += 1;
        Some(Change {
            happened: Happened::Reminded,
            alert: alert.clone(),
        })
    }
}

impl Alert {
    fn resolve(&mut self, how: String, now: Timestamp) {
        self.status = AlertStatus::Resolved;
        self.detail = how;
        self.advice = String::new();
        self.resolved_at = Some(now);
        self.notified_at = now;
        self.revision += 1;
    }
}

/// More than these are no help to anybody; further conditions wait until some of them are over.
const MOST_OPEN: usize = 1_000;

#[cfg(test)]
mod tests;

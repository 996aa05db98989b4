//! How much is said in an hour: so much, then one word that there is more, and a sum at the end of the hour.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::alert::AlertStatus;
use super::book::{Change, Happened};

/// Lets a bounded number of messages through.
#[derive(Debug)]
pub(crate) struct Throttle {
    most: u32,
    hour: Option<Hour>,
}

#[derive(Debug)]
struct Hour {
    from: Timestamp,
    sent: u32,
    withheld: Option<Summary>,
}

/// What is said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    Alert(Box<Change>),
    Summary(Summary),
}

/// What was not said one by one.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    /// Since when (RFC 3339).
    #[schemars(with = "String")]
    pub(crate) from: Timestamp,
    /// Until when (RFC 3339). If that is in the future, there will be another summary then.
    #[schemars(with = "String")]
    pub(crate) until: Timestamp,
    /// Alerts that were raised.
    pub(crate) raised: u32,
    /// Alerts that go on.
    pub(crate) reminded: u32,
    /// Alerts that are over.
    pub(crate) resolved: u32,
    /// Titles of the first of those that were raised, at most 20.
    pub(crate) titles: Vec<String>,
}

impl Throttle {
    pub(crate) fn new(most: u32) -> Self {
        Self { most, hour: None }
    }

    /// What of `changes` is to be said now.
    pub(crate) fn pass(&mut self, changes: Vec<Change>, now: Timestamp) -> Vec<Message> {
        let mut messages = Vec::new();
        if let Some(hour) = self.hour.take_if(|hour| now.duration_since(hour.from) >= HOUR)
            && let Some(mut summary) = hour.withheld
        {
            summary.until = now;
            let hour = self.hour.insert(Hour::new(now));
            hour.sent += 1;
            messages.push(Message::Summary(summary));
        }
        for change in changes {
            let hour = self.hour.get_or_insert_with(|| Hour::new(now));
            if hour.sent < self.most {
                hour.sent += 1;
                messages.push(Message::Alert(Box::new(change)));
                continue;
            }
            let until = hour.from.checked_add(HOUR).unwrap_or(now);
            let is_first = hour.withheld.is_none();
            let withheld = hour.withheld.get_or_insert_with(|| Summary::new(now, until));
            withheld.add(&change);
            if is_first {
                messages.push(Message::Summary(withheld.clone()));
            }
        }
        messages
    }
}

impl Hour {
    fn new(from: Timestamp) -> Self {
        Self {
            from,
            sent: 0,
            withheld: None,
        }
    }
}

impl Summary {
    fn new(from: Timestamp, until: Timestamp) -> Self {
        Self {
            from,
            until,
            raised: 0,
            reminded: 0,
            resolved: 0,
            titles: Vec::new(),
        }
    }

    fn add(&mut self, change: &Change) {
        let count = match change.happened {
            Happened::Raised => &mut self.raised,
            Happened::Reminded => &mut self.reminded,
            Happened::Resolved => &mut self.resolved,
        };
        *count += 1;
        if change.alert.status == AlertStatus::Open && self.titles.len() < MOST_TITLES {
            self.titles.push(change.alert.title.clone());
        }
    }
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const MOST_TITLES: usize = 20;

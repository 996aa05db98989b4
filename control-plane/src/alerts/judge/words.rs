//! Texts for people.

use std::borrow::Cow;
use std::fmt;

use filters::model::Snapshot;
use jiff::{SignedDuration, Timestamp};

/// A subscription as people know it: `"Bills" (bills) of organization 648`.
pub(in super::super) fn subscription(snapshot: &Snapshot, org_id: u64, id: &str) -> String {
    match snapshot.outbound.get(id) {
        Some(entry) => format!(
            "\"{}\" ({id}) of {}",
            plain(&entry.value.name),
            organization(snapshot, org_id)
        ),
        None => format!("{id} of {}", organization(snapshot, org_id)),
    }
}

/// An inbound integration as people know it: `"Labs" (labs) of organization 648`.
pub(in super::super) fn inbound(snapshot: &Snapshot, org_id: u64, id: &str) -> String {
    match snapshot.integrations.get(id) {
        Some(entry) => format!(
            "\"{}\" ({id}) of {}",
            plain(&entry.value.name),
            organization(snapshot, org_id)
        ),
        None => format!("{id} of {}", organization(snapshot, org_id)),
    }
}

/// An organization as people know it: `organization 648 (Clinic)`.
pub(in super::super) fn organization(snapshot: &Snapshot, org_id: u64) -> String {
    match snapshot.organizations.get(&org_id) {
        Some(entry) if !entry.value.name.is_empty() => {
            format!("organization {org_id} ({})", plain(&entry.value.name))
        }
        _ => format!("organization {org_id}"),
    }
}

/// A moment to the second.
pub(in super::super) fn moment(at: Timestamp) -> impl fmt::Display {
    at.strftime("%Y-%m-%d %H:%M:%S UTC")
}

/// A time in its two largest units: `2 h 5 min`.
pub(in super::super) fn duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, _) => format!("{minutes} min"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, _, _) => format!("{days} d {hours} h"),
    }
}

/// `1 event`, `2 events`.
pub(in super::super) fn count(number: u64, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

/// A text of others as a sentence of ours: on one line, not too long, with an end.
pub(in super::super) fn sentence(text: &str) -> String {
    let mut text: String = plain(text).chars().take(LONGEST).collect();
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

/// Without anything that could break out of its line.
pub(in super::super) fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(text.replace(char::is_control, " "))
    } else {
        Cow::Borrowed(text)
    }
}

const LONGEST: usize = 300;

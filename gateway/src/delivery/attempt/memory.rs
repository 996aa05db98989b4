//! What the attempts at a delivery leave for those after them. The queue keeps it as a text that nobody else reads.

use std::collections::BTreeMap;

use bytes::Bytes;
use filters::model::delivery::ErrorCategory;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::queue::DeliveryState;

/// What earlier attempts leave for later ones; most deliveries have nothing to leave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Memory {
    /// Answers of the steps that were taken, by the step's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) answers: BTreeMap<String, StepAnswer>,
    /// Why the delivery failed for good: while its steps are undone, and as a dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<Failed>,
    /// When a recurring delivery was due by its schedule, where the time of the next attempt is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scheduled_ms: Option<i64>,
    /// What the event's producer has not been told yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owed: Option<Owed>,
}

/// An outcome that the producer could not be told of yet. The delivery itself is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Owed {
    /// What is to be sent, as JSON.
    pub(super) message: Box<str>,
    /// How often that was tried.
    pub(super) tries: u32,
    /// How the delivery goes on after that.
    pub(super) then: Then,
}

/// How a delivery goes on after its producer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Then {
    /// It is done.
    Done,
    /// It is due again by its schedule.
    Occurrence { due_ms: i64, occurrences: u32 },
    /// It is a dead letter, to be retried then.
    Dead { retry_ms: Option<i64>, from_first: bool },
}

/// The answer to a step, as later steps see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepAnswer {
    pub(super) status: u16,
    /// The body: JSON, or a text, or null where it is too large to keep.
    pub(super) body: Value,
}

/// The failure that made a dead letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Failed {
    /// The delivery of that step, which names the dead letter.
    pub(super) id: Uuid,
    /// The step that failed.
    pub(super) step: u16,
    /// When it failed for good, in milliseconds since the epoch.
    pub(super) since_ms: i64,
    /// Attempts at it, the retries of the dead letter included.
    pub(super) attempts: u32,
    pub(super) category: ErrorCategory,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    /// What happened, for people.
    pub(super) error: String,
    /// True if the endpoint asked not to be sent this again: nobody retries it but an operator.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) unwanted: bool,
    /// True once steps before it were undone: a retry begins with the first step.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) undone: bool,
}

impl Memory {
    /// Reads what [`Self::text`] wrote. What cannot be read is forgotten: it is better to go on without.
    pub(super) fn of(text: Option<&str>) -> Self {
        text.map_or_else(Self::default, |text| {
            serde_json::from_str(text).unwrap_or_else(|error| {
                tracing::error!(%error, "what earlier attempts at a delivery left cannot be read");
                Self::default()
            })
        })
    }

    /// Itself as a text for the queue.
    pub(super) fn text(&self) -> Option<Box<str>> {
        if *self == Self::default() {
            return None;
        }
        match serde_json::to_string(self) {
            Ok(text) => Some(text.into()),
            Err(error) => {
                tracing::error!(%error, "what an attempt leaves for later ones cannot be written");
                None
            }
        }
    }

    /// Identifier of the delivery, as the endpoint of its next call is to see it. A retry of a dead letter whose steps were
    /// undone begins anew: its first step is another delivery than the one that failed.
    pub(super) fn sent_id(&self, state: &DeliveryState) -> Uuid {
        match &self.failed {
            Some(failed) if failed.undone && state.dead_retries.is_some() => Uuid::now_v7(),
            _ => state.id,
        }
    }

    /// The answers as JSON, for the transformation of a later step.
    pub(super) fn answers_json(&self) -> Option<String> {
        let has_answers = !self.answers.is_empty();
        has_answers.then(|| serde_json::to_string(&self.answers).ok()).flatten()
    }
}

impl StepAnswer {
    /// An answer of which `body` was read, whole or cut.
    pub(super) fn of(status: u16, body: &Bytes, is_whole: bool) -> Self {
        let fits = is_whole && body.len() <= MAX_ANSWER;
        let body = if !fits {
            Value::Null
        } else {
            serde_json::from_slice(body).unwrap_or_else(|_| match std::str::from_utf8(body) {
                Ok("") | Err(_) => Value::Null,
                Ok(text) => Value::String(text.to_owned()),
            })
        };
        Self { status, body }
    }
}

/// The most bytes of an answer that later steps see.
const MAX_ANSWER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_to_leave_is_no_text() {
        assert_eq!(Memory::default().text(), None);
        assert_eq!(Memory::of(None), Memory::default());
    }

    #[test]
    fn what_is_left_is_found_again() {
        let mut memory = Memory {
            scheduled_ms: Some(7),
            failed: Some(Failed {
                id: Uuid::now_v7(),
                step: 1,
                since_ms: 5,
                attempts: 3,
                category: ErrorCategory::Gone,
                status: Some(410),
                error: "gone".to_owned(),
                unwanted: true,
                undone: false,
            }),
            owed: Some(Owed {
                message: "{}".into(),
                tries: 2,
                then: Then::Occurrence {
                    due_ms: 5,
                    occurrences: 1,
                },
            }),
            ..Memory::default()
        };
        let answer = StepAnswer::of(201, &Bytes::from_static(b"{\"id\":7}"), true);
        memory.answers.insert("create".to_owned(), answer);
        assert_eq!(Memory::of(memory.text().as_deref()), memory);
        assert_eq!(
            memory.answers_json().unwrap(),
            r#"{"create":{"status":201,"body":{"id":7}}}"#
        );
    }

    #[test]
    fn an_unreadable_text_is_forgotten() {
        assert_eq!(Memory::of(Some("[")), Memory::default());
    }

    #[test]
    fn answers_are_json_or_text_or_left_out() {
        let body = |bytes: &'static [u8], whole| StepAnswer::of(200, &Bytes::from_static(bytes), whole).body;
        assert_eq!(body(b"[1]", true), json!([1]));
        assert_eq!(body(b"ok", true), json!("ok"));
        assert_eq!(body(b"", true), Value::Null);
        assert_eq!(body(b"\xff", true), Value::Null);
        assert_eq!(body(b"[1]", false), Value::Null);
        let large = Bytes::from(vec![b'1'; MAX_ANSWER + 1]);
        assert_eq!(StepAnswer::of(200, &large, true).body, Value::Null);
    }
}

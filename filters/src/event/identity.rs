//! By what a repeat of an event is known.

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::Event;
use super::payload::is_json;

/// How long a repeat of an event with an identifier is known, in milliseconds: 24 hours.
pub const WINDOW_MS: i64 = 24 * 60 * 60 * 1_000;
/// How long a repeat of an event without an identifier is known, in milliseconds: 5 minutes.
pub const WINDOW_WITHOUT_ID_MS: i64 = 5 * 60 * 1_000;

/// By what a repeat of an event is known, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) key: [u8; 16],
    pub(super) window_ms: i64,
}

impl Identity {
    /// Of an event that its producer gave an identifier: organization, source and identifier.
    pub(super) fn of(event: &Event) -> Self {
        let head = &event.head;
        Self {
            key: digest(&[
                b"id",
                &head.org_id.to_be_bytes(),
                head.source.as_bytes(),
                head.id.as_bytes(),
            ]),
            window_ms: WINDOW_MS,
        }
    }

    /// Of an event without: its type, the `id` in its payload, and its entity. One whose payload has no `id` either is
    /// never a repeat: two that look the same may both have happened.
    pub(super) fn of_unnamed(event: &Event) -> Self {
        let head = &event.head;
        let Some(payload_id) = payload_id(event) else {
            return Self::of(event);
        };
        Self {
            key: digest(&[
                b"payload",
                &head.org_id.to_be_bytes(),
                head.event_type.as_bytes(),
                payload_id.as_bytes(),
                &head.entity().to_be_bytes(),
            ]),
            window_ms: WINDOW_WITHOUT_ID_MS,
        }
    }
}

/// The text or number in the field `id` of a payload, as it is written.
fn payload_id(event: &Event) -> Option<&str> {
    #[derive(Deserialize)]
    struct Named<'b> {
        #[serde(borrow)]
        id: &'b RawValue,
    }
    // A list would be read as the fields in their order.
    let is_object = event.payload.trim_ascii_start().starts_with(b"{");
    if !is_object || !is_json(event.head.data_content_type.as_deref()) {
        return None;
    }
    let named: Named<'_> = serde_json::from_slice(&event.payload).ok()?;
    let id = named.id.get();
    let is_name = id.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit());
    (is_name && id != "\"\"").then_some(id)
}

/// The first half of a SHA-256 over the parts, each with its length.
fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::EventHead;

    fn event(source: &str, id: &str, payload: &'static str) -> Event {
        Event {
            head: EventHead {
                org_id: 1,
                id: id.into(),
                source: source.into(),
                event_type: "bill.generated".into(),
                action_id: None,
                entity_rid: Some(7),
                subject: None,
                time: None,
                data_content_type: None,
                correlation_id: None,
                trace_id: String::new(),
                status_callback: None,
                extensions: Default::default(),
            },
            payload: Bytes::from_static(payload.as_bytes()),
        }
    }

    #[test]
    fn organization_source_and_id_make_the_identity_and_nothing_else_does() {
        let one = Identity::of(&event("a", "1", "{}"));
        assert_eq!(one, Identity::of(&event("a", "1", "{\"other\":1}")));
        assert_eq!(one.window_ms, 86_400_000);
        assert_ne!(one, Identity::of(&event("b", "1", "{}")));
        assert_ne!(one, Identity::of(&event("a", "2", "{}")));
        assert_ne!(
            Identity::of(&event("ab", "c", "{}")),
            Identity::of(&event("a", "bc", "{}"))
        );
        let mut elsewhere = event("a", "1", "{}");
        elsewhere.head.org_id = 2;
        assert_ne!(one, Identity::of(&elsewhere));
    }

    #[test]
    fn events_without_an_id_go_by_the_id_of_their_payload() {
        let made = |id, payload| Identity::of_unnamed(&event("a", id, payload));
        assert_eq!(made("x", "{\"id\": 5, \"at\": 1}"), made("y", "{\"at\": 2, \"id\": 5}"));
        assert_eq!(made("x", "{\"id\": 5}").window_ms, 300_000);
        assert_ne!(made("x", "{\"id\": 5}"), made("x", "{\"id\": 6}"));
        let mut elsewhere = event("a", "x", "{\"id\": 5}");
        elsewhere.head.entity_rid = None;
        assert_ne!(made("x", "{\"id\": 5}"), Identity::of_unnamed(&elsewhere));
        for payload in ["{}", "{\"id\": null}", "{\"id\": {}}", "{\"id\": \"\"}", "[1]", "7"] {
            assert_ne!(made("x", payload), made("y", payload), "{payload}");
        }
    }
}

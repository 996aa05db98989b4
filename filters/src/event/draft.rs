//! What a request says of an event, and what becomes an event of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::fault::{FaultKind, Faults};
use super::identity::Identity;
use super::payload::{Content, is_json};
use super::{Decoded, Event};
use crate::model::EventHead;
use crate::plan::events::{EventPlan, TypePlan};
use crate::target::{Scheme, TargetUrl};

/// What a request says of one event. Names and numbers are read; whether they make sense is not known yet.
#[derive(Debug, Default)]
pub(super) struct Draft<'b> {
    pub(super) org_id: Option<u64>,
    pub(super) id: Option<String>,
    pub(super) source: Option<String>,
    pub(super) event_type: Option<String>,
    pub(super) action_id: Option<i64>,
    pub(super) entity_rid: Option<u64>,
    pub(super) subject: Option<String>,
    pub(super) time: Option<String>,
    pub(super) data_content_type: Option<String>,
    pub(super) correlation_id: Option<String>,
    pub(super) status_callback: Option<String>,
    pub(super) traceparent: Option<String>,
    pub(super) extensions: BTreeMap<String, Value>,
    pub(super) content: Option<Content<'b>>,
}

/// What the fields are called in the form at hand, for problems.
#[derive(Debug)]
pub(super) struct Names {
    /// What stands before the names of attributes.
    pub(super) prefix: &'static str,
    pub(super) org_id: &'static str,
    pub(super) id: &'static str,
    pub(super) source: &'static str,
    pub(super) event_type: &'static str,
    pub(super) action_id: &'static str,
    pub(super) entity_rid: &'static str,
    pub(super) subject: &'static str,
    pub(super) time: &'static str,
    pub(super) data_content_type: &'static str,
    pub(super) correlation_id: &'static str,
    pub(super) status_callback: &'static str,
    pub(super) payload: &'static str,
}

impl Names {
    /// Where the attribute `name` stands.
    pub(super) fn of(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

impl<'b> Draft<'b> {
    /// Takes what the payload is. What is wrong with it is added to `faults`, and something else stands in for it, so that
    /// it is not missed as well.
    pub(super) fn keep(&mut self, content: Result<Content<'b>, (&'static str, String)>, faults: &mut Faults) {
        self.content = Some(content.unwrap_or_else(|(path, message)| {
            faults.invalid(path, message);
            Content::Part(&[])
        }));
    }
}

/// What is known of a request besides its events.
pub(super) struct Circumstances<'a> {
    pub(super) org_id: u64,
    pub(super) producer: &'a str,
    pub(super) trace_id: &'a str,
    pub(super) new_id: &'a mut dyn FnMut() -> String,
    pub(super) plan: &'a EventPlan,
    pub(super) body: &'a Bytes,
}

impl<'a> Circumstances<'a> {
    /// Makes an event of `draft`; `None` if anything is wrong, which is added to `faults`.
    pub(super) fn complete(&mut self, draft: Draft<'_>, names: &Names, faults: &mut Faults) -> Option<Decoded> {
        self.check_organization(&draft, names, faults);
        check_texts(&draft, names, faults);
        self.check_callback(&draft, names, faults);
        let event_type = self.event_type(&draft, names, faults);
        if draft.content.is_none() {
            faults.missing(names.payload, "is missing; an event without data has `null`");
        }
        if !faults.is_empty() {
            return None;
        }
        let event_type = event_type?;
        let named = draft.id.is_some();
        let trace_id = draft.traceparent.as_deref().and_then(trace_of);
        let event = Event {
            head: EventHead {
                org_id: self.org_id,
                id: draft.id.unwrap_or_else(&mut *self.new_id),
                source: draft.source.unwrap_or_else(|| self.producer.to_owned()),
                event_type: event_type.name.to_string(),
                action_id: event_type.action_id,
                entity_rid: draft.entity_rid,
                subject: draft.subject,
                time: draft.time,
                data_content_type: draft.data_content_type,
                correlation_id: draft.correlation_id,
                trace_id: trace_id.unwrap_or_else(|| self.trace_id.to_owned()),
                status_callback: draft.status_callback,
                extensions: draft.extensions,
            },
            payload: draft.content?.keep(self.body),
        };
        let parsed = check_schema(event_type, &event, names, faults);
        if !faults.is_empty() {
            return None;
        }
        let identity = if named {
            Identity::of(&event)
        } else {
            Identity::of_unnamed(&event)
        };
        Some(Decoded {
            event,
            parsed,
            dedupe_key: identity.key,
            dedupe_window_ms: identity.window_ms,
        })
    }

    fn check_organization(&self, draft: &Draft<'_>, names: &Names, faults: &mut Faults) {
        if let Some(org_id) = draft.org_id
            && org_id != self.org_id
        {
            let message = format!(
                "{org_id} is not the organization of this key, which is {}; use a key of that organization",
                self.org_id
            );
            faults.add(FaultKind::OtherOrganization, names.org_id, message);
        }
        if draft.entity_rid == Some(0) {
            faults.invalid(
                names.entity_rid,
                "must be above 0; leave it out for the organization itself",
            );
        }
    }

    fn check_callback(&self, draft: &Draft<'_>, names: &Names, faults: &mut Faults) {
        let Some(address) = &draft.status_callback else {
            return;
        };
        match TargetUrl::parse(address) {
            Ok(target) if target.scheme() == Scheme::Http && self.plan.security().enforce_https => {
                faults.invalid(names.status_callback, "has no TLS; use https");
            }
            Ok(_) => {}
            Err(error) => faults.invalid(names.status_callback, error.to_string()),
        }
    }

    /// The event type that name and action id lead to.
    fn event_type(&self, draft: &Draft<'_>, names: &Names, faults: &mut Faults) -> Option<&'a TypePlan> {
        let org_id = self.org_id;
        let by_name = draft.event_type.as_deref().map(|name| {
            let found = self.plan.event_type(org_id, name);
            if found.is_none() && !name.is_empty() {
                let message = format!(
                    "{name:?} is no event type of organization {org_id}; correct it, or make it at /api/v1/event-types"
                );
                faults.add(FaultKind::UnknownType, names.event_type, message);
            }
            found
        });
        let by_action = draft.action_id.map(|action| {
            let found = self.plan.action(org_id, action);
            if found.is_none() {
                let message = format!(
                    "{action} is no action id of organization {org_id}; correct it, or give it to an event type at \
                     /api/v1/event-types"
                );
                faults.add(FaultKind::UnknownType, names.action_id, message);
            }
            found
        });
        match (by_name, by_action) {
            (None, None) => {
                let message = format!("is missing; give `{}` or `{}`", names.event_type, names.action_id);
                faults.missing(names.event_type, message);
                None
            }
            (Some(Some(named)), Some(Some(numbered))) if named.name != numbered.name => {
                let message = format!(
                    "{:?} and action id {} are two event types; give one of them",
                    named.name,
                    numbered.action_id.unwrap_or_default()
                );
                faults.invalid(names.action_id, message);
                None
            }
            (Some(found), None) | (None, Some(found)) | (Some(_), Some(found)) => found.map(|found| &**found),
        }
    }
}

fn check_schema(event_type: &TypePlan, event: &Event, names: &Names, faults: &mut Faults) -> Option<Value> {
    let schema = event_type.schema.as_ref()?;
    if !is_json(event.head.data_content_type.as_deref()) {
        let message = "must be JSON, as the event type has a schema";
        faults.invalid(names.data_content_type, message);
        return None;
    }
    match serde_json::from_slice(&event.payload) {
        Ok(value) => {
            let violations = schema.check(&value, event.payload.len(), names.payload);
            faults.add_all(FaultKind::Schema, violations);
            Some(value)
        }
        Err(error) => {
            faults.invalid(names.payload, format!("cannot be read: {error}"));
            None
        }
    }
}

/// Texts that have a length and characters that they may not have.
fn check_texts(draft: &Draft<'_>, names: &Names, faults: &mut Faults) {
    let texts = [
        (&draft.id, names.id, 256),
        (&draft.source, names.source, 1_024),
        (&draft.event_type, names.event_type, 200),
        (&draft.subject, names.subject, 1_024),
        (&draft.correlation_id, names.correlation_id, 256),
        (&draft.status_callback, names.status_callback, 2_048),
        (&draft.data_content_type, names.data_content_type, 200),
    ];
    for (text, name, most) in texts {
        if let Some(text) = text
            && let Some(message) = objection(text, most)
        {
            faults.invalid(name, message);
        }
    }
    if let Some(time) = &draft.time
        && !is_time(time)
    {
        faults.invalid(
            names.time,
            "must be a time in RFC 3339 with its offset, as 2026-01-31T08:30:00Z",
        );
    }
    if let Some(media_type) = &draft.data_content_type
        && !(media_type.is_ascii() && media_type.contains('/'))
    {
        faults.invalid(names.data_content_type, "must be a media type, as application/json");
    }
}

/// What is wrong with a text that must have at most `most` bytes.
pub(super) fn objection(text: &str, most: usize) -> Option<String> {
    if text.is_empty() {
        return Some("must not be empty".to_owned());
    }
    if text.len() > most {
        return Some(format!("is {} bytes long; at most {most} are allowed", text.len()));
    }
    let is_refused = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.contains(is_refused)
        .then(|| "must not hold control characters, such as line breaks".to_owned())
}

/// True for a time with date, seconds and offset, as RFC 3339 has it. What only ISO 8601 allows is refused, as receivers
/// would have to read it.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let has_marks = marks
        .iter()
        .all(|(at, mark)| bytes.get(*at).is_some_and(|found| found.eq_ignore_ascii_case(mark)));
    let offset = text.rfind(['+', '-']).map_or("", |at| &text[at..]);
    let has_offset = text.ends_with(['Z', 'z']) || (offset.len() == 6 && offset.as_bytes()[3] == b':');
    has_marks && has_offset && text.len() <= 40 && text.parse::<Timestamp>().is_ok()
}

/// The trace of a `traceparent`; `None` if it is malformed, which W3C Trace Context asks to be ignored.
fn trace_of(text: &str) -> Option<String> {
    let mut parts = text.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_some = |text: &str| text.bytes().any(|byte| byte != b'0');
    let is_valid = is_hex(version, 2)
        && version != "ff"
        && (version != "00" || parts.next().is_none())
        && is_hex(trace, 32)
        && is_some(trace)
        && is_hex(parent, 16)
        && is_some(parent)
        && is_hex(flags, 2);
    is_valid.then(|| trace.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        for time in [
            "2026-01-31T08:30:00Z",
            "2026-01-31t08:30:00.123456z",
            "2026-01-31T08:30:00+05:30",
        ] {
            assert!(is_time(time), "{time}");
        }
        for time in [
            "2026-01-31",
            "2026-01-31T08:30:00",
            "2026-01-31T08:30Z",
            "2026-01-31 08:30:00Z",
            "20260131T083000Z",
            "2026-02-30T08:30:00Z",
            "2026-01-31T08:30:00+0530",
            "2026-01-31T08:30:00Z[UTC]",
            "now",
            "",
            "é-é-éTé:é:é",
        ] {
            assert!(!is_time(time), "{time}");
        }
    }

    #[test]
    fn a_malformed_traceparent_is_ignored() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_of(good).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert!(trace_of(&good.replace("00-4", "cc-4").replace("-01", "-01-more")).is_some());
        for bad in [
            "",
            "x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(trace_of(bad), None, "{bad}");
        }
    }
}

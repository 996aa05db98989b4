//! Events: read from whatever form they come in.
//!
//! Three forms are taken: CloudEvents 1.0 as JSON (`application/cloudevents+json`, and lists of them as
//! `application/cloudevents-batch+json`), CloudEvents 1.0 with its attributes in header fields (`ce-id`, ...) and the data
//! as the body, and the plain form (`application/json`): an object with `eventType` or `actionId` and `payload`, a list of
//! these, or `{"events": [...], "atomic": false}`.
//!
//! The envelope is read once; a payload is looked over and kept as it came, with its digits, the order of its fields, and
//! fields that are there twice (of which readers here take the last). In the envelope nothing may be there twice.

mod batch;
mod cloud;
mod draft;
mod fault;
mod fields;
mod identity;
mod payload;
mod plain;

use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::Value;

use crate::model::EventHead;
use crate::plan::events::EventPlan;
use batch::{Rules, Shape};
use draft::Circumstances;
use fault::Faults;
pub use fault::{EventFault, FaultKind, ItemFault};
use fields::Fields;
pub use identity::{WINDOW_MS, WINDOW_WITHOUT_ID_MS};
pub use payload::{MAX_DEPTH, Payload, is_json};

/// An event, ready to be kept and matched.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Everything but the payload.
    pub head: EventHead,
    /// The payload as it came: JSON text, unless the head names another media type. Without data it is `null`.
    pub payload: Bytes,
}

/// A request that hands over events.
pub struct Incoming<'a> {
    /// Organization of the key that it came with.
    pub org_id: u64,
    /// Name of that key; stands in for the source of events that name none.
    pub producer: &'a str,
    /// Header fields.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Trace of the request; that of events which name none.
    pub trace_id: &'a str,
    /// Makes identifiers for events without one.
    pub new_id: &'a mut dyn FnMut() -> String,
    /// The most events that it may have.
    pub most_events: usize,
    /// Whether a list that does not say so itself is taken as a whole or not at all.
    pub atomic: bool,
}

/// The events of a request.
#[derive(Debug)]
pub struct Batch {
    /// False for one event by itself.
    pub is_list: bool,
    /// True if all of them are to be taken or none. Then there are no faults among the items.
    pub atomic: bool,
    /// Events and faults, in the order of the request.
    pub items: Vec<Result<Decoded, ItemFault>>,
}

/// An event that may be taken.
#[derive(Debug)]
pub struct Decoded {
    /// The event.
    pub event: Event,
    /// Its payload, where it had to be parsed for its schema.
    pub parsed: Option<Value>,
    /// By which a repeat is known: of organization, source and identifier; for an event without an identifier, of
    /// organization, type, the `id` in its payload and entity.
    pub dedupe_key: [u8; 16],
    /// For how long a repeat is known, in milliseconds.
    pub dedupe_window_ms: i64,
}

/// Reads the events of a request.
///
/// # Errors
/// What is wrong with the request as a whole, with its only event, or with any event of a list that is taken as a whole.
pub fn decode(incoming: Incoming<'_>, plan: &EventPlan) -> Result<Batch, EventFault> {
    let Incoming {
        org_id,
        producer,
        headers,
        body,
        trace_id,
        new_id,
        ..
    } = incoming;
    let mut around = Circumstances {
        org_id,
        producer,
        trace_id,
        new_id,
        plan,
        body: &body,
    };
    let rules = Rules {
        atomic: incoming.atomic,
        most: incoming.most_events,
    };
    let form = Form::of(headers)?;
    if matches!(form, Form::Binary) {
        let mut faults = Faults::default();
        let draft = cloud::read_binary(headers, &body, &mut faults);
        return batch::finish(draft, &cloud::HEADERS, faults, &mut around);
    }
    let text = std::str::from_utf8(&body)
        .map_err(|error| EventFault::one(FaultKind::Unreadable, "", format!("is not UTF-8: {error}")))?;
    match form {
        Form::Cloud => batch::single(Shape::Cloud, text, &mut around),
        Form::CloudList => batch::list(Shape::Cloud, text, "", rules, &mut around),
        Form::Plain | Form::Binary => plain(text, rules, &mut around),
    }
}

/// The forms of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Cloud,
    CloudList,
    Binary,
    Plain,
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, EventFault> {
        if headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
        {
            let message = "must not be there; send the body as it is, without compression";
            return Err(EventFault::one(FaultKind::MediaType, "content-encoding", message));
        }
        let given = headers
            .get(header::CONTENT_TYPE)
            .map(|value| value.to_str().unwrap_or_default());
        let mut parts = given.unwrap_or_default().split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                matches!(
                    value.trim().trim_matches('"').to_ascii_lowercase().as_str(),
                    "utf-8" | "utf8" | "us-ascii"
                )
            }
            _ => true,
        });
        let is_binary = headers.contains_key("ce-specversion") || headers.contains_key("ce-type");
        let form = match essence.as_str() {
            "application/cloudevents+json" => Some(Self::Cloud),
            "application/cloudevents-batch+json" => Some(Self::CloudList),
            other if other.starts_with("application/cloudevents") => None,
            _ if is_binary => return Ok(Self::Binary),
            "application/json" => Some(Self::Plain),
            _ => None,
        };
        form.filter(|_| is_utf8).ok_or_else(|| {
            let message = format!(
                "{:?} must be application/json, application/cloudevents+json or application/cloudevents-batch+json, in \
                 UTF-8; or send the attributes of a CloudEvent in header fields that begin with ce-",
                given.unwrap_or_default()
            );
            EventFault::one(FaultKind::MediaType, "content-type", message)
        })
    }
}

/// Reads a body in the plain form: an event, a list, or an object with a list.
fn plain(text: &str, rules: Rules, around: &mut Circumstances<'_>) -> Result<Batch, EventFault> {
    if text.trim_start().starts_with('[') {
        return batch::list(Shape::Plain, text, "", rules, around);
    }
    let mut fields = Fields::of(text).map_err(|message| EventFault::one(FaultKind::Unreadable, "", message))?;
    let Some(events) = fields.take_any("events") else {
        return batch::one(Shape::Plain, fields, around);
    };
    let mut faults = Faults::default();
    fields.check(&mut faults);
    let atomic = fields.truth("atomic", &mut faults).unwrap_or(rules.atomic);
    for (name, _) in fields.rest() {
        faults.invalid(name, "is no field of a list of events; there are events and atomic");
    }
    match faults.fault("") {
        Some(fault) => Err(fault),
        None => batch::list(Shape::Plain, events.get(), "events", Rules { atomic, ..rules }, around),
    }
}

#[cfg(test)]
mod tests;

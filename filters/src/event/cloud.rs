//! CloudEvents 1.0: the JSON format, and the binary mode of the HTTP binding.
//!
//! Extension attributes of ours: `orgid`, `entityrid`, `actionid`, `correlationid` and `statuscallback`; and
//! `traceparent` of the distributed tracing extension. Whatever else an event has is kept and passed on.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::percent_decode;
use serde_json::Value;
use serde_json::value::RawValue;

use super::draft::{Draft, Names, objection};
use super::fault::Faults;
use super::fields::{Fields, MOST_FIELDS, is_text, kind, no_text};
use super::payload::{Content, is_json};

/// Reads the fields of an event in the JSON format.
pub(super) fn read<'b>(mut fields: Fields<'b>, faults: &mut Faults) -> Draft<'b> {
    fields.check(faults);
    let data = fields.take_any("data");
    let base64 = fields.text("data_base64", faults);
    let mut attributes = Attributes::new(&NAMES, faults);
    for (name, value) in fields.rest() {
        if value.get() == "null" {
            continue;
        }
        match Attribute::of_json(value) {
            Ok(value) => attributes.assign(&name, value),
            Err(message) => attributes.faults.invalid(name, message),
        }
    }
    let mut draft = attributes.finish();
    let content = match (data, base64) {
        (Some(_), Some(_)) => Err(("data_base64", "is there beside `data`; give one of them".to_owned())),
        (None, Some(text)) => decoded(&text, &draft).map_err(|message| ("data_base64", message)),
        (Some(data), None) => content(data, &draft).map_err(|message| ("data", message)),
        (None, None) => Ok(Content::none()),
    };
    draft.keep(content, faults);
    draft
}

/// Reads an event whose attributes are header fields and whose data is the body.
pub(super) fn read_binary<'b>(headers: &HeaderMap, body: &'b Bytes, faults: &mut Faults) -> Draft<'b> {
    let mut attributes = Attributes::new(&HEADERS, faults);
    for name in headers.keys() {
        let Some(attribute) = name.as_str().strip_prefix("ce-") else {
            continue;
        };
        match header_value(attribute, name, headers) {
            Ok(text) => attributes.assign(attribute, Attribute::Text(text)),
            Err(message) => attributes.faults.invalid(name.as_str(), message),
        }
    }
    let mut draft = attributes.finish();
    draft.data_content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .filter(|media_type| !is_default(media_type))
        .map(str::to_owned);
    let content = if !is_json(draft.data_content_type.as_deref()) {
        Ok(Content::Part(body))
    } else if body.is_empty() {
        Ok(Content::none())
    } else {
        json_body(body).map_err(|message| ("", message))
    };
    draft.keep(content, faults);
    draft
}

/// `data` of the JSON format: JSON as it stands, or the text in it where the media type is another one.
fn content<'b>(data: &'b RawValue, draft: &Draft<'b>) -> Result<Content<'b>, String> {
    let media_type = draft.data_content_type.as_deref();
    if is_json(media_type) {
        return Content::json(data.get());
    }
    serde_json::from_str::<String>(data.get())
        .map(|text| Content::Made(Bytes::from(text)))
        .map_err(|_| {
            if is_text(data) {
                return no_text(data);
            }
            let media_type = media_type.unwrap_or_default();
            format!(
                "must be a text, as `datacontenttype` is {media_type:?}, not {}",
                kind(data)
            )
        })
}

fn decoded<'b>(text: &str, draft: &Draft<'_>) -> Result<Content<'b>, String> {
    let bytes = Bytes::from(
        STANDARD
            .decode(text)
            .map_err(|error| format!("is no base64: {error}"))?,
    );
    if is_json(draft.data_content_type.as_deref()) {
        Content::made_json(bytes)
            .map_err(|message| format!("{message}; if it is not meant to be, give `datacontenttype`"))
    } else {
        Ok(Content::Made(bytes))
    }
}

fn json_body(body: &Bytes) -> Result<Content<'_>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "is not UTF-8".to_owned())?;
    serde_json::from_str::<&RawValue>(text).map_err(|error| format!("is no JSON: {error}"))?;
    Content::json(text)
}

/// Value of an attribute.
enum Attribute {
    Text(String),
    Truth(bool),
    Number(i64),
}

impl Attribute {
    fn of_json(value: &RawValue) -> Result<Self, String> {
        match serde_json::from_str(value.get()) {
            Ok(Value::String(text)) => Ok(Self::Text(text)),
            Ok(Value::Bool(truth)) => Ok(Self::Truth(truth)),
            Ok(Value::Number(number)) if number.as_i64().is_some() => Ok(Self::Number(number.as_i64().unwrap_or(0))),
            _ if is_text(value) => Err(no_text(value)),
            _ => Err(format!(
                "must be a text, a whole number, true or false, not {}",
                kind(value)
            )),
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Truth(truth) => truth.into(),
            Self::Number(number) => number.into(),
        }
    }
}

/// The attributes of an event, each put into its place.
struct Attributes<'b, 'f> {
    draft: Draft<'b>,
    version: Option<String>,
    names: &'static Names,
    faults: &'f mut Faults,
}

impl<'b, 'f> Attributes<'b, 'f> {
    fn new(names: &'static Names, faults: &'f mut Faults) -> Self {
        Self {
            draft: Draft::default(),
            version: None,
            names,
            faults,
        }
    }

    fn assign(&mut self, name: &str, value: Attribute) {
        let draft = &mut self.draft;
        let place = match name {
            "specversion" => &mut self.version,
            "id" => &mut draft.id,
            "source" => &mut draft.source,
            "type" => &mut draft.event_type,
            "subject" => &mut draft.subject,
            "time" => &mut draft.time,
            "datacontenttype" => &mut draft.data_content_type,
            "correlationid" => &mut draft.correlation_id,
            "statuscallback" => &mut draft.status_callback,
            "traceparent" => &mut draft.traceparent,
            "orgid" => return draft.org_id = number(value, self.names.org_id, self.faults),
            "entityrid" => return draft.entity_rid = number(value, self.names.entity_rid, self.faults),
            "actionid" => return draft.action_id = number(value, self.names.action_id, self.faults),
            other => return self.extend(other, value),
        };
        match value {
            Attribute::Text(text) => *place = Some(text).filter(|text| name != "datacontenttype" || !is_default(text)),
            Attribute::Truth(_) | Attribute::Number(_) => self.faults.invalid(self.names.of(name), "must be a text"),
        }
    }

    /// Keeps an attribute that has no place of its own.
    fn extend(&mut self, name: &str, value: Attribute) {
        let is_name = (1..=LONGEST_NAME).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let refusal = match &value {
            _ if !is_name => Some(format!(
                "is no attribute's name: these have 1 to {LONGEST_NAME} lower-case letters and digits"
            )),
            Attribute::Text(text) => objection(text, LONGEST_VALUE),
            Attribute::Truth(_) | Attribute::Number(_) => None,
        };
        match refusal {
            Some(message) => self.faults.invalid(self.names.of(name), message),
            None => drop(self.draft.extensions.insert(name.to_owned(), value.into_value())),
        }
    }

    /// What was put together; adds what CloudEvents requires and is not there.
    fn finish(self) -> Draft<'b> {
        let Self {
            draft,
            version,
            names,
            faults,
        } = self;
        match version.as_deref() {
            Some("1.0") => {}
            Some(other) => faults.invalid(names.of("specversion"), format!("{other:?} must be 1.0")),
            None => faults.missing(names.of("specversion"), "is missing; write 1.0"),
        }
        let required = [
            ("id", &draft.id),
            ("source", &draft.source),
            ("type", &draft.event_type),
        ];
        for (name, value) in required {
            if value.is_none() {
                faults.missing(names.of(name), "is missing; CloudEvents 1.0 requires it");
            }
        }
        if draft.extensions.len() > MOST_FIELDS {
            faults.invalid("", format!("has more than {MOST_FIELDS} extension attributes"));
        }
        draft
    }
}

/// True for the media type that is meant where none is given.
fn is_default(media_type: &str) -> bool {
    media_type.eq_ignore_ascii_case("application/json")
}

/// A whole number, which header fields and some producers write as a text.
fn number<T: TryFrom<i64>>(value: Attribute, place: &str, faults: &mut Faults) -> Option<T> {
    let number = match value {
        Attribute::Number(number) => Some(number),
        Attribute::Text(text) => text.parse().ok(),
        Attribute::Truth(_) => None,
    };
    let number = number.and_then(|number| T::try_from(number).ok());
    if number.is_none() {
        faults.invalid(place, "must be a whole number");
    }
    number
}

/// The value of the header field `name`, which stands for `attribute`.
fn header_value(attribute: &str, name: &HeaderName, headers: &HeaderMap) -> Result<String, &'static str> {
    if matches!(attribute, "datacontenttype" | "data") {
        return Err("is no header field of the binary mode; use Content-Type and the body");
    }
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => header_text(value),
        (None, _) => Err("is missing"),
        (Some(_), Some(_)) => Err("is there twice; give it once"),
    }
}

/// The text of a header field: quotation marks taken off, percent-encoded characters decoded once.
fn header_text(value: &HeaderValue) -> Result<String, &'static str> {
    let text = value
        .to_str()
        .map_err(|_| "must be ASCII; percent-encode what is beyond it")?;
    let text = match text.strip_prefix('"') {
        Some(quoted) => Cow::Owned(unquoted(quoted).ok_or("has a quotation mark that is not closed")?),
        None => Cow::Borrowed(text),
    };
    percent_decode(text.as_bytes())
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| "has percent-encoded bytes that are no UTF-8")
}

/// What stands in quotation marks (RFC 9110 section 5.6.4), less the first of these.
fn unquoted(quoted: &str) -> Option<String> {
    let mut text = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(text),
            '\\' => text.push(chars.next()?),
            plain => text.push(plain),
        }
    }
}

/// What the fields are called in the JSON format.
pub(super) const NAMES: Names = Names {
    prefix: "",
    org_id: "orgid",
    id: "id",
    source: "source",
    event_type: "type",
    action_id: "actionid",
    entity_rid: "entityrid",
    subject: "subject",
    time: "time",
    data_content_type: "datacontenttype",
    correlation_id: "correlationid",
    status_callback: "statuscallback",
    payload: "data",
};

/// What they are called in the binary mode; its data is the body as a whole.
pub(super) const HEADERS: Names = Names {
    prefix: "ce-",
    org_id: "ce-orgid",
    id: "ce-id",
    source: "ce-source",
    event_type: "ce-type",
    action_id: "ce-actionid",
    entity_rid: "ce-entityrid",
    subject: "ce-subject",
    time: "ce-time",
    data_content_type: "content-type",
    correlation_id: "ce-correlationid",
    status_callback: "ce-statuscallback",
    payload: "",
};

/// The most bytes of an attribute's name; CloudEvents asks for 20.
const LONGEST_NAME: usize = 50;
/// The most bytes of an extension attribute.
const LONGEST_VALUE: usize = 4_096;

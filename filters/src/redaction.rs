//! What records of calls and deliveries may show: rules that are compiled once and applied before anything is kept.

mod form;
mod path;

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;

use crate::delivery::redact;
use crate::model::secret::MASK;
use crate::model::{Problem, Redaction};
use path::JsonPath;

/// Masks what a record must not show: secrets by their names, and what an operator named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redactor {
    headers: Vec<HeaderName>,
    paths: Vec<JsonPath>,
}

impl Redactor {
    /// Adds the rules of `redaction`; what is wrong with them is added with paths below `at`.
    #[must_use]
    pub fn with(mut self, redaction: Option<&Redaction>, at: &str, problems: &mut Vec<Problem>) -> Self {
        let Some(redaction) = redaction else { return self };
        for (field, count) in [
            ("headers", redaction.headers.len()),
            ("jsonPaths", redaction.json_paths.len()),
        ] {
            if count > MOST_RULES {
                let message = format!("holds {count} entries; at most {MOST_RULES} are allowed");
                problems.push(Problem::new(format!("{at}.{field}"), message));
            }
        }
        for (index, name) in redaction.headers.iter().take(MOST_RULES).enumerate() {
            match name.parse() {
                Ok(name) => self.headers.push(name),
                Err(_) => problems.push(Problem::new(
                    format!("{at}.headers[{index}]"),
                    format!("{name:?} is no name of a header field; give one such as `X-Patient-Id`"),
                )),
            }
        }
        for (index, text) in redaction.json_paths.iter().take(MOST_RULES).enumerate() {
            match JsonPath::parse(text) {
                Ok(path) => self.paths.push(path),
                Err(message) => problems.push(Problem::new(
                    format!("{at}.jsonPaths[{index}]"),
                    format!("{text:?} {message}"),
                )),
            }
        }
        self
    }

    /// Header fields for a record: at most [`MOST_HEADER_BYTES`] of them, values cut, and masked where they sign in, sign, are named in
    /// `also` or in a rule. Addresses in them lose their queries.
    pub fn headers(&self, headers: &HeaderMap, also: &[HeaderName]) -> BTreeMap<String, String> {
        let named: Vec<HeaderName> = self.headers.iter().chain(also).cloned().collect();
        let mut shown = redact::headers(headers, &named);
        for name in &ADDRESSES {
            if let Some(value) = shown.get_mut(name.as_str()) {
                let end = value.find(['?', '#']).unwrap_or(value.len());
                value.truncate(end);
            }
        }
        let mut left = MOST_HEADER_BYTES;
        shown.retain(|name, value| {
            let size = name.len() + value.len();
            let fits = size <= left;
            left -= if fits { size } else { 0 };
            fits
        });
        shown
    }

    /// Parameters of a query for a record, by name: at most [`MOST_HEADER_BYTES`] of them, and masked where a name says so or
    /// a rule ends with it.
    pub fn query(&self, query: &str) -> BTreeMap<String, String> {
        let mut shown: BTreeMap<String, String> = BTreeMap::new();
        let mut left = MOST_HEADER_BYTES;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = if self.hides(&name) { MASK } else { &value };
            let Some(rest) = left.checked_sub(name.len() + value.len() + 2) else {
                break;
            };
            left = rest;
            match shown.get_mut(&*name) {
                Some(known) => {
                    known.push_str(", ");
                    known.push_str(value);
                }
                None => drop(shown.insert(name.into_owned(), value.to_owned())),
            }
        }
        shown
    }

    /// A body for a record: what is JSON or a form is masked and held, up to `max_bytes`. Plain text is held where no rule
    /// names a field; of XML, in which nothing is told apart, it is only said that it was there. `None` for an empty body, or where nothing is to be held.
    pub fn body(
        &self,
        bytes: &[u8],
        content_type: Option<&HeaderValue>,
        is_whole: bool,
        max_bytes: usize,
    ) -> Option<Value> {
        if bytes.is_empty() || max_bytes == 0 {
            return None;
        }
        if is_form(content_type) {
            return Some(Value::String(form::masked(bytes, max_bytes, |name| self.hides(name))));
        }
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{' | b'[') => {}
            // Plain words, such as a partner's complaint. Where fields are named that must not show, they might be in it.
            Some(first) if *first != b'<' && self.paths.is_empty() => {
                return redact::body_hiding(bytes, false, max_bytes, &|name| self.hides(name));
            }
            _ => return Some(Value::String(NO_JSON.to_owned())),
        }
        if is_whole
            && bytes.len() <= max_bytes
            && let Ok(mut value) = serde_json::from_slice::<Value>(bytes)
        {
            redact::mask(&mut value);
            self.paths.iter().for_each(|path| path.mask(&mut value));
            return Some(value);
        }
        if self.paths.iter().any(|path| path.last_name().is_none()) {
            // The rule goes by places, which cannot be told in a part of a document.
            return Some(Value::String(CUT_OFF.to_owned()));
        }
        redact::body_hiding(bytes, false, max_bytes, &|name| self.hides(name))
    }

    /// True for a header field whose value must not be written down.
    pub fn hides_header(&self, name: &HeaderName) -> bool {
        redact::is_secret_header(name.as_str()) || self.headers.contains(name)
    }

    /// True for a name that a rule ends with; where the place of a field is not known, its name decides.
    fn hides(&self, name: &str) -> bool {
        redact::is_secret_name(name) || self.paths.iter().any(|path| path.last_name() == Some(name))
    }
}

fn is_form(content_type: Option<&HeaderValue>) -> bool {
    let text = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn masked() -> Value {
    Value::String(MASK.to_owned())
}

/// Fields that hold an address, whose query may hold anything.
static ADDRESSES: [HeaderName; 5] = [
    header::LOCATION,
    header::CONTENT_LOCATION,
    header::REFERER,
    header::REFRESH,
    HeaderName::from_static("x-original-url"),
];
/// In the place of bodies that cannot be masked.
const NO_JSON: &str = "[a body that is neither JSON nor a form]";
const CUT_OFF: &str = "[JSON of which only a part was kept]";
/// The most rules of a kind.
const MOST_RULES: usize = 100;
/// The most bytes of header fields, names and values, that a record shows of one head.
pub const MOST_HEADER_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests;

//! Parameters: texts in the path, the query, header fields and cookies, read as what their schema says and checked.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{Head, Kinds, MOST_VIOLATIONS, json, pointer};
use crate::model::Problem;
use crate::model::validation::ParameterEncoding;
use crate::schema::Schema;
use std::sync::Arc;

/// A parameter, compiled.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) place: Place,
    pub(crate) required: bool,
    pub(crate) schema: Arc<Schema>,
    pub(crate) form: Form,
}

/// Where a parameter stands, and under which name.
#[derive(Debug)]
pub(crate) enum Place {
    Path(String),
    Query(String),
    Header(HeaderName),
    Cookie(String),
}

/// How its text is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// As one value.
    One(Kinds),
    /// As a list, with the kinds of its items.
    List(ParameterEncoding, Kinds),
    /// As JSON.
    Json,
}

impl Parameter {
    /// Adds what is wrong with the parameter of this request.
    pub(super) fn check(&self, head: &Head<'_>, problems: &mut Vec<Problem>) {
        if problems.len() >= MOST_VIOLATIONS {
            return;
        }
        let texts = match self.place.texts(head) {
            Ok(texts) => texts,
            Err(message) => return problems.push(Problem::new(self.place.pointer(), message)),
        };
        if texts.is_empty() {
            if self.required {
                problems.push(Problem::new(self.place.pointer(), "is required"));
            }
            return;
        }
        let is_repeated = matches!(self.form, Form::List(ParameterEncoding::Repeated, _));
        if texts.len() > 1 && !is_repeated {
            // Programs disagree which of them counts.
            let message = format!("is there {} times; give it once", texts.len());
            return problems.push(Problem::new(self.place.pointer(), message));
        }
        let bytes = texts.iter().map(|text| text.len()).sum();
        match self.form.read(&texts) {
            Ok(readings) => {
                if readings.iter().any(|reading| self.schema.is_valid(reading)) {
                    return;
                }
                if let Some(reading) = readings.first() {
                    let most = MOST_VIOLATIONS - problems.len();
                    problems.extend(self.schema.check_at(reading, bytes, &self.place.pointer(), most));
                }
            }
            Err(message) => problems.push(Problem::new(self.place.pointer(), message)),
        }
    }

    /// True if it is `name` in the query.
    pub(super) fn is_in_query(&self, name: &str) -> bool {
        matches!(&self.place, Place::Query(own) if own == name)
    }
}

impl Place {
    /// Where it stands, for violations.
    fn pointer(&self) -> String {
        match self {
            Self::Path(name) => pointer("path", name),
            Self::Query(name) => pointer("query", name),
            Self::Header(name) => pointer("header", name.as_str()),
            Self::Cookie(name) => pointer("cookie", name),
        }
    }

    /// Its texts, as often as it is there.
    fn texts<'r>(&self, head: &Head<'r>) -> Result<Vec<Cow<'r, str>>, &'static str> {
        match self {
            Self::Path(name) => {
                let value = head.path.iter().find(|(other, _)| *other == name);
                let text = value.map(|(_, value)| percent_decode_str(value).decode_utf8());
                text.transpose()
                    .map(|text| text.into_iter().collect())
                    .map_err(|_| NOT_UTF8)
            }
            Self::Query(name) => Ok(form_urlencoded::parse(head.query.unwrap_or_default().as_bytes())
                .filter(|(other, _)| other == name)
                .map(|(_, value)| value)
                .collect()),
            Self::Header(name) => header_text(head.headers, name).map(|text| text.into_iter().collect()),
            Self::Cookie(name) => cookies(head.headers, name),
        }
    }
}

/// The lines of a field as one text (RFC 9110 section 5.3).
fn header_text<'r>(headers: &'r HeaderMap, name: &HeaderName) -> Result<Option<Cow<'r, str>>, &'static str> {
    let mut whole: Option<Cow<'r, str>> = None;
    for value in headers.get_all(name) {
        let text = std::str::from_utf8(value.as_bytes()).map_err(|_| NOT_UTF8)?.trim();
        match &mut whole {
            None => whole = Some(Cow::Borrowed(text)),
            Some(whole) => {
                let whole = whole.to_mut();
                whole.push_str(", ");
                whole.push_str(text);
            }
        }
    }
    Ok(whole)
}

fn cookies<'r>(headers: &'r HeaderMap, name: &str) -> Result<Vec<Cow<'r, str>>, &'static str> {
    let mut found = Vec::new();
    for value in headers.get_all(header::COOKIE) {
        let text = std::str::from_utf8(value.as_bytes()).map_err(|_| NOT_UTF8)?;
        let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
        found.extend(
            pairs
                .filter(|(other, _)| other.trim() == name)
                .map(|(_, value)| Cow::Borrowed(value.trim())),
        );
    }
    Ok(found)
}

impl Form {
    /// What the texts may be read as.
    fn read(self, texts: &[Cow<'_, str>]) -> Result<Vec<Value>, String> {
        let first = texts.first().map_or("", |text| &**text);
        match self {
            Self::One(kinds) => Ok(kinds.read(first)),
            Self::Json => json::read(first.as_bytes()).map(|value| vec![value]),
            Self::List(encoding, kinds) => {
                let items: Vec<&str> = match separator(encoding) {
                    None => texts.iter().map(|text| &**text).collect(),
                    Some(_) if first.is_empty() => Vec::new(),
                    Some(separator) => first.split(separator).map(str::trim).collect(),
                };
                Ok(vec![Value::Array(
                    items.into_iter().filter_map(|item| one_of(kinds, item)).collect(),
                )])
            }
        }
    }
}

/// An item of a list: what it looks like, if that is allowed.
fn one_of(kinds: Kinds, item: &str) -> Option<Value> {
    kinds.read(item).into_iter().next()
}

fn separator(encoding: ParameterEncoding) -> Option<char> {
    match encoding {
        ParameterEncoding::Repeated | ParameterEncoding::Json => None,
        ParameterEncoding::Comma => Some(','),
        ParameterEncoding::Space => Some(' '),
        ParameterEncoding::Pipe => Some('|'),
    }
}

const NOT_UTF8: &str = "is not UTF-8";

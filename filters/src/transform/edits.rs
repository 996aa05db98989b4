//! What a table writes around the body: header fields, parameters, the status.

use std::fmt::Write as _;

use http::{HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::fault::{ValueFault, quoted};
use super::line::is_reserved;
use super::source::Side;
use crate::lookup::text_of;

/// A place around the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Aside {
    Header(HeaderName, Box<str>),
    Query(Box<str>, Box<str>),
    PathParameter(Box<str>, Box<str>),
    Status,
}

/// What is changed around the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Header fields that get a new value, or go where it is `None`.
    pub headers: Vec<(HeaderName, Option<HeaderValue>)>,
    /// Parameters of the query that get a new value, or go where it is `None`.
    pub query: Vec<(Box<str>, Option<String>)>,
    /// Parameters of the path, percent-encoded.
    pub path: Vec<(Box<str>, String)>,
    /// The status of the answer.
    pub status: Option<StatusCode>,
}

impl Aside {
    /// Reads a target that starts with `$`.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn parse(text: &str, side: Side) -> Result<Self, String> {
        let (kind, name) = text.split_once('.').unwrap_or((text, ""));
        if name.is_empty() && matches!(kind, "$header" | "$query" | "$path") {
            return Err(format!("`{text}`: a name is missing, as in `{kind}.name`"));
        }
        let of_request = matches!(side, Side::Request | Side::Any);
        let found = match (kind, name) {
            ("$header", name) => {
                let field = HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| format!("`{text}`: `{name}` cannot be the name of a header field"))?;
                if is_reserved(&field) {
                    return Err(format!("`{text}`: the gateway writes this field itself"));
                }
                Self::Header(field, text.into())
            }
            ("$query", name) if of_request => Self::Query(name.into(), text.into()),
            ("$path", name) if of_request => Self::PathParameter(name.into(), text.into()),
            ("$status", "") if matches!(side, Side::Response | Side::Any) => Self::Status,
            _ => {
                let there = match side {
                    Side::Request => "a request can be given `$header.NAME`, `$query.NAME` and `$path.NAME`",
                    Side::Response => "an answer can be given `$header.NAME` and `$status`",
                    Side::Event => "a delivery can be given `$header.NAME`",
                    Side::Any => "there are `$header.NAME`, `$query.NAME`, `$path.NAME` and `$status`",
                };
                return Err(format!("`{text}` cannot be written: beside fields of the body {there}"));
            }
        };
        Ok(found)
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Header(_, text) | Self::Query(_, text) | Self::PathParameter(_, text) => text,
            Self::Status => "$status",
        }
    }

    /// True if both are the same place.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Header(one, _), Self::Header(other, _)) => one == other,
            (one, other) => one == other,
        }
    }

    /// Notes `value` for this place.
    pub(super) fn write(&self, value: &Value, edits: &mut Edits) -> Result<(), ValueFault> {
        let misplaced = |place: &'static str| ValueFault::Misplaced {
            value: quoted(value),
            place,
        };
        match self {
            Self::Header(name, _) => {
                let value = match value {
                    Value::Null => None,
                    value => Some(
                        text_of(value)
                            .and_then(|text| HeaderValue::from_str(&text).ok())
                            .ok_or_else(|| misplaced("the value of a header field"))?,
                    ),
                };
                edits.headers.push((name.clone(), value));
            }
            Self::Query(name, _) => {
                let value = match value {
                    Value::Null => None,
                    value => Some(
                        text_of(value)
                            .ok_or_else(|| misplaced("a parameter of the query"))?
                            .into_owned(),
                    ),
                };
                edits.query.push((name.clone(), value));
            }
            Self::PathParameter(name, _) => {
                let text = text_of(value).ok_or_else(|| misplaced("a part of the path"))?;
                if text.is_empty() || text == "." || text == ".." {
                    return Err(misplaced("a part of the path"));
                }
                edits
                    .path
                    .push((name.clone(), utf8_percent_encode(&text, PATH_SEGMENT).to_string()));
            }
            Self::Status => {
                let number: Option<u16> = text_of(value).and_then(|text| text.parse().ok());
                let status = number.filter(|number| is_answer(*number));
                let status = status.and_then(|number| StatusCode::from_u16(number).ok());
                edits.status = Some(status.ok_or_else(|| misplaced("the status of an answer with a body"))?);
            }
        }
        Ok(())
    }
}

impl Edits {
    /// True if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.query.is_empty() && self.path.is_empty() && self.status.is_none()
    }

    /// `query` with the parameters that are changed.
    pub fn query_of(&self, query: &str) -> String {
        let changed = |pair: &str| {
            let name = form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name);
            self.query.iter().any(|(other, _)| name.as_deref() == Some(&**other))
        };
        let mut edited = String::with_capacity(query.len() + 32);
        let mut add = |text: std::fmt::Arguments<'_>| {
            let separator = if edited.is_empty() { "" } else { "&" };
            // Writing to a text does not fail.
            let _ = write!(edited, "{separator}{text}");
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty() && !changed(pair)) {
            add(format_args!("{pair}"));
        }
        for (name, value) in &self.query {
            if let Some(value) = value {
                let [name, value] = [name, value.as_str()].map(|text| utf8_percent_encode(text, PATH_SEGMENT));
                add(format_args!("{name}={value}"));
            }
        }
        edited
    }
}

/// True for the status of an answer that may have a body.
pub(crate) fn is_answer(status: u16) -> bool {
    (200..600).contains(&status) && !matches!(status, 204 | 205 | 304)
}

/// Everything that could mean something in a path or query.
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

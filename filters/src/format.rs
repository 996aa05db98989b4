//! Formats of bodies: JSON, forms, XML. Whatever a body is written in, mappings and scripts see a JSON value.
//!
//! A repeated element or form field is a list, and one that stands alone is not: XML and forms do not tell a list of one
//! from what is in it, so paths of mappings take one for the other there.

mod form;
mod xml;

use http::HeaderValue;
use serde_json::Value;

use crate::model::Problem;
use crate::model::format::{BodyFormat, Format};
use crate::model::problem::join;

/// How a body is read and written.
#[derive(Debug)]
pub struct Conversion {
    from: Option<Format>,
    keep_prefixes: bool,
    to: Format,
    root: Option<Box<str>>,
    content_type: HeaderValue,
}

/// Why a body cannot be read in its format, or a result not be written in the one asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatFault {
    /// The body is not what it says it is.
    #[error("the body is not {format} that can be read: {reason}")]
    Unreadable {
        /// The format.
        format: &'static str,
        /// What is wrong, and where.
        reason: String,
    },
    /// The result has something that the format cannot express.
    #[error("the result cannot be written as {format}: {reason}")]
    Unwritable {
        /// The format.
        format: &'static str,
        /// What is in the way, and where.
        reason: String,
    },
}

impl FormatFault {
    /// The format that does not fit.
    pub fn format(&self) -> &'static str {
        match self {
            Self::Unreadable { format, .. } | Self::Unwritable { format, .. } => format,
        }
    }
}

impl Conversion {
    /// Checks the settings at `path`, adding their problems.
    pub(crate) fn compile(format: &BodyFormat, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let to = format.to.unwrap_or_default();
        if let Some(root) = &format.root {
            if to != Format::Xml {
                problems.push(Problem::new(join(path, "root"), "is for XML only: set `to` to xml"));
            } else if !xml::is_name(root) {
                let message = format!("{root:?} cannot be the name of an element");
                problems.push(Problem::new(join(path, "root"), message));
            }
        }
        if format.keep_prefixes && !matches!(format.from, None | Some(Format::Xml)) {
            problems.push(Problem::new(
                join(path, "keepPrefixes"),
                "is for XML only: set `from` to xml, or leave it out",
            ));
        }
        let content_type = match &format.content_type {
            None => Some(HeaderValue::from_static(to.media_type())),
            Some(text) => match HeaderValue::from_str(text) {
                Ok(value) if text.contains('/') => Some(value),
                _ => {
                    let message = format!("{text:?} is no media type; one would be `text/xml; charset=utf-8`");
                    problems.push(Problem::new(join(path, "contentType"), message));
                    None
                }
            },
        };
        let content_type = content_type?;
        (problems.len() == before).then(|| Self {
            from: format.from,
            keep_prefixes: format.keep_prefixes,
            to,
            root: format.root.as_deref().map(Into::into),
            content_type,
        })
    }

    /// Reads `body`, which came with this content type. `None` if it is JSON, which needs no conversion.
    ///
    /// # Errors
    /// If it is not what it should be.
    pub fn read(&self, body: &[u8], content_type: Option<&HeaderValue>) -> Result<Option<Value>, FormatFault> {
        match self.from.unwrap_or_else(|| Format::of(content_type)) {
            Format::Json => Ok(None),
            Format::Form => form::read(body).map(Some),
            Format::Xml => xml::read(body, self.keep_prefixes).map(Some),
        }
    }

    /// Writes `value`.
    ///
    /// # Errors
    /// If the format cannot express it.
    pub fn write(&self, value: &Value) -> Result<Vec<u8>, FormatFault> {
        match self.to {
            Format::Json => Ok(value.to_string().into_bytes()),
            Format::Form => form::write(value),
            Format::Xml => xml::write(value, self.root.as_deref()),
        }
    }

    /// True if what it writes is JSON.
    pub fn writes_json(&self) -> bool {
        self.to == Format::Json
    }

    /// The content type of what it writes.
    pub fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }
}

impl Format {
    /// The format that a content type names; JSON if it names none that is known.
    pub fn of(content_type: Option<&HeaderValue>) -> Self {
        let text = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media.as_str() {
            "application/x-www-form-urlencoded" => Self::Form,
            "application/xml" | "text/xml" => Self::Xml,
            media if media.ends_with("+xml") => Self::Xml,
            _ => Self::Json,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Xml => "application/xml",
        }
    }
}

#[cfg(test)]
mod tests;

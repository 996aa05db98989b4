//! Texts with places for values of a request.

use std::borrow::Cow;

/// Where a value of a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A parameter of the path.
    Path(String),
    /// A parameter of the query; the first of its name.
    Query(String),
    /// A header field of the client.
    Header(String),
    /// Whose credential the client showed.
    CallerName,
    /// The client's address.
    ClientIp,
    /// The request's identifier, as in its log line.
    RequestId,
    /// The host that the client asked for.
    RequestHost,
    /// The code of an error, where there is one.
    ErrorCode,
    /// What an error says, where there is one.
    ErrorMessage,
    /// The status of an answer, where there is one.
    Status,
}

/// What is known of a request.
pub trait Facts {
    /// The value of `source`, if it is there.
    fn value(&self, source: &Source) -> Option<Cow<'_, str>>;
}

/// A text with places, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Source),
}

impl Template {
    /// Reads a text in which `{{name}}` is a place.
    ///
    /// # Errors
    /// What is wrong with it, for a problem.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, after)) = after.split_once("}}") else {
                return Err("holds a {{ without its }}".to_owned());
            };
            let source = Source::parse(name.trim()).ok_or_else(|| format!("{{{{{name}}}}} is not known; {KNOWN}"))?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Place(source));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The text, if it has no places.
    pub(crate) fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The places.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Place(source) => Some(source),
        })
    }

    /// The text with the values in their places; `None` if one of them is not there.
    pub(crate) fn fill(&self, facts: &impl Facts) -> Option<String> {
        self.fill_with(|source| facts.value(source))
    }

    /// The same with the values that `value` knows.
    pub(crate) fn fill_with<'v>(&self, value: impl Fn(&Source) -> Option<Cow<'v, str>>) -> Option<String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Place(source) => text.push_str(&value(source)?),
            }
        }
        Some(text)
    }
}

impl Source {
    fn parse(name: &str) -> Option<Self> {
        let of = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        if let Some(name) = name.strip_prefix("path.") {
            return of(name).map(Self::Path);
        }
        if let Some(name) = name.strip_prefix("query.") {
            return of(name).map(Self::Query);
        }
        if let Some(name) = name.strip_prefix("header.") {
            return of(&name.to_ascii_lowercase()).map(Self::Header);
        }
        match name {
            "caller.name" => Some(Self::CallerName),
            "client.ip" => Some(Self::ClientIp),
            "request.id" => Some(Self::RequestId),
            "request.host" => Some(Self::RequestHost),
            "error.code" => Some(Self::ErrorCode),
            "error.message" => Some(Self::ErrorMessage),
            "status" => Some(Self::Status),
            _ => None,
        }
    }

    /// True if it says something of the answer, not of the request.
    pub(crate) fn is_of_answer(&self) -> bool {
        matches!(self, Self::ErrorCode | Self::ErrorMessage | Self::Status)
    }
}

const KNOWN: &str = "path.NAME, query.NAME, header.NAME, caller.name, client.ip, request.id and request.host are; in error \
                     pages error.code, error.message and status as well";

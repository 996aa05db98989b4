//! Edits of header fields and of queries, compiled.

mod template;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) use template::Template;
pub use template::{Facts, Source};

/// Edits of the header fields of both directions.
#[derive(Debug, Default)]
pub struct HeaderEdits {
    /// Of the request that the partner gets.
    pub request: Edits,
    /// Of the answer that the client gets.
    pub response: Edits,
}

/// Edits of one set of header fields.
#[derive(Debug, Default)]
pub struct Edits {
    pub(crate) remove: Vec<HeaderName>,
    /// In lower case.
    pub(crate) remove_prefixes: Vec<String>,
    pub(crate) writes: Vec<Write>,
}

/// A field to write.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) how: How,
    pub(crate) name: HeaderName,
    pub(crate) value: Value,
}

/// What is done about a field of the name that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It goes.
    Set,
    /// It stays beside the new one.
    Append,
    /// It stays, and nothing is written.
    Default,
}

/// What is written.
#[derive(Debug)]
pub(crate) enum Value {
    Fixed(HeaderValue),
    Template(Template),
}

/// Edits for one request, with its values in their places.
#[derive(Debug)]
pub struct Ready<'e> {
    edits: &'e Edits,
    values: Vec<Option<Cow<'e, HeaderValue>>>,
}

/// The values that edits of the answer need, to be kept until it comes.
pub type Kept = Box<[Option<HeaderValue>]>;

impl Edits {
    /// True if nothing is edited.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.remove_prefixes.is_empty() && self.writes.is_empty()
    }

    /// The texts with places that are written.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.writes.iter().filter_map(|write| match &write.value {
            Value::Fixed(_) => None,
            Value::Template(template) => Some(template),
        })
    }

    /// The edits with the values of this request. A value that cannot stand in a header field counts as one that is not
    /// there.
    pub fn ready(&self, facts: &impl Facts) -> Ready<'_> {
        let value = |write: &Write| match &write.value {
            Value::Fixed(_) => None,
            Value::Template(template) => HeaderValue::from_str(&template.fill(facts)?).ok(),
        };
        Ready {
            edits: self,
            values: self.writes.iter().map(|write| value(write).map(Cow::Owned)).collect(),
        }
    }

    /// The same from what [`Ready::kept`] returned.
    pub fn ready_from<'e>(&'e self, kept: &'e [Option<HeaderValue>]) -> Ready<'e> {
        Ready {
            edits: self,
            values: kept.iter().map(|value| value.as_ref().map(Cow::Borrowed)).collect(),
        }
    }
}

impl Ready<'_> {
    /// Edits `fields`.
    pub fn apply(&self, fields: &mut HeaderMap) {
        for name in &self.edits.remove {
            fields.remove(name);
        }
        if !self.edits.remove_prefixes.is_empty() {
            let begins = |name: &&HeaderName| {
                let prefixes = &self.edits.remove_prefixes;
                prefixes.iter().any(|prefix| name.as_str().starts_with(prefix.as_str()))
            };
            let gone: Vec<HeaderName> = fields.keys().filter(begins).cloned().collect();
            for name in gone {
                fields.remove(name);
            }
        }
        for (index, write) in self.edits.writes.iter().enumerate() {
            let value = match &write.value {
                Value::Fixed(value) => Some(value),
                Value::Template(_) => self.values.get(index).and_then(Option::as_deref),
            };
            let Some(value) = value.cloned() else { continue };
            match write.how {
                How::Set => drop(fields.insert(&write.name, value)),
                How::Append => drop(fields.append(&write.name, value)),
                How::Default if fields.contains_key(&write.name) => {}
                How::Default => drop(fields.insert(&write.name, value)),
            }
        }
    }

    /// The values, to be kept for later.
    pub fn kept(self) -> Kept {
        self.values
            .into_iter()
            .map(|value| value.map(Cow::into_owned))
            .collect()
    }
}

#[cfg(test)]
mod tests;

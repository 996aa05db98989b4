//! Bodies: which content types they may have, and what each must look like.

use std::fmt;
use std::sync::Arc;

use ahash::AHashMap;
use serde_json::{Map, Value};

use super::{Kinds, MOST_VIOLATIONS, json};
use crate::model::Problem;
use crate::schema::Schema;

/// The content types of a body, the most exact ones first.
#[derive(Debug)]
pub(crate) struct Contents(Vec<Content>);

/// A content type, and what a body of it looks like.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) range: Range,
    pub(crate) media: Option<(Media, Arc<Schema>)>,
}

/// Which content types are meant; exact ones before whole families.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Range {
    /// `application/json`.
    Exact(String),
    /// `image/*`, as `image/`.
    Family(String),
    /// `*/*`.
    Any,
}

/// How a body is read.
#[derive(Clone, Debug)]
pub(crate) enum Media {
    /// As JSON.
    Json,
    /// As a form: with the kinds of the fields that the schema names, and of their items where they are lists.
    Form(AHashMap<String, (Kinds, Kinds)>),
}

impl Range {
    /// Reads a content type of the model, in lower case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (family, kind) = text.split_once('/')?;
        let is_token = |part: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
            !part.is_empty() && part.bytes().all(allowed)
        };
        match (family, kind) {
            ("*", "*") => Some(Self::Any),
            (family, "*") if is_token(family) => Some(Self::Family(format!("{family}/"))),
            (family, kind) if is_token(family) && is_token(kind) => Some(Self::Exact(text.to_owned())),
            _ => None,
        }
    }

    /// True if `given`, in lower case, is meant. Nothing given may be anything.
    pub(crate) fn contains(&self, given: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == given,
            Self::Family(family) => given.starts_with(family.as_str()),
            Self::Any => true,
        }
    }

    /// True if it means JSON only.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self, Self::Exact(text) if text == "application/json" || text == "text/json" || text.ends_with("+json"))
    }

    /// True if it means forms only.
    pub(crate) fn is_form(&self) -> bool {
        matches!(self, Self::Exact(text) if text == "application/x-www-form-urlencoded")
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(exact) => f.write_str(exact),
            Self::Family(family) => write!(f, "{family}*"),
            Self::Any => f.write_str("*/*"),
        }
    }
}

impl Contents {
    pub(crate) fn new(mut contents: Vec<Content>) -> Self {
        contents.sort_by(|one, other| one.range.cmp(&other.range));
        Self(contents)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if a body has to be read to be checked.
    pub(super) fn have_schema(&self) -> bool {
        self.0.iter().any(Content::has_schema)
    }

    /// The most exact one for a content type in lower case.
    pub(super) fn find(&self, given: &str) -> Option<&Content> {
        self.0.iter().find(|content| content.range.contains(given))
    }

    /// Checks a body with this content type.
    ///
    /// # Errors
    /// Every violation.
    pub(super) fn check(&self, given: &str, body: &[u8]) -> Result<(), Vec<Problem>> {
        let Some((media, schema)) = self.find(given).and_then(|content| content.media.as_ref()) else {
            return Ok(());
        };
        let value = match media {
            Media::Json => json::read(body),
            Media::Form(fields) => form(body, fields),
        };
        let value = value.map_err(|message| vec![Problem::new("/body", message)])?;
        let violations = schema.check_at(&value, body.len(), "/body", MOST_VIOLATIONS);
        if violations.is_empty() { Ok(()) } else { Err(violations) }
    }
}

/// As a list for people.
impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, content) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(" or ")?;
            }
            content.range.fmt(f)?;
        }
        Ok(())
    }
}

impl Content {
    /// True if a body of it has to be read to be checked.
    pub(super) fn has_schema(&self) -> bool {
        self.media.is_some()
    }
}

/// The kinds of the fields that the schema of a form names, and of their items.
pub(crate) fn form_fields(schema: &Value) -> AHashMap<String, (Kinds, Kinds)> {
    let mut fields = AHashMap::new();
    let mut top = schema;
    for _ in 0..MOST_REFERENCES {
        for (name, field) in top.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let kinds = Kinds::of(field, schema);
            fields.insert(name.clone(), (kinds, items_of(field, schema)));
        }
        let target = top.get("$ref").and_then(Value::as_str);
        match target.and_then(|target| schema.pointer(target.strip_prefix('#')?)) {
            Some(target) => top = target,
            None => break,
        }
    }
    fields
}

/// The kinds of the items that a schema of a list names.
pub(crate) fn items_of(schema: &Value, root: &Value) -> Kinds {
    let mut list = schema;
    for _ in 0..MOST_REFERENCES {
        if let Some(items) = list.get("items") {
            return Kinds::of(items, root);
        }
        let target = list.get("$ref").and_then(Value::as_str);
        match target.and_then(|target| root.pointer(target.strip_prefix('#')?)) {
            Some(target) => list = target,
            None => break,
        }
    }
    Kinds::default()
}

/// A form as an object. A field that is there several times is a list.
fn form(body: &[u8], fields: &AHashMap<String, (Kinds, Kinds)>) -> Result<Value, String> {
    let mut object: Map<String, Value> = Map::new();
    for (count, (name, text)) in form_urlencoded::parse(body).enumerate() {
        if count >= MOST_FIELDS {
            return Err(format!("has more than the {MOST_FIELDS} fields allowed"));
        }
        let (kinds, items) = fields.get(&*name).copied().unwrap_or_default();
        let read = |kinds: Kinds| kinds.read(&text).into_iter().next().unwrap_or(Value::Null);
        match object.get_mut(&*name) {
            None if kinds.list => drop(object.insert(name.into_owned(), Value::Array(vec![read(items)]))),
            None => drop(object.insert(name.into_owned(), read(kinds))),
            Some(Value::Array(list)) => list.push(read(items)),
            Some(one) => *one = Value::Array(vec![one.take(), read(kinds)]),
        }
    }
    Ok(Value::Object(object))
}

/// The most fields of a form.
const MOST_FIELDS: usize = 10_000;
/// The most references from one to the next.
const MOST_REFERENCES: usize = 16;

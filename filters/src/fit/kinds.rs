//! Sets of kinds of values.

use std::fmt;

use serde_json::{Map, Value};

use crate::transform::Kind;

/// A set of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const NULL: Self = Self::only(Kind::Null);
    pub(crate) const TEXT: Self = Self::only(Kind::Text);
    pub(crate) const NUMBER: Self = Self::only(Kind::Number);
    pub(crate) const BOOLEAN: Self = Self::only(Kind::Boolean);
    pub(crate) const LIST: Self = Self::only(Kind::List);
    pub(crate) const OBJECT: Self = Self::only(Kind::Object);
    /// What stands for itself: no list and no object.
    pub(crate) const PLAIN: Self = Self::TEXT.or(Self::NUMBER).or(Self::BOOLEAN);
    pub(crate) const ALL: Self = Self::PLAIN.or(Self::LIST).or(Self::OBJECT).or(Self::NULL);

    const fn only(kind: Kind) -> Self {
        Self(1 << kind as u8)
    }

    pub(crate) fn of(value: &Value) -> Self {
        Self::only(Kind::of(value))
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True if they have a kind in common.
    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The kinds that one object of a schema leaves, whatever else applies beside it.
    pub(super) fn allowed_by(part: &Map<String, Value>) -> Self {
        let mut kinds = match part.get("type") {
            Some(Value::String(name)) => Self::named(name),
            Some(Value::Array(names)) => names
                .iter()
                .filter_map(Value::as_str)
                .fold(Self::NONE, |kinds, name| kinds.or(Self::named(name))),
            _ => Self::ALL,
        };
        if let Some(Value::Array(values)) = part.get("enum") {
            kinds = kinds.and(values.iter().fold(Self::NONE, |kinds, value| kinds.or(Self::of(value))));
        }
        if let Some(value) = part.get("const") {
            kinds = kinds.and(Self::of(value));
        }
        kinds
    }

    fn named(name: &str) -> Self {
        match name {
            "string" => Self::TEXT,
            "number" | "integer" => Self::NUMBER,
            "boolean" => Self::BOOLEAN,
            "null" => Self::NULL,
            "array" => Self::LIST,
            "object" => Self::OBJECT,
            _ => Self::NONE,
        }
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            Kind::Text,
            Kind::Number,
            Kind::Boolean,
            Kind::List,
            Kind::Object,
            Kind::Null,
        ];
        let mut is_first = true;
        for kind in kinds.into_iter().filter(|kind| self.meets(Self::only(*kind))) {
            if !std::mem::replace(&mut is_first, false) {
                f.write_str(" or ")?;
            }
            kind.fmt(f)?;
        }
        if is_first { f.write_str("nothing") } else { Ok(()) }
    }
}

//! Transformers, compiled.

mod list;
mod number;
mod table;
mod text;

use std::borrow::Cow;

use serde_json::Value;

use self::number::Decimals;
use self::table::Search;
use self::text::Truths;
pub(super) use self::text::check_length;
use super::date::DateForm;
use super::fault::{Kind, ValueFault};
use crate::lookup::Tables;
use crate::model::Problem;
use crate::model::mapping::Transformer;
use crate::model::problem::join;

/// A compiled transformer.
#[derive(Debug)]
pub(super) enum Operation {
    Trim,
    Upper,
    Lower,
    Date(Box<DateForm>),
    Default(Value),
    Lookup(Box<Search>),
    ToText(Option<Decimals>),
    ToNumber(Option<Decimals>),
    ToInteger,
    ToBoolean(Box<Truths>),
    Replace { find: Box<str>, with: Box<str> },
    Substring { start: usize, length: Option<usize> },
    PadStart { length: usize, with: char },
    Split(Box<str>),
    Join(Box<str>),
    First,
    Last,
    Count,
    Sum,
}

/// Compiles the transformer at `path`, adding its problems.
pub(super) fn compile(
    transformer: &Transformer,
    path: &str,
    tables: &Tables,
    problems: &mut Vec<Problem>,
) -> Option<Operation> {
    let before = problems.len();
    let compiled = match transformer {
        Transformer::Trim {} => Operation::Trim,
        Transformer::Upper {} => Operation::Upper,
        Transformer::Lower {} => Operation::Lower,
        Transformer::Date(date) => Operation::Date(Box::new(DateForm::compile(date, path, problems)?)),
        Transformer::Default { value } => Operation::Default(value.clone()),
        Transformer::Lookup(lookup) => Operation::Lookup(Box::new(Search::compile(lookup, path, tables, problems)?)),
        Transformer::ToText { decimals } => Operation::ToText(Decimals::compile(*decimals, path, problems)),
        Transformer::ToNumber { decimals } => Operation::ToNumber(Decimals::compile(*decimals, path, problems)),
        Transformer::ToInteger {} => Operation::ToInteger,
        Transformer::ToBoolean { yes, no } => Operation::ToBoolean(Box::new(Truths::compile(yes, no, path, problems)?)),
        Transformer::Replace { find, with } => {
            check(!find.is_empty(), path, "find", "must not be empty", problems);
            Operation::Replace {
                find: find.as_str().into(),
                with: with.as_str().into(),
            }
        }
        Transformer::Substring { start, length } => Operation::Substring {
            start: *start,
            length: *length,
        },
        Transformer::PadStart { length, with } => {
            let most = "must be between 1 and 1000 characters";
            check((1..=MOST_PADDED).contains(length), path, "length", most, problems);
            Operation::PadStart {
                length: *length,
                with: with.unwrap_or(' '),
            }
        }
        Transformer::Split { separator } => {
            check(!separator.is_empty(), path, "separator", "must not be empty", problems);
            Operation::Split(separator.as_str().into())
        }
        Transformer::Join { separator } => Operation::Join(separator.as_str().into()),
        Transformer::First {} => Operation::First,
        Transformer::Last {} => Operation::Last,
        Transformer::Count {} => Operation::Count,
        Transformer::Sum {} => Operation::Sum,
    };
    (problems.len() == before).then_some(compiled)
}

fn check(holds: bool, path: &str, setting: &str, message: &str, problems: &mut Vec<Problem>) {
    if !holds {
        problems.push(Problem::new(join(path, setting), message));
    }
}

impl Operation {
    /// Applies itself; an absent value and null stay what they are, except that `default` replaces them.
    pub(super) fn apply<'a>(&'a self, value: Option<Cow<'a, Value>>) -> Result<Option<Cow<'a, Value>>, ValueFault> {
        if let Self::Default(replacement) = self {
            let keep = value.filter(|value| !is_empty(value));
            return Ok(Some(keep.unwrap_or(Cow::Borrowed(replacement))));
        }
        match value {
            Some(value) if !value.is_null() => self.change(value).map(Some),
            absent => Ok(absent),
        }
    }

    /// True if it makes one value of a list.
    pub(super) fn gathers(&self) -> bool {
        matches!(self, Self::Join(_) | Self::First | Self::Last | Self::Count | Self::Sum)
    }

    /// Adds a value to those that this operation makes one of: as much of it as is looked at.
    pub(super) fn gather(&self, value: &Value, values: &mut Vec<Value>) {
        let seen = match (self, value) {
            (Self::First, _) if !values.is_empty() => return,
            (Self::Last, _) => {
                values.clear();
                value.clone()
            }
            (Self::Count, _) => Value::Null,
            // These want plain values, and say so.
            (Self::Join(_) | Self::Sum, Value::Object(_) | Value::Array(_)) => Value::Array(vec![Value::Null]),
            _ => value.clone(),
        };
        values.push(seen);
    }

    fn change<'a>(&'a self, value: Cow<'a, Value>) -> Result<Cow<'a, Value>, ValueFault> {
        let changed = match self {
            Self::Trim => {
                let text = text_of(&value, "trim")?;
                match text.trim() {
                    same if same.len() == text.len() => return Ok(value),
                    trimmed => Value::from(trimmed),
                }
            }
            Self::Upper => Value::from(text_of(&value, "upper")?.to_uppercase()),
            Self::Lower => Value::from(text_of(&value, "lower")?.to_lowercase()),
            Self::Date(form) => form.convert(&value)?,
            Self::Default(_) => return Ok(value),
            Self::Lookup(search) => return search.find(value),
            Self::ToText(decimals) => return number::to_text(value, *decimals),
            Self::ToNumber(decimals) => return number::to_number(value, *decimals),
            Self::ToInteger => return number::to_integer(value),
            Self::ToBoolean(truths) => return truths.read(value),
            Self::Replace { find, with } => text::replaced(text_of(&value, "replace")?, find, with)?,
            Self::Substring { start, length } => {
                Value::from(text::part(text_of(&value, "substring")?, *start, *length))
            }
            Self::PadStart { length, with } => match text::padded(&value, *length, *with)? {
                Some(padded) => padded,
                None => return Ok(value),
            },
            Self::Split(separator) => text::split(text_of(&value, "split")?, separator),
            Self::Join(separator) => list::joined(&value, separator)?,
            Self::First => return list::end(value, false),
            Self::Last => return list::end(value, true),
            Self::Count => Value::from(list::items(&value, "count")?.len()),
            Self::Sum => list::sum(&value)?,
        };
        Ok(Cow::Owned(changed))
    }
}

/// True for null and for an empty text, list or object.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn text_of<'a>(value: &'a Value, operation: &'static str) -> Result<&'a str, ValueFault> {
    value.as_str().ok_or_else(|| ValueFault::NotText {
        operation,
        found: Kind::of(value),
    })
}

const MOST_PADDED: usize = 1_000;

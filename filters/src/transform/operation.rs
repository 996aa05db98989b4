//! Transformers, compiled.

use std::borrow::Cow;

use serde_json::Value;

use super::date::DateForm;
use super::fault::{Kind, ValueFault};
use crate::model::Problem;
use crate::model::mapping::Transformer;

/// A compiled transformer.
#[derive(Debug)]
pub(super) enum Operation {
    Trim,
    Upper,
    Lower,
    Date(Box<DateForm>),
    Default(Value),
}

/// Compiles the transformer at `path`, adding its problems.
pub(super) fn compile(transformer: &Transformer, path: &str, problems: &mut Vec<Problem>) -> Option<Operation> {
    match transformer {
        Transformer::Trim {} => Some(Operation::Trim),
        Transformer::Upper {} => Some(Operation::Upper),
        Transformer::Lower {} => Some(Operation::Lower),
        Transformer::Date { from, format, zone } => {
            DateForm::compile(from.as_deref(), format.as_deref(), zone.as_deref(), path, problems)
                .map(|form| Operation::Date(Box::new(form)))
        }
        Transformer::Default { value } => Some(Operation::Default(value.clone())),
        Transformer::Lookup { .. } => {
            problems.push(Problem::new(path, "`lookup` is not supported yet"));
            None
        }
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

    fn change<'a>(&'a self, value: Cow<'a, Value>) -> Result<Cow<'a, Value>, ValueFault> {
        let changed = match self {
            Self::Trim => {
                let text = text(&value, "trim")?;
                match text.trim() {
                    same if same.len() == text.len() => return Ok(value),
                    trimmed => trimmed.to_owned(),
                }
            }
            Self::Upper => text(&value, "upper")?.to_uppercase(),
            Self::Lower => text(&value, "lower")?.to_lowercase(),
            Self::Date(form) => return form.convert(&value).map(Cow::Owned),
            Self::Default(_) => return Ok(value),
        };
        Ok(Cow::Owned(Value::String(changed)))
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

fn text<'a>(value: &'a Value, operation: &'static str) -> Result<&'a str, ValueFault> {
    value.as_str().ok_or_else(|| ValueFault::NotText {
        operation,
        found: Kind::of(value),
    })
}

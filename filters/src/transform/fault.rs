//! Why a body could not be mapped.

use std::fmt;

use serde_json::Value;

/// Why a body could not be mapped.
#[derive(Debug, thiserror::Error)]
pub enum MappingFault {
    /// The body is not JSON, or nested too deep.
    #[error("the body is not JSON that can be mapped: {0}")]
    NotJson(#[from] serde_json::Error),
    /// A required field has no value.
    #[error("{target}: required, but `{origin}` is absent or null")]
    Missing {
        /// The target field, with its place in each list.
        target: String,
        /// The source field, with its place in each list.
        origin: String,
    },
    /// A list was expected in the source and something else found.
    #[error("{target}: `{origin}` is {found}, not a list")]
    NotAList {
        /// The target field.
        target: String,
        /// The source field that should be a list.
        origin: String,
        /// What it is.
        found: Kind,
    },
    /// A value does not fit an operation.
    #[error("{target}: {fault}")]
    Value {
        /// The target field, with its place in each list.
        target: String,
        /// What is wrong with the value.
        fault: ValueFault,
    },
    /// The result is too large.
    #[error("the result is larger than {limit} bytes")]
    TooLarge {
        /// The cap.
        limit: usize,
    },
    /// The lists of the body are too long for the number of lines that visit their items.
    #[error("the body needs more than {limit} steps to map: its lists are too long")]
    TooManySteps {
        /// The cap.
        limit: usize,
    },
}

/// What is wrong with a value. Messages quote at most 40 characters of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueFault {
    /// The operation needs a text.
    #[error("`{operation}` needs a text, but the value is {found}")]
    NotText {
        /// Name of the transformer.
        operation: &'static str,
        /// What the value is.
        found: Kind,
    },
    /// The value does not read as a date.
    #[error("{value} is not a date {form}")]
    NotADate {
        /// The value, quoted and shortened.
        value: String,
        /// The form that was expected.
        form: String,
    },
    /// The date lies outside of the years -9999 to 9999, or cannot be written in the form asked for.
    #[error("{value} cannot be written as a date: {reason}")]
    DateOutOfRange {
        /// The value, quoted and shortened.
        value: String,
        /// Why.
        reason: String,
    },
}

/// The kind of a JSON value, as people call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number.
    Number,
    /// A text.
    Text,
    /// A list.
    List,
    /// An object.
    Object,
}

impl Kind {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::List,
            Value::Object(_) => Self::Object,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Object => "an object",
        })
    }
}

/// `value` as JSON, shortened for a message.
pub(super) fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().count() > QUOTED => {
            let start: String = text.chars().take(QUOTED).collect();
            format!("{}...", Value::String(start))
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => value.to_string(),
        Value::Array(_) | Value::Object(_) => Kind::of(value).to_string(),
    }
}

const QUOTED: usize = 40;

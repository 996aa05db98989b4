//! Why a body could not be mapped.

use std::fmt;

use serde_json::Value;

use crate::format::FormatFault;
use crate::model::Problem;
use crate::variable::VariableFault;

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
    /// A variable of a text has no value here.
    #[error(transparent)]
    Variable(#[from] VariableFault),
    /// The body cannot be read in its format, or the result not be written in the one asked for.
    #[error(transparent)]
    Format(#[from] FormatFault),
    /// The result is not what its target takes. The messages show nothing of the values.
    #[error("the result is not what its target takes: {}", told(.0))]
    Target(Vec<Problem>),
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
    /// The operation needs a value of another kind.
    #[error("`{operation}` needs {needs}, but the value is {found}")]
    WrongKind {
        /// Name of the transformer.
        operation: &'static str,
        /// What it needs.
        needs: &'static str,
        /// What the value is.
        found: Kind,
    },
    /// The value does not read as what the operation makes of it.
    #[error("`{operation}` cannot read {value} as {wanted}")]
    Unreadable {
        /// Name of the transformer.
        operation: &'static str,
        /// The value, quoted and shortened.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The value is in no row of a table.
    #[error("{value} is not in the lookup table `{table}`")]
    NotInTable {
        /// The value, quoted and shortened.
        value: String,
        /// Name of the table.
        table: String,
    },
    /// A text or list grew beyond what a result may have.
    #[error("`{operation}` makes more than {limit} bytes")]
    TooLong {
        /// Name of the transformer.
        operation: &'static str,
        /// The most bytes.
        limit: usize,
    },
    /// The value cannot stand where it is to go: in a header, a query, a path or as a status.
    #[error("{value} cannot be {place}")]
    Misplaced {
        /// The value, quoted and shortened.
        value: String,
        /// What it should become.
        place: &'static str,
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

impl MappingFault {
    /// The field that it is about: of the source where it is known, else of the target; `None` if it is about the whole body.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Missing { origin, .. } | Self::NotAList { origin, .. } => Some(origin),
            Self::Value { target, .. } => Some(target),
            Self::Target(problems) => problems.first().map(|problem| problem.path.as_str()),
            Self::NotJson(_)
            | Self::Variable(_)
            | Self::Format(_)
            | Self::TooLarge { .. }
            | Self::TooManySteps { .. } => None,
        }
    }

    /// The field of the target that it is about, if it is about one.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Missing { target, .. } | Self::NotAList { target, .. } | Self::Value { target, .. } => Some(target),
            Self::Target(problems) => problems.first().map(|problem| problem.path.as_str()),
            Self::NotJson(_)
            | Self::Variable(_)
            | Self::Format(_)
            | Self::TooLarge { .. }
            | Self::TooManySteps { .. } => None,
        }
    }
}

impl Kind {
    pub(crate) fn of(value: &Value) -> Self {
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

/// The first of `problems`, and how many there are besides.
fn told(problems: &[Problem]) -> String {
    match problems {
        [] => "it does not fit".to_owned(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

/// `value` as JSON, shortened for a message.
pub(crate) fn quoted(value: &Value) -> String {
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

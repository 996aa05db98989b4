//! Why a script gave no result.

use std::fmt;

/// Why a script gave no result. Messages are for operators; they hold nothing of the payload but what the script itself
/// threw, shortened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptFault {
    /// The script does not compile.
    #[error("the script does not compile: {message}")]
    Compile {
        /// What is wrong, with line and column.
        message: String,
    },
    /// The script failed or threw.
    #[error("the script failed{}: {message}", at(*line))]
    Runtime {
        /// Line, where known.
        line: Option<usize>,
        /// What went wrong.
        message: String,
    },
    /// The script asked for more than it may have.
    #[error("the script was stopped{}: {which}", at(*line))]
    Limit {
        /// Line, where known.
        line: Option<usize>,
        /// Which limit.
        which: Limit,
    },
    /// The caller's check stopped it.
    #[error("the script was stopped{}: {reason}", at(*line))]
    Stopped {
        /// Line, where known.
        line: Option<usize>,
        /// Why.
        reason: Stopped,
    },
    /// The payload cannot be given to a script.
    #[error("the body cannot be given to the script: {message}")]
    BadInput {
        /// Why.
        message: String,
    },
    /// What the script returned cannot be written as JSON.
    #[error("the script's result cannot be used: {message}")]
    BadOutput {
        /// Why.
        message: String,
    },
    /// The interpreter itself failed. The runner has replaced it.
    #[error("the script made its interpreter fail; please report it with the script")]
    Crashed,
    /// Too many scripts are running or waiting.
    #[error("too many scripts are running or waiting; try again")]
    Busy,
}

/// A limit of the interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Operations of a run.
    Operations,
    /// Calls within calls, or expressions within expressions.
    Depth,
    /// Variables at one time.
    Variables,
    /// Size of a text, list or map, all that is in it included.
    DataSize,
    /// Size of the result.
    OutputSize,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use super::engine::{MAX_CALLS, MAX_LIST, MAX_MAP, MAX_OPERATIONS, MAX_TEXT, MAX_VARIABLES};
        match self {
            Self::Operations => write!(f, "it ran for more than {MAX_OPERATIONS} operations"),
            Self::Depth => write!(f, "it is nested too deep: at most {MAX_CALLS} calls within each other"),
            Self::Variables => write!(f, "it has more than {MAX_VARIABLES} variables at a time"),
            Self::DataSize => write!(
                f,
                "a value became too large: at most {MAX_TEXT} bytes of text, {MAX_LIST} list items and {MAX_MAP} map fields, all that is in it counted"
            ),
            Self::OutputSize => write!(f, "its result is larger than {} bytes", super::MAX_BODY),
        }
    }
}

/// Why a caller stops a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It ran for too long.
    Deadline,
    /// It took too much memory.
    Memory,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "it ran for too long",
            Self::Memory => "it took too much memory",
        })
    }
}

fn at(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(" in line {line}"))
}

/// A message of at most [`MAX_MESSAGE`] characters.
pub(super) fn shortened(message: &str) -> String {
    if message.chars().count() <= MAX_MESSAGE {
        return message.to_owned();
    }
    message.chars().take(MAX_MESSAGE).chain("...".chars()).collect()
}

pub(super) const MAX_MESSAGE: usize = 300;

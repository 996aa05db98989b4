//! How a command ends: the exit codes, and everything that can go wrong, in the words of the person at the terminal.

use std::fmt;
use std::io;

use filters::fault::ErrorBody;
use filters::model::Problem;
use thiserror::Error;

use super::table::counted;

/// How a command ended that did what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing to tell beyond the output.
    Done,
    /// Differences were found, or a gateway is behind.
    Different,
}

impl Outcome {
    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Different => 1,
        }
    }
}

/// A problem and the file that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileProblem {
    /// The file as the person named it; empty for what comes from several.
    pub(super) file: String,
    pub(super) problem: Problem,
}

impl FileProblem {
    pub(super) fn new(file: impl Into<String>, problem: Problem) -> Self {
        Self {
            file: file.into(),
            problem,
        }
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.is_empty() {
            self.problem.fmt(f)
        } else {
            write!(f, "{}: {}", self.file, self.problem)
        }
    }
}

/// Why a command could not do what it was asked to.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// Files that cannot be read or do not describe a valid configuration.
    #[error("{}", headline(.0.len()))]
    Invalid(Vec<FileProblem>),
    /// The control plane's answer is an error.
    #[error("the control plane refused: {} ({} {})", reason(.0), .0.status_code, .0.code)]
    Refused(Box<ErrorBody>),
    /// No answer.
    #[error("no answer from {server}: {cause}; is the control plane running, and is --server right?")]
    Unreachable {
        /// Base address that was tried.
        server: String,
        /// The innermost cause.
        cause: String,
    },
    /// The answer came too late or broke off after a change was sent: it may or may not have been made.
    #[error(
        "{server} was sent the change but did not confirm it: {cause}; see `gwctl get versions` before trying again"
    )]
    Unconfirmed {
        /// Base address that was tried.
        server: String,
        /// The innermost cause.
        cause: String,
    },
    /// An answer that no control plane gives.
    #[error("{server} answered, but not as a control plane does: {what}")]
    Strange {
        /// Base address that was tried.
        server: String,
        /// What is odd about the answer.
        what: String,
    },
    /// Standard output or standard error cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Invalid(_) => 3,
            Self::Refused(_) => 4,
            Self::Unreachable { .. } | Self::Unconfirmed { .. } | Self::Strange { .. } => 5,
            Self::Output(_) => 6,
        }
    }

    /// The lines that follow the message: one for each problem, and what helps support to find the request.
    pub(super) fn details(&self) -> Vec<String> {
        match self {
            Self::Invalid(problems) => problems.iter().map(ToString::to_string).collect(),
            Self::Refused(body) => {
                let problems = body.problems.iter().map(ToString::to_string);
                let request = (!body.request_id.is_empty()).then(|| format!("request {}", body.request_id));
                problems.chain(request).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn headline(problems: usize) -> String {
    format!("{} in the input", counted(problems, "problem"))
}

/// The problems follow by themselves, located in the files.
fn reason(body: &ErrorBody) -> String {
    match body.problems.len() {
        0 => body.error.clone(),
        problems => counted(problems, "problem"),
    }
}

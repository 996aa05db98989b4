//! Why a benchmark cannot go on.

use std::io;

/// Why a benchmark cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried.
        action: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program that cannot be done without is missing and cannot be installed.
    #[error("{program} is missing; please install {package} and try again")]
    Missing {
        /// The program.
        program: &'static str,
        /// What holds it.
        package: &'static str,
    },
    /// A program ended with an error, or said something unexpected.
    #[error("{program} failed: {output}")]
    Program {
        /// The program.
        program: String,
        /// What it wrote.
        output: String,
    },
    /// An answer that no benchmark may count.
    #[error("{who} answered wrongly: {what}")]
    WrongAnswer {
        /// Who answered.
        who: String,
        /// What was wrong.
        what: String,
    },
    /// A file of the kernel does not have the expected form.
    #[error("{path} has an unknown form")]
    UnknownForm {
        /// The file.
        path: String,
    },
}

impl Error {
    /// A closure for `map_err`: the system refused `action`.
    pub fn system(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::System { action, source }
    }
}

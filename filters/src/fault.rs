//! The one shape of an error that people and programs receive.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Problem;

/// The body of every error answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// What happened, for people.
    pub error: String,
    /// What happened, for programs: `NOT_FOUND`, `RATE_LIMITED`, ...
    pub code: String,
    /// The HTTP status.
    pub status_code: u16,
    /// When (RFC 3339, UTC).
    pub timestamp: String,
    /// Identifier of the request, as in its log line.
    pub request_id: String,
    /// What is wrong, field by field, where validation failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// The error with its causes, each once: several of our errors name theirs already.
pub fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) {
            text
        } else {
            format!("{text}: {cause}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::told;

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("cannot open x: {0}")]
        Names(#[source] std::io::Error),
        #[error("cannot start")]
        Keeps(#[source] Box<Self>),
    }

    #[test]
    fn each_cause_is_told_once() {
        let named = Failure::Names(std::io::Error::other("no such file"));
        assert_eq!(told(&named), "cannot open x: no such file");
        assert_eq!(
            told(&Failure::Keeps(Box::new(named))),
            "cannot start: cannot open x: no such file"
        );
    }
}

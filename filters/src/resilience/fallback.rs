//! What a client gets where there is no answer.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use super::status::StatusSet;
use crate::model::{Problem, resilience};

/// An answer that takes the place of the partner's, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// Its status.
    pub status: StatusCode,
    /// Its `Content-Type`.
    pub content_type: HeaderValue,
    /// Its body.
    pub body: Bytes,
    statuses: StatusSet,
}

impl Fallback {
    /// Checks `fallback`, which stands at `fallback`.
    pub(crate) fn compile(fallback: &resilience::Fallback, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let statuses = StatusSet::compile(&fallback.statuses, "fallback.statuses", problems);
        let mut problem = |field: &str, message: String| {
            problems.push(Problem::new(format!("fallback.{field}"), message));
        };
        let status = StatusCode::from_u16(fallback.status).unwrap_or_default();
        if !(200..=599).contains(&fallback.status) {
            problem("status", format!("{} is not between 200 and 599", fallback.status));
        }
        let (usual, body) = match &fallback.body {
            Value::Null => ("application/json", Bytes::new()),
            Value::String(text) => ("text/plain; charset=utf-8", Bytes::from(text.clone())),
            other => ("application/json", Bytes::from(other.to_string())),
        };
        if body.len() > MOST_BYTES {
            problem(
                "body",
                format!("has {} bytes; at most {MOST_BYTES} are possible", body.len()),
            );
        }
        if !body.is_empty() && [204, 304].contains(&fallback.status) {
            problem(
                "body",
                format!("a status {} has no body; leave it out", fallback.status),
            );
        }
        let content_type = fallback.content_type.as_deref().unwrap_or(usual);
        let content_type = HeaderValue::from_str(content_type)
            .map_err(|_| problem("contentType", format!("{content_type:?} cannot stand in a header")));
        (problems.len() == before).then_some(Self {
            status,
            content_type: content_type.ok()?,
            body,
            statuses,
        })
    }

    /// True if it takes the place of an answer with this status.
    pub fn replaces(&self, status: u16) -> bool {
        self.statuses.contains(status)
    }
}

const MOST_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compiled(fallback: Value) -> Result<Fallback, Vec<String>> {
        let mut problems = Vec::new();
        let fallback = serde_json::from_value(fallback).unwrap();
        let compiled = Fallback::compile(&fallback, &mut problems);
        compiled.ok_or_else(|| problems.into_iter().map(|problem| problem.path).collect())
    }

    #[test]
    fn a_text_stands_as_it_is_and_anything_else_is_json() {
        let text = compiled(json!({"body": "closed"})).unwrap();
        assert_eq!(
            (&*text.body, text.content_type.as_bytes()),
            (&b"closed"[..], &b"text/plain; charset=utf-8"[..])
        );
        let json = compiled(json!({"status": 503, "body": {"slots": []}, "statuses": ["5xx"]})).unwrap();
        assert_eq!(
            (&*json.body, json.content_type.as_bytes()),
            (&br#"{"slots":[]}"#[..], &b"application/json"[..])
        );
        assert!(json.replaces(502) && !json.replaces(404));
    }

    #[test]
    fn problems_name_the_field() {
        let wrong = json!({"status": 199, "contentType": "a\nb", "body": "x".repeat(65_537), "statuses": ["x"]});
        let expected = [
            "fallback.statuses[0]",
            "fallback.status",
            "fallback.body",
            "fallback.contentType",
        ];
        assert_eq!(compiled(wrong).unwrap_err(), expected);
        assert_eq!(
            compiled(json!({"status": 204, "body": "x"})).unwrap_err(),
            ["fallback.body"]
        );
    }
}

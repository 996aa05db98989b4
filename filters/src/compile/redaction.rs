//! What records may show, compiled.

use crate::model::record::RecordPolicy;
use crate::model::{InboundIntegration, Organization, Problem, RecordContent, Redaction};
use crate::redaction::Redactor;

/// The rules of the organization and of one of its integrations together. What is wrong with the organization's own is told
/// where the organization is checked.
pub(super) fn redactor(
    organization: Option<&Organization>,
    own: Option<&Redaction>,
    problems: &mut Vec<Problem>,
) -> Redactor {
    let shared = organization.and_then(|organization| organization.redaction.as_ref());
    Redactor::default()
        .with(shared, "redaction", &mut Vec::new())
        .with(own, "redaction", problems)
}

/// Adds what is wrong with the rules of an organization.
pub(super) fn check(redaction: Option<&Redaction>, path: &str, problems: &mut Vec<Problem>) {
    let _ = Redactor::default().with(redaction, path, problems);
}

/// What the records of an integration hold besides figures; `None` where it is nothing.
pub(super) fn content(source: &InboundIntegration, problems: &mut Vec<Problem>) -> Option<RecordContent> {
    let content = source.record_content?;
    let most = RecordContent::MOST_BODY_BYTES;
    if content.body_bytes > most {
        let message = format!("{} must be at most {most}", content.body_bytes);
        problems.push(Problem::new("recordContent.bodyBytes", message));
    }
    let holds = source.records != RecordPolicy::None && (content.headers || content.body_bytes > 0);
    holds.then_some(content)
}

//! What operators ask.

use harness::documents::ORG;
use serde_json::Value;

use crate::fill::Filled;

/// A question, and how many records its first page has.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) name: &'static str,
    pub(crate) path: String,
    expected: Expected,
}

#[derive(Clone, Copy, Debug)]
enum Expected {
    /// A list with so many records.
    Records(usize),
    /// A list with some.
    Some,
    /// Whatever it is.
    Anything,
}

impl Question {
    /// True if the answer has what it should have, so that nothing fast and wrong is measured.
    pub(crate) fn is_answered(&self, answer: &Value) -> bool {
        let lists = ["logs", "deadLetters", "integrations"];
        let found = lists.iter().find_map(|list| answer[*list].as_array()).map(Vec::len);
        match self.expected {
            Expected::Records(count) => found == Some(count),
            Expected::Some => found.is_some_and(|count| count > 0),
            Expected::Anything => answer.is_object(),
        }
    }
}

/// All of them.
#[expect(clippy::too_many_lines, reason = "one list, in the order of the documentation")]
pub(crate) fn all(filled: &Filled) -> Vec<Question> {
    use Expected::{Anything, Records, Some};
    let page = |name, query: &str, expected| Question {
        name,
        path: format!("/api/v1/logs?orgId={ORG}{query}"),
        expected,
    };
    let Filled {
        event,
        message,
        correlation,
        ..
    } = filled;
    let mut all = vec![
        page("first page: all", "", Records(50)),
        page("first page: status=SUCCESS", "&status=SUCCESS", Records(50)),
        page("first page: status=FAILED", "&status=FAILED", Records(50)),
        page(
            "first page: status=PENDING, of which there are none",
            "&status=PENDING",
            Records(0),
        ),
        page(
            "first page: integrationConfigId",
            "&integrationConfigId=integration-3",
            Records(50),
        ),
        page(
            "first page: a rare integrationConfigId",
            "&integrationConfigId=integration-198",
            Anything,
        ),
        page("first page: eventType", "&eventType=bill.kind7", Records(50)),
        page("first page: eventId", &format!("&eventId={event}"), Some),
        page("first page: messageId", &format!("&messageId={message}"), Some),
        page("first page: direction=OUTBOUND", "&direction=OUTBOUND", Records(50)),
        page("first page: errorCategory", "&errorCategory=SERVER_ERROR", Records(50)),
        page(
            "first page: a day",
            "&startDate=2020-01-01&endDate=2099-01-01",
            Records(50),
        ),
        page("first page: search, often found", "&search=insurer", Records(50)),
        page(
            "first page: search, never found",
            "&search=nowhere-to-be-found",
            Records(0),
        ),
        page(
            "first page: search with a status",
            &format!("&status=FAILED&search={correlation}"),
            Anything,
        ),
        page(
            "first page: integrationConfigId, status=FAILED",
            "&integrationConfigId=integration-3&status=FAILED",
            Some,
        ),
        page(
            "first page: integrationConfigId, status=SUCCESS",
            "&integrationConfigId=integration-3&status=SUCCESS",
            Records(50),
        ),
        page(
            "first page: integrationConfigId, errorCategory",
            "&integrationConfigId=integration-3&errorCategory=CLIENT_ERROR",
            Some,
        ),
        page(
            "first page: eventType, status=ABANDONED",
            "&eventType=bill.kind7&status=ABANDONED",
            Some,
        ),
        page(
            "first page: integrationConfigId, eventType",
            "&integrationConfigId=integration-198&eventType=bill.kind7",
            Anything,
        ),
        page("page 100 of all", "&page=100&limit=200", Records(200)),
        page(
            "page 100 of status=SUCCESS",
            "&status=SUCCESS&page=100&limit=200",
            Records(200),
        ),
    ];
    all.push(Question {
        name: "first page: dead letters",
        path: format!("/api/v1/dlq?orgId={ORG}&status=PENDING_RETRY"),
        expected: Records(50),
    });
    all.push(Question {
        name: DASHBOARD,
        path: format!("/api/v1/dashboard?orgId={ORG}"),
        expected: Anything,
    });
    all.push(Question {
        name: "analytics: hours of a week",
        path: format!("/api/v1/analytics?orgId={ORG}&interval=HOUR"),
        expected: Some,
    });
    all.push(Question {
        name: "analytics: days of a month",
        path: format!("/api/v1/analytics?orgId={ORG}&interval=DAY"),
        expected: Some,
    });
    all
}

/// How the names of those begin whose time is limited.
pub(crate) const FIRST_PAGE: &str = "first page";
pub(crate) const DASHBOARD: &str = "dashboard";

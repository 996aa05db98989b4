//! Records of calls: what is asked of them, and what both stores keep beside the record itself.

use filters::model::ExecutionRecord;
use filters::model::record::RecordStatus;
use jiff::Timestamp;

use super::StoreError;

/// Which records, and which of those that fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordQuery {
    /// Of this organization.
    pub org_id: u64,
    /// Only those that ended so.
    pub status: Option<RecordStatus>,
    /// Only those of this integration.
    pub integration: Option<String>,
    /// Only those with this fault of the gateway.
    pub error_category: Option<String>,
    /// Only those from this moment on.
    pub from: Option<Timestamp>,
    /// Only those before this moment.
    pub before: Option<Timestamp>,
    /// Only those with this text in the request id, the integration's name, the path or the error, upper and lower case
    /// of ASCII letters being the same. It is looked for in the newest [`MOST_SEARCHED`] records that fit the rest.
    pub search: Option<String>,
    /// How many to pass over.
    pub skip: u32,
    /// The most that are returned.
    pub limit: u32,
}

impl RecordQuery {
    /// The newest records of an organization.
    pub fn newest(org_id: u64, limit: u32) -> Self {
        Self {
            org_id,
            status: None,
            integration: None,
            error_category: None,
            from: None,
            before: None,
            search: None,
            skip: 0,
            limit,
        }
    }
}

/// How many records one search looks at, so that none keeps the store from its other work.
pub const MOST_SEARCHED: u32 = 20_000;
/// The most records of one trace that are returned.
pub const MOST_OF_A_TRACE: u32 = 200;

/// The fields in which a search looks.
pub(super) const SEARCHED: [&str; 5] = ["requestId", "integrationName", "path", "errorCategory", "errorMessage"];

/// When a record's call came. A gateway with a broken clock does not lose its records.
pub(super) fn created_at(record: &ExecutionRecord) -> Timestamp {
    record.created_at.parse().unwrap_or_else(|_| Timestamp::now())
}

pub(super) fn status_name(status: RecordStatus) -> &'static str {
    match status {
        RecordStatus::Success => "SUCCESS",
        RecordStatus::Failed => "FAILED",
    }
}

pub(super) fn encode(record: &ExecutionRecord) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(|error| StoreError::Unavailable(error.into()))
}

pub(super) fn decode(id: &str, body: &str) -> Result<ExecutionRecord, StoreError> {
    serde_json::from_str(body).map_err(|error| StoreError::Corrupt {
        object: format!("execution log {id}"),
        reason: error.to_string(),
    })
}

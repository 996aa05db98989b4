//! What is kept of an erasure.

use filters::model::subject::{Subject, SubjectPath};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::{Shelf, Shelved};

/// The removal of what is kept of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Erasure {
    /// Identifier (UUIDv7).
    pub(crate) id: String,
    /// The organization that the person is known to.
    pub(crate) org_id: u64,
    /// The person, by a salted hash of what they are known by.
    pub(crate) subject: Subject,
    /// Where payloads have them, as the organization said when it was begun.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) paths: Vec<SubjectPath>,
    /// True if nothing is searched but `paths`.
    #[serde(default)]
    pub(crate) only_paths: bool,
    /// How far it is.
    pub(crate) state: ErasureState,
    /// Who wanted it.
    pub(crate) requested_by: String,
    /// When (RFC 3339).
    #[schemars(with = "String")]
    pub(crate) requested_at: Timestamp,
    /// When the store was gone through for the first time.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) swept_at: Option<Timestamp>,
    /// When nothing was left to do.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) finished_at: Option<Timestamp>,
    /// The gateways, each with its part.
    pub(crate) gateways: Vec<GatewayPart>,
    /// What was removed from the store.
    pub(crate) removed: Removed,
}

/// How far an erasure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ErasureState {
    /// It waits for gateways, or was begun just now.
    Running,
    /// Nothing is left.
    Done,
    /// Nothing is left but what gateways have that were removed: they are gone, and what their queues hold with them. If
    /// one of them comes back, it goes on.
    Incomplete,
}

/// A gateway's part in an erasure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GatewayPart {
    /// The gateway.
    pub(crate) gateway_id: String,
    /// The command that it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command_id: Option<String>,
    /// True once it has removed everything.
    pub(crate) done: bool,
    /// True if it was removed before it had done its part.
    #[serde(default)]
    pub(crate) gone: bool,
    /// Events that it removed.
    pub(crate) events: u64,
}

/// What was removed from the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Removed {
    /// Attempts whose contents were emptied.
    pub(crate) delivery_logs: u64,
    /// Calls whose contents were emptied.
    pub(crate) execution_logs: u64,
    /// Dead letters that were deleted.
    pub(crate) dead_letters: u64,
    /// Scheduled deliveries whose event is named no more.
    pub(crate) scheduled: u64,
    /// Commands to gateways that carry their payload no more.
    #[serde(default)]
    pub(crate) commands: u64,
}

impl Removed {
    pub(super) fn add(&mut self, more: Self) {
        self.delivery_logs += more.delivery_logs;
        self.execution_logs += more.execution_logs;
        self.dead_letters += more.dead_letters;
        self.scheduled += more.scheduled;
        self.commands += more.commands;
    }
}

impl Shelved for Erasure {
    const SHELF: Shelf = Shelf::Erasures;
    const NAME: &'static str = "erasure";

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        Some(self.org_id)
    }
}

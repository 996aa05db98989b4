//! What operators tell a gateway to do with events. A gateway remembers the commands that it has carried out, so that a
//! repeat does nothing.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::subject::{Subject, SubjectPath};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "action",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Command {
    /// Tries dead letters again.
    RetryDeadLetters {
        /// Which, by identifier; at most 100.
        ids: Vec<String>,
        /// Takes the place of the payload; only with one identifier.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payload: Option<Value>,
    },
    /// Gives dead letters up.
    AbandonDeadLetters {
        /// Which, by identifier; at most 100.
        ids: Vec<String>,
    },
    /// Forgets dead letters.
    DeleteDeadLetters {
        /// Which, by identifier; at most 100.
        ids: Vec<String>,
    },
    /// Calls scheduled deliveries off.
    CancelScheduled {
        /// Which, by identifier of the delivery; at most 100.
        ids: Vec<String>,
    },
    /// Delivers events again that the queue still has.
    Replay {
        /// Organization.
        org_id: u64,
        /// To this subscription only; to all that match if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        integration_config_id: Option<Arc<str>>,
        /// These events; instead of a time range.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        event_ids: Vec<String>,
        /// Accepted from this time on (RFC 3339).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// Accepted before this time (RFC 3339).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    },
    /// Removes the events that name a person, with their deliveries and dead letters.
    Erase {
        /// Organization.
        org_id: u64,
        /// The person.
        subject: Subject,
        /// Where payloads have them; a payload that none of these is about is searched as a whole.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        paths: Vec<SubjectPath>,
        /// True if nothing is searched but `paths`: what the person is known by is found in other places by chance.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        only_paths: bool,
    },
    /// Stops deliveries to an endpoint; its events are kept.
    Pause {
        /// The subscription.
        integration_config_id: Arc<str>,
    },
    /// Goes on with deliveries to an endpoint that was paused, disabled or left alone.
    Resume {
        /// The subscription.
        integration_config_id: Arc<str>,
    },
    /// Sends a test delivery to an endpoint, once, without retries.
    Test {
        /// The subscription.
        integration_config_id: Arc<str>,
        /// Type of the event that it pretends to be.
        event_type: String,
        /// Its payload.
        payload: Value,
    },
    /// Forgets what is used up of limits of requests.
    ResetLimits {
        /// Organization.
        org_id: u64,
        /// Whose limits.
        scope: ResetScope,
        /// The integration or consumer; none for the organization.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<Arc<str>>,
    },
}

/// Whose limits are reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ResetScope {
    /// That of an organization; those of its integrations and consumers stay as they are.
    Organization,
    /// Those of an integration and of each of its callers and client addresses.
    Integration,
    /// That of a consumer.
    Consumer,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommandResult {
    /// How many objects it was carried out on.
    pub done: u64,
    /// What was not done, and why; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<CommandFailure>,
}

/// An object that a command was not carried out on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommandFailure {
    /// Which.
    pub id: String,
    /// Why.
    pub error: String,
}

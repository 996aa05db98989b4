//! Sessions: somebody who signed in, until they sign out or stay away.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::store::{Shelf, Shelved};

/// Somebody who signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) user_id: String,
    /// The number of the user's sessions when it began.
    pub(crate) generation: u64,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) means: Means,
    /// Where from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
}

/// How somebody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Means {
    /// With a password.
    Password,
    /// At an identity provider.
    Oidc,
    /// As the first administrator, with the token that was shown at the start.
    FirstAdmin,
}

impl Session {
    pub(super) fn new(user_id: &str, generation: u64, means: Means, now: Timestamp, expires_at: Timestamp) -> Self {
        Self {
            id: Uuid::now_v7().to_string(),
            user_id: user_id.to_owned(),
            generation,
            created_at: now,
            expires_at,
            means,
            address: None,
        }
    }
}

impl Shelved for Session {
    const SHELF: Shelf = Shelf::Sessions;
    const NAME: &'static str = "session";

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        None
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("userId", self.user_id.clone())]
    }
}

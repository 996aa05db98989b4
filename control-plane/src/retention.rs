//! How long records are kept: as long as the installation says, or less where an organization wants less.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::RecordsConfig;
use crate::store::{Retention, Sheet, Shelf, Shelved, Store, StoreError};

/// What an organization says of its own records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrganizationSettings {
    /// The text of its number.
    id: String,
    /// The organization.
    pub org_id: u64,
    /// Its records from before so many days are deleted.
    pub retention_days: u32,
}

impl OrganizationSettings {
    /// Settings of an organization.
    pub fn new(org_id: u64, retention_days: u32) -> Self {
        Self {
            id: org_id.to_string(),
            org_id,
            retention_days,
        }
    }

    /// What the organization has said, if anything.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn of(store: &Store, org_id: u64) -> Result<Option<Sheet<Self>>, StoreError> {
        store.sheet(&org_id.to_string()).await
    }
}

impl Shelved for OrganizationSettings {
    const SHELF: Shelf = Shelf::Settings;
    const NAME: &'static str = "settings of organization";

    fn id(&self) -> &str {
        &self.id
    }

    fn org_id(&self) -> Option<u64> {
        Some(self.org_id)
    }
}

/// What is too old at `now`.
///
/// # Errors
/// If the store does not work.
pub async fn due(store: &Store, config: &RecordsConfig, now: Timestamp) -> Result<Retention, StoreError> {
    let days_ago = |days: u32| {
        let age = SignedDuration::from_hours(24 * i64::from(days));
        now.checked_sub(age).unwrap_or(Timestamp::MIN)
    };
    let mut sooner = BTreeMap::new();
    let mut after: Option<String> = None;
    loop {
        let sheets: Vec<Sheet<OrganizationSettings>> = store.sheets(None, after.as_deref(), AT_ONCE).await?;
        for Sheet { value, .. } in &sheets {
            // What the installation keeps for less time by now, is kept for that time.
            if value.retention_days < config.retention_days {
                sooner.insert(value.org_id, days_ago(value.retention_days));
            }
        }
        match sheets.last() {
            Some(last) if sheets.len() == AT_ONCE as usize => after = Some(last.value.id.clone()),
            _ => break,
        }
    }
    Ok(Retention {
        before: days_ago(config.retention_days),
        sooner,
        most: config.max_records,
    })
}

const AT_ONCE: u32 = 500;

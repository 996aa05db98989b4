//! Alerts as both stores keep them, and the number of dead letters, which some of them are about.

use jiff::Timestamp;

use super::kept::{Cell, Cursor, Field, Kept, Place, Query, Row, encode, whole};
use super::{Implementation, Store, StoreError};
use crate::alerts::{Alert, AlertStatus, DeadLetterCount};

/// Since when dead letters are new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lately {
    /// Those that became dead letters from this moment on.
    pub new_since: Timestamp,
    /// Those that were given up from this moment on.
    pub abandoned_since: Timestamp,
}

impl Store {
    /// Keeps an alert in the place of its revision `known`; as a new one if `None`. False, and nothing is written, if that
    /// revision is not the newest, or if an alert about the same is open.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn save_alert(&self, alert: &Alert, known: Option<u64>) -> Result<bool, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.save_alert(alert.clone(), known).await,
            Implementation::Mongo(store) => store.save_alert(alert.clone(), known).await,
        }
    }

    /// The open alerts, the newest first.
    ///
    /// # Errors
    /// If the store does not work, or an alert cannot be read.
    pub async fn open_alerts(&self) -> Result<Vec<Alert>, StoreError> {
        let open = AlertStatus::Open.name().to_owned();
        self.list(&Query {
            equal: vec![(Field::Status, open)],
            limit: MOST_OPEN,
            ..Query::default()
        })
        .await
    }

    /// The number of dead letters by subscription; those without any are left out.
    ///
    /// # Errors
    /// If the store does not work.
    pub async fn dead_letter_counts(&self, lately: Lately) -> Result<Vec<DeadLetterCount>, StoreError> {
        match &self.0 {
            Implementation::Sqlite(store) => store.dead_letter_counts(lately).await,
            Implementation::Mongo(store) => store.dead_letter_counts(lately).await,
        }
    }
}

impl Kept for Alert {
    const PLACE: Place = Place::Alerts;
    const NAME: &'static str = "alert";
    const SEARCHED: &'static [&'static str] = &["title", "detail"];

    fn into_row(self) -> Result<Row, StoreError> {
        let mut fields = vec![
            ("status", Cell::Text(self.status.name().to_owned())),
            ("rule", Cell::Text(self.rule.name().to_owned())),
            ("openKey", Cell::Text(open_key(&self).to_owned())),
            ("revision", Cell::Number(self.revision)),
            ("createdAt", Cell::Moment(Some(whole(self.opened_at)))),
            ("resolvedAt", Cell::Moment(self.resolved_at.map(whole))),
        ];
        fields.extend(self.org_id.map(|org_id| ("orgId", Cell::Number(org_id))));
        let integration = self.integration_config_id.clone();
        fields.extend(integration.map(|id| ("integrationConfigId", Cell::Text(id))));
        Ok(Row {
            document: encode(&self)?,
            fields,
            searched: vec![("title", Some(self.title)), ("detail", Some(self.detail))],
            id: self.id,
        })
    }

    fn cursor(&self) -> Cursor {
        Cursor {
            at: whole(self.opened_at),
            id: self.id.clone(),
        }
    }
}

/// What is unique: the key while the alert is open, its own identifier from then on.
fn open_key(alert: &Alert) -> &str {
    match alert.status {
        AlertStatus::Open => &alert.key,
        AlertStatus::Resolved => &alert.id,
    }
}

/// The most open alerts that are read at a start.
const MOST_OPEN: u32 = 10_000;
/// The most subscriptions whose dead letters are counted, those with the smallest numbers of organizations first.
pub(super) const MOST_COUNTED: u32 = 50_000;

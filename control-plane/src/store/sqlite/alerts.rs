//! The statements about alerts.

use rusqlite::{Connection, params};

use super::super::StoreError;
use super::super::alerts::{Lately, MOST_COUNTED};
use super::super::kept::{Kept as _, Place};
use super::failed;
use super::kept::{insert, values_of};
use crate::alerts::{Alert, DeadLetterCount};

/// Keeps an alert in the place of its revision `known`; as a new one if `None`. False if another was quicker.
pub(super) fn save(connection: &Connection, alert: Alert, known: Option<u64>) -> Result<bool, StoreError> {
    let row = alert.into_row()?;
    let Some(known) = known else {
        return insert(connection, Place::Alerts, &row, "ON CONFLICT DO NOTHING").map(|rows| rows == 1);
    };
    let names = row.fields.iter().map(|(name, _)| format!("{name} = ?"));
    let statement = format!(
        "UPDATE {} SET document = ?, {} WHERE id = ? AND revision = ?",
        Place::Alerts.name(),
        names.collect::<Vec<_>>().join(", ")
    );
    let values = std::iter::once(row.document.clone().into()).chain(values_of(&row));
    let values = values.chain([row.id.clone().into(), known.cast_signed().into()]);
    let changed = connection
        .prepare_cached(&statement)
        .and_then(|mut update| update.execute(rusqlite::params_from_iter(values)))
        .map_err(failed)?;
    Ok(changed == 1)
}

/// The number of dead letters by subscription.
pub(super) fn dead_letters(connection: &Connection, lately: Lately) -> Result<Vec<DeadLetterCount>, StoreError> {
    let mut select = connection
        .prepare_cached(
            "SELECT orgId, integrationConfigId, sum(status <> 'ABANDONED'), sum(status = 'ABANDONED'), sum(createdAt >= ?1),
             sum(status = 'ABANDONED' AND updatedAt >= ?2)
             FROM dlq GROUP BY orgId, integrationConfigId ORDER BY orgId, integrationConfigId LIMIT ?3",
        )
        .map_err(failed)?;
    let since = params![
        lately.new_since.as_millisecond(),
        lately.abandoned_since.as_millisecond(),
        MOST_COUNTED
    ];
    let counts = select.query_map(since, |row| {
        let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        Ok(DeadLetterCount {
            org_id: number(0)?,
            integration_config_id: row.get(1)?,
            waiting: number(2)?,
            abandoned: number(3)?,
            new: number(4)?,
            newly_abandoned: number(5)?,
        })
    });
    counts.and_then(Iterator::collect).map_err(failed)
}

//! The statements that delete what is too old or too many.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::super::StoreError;
use super::super::kept::{AGED, Aged, MANY, Place};
use super::super::outcomes::Retention;
use super::failed;

/// How many records each of [`MANY`] has beyond `most`.
pub(super) fn excess(connection: &Connection, most: u64) -> Result<[u64; MANY.len()], StoreError> {
    let number = |statement: String| -> Result<u64, StoreError> {
        let number: i64 = connection
            .prepare_cached(&statement)
            .and_then(|mut select| select.query_row([], |row| row.get(0)))
            .map_err(failed)?;
        Ok(u64::try_from(number).unwrap_or(0))
    };
    let mut excess = [0; MANY.len()];
    for (place, excess) in MANY.into_iter().zip(&mut excess) {
        let place = place.name();
        // The oldest and the newest number say how many there can be; only where that is too many are they counted.
        let span = number(format!(
            "SELECT coalesce((SELECT max(rowid) FROM {place}) - (SELECT min(rowid) FROM {place}) + 1, 0)"
        ))?;
        if span > most {
            *excess = number(format!("SELECT count(*) FROM {place}"))?.saturating_sub(most);
        }
    }
    Ok(excess)
}

/// Deletes what is too old, and of [`MANY`] the oldest beyond the most: at most `step` of each kind and organization.
/// Returns how many.
pub(super) fn prune(
    connection: &Connection,
    retention: &Retention,
    excess: [u64; MANY.len()],
    step: u32,
) -> Result<u32, StoreError> {
    let mut deleted = 0;
    for aged in &AGED {
        deleted += delete_aged(connection, aged, None, retention.before, step)?;
        if aged.place.is_of_organizations() {
            for (org_id, before) in &retention.sooner {
                deleted += delete_aged(connection, aged, Some(*org_id), *before, step)?;
            }
        }
    }
    for (place, excess) in MANY.into_iter().zip(excess) {
        deleted += delete_oldest(connection, place, excess.min(step.into()))?;
    }
    Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
}

/// Deletes what is too old, of one organization or of all. Returns how many.
fn delete_aged(
    connection: &Connection,
    Aged { place, since, states }: &Aged,
    org_id: Option<u64>,
    before: Timestamp,
    step: u32,
) -> Result<usize, StoreError> {
    let place = place.name();
    let mut conditions = vec![format!("{since} < ?")];
    let mut values = vec![Value::from(before.as_millisecond())];
    if let Some(org_id) = org_id {
        conditions.push("orgId = ?".to_owned());
        values.push(org_id.cast_signed().into());
    }
    if !states.is_empty() {
        let states: Vec<String> = states.iter().map(|state| format!("'{state}'")).collect();
        conditions.push(format!("status IN ({})", states.join(", ")));
    }
    values.push(step.into());
    // The oldest of one organization need not come first: all of them go.
    let order = if org_id.is_none() {
        format!(" ORDER BY {since}")
    } else {
        String::new()
    };
    let statement = format!(
        "DELETE FROM {place} WHERE rowid IN (SELECT rowid FROM {place} WHERE {}{order} LIMIT ?)",
        conditions.join(" AND ")
    );
    connection
        .prepare_cached(&statement)
        .and_then(|mut delete| delete.execute(params_from_iter(values)))
        .map_err(failed)
}

/// Deletes the oldest records. Returns how many.
fn delete_oldest(connection: &Connection, place: Place, count: u64) -> Result<usize, StoreError> {
    if count == 0 {
        return Ok(0);
    }
    let place = place.name();
    connection
        .prepare_cached(&format!(
            "DELETE FROM {place} WHERE rowid IN (SELECT rowid FROM {place} ORDER BY createdAt LIMIT ?)"
        ))
        .and_then(|mut delete| delete.execute([count.cast_signed()]))
        .map_err(failed)
}

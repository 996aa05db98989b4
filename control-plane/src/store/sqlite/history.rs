//! The statements about the past.

use filters::model::push::{Object, ObjectId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::StoreError;
use super::super::document;
use super::super::history::Step;
use super::failed;
use super::statements::{COLUMNS, signed, version_of};
use crate::seal::Sealer;

/// The versions of one object.
pub(super) fn of_object(
    connection: &Connection,
    id: &ObjectId,
    before: Option<u64>,
    limit: u32,
    sealer: &Sealer,
) -> Result<Vec<Step>, StoreError> {
    let statement = format!(
        "SELECT {COLUMNS}, changes.body AS body FROM changes JOIN versions ON versions.number = changes.version
         WHERE changes.kind = ?1 AND changes.id = ?2 AND changes.version < ?3 ORDER BY changes.version DESC LIMIT ?4"
    );
    let (kind, text) = (id.kind().name(), id.text());
    let mut select = connection.prepare_cached(&statement).map_err(failed)?;
    let mut rows = select
        .query(params![kind, text, before.map_or(i64::MAX, signed), limit])
        .map_err(failed)?;
    let mut steps = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let body: Option<String> = row.get("body").map_err(failed)?;
        let object = body
            .map(|body| document::decode(kind, &text, &body, sealer))
            .transpose()?;
        steps.push(Step {
            version: version_of(row)?,
            object,
        });
    }
    Ok(steps)
}

/// The objects that a range of versions touched.
pub(super) fn touched(connection: &Connection, after: u64, upto: u64) -> Result<Vec<ObjectId>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT DISTINCT kind, id FROM changes WHERE version > ? AND version <= ?")
        .map_err(failed)?;
    let mut rows = select.query([signed(after), signed(upto)]).map_err(failed)?;
    let mut objects = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let (kind, id): (String, String) = row.try_into().map_err(failed)?;
        objects.extend(document::object_id(&kind, &id)?);
    }
    objects.sort_unstable();
    Ok(objects)
}

/// What objects were at a version.
pub(super) fn objects_at(
    connection: &Connection,
    number: u64,
    ids: &[ObjectId],
    sealer: &Sealer,
) -> Result<Vec<Option<Object>>, StoreError> {
    let mut select = connection
        .prepare_cached(
            "SELECT body FROM changes WHERE kind = ? AND id = ? AND version <= ? ORDER BY version DESC LIMIT 1",
        )
        .map_err(failed)?;
    let found = ids.iter().map(|id| {
        let (kind, text) = (id.kind().name(), id.text());
        let body: Option<Option<String>> = select
            .query_row(params![kind, text, signed(number)], |row| row.get(0))
            .optional()
            .map_err(failed)?;
        let body = body.flatten();
        body.map(|body| document::decode(kind, &text, &body, sealer))
            .transpose()
    });
    found.collect()
}

//! Records on their way to the control plane: a row for each commit that has some.

use rusqlite::{Connection, params};

use super::Spooled;

/// How far the spool goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// The last row that the control plane has.
    pub(super) acknowledged: i64,
    /// The last row there is.
    pub(super) newest: i64,
}

/// Records of one commit, gathered before they are written.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// JSON texts with a comma after each.
    records: Vec<u8>,
    count: u32,
    /// Bytes that were written.
    pub(super) written: u64,
    /// The last row that was written.
    pub(super) newest: Option<i64>,
}

impl Gathered {
    /// Adds JSON texts, with a comma after each.
    pub(super) fn push(&mut self, store: &Connection, records: &[u8], count: u32) -> rusqlite::Result<()> {
        self.records.extend_from_slice(records);
        self.count += count;
        if self.records.len() >= ROW_BYTES {
            self.write(store)?;
        }
        Ok(())
    }

    /// Writes what was gathered.
    pub(super) fn write(&mut self, store: &Connection) -> rusqlite::Result<()> {
        if self.records.pop().is_none() {
            return Ok(());
        }
        store
            .prepare_cached("INSERT INTO spool(count, records) VALUES (?1, ?2)")?
            .execute(params![self.count, &self.records])?;
        self.newest = Some(store.last_insert_rowid());
        self.written += self.records.len() as u64;
        self.records.clear();
        self.count = 0;
        Ok(())
    }
}

/// How far the spool goes, and its bytes.
pub(super) fn measure(store: &Connection) -> rusqlite::Result<(Reach, u64)> {
    let (oldest, newest, bytes): (Option<i64>, Option<i64>, i64) = store.query_row(
        "SELECT min(seq), max(seq), coalesce(sum(length(records)), 0) FROM spool",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let reach = Reach {
        acknowledged: oldest.map_or(0, |seq| seq - 1),
        newest: newest.unwrap_or(0),
    };
    Ok((reach, bytes.cast_unsigned()))
}

/// Throws out the rows up to `up_to`, and says how many bytes of records they had.
pub(super) fn acknowledge(store: &Connection, up_to: i64) -> rusqlite::Result<u64> {
    let bytes: i64 = store
        .prepare_cached("SELECT coalesce(sum(length(records)), 0) FROM spool WHERE seq <= ?1")?
        .query_row([up_to], |row| row.get(0))?;
    store
        .prepare_cached("DELETE FROM spool WHERE seq <= ?1")?
        .execute([up_to])?;
    Ok(bytes.cast_unsigned())
}

/// The rows after `after`: at most `max_bytes` of them, but one at least.
pub(super) fn read(store: &Connection, after: i64, max_bytes: usize) -> rusqlite::Result<Option<Spooled>> {
    let mut select = store.prepare_cached("SELECT seq, count, records FROM spool WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = select.query([after])?;
    let mut json = vec![b'['];
    let mut batch: Option<(i64, usize)> = None;
    while let Some(row) = rows.next()? {
        let records = row.get_ref(2)?.as_blob()?;
        if batch.is_some() && json.len() + records.len() + 1 > max_bytes {
            break;
        }
        if batch.is_some() {
            json.push(b',');
        }
        json.extend_from_slice(records);
        let count = batch.map_or(0, |(_, count)| count) + row.get::<_, u32>(1)? as usize;
        batch = Some((row.get(0)?, count));
    }
    json.push(b']');
    Ok(batch.map(|(up_to, count)| Spooled {
        up_to,
        count,
        // It was written from texts.
        json: String::from_utf8(json).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }))
}

/// A commit with more records writes several rows, so that they can be sent in batches.
const ROW_BYTES: usize = 256 << 10;

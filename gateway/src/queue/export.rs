//! Everything that the queue has, as JSON lines.

use std::io::{self, Write};
use std::path::Path;

use filters::model::delivery::DeadLetter;
use rusqlite::{Connection, types::ValueRef};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::row::{Names, decode_open};
use super::{DeadFilter, OpenDelivery, QueueError, Seq, browse, dead, schema};

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The queue cannot be read.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The lines cannot be written.
    #[error("cannot write the export: {0}")]
    Write(#[from] io::Error),
}

/// One line.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Line<'a> {
    Event {
        seq: Seq,
        accepted_ms: i64,
        head: &'a RawValue,
        audit: &'a RawValue,
        /// JSON; base64 text for an event with another media type.
        payload: Value,
    },
    Open {
        seq: Seq,
        accepted_ms: i64,
        deliveries: &'a [OpenDelivery],
    },
    DeadLetter {
        seq: Seq,
        number: u16,
        retry_ms: Option<i64>,
        letter: &'a DeadLetter,
    },
}

/// Writes what the queue in `dir` has to `out`: events, open deliveries, dead letters. It may be done while a gateway
/// works with it: what is written is of one moment.
///
/// # Errors
/// If there is no queue, something in it cannot be read, or `out` takes no more.
pub fn export(dir: &Path, out: &mut dyn Write) -> Result<u64, ExportError> {
    let store = schema::open_reader(&schema::file_in(dir))?;
    let moment = store.unchecked_transaction().map_err(browse::unread)?;
    let lines = events(&moment, out)? + open(&moment, out)? + dead_letters(&moment, out)?;
    out.flush()?;
    Ok(lines)
}

fn events(store: &Connection, out: &mut dyn Write) -> Result<u64, ExportError> {
    let mut select = store
        .prepare("SELECT seq, accepted_ms, head, audit, body FROM events ORDER BY seq")
        .map_err(browse::unread)?;
    let mut rows = select.query([]).map_err(browse::unread)?;
    let mut lines = 0;
    while let Some(row) = rows.next().map_err(browse::unread)? {
        let seq = row.get(0).map_err(browse::unread)?;
        let blob = |index| row.get_ref(index).map_err(browse::unread);
        let line = Line::Event {
            seq,
            accepted_ms: row.get(1).map_err(browse::unread)?,
            head: raw(seq, blob(2)?)?,
            audit: raw(seq, blob(3)?)?,
            payload: dead::shown(bytes(seq, blob(4)?)?),
        };
        write(out, &line)?;
        lines += 1;
    }
    Ok(lines)
}

fn open(store: &Connection, out: &mut dyn Write) -> Result<u64, ExportError> {
    let mut names = Names::default();
    let mut select = store
        .prepare("SELECT seq, accepted_ms, state FROM open ORDER BY seq")
        .map_err(browse::unread)?;
    let mut rows = select.query([]).map_err(browse::unread)?;
    let mut lines = 0;
    while let Some(row) = rows.next().map_err(browse::unread)? {
        let seq = row.get(0).map_err(browse::unread)?;
        let state = bytes(seq, row.get_ref(2).map_err(browse::unread)?)?;
        let (deliveries, _) =
            decode_open(state, &mut names).map_err(|error| QueueError::damaged("open", seq, &error))?;
        let line = Line::Open {
            seq,
            accepted_ms: row.get(1).map_err(browse::unread)?,
            deliveries: &deliveries,
        };
        write(out, &line)?;
        lines += 1;
    }
    Ok(lines)
}

fn dead_letters(store: &Connection, out: &mut dyn Write) -> Result<u64, ExportError> {
    let mut filter = DeadFilter {
        limit: 1000,
        ..DeadFilter::default()
    };
    let mut lines = 0;
    loop {
        let page = dead::page(store, &filter)?;
        let Some(last) = page.last() else { return Ok(lines) };
        filter.after = Some(last.key);
        for entry in &page {
            let line = Line::DeadLetter {
                seq: entry.key.seq,
                number: entry.key.number,
                retry_ms: entry.retry_ms,
                letter: &entry.letter,
            };
            write(out, &line)?;
            lines += 1;
        }
    }
}

fn write(out: &mut dyn Write, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

fn raw(seq: Seq, json: ValueRef<'_>) -> Result<&RawValue, QueueError> {
    serde_json::from_slice(bytes(seq, json)?).map_err(|error| QueueError::damaged("events", seq, &error))
}

fn bytes(seq: Seq, value: ValueRef<'_>) -> Result<&[u8], QueueError> {
    value
        .as_blob()
        .map_err(|error| QueueError::damaged("events", seq, &error))
}

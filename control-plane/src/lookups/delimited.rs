//! CSV.

use std::ops::ControlFlow;

use serde_json::Value;

use super::{Cell, Columns, FileFault, MOST_COLUMNS, Rows};

/// Reads `bytes` row by row.
pub(super) fn read(bytes: &[u8], rows: Rows<'_>) -> Result<(), FileFault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter_of(bytes))
        .from_reader(bytes);
    let mut record = csv::ByteRecord::new();
    let mut row = 0;
    loop {
        let more = reader.read_byte_record(&mut record);
        if !more.map_err(|error| FileFault::Unreadable(error.to_string()))? {
            return Ok(());
        }
        row += 1;
        if record.iter().all(<[u8]>::is_empty) {
            continue;
        }
        // One more than may be, so that a row with too many is noticed; a file may have millions.
        let cells = record
            .iter()
            .take(MOST_COLUMNS + 1)
            .map(|cell| match std::str::from_utf8(cell) {
                Ok("") => Ok(Value::Null),
                Ok(text) => Ok(Value::from(unguarded(text))),
                Err(_) => Err("is not UTF-8; save the file as CSV in UTF-8".to_owned()),
            });
        let mut cells: Vec<Cell> = cells.collect();
        if let Some(beyond) = cells.get_mut(MOST_COLUMNS).filter(|_| record.len() > MOST_COLUMNS) {
            *beyond = Err(format!("has {} cells", record.len()));
        }
        if rows(row, cells) == ControlFlow::Break(()) {
            return Ok(());
        }
    }
}

/// What stands most often in the first line outside of quotes.
fn delimiter_of(bytes: &[u8]) -> u8 {
    let (mut is_quoted, mut counts) = (false, [0_usize; 3]);
    for byte in bytes {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' | b'\r' if !is_quoted => break,
            byte if !is_quoted => {
                if let Some(at) = DELIMITERS.iter().position(|known| known == byte) {
                    counts[at] += 1;
                }
            }
            _ => {}
        }
    }
    let [comma, semicolon, tab] = counts;
    match (comma >= semicolon && comma >= tab, semicolon >= tab) {
        (true, _) => b',',
        (false, true) => b';',
        (false, false) => b'\t',
    }
}

/// A table as pieces of CSV, some hundred rows each.
pub(crate) struct Lines<'a> {
    columns: Columns,
    rows: std::slice::Iter<'a, (Box<str>, Value)>,
    has_begun: bool,
}

impl<'a> Lines<'a> {
    /// Of these rows, in these columns.
    pub(crate) fn new(columns: Columns, rows: &'a [(Box<str>, Value)]) -> Self {
        Self {
            columns,
            rows: rows.iter(),
            has_begun: false,
        }
    }
}

impl Iterator for Lines<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(Vec::new());
        let mut any = false;
        // Writing to memory does not fail, and all rows have the same number of cells.
        if !self.has_begun {
            self.has_begun = true;
            any = true;
            writer.write_record(self.columns.names().map(guarded)).ok()?;
        }
        for (key, value) in self.rows.by_ref().take(ROWS_AT_ONCE) {
            any = true;
            let cells = self.columns.cells(key, value).map(|cell| match cell {
                Value::String(text) => guarded(&text),
                Value::Null => String::new(),
                other => other.to_string(),
            });
            writer.write_record(cells).ok()?;
        }
        any.then(|| writer.into_inner().ok()).flatten()
    }
}

/// A spreadsheet takes texts that begin so for formulas; an apostrophe before them says that they are none.
fn guarded(text: &str) -> String {
    if text.starts_with(GUARDED) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// The text before it was guarded.
fn unguarded(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if rest.starts_with(GUARDED) => rest,
        _ => text,
    }
}

const GUARDED: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\''];
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];
const ROWS_AT_ONCE: usize = 500;

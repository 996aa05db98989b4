//! Lookup tables as files: CSV and XLSX. A file is read with every problem by row, and written so that it reads as the table
//! that it was made of.
//!
//! The first row names the columns. One of them is the key; if there is one other, its cells are the values, else each value
//! is an object with a field for each column that has a cell.

mod delimited;
mod difference;
mod export;
mod import;
mod workbook;

use std::ops::ControlFlow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use delimited::Lines;
pub(crate) use difference::Difference;
pub(crate) use export::Columns;
pub(crate) use import::{Imported, Wanted, read};
pub(crate) use workbook::write as write_workbook;

/// Form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TableFormat")]
pub(crate) enum Format {
    /// Texts between commas, semicolons or tabs, in UTF-8.
    Csv,
    /// A workbook; its first sheet.
    Xlsx,
}

impl Format {
    /// Its media type.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }

    /// The ending of its files.
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
        }
    }
}

/// What is wrong with one row of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RowProblem {
    /// Number of the row, as a spreadsheet counts: the columns' names are in row 1.
    pub(crate) row: u32,
    /// The column, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<String>,
    /// What is wrong, and what to do.
    pub(crate) message: String,
}

/// Why a file cannot be read as a table at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileFault {
    /// It is of another form, or broken.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// Unpacked, it would take too much memory.
    #[error("holds more than {} MiB when it is unpacked", workbook::MOST_UNPACKED >> 20)]
    TooLarge,
    /// Its first row does not name the columns.
    #[error("{0}")]
    Header(String),
}

/// A cell: nothing, a text, a number or a boolean; or why it has none.
type Cell = Result<Value, String>;

/// Is told of each row that is not empty: its number and its cells. It may stop the reading.
type Rows<'a> = &'a mut dyn FnMut(u32, Vec<Cell>) -> ControlFlow<()>;

/// The most columns of a file.
const MOST_COLUMNS: usize = 100;

#[cfg(test)]
mod tests;

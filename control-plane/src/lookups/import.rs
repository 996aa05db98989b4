//! A file as the rows of a table.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;

use filters::lookup::text_of;
use serde_json::{Map, Value};

use super::{Cell, FileFault, Format, MOST_COLUMNS, RowProblem, delimited, workbook};

/// How a file is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Name of the column with the keys; the first if `None`.
    pub(crate) key_column: Option<String>,
    /// Name of the only column that counts beside it; all if `None`.
    pub(crate) value_column: Option<String>,
    /// True where texts of a CSV file that are written as numbers, `true` or `false` are read as such.
    pub(crate) typed: bool,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    /// Names of the columns.
    pub(crate) columns: Vec<String>,
    /// The rows that are right, in the order of the file.
    pub(crate) rows: Vec<(Box<str>, Value)>,
    /// What is wrong with others; the first [`MOST_PROBLEMS`].
    pub(crate) problems: Vec<RowProblem>,
    /// How many problems there are.
    pub(crate) problem_count: usize,
}

/// Reads a file.
///
/// # Errors
/// If it cannot be read as a table at all.
pub(crate) fn read(format: Format, bytes: &[u8], wanted: &Wanted) -> Result<Imported, FileFault> {
    let mut reader = Reader {
        wanted,
        typed: wanted.typed && format == Format::Csv,
        layout: None,
        known: HashMap::new(),
        imported: Imported::default(),
        fault: None,
    };
    let mut take = |row, cells| reader.row(row, cells);
    match format {
        Format::Csv => delimited::read(bytes, &mut take)?,
        Format::Xlsx => workbook::read(bytes, &mut take)?,
    }
    match (reader.fault, reader.layout) {
        (Some(fault), _) => Err(fault),
        (None, None) => Err(FileFault::Header(
            "is empty; its first row must name the columns".to_owned(),
        )),
        (None, Some(_)) => Ok(reader.imported),
    }
}

/// Which column is what.
#[derive(Clone, Copy, Debug)]
struct Layout {
    key: usize,
    /// The column that has the values; each value has all columns if `None`.
    value: Option<usize>,
}

struct Reader<'a> {
    wanted: &'a Wanted,
    typed: bool,
    layout: Option<Layout>,
    /// The row of each key.
    known: HashMap<Box<str>, u32>,
    imported: Imported,
    fault: Option<FileFault>,
}

impl Reader<'_> {
    fn row(&mut self, row: u32, cells: Vec<Cell>) -> ControlFlow<()> {
        let Some(layout) = self.layout else {
            return match header(&cells, self.wanted) {
                Ok((columns, layout)) => {
                    (self.imported.columns, self.layout) = (columns, Some(layout));
                    ControlFlow::Continue(())
                }
                Err(message) => {
                    self.fault = Some(FileFault::Header(message));
                    ControlFlow::Break(())
                }
            };
        };
        if self.imported.rows.len() >= MOST_ROWS {
            self.problem(
                row,
                None,
                format!("is more than the {MOST_ROWS} rows that a table may have"),
            );
            return ControlFlow::Break(());
        }
        let width = self.imported.columns.len();
        if let Some(extra) = cells.iter().skip(width).position(|cell| *cell != Ok(Value::Null)) {
            let message = format!(
                "has a cell in column {}, and row 1 names {width} columns",
                width + extra + 1
            );
            self.problem(row, None, message);
        } else if let Some((key, value)) = self.entry(row, layout, cells) {
            self.imported.rows.push((key, value));
        }
        ControlFlow::Continue(())
    }

    /// Key and value of a row, unless something is wrong with it.
    fn entry(&mut self, row: u32, layout: Layout, cells: Vec<Cell>) -> Option<(Box<str>, Value)> {
        let mut values = Vec::with_capacity(cells.len());
        let mut is_right = true;
        for (at, cell) in cells.into_iter().enumerate().take(self.imported.columns.len()) {
            let cell = cell.and_then(|value| match &value {
                Value::String(text) if text.len() > LONGEST_CELL => Err(format!("is longer than {LONGEST_CELL} bytes")),
                _ => Ok(value),
            });
            values.push(cell.unwrap_or_else(|message| {
                is_right = false;
                let column = self.imported.columns[at].clone();
                self.problem(row, Some(column), message);
                Value::Null
            }));
        }
        if !is_right {
            return None;
        }
        let key: Box<str> = values.get(layout.key).and_then(text_of).unwrap_or_default().into();
        let column = || Some(self.imported.columns[layout.key].clone());
        if key.is_empty() {
            let column = column();
            self.problem(row, column, "has no key".to_owned());
            return None;
        }
        if key.len() > LONGEST_KEY {
            let column = column();
            self.problem(row, column, format!("the key is longer than {LONGEST_KEY} bytes"));
            return None;
        }
        let before = match self.known.entry(key.clone()) {
            Entry::Vacant(free) => {
                free.insert(row);
                None
            }
            Entry::Occupied(taken) => Some(*taken.get()),
        };
        if let Some(before) = before {
            let column = column();
            self.problem(row, column, format!("the key {key:?} is in row {before} already"));
            return None;
        }
        let value = match layout.value {
            Some(at) => match values.get_mut(at).map(Value::take).unwrap_or_default() {
                Value::Null => Value::from(""),
                value => self.read_as(value),
            },
            None => Value::Object(self.fields(layout, values)),
        };
        Some((key, value))
    }

    fn fields(&self, layout: Layout, values: Vec<Value>) -> Map<String, Value> {
        let cells = self.imported.columns.iter().zip(values).enumerate();
        let others = cells.filter(|(at, (_, value))| *at != layout.key && !value.is_null());
        others
            .map(|(_, (name, value))| (name.clone(), self.read_as(value)))
            .collect()
    }

    /// A text of a CSV file as what it is written as. A number with zeros before it is a code and stays a text.
    fn read_as(&self, value: Value) -> Value {
        let Value::String(text) = &value else { return value };
        if !self.typed {
            return value;
        }
        match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            text => match serde_json::from_str::<Value>(text) {
                Ok(number @ Value::Number(_)) if is_written_so(&number, text) => number,
                _ => value,
            },
        }
    }

    fn problem(&mut self, row: u32, column: Option<String>, message: String) {
        self.imported.problem_count += 1;
        if self.imported.problems.len() < MOST_PROBLEMS {
            self.imported.problems.push(RowProblem { row, column, message });
        }
    }
}

/// True if the number is written as `text`, digit by digit.
fn is_written_so(number: &Value, text: &str) -> bool {
    text_of(number).is_some_and(|written| written == text)
}

/// The columns that the first row names.
fn header(cells: &[Cell], wanted: &Wanted) -> Result<(Vec<String>, Layout), String> {
    // Of a row that is wider, one cell more is there.
    if cells.get(MOST_COLUMNS).is_some_and(|beyond| *beyond != Ok(Value::Null)) {
        return Err(format!(
            "names more than {MOST_COLUMNS} columns, the most that are read"
        ));
    }
    let mut columns: Vec<String> = Vec::with_capacity(cells.len());
    for cell in cells {
        let name = cell.as_ref().map_err(|message| format!("row 1: {message}"))?;
        columns.push(text_of(name).unwrap_or_default().trim().to_owned());
    }
    while columns.last().is_some_and(String::is_empty) {
        columns.pop();
    }
    for (at, name) in columns.iter().enumerate() {
        if name.is_empty() {
            return Err(format!("column {} has no name in row 1", at + 1));
        }
        if columns[..at].contains(name) {
            return Err(format!("row 1 names {name:?} twice"));
        }
    }
    let place = |name: &String| {
        let found = columns.iter().position(|column| column == name);
        found.ok_or_else(|| format!("row 1 does not name the column {name:?}"))
    };
    let key = wanted.key_column.as_ref().map_or(Ok(0), place)?;
    let value = wanted.value_column.as_ref().map(place).transpose()?;
    if columns.len() < 2 {
        return Err("has one column; a table needs a key and at least one more".to_owned());
    }
    if value == Some(key) {
        return Err(format!("{:?} cannot be both key and value", columns[key]));
    }
    let only = (columns.len() == 2).then_some(1 - key);
    Ok((
        columns,
        Layout {
            key,
            value: value.or(only),
        },
    ))
}

/// As many as the compiler lets a table have.
const MOST_ROWS: usize = 500_000;
/// Of one file; who has more looks at the first of them.
pub(crate) const MOST_PROBLEMS: usize = 100;
const LONGEST_KEY: usize = 512;
/// As long as a cell of a spreadsheet can be.
const LONGEST_CELL: usize = 32_767;

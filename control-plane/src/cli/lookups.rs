//! `gwctl lookup`: lookup tables from files and to files.

use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::client::Client;
use super::failure::{Failure, Outcome};
use super::identifier;
use super::output::Output;
use super::table::{Table, counted, printable};
use crate::lookups::Format;

/// What is done with a lookup table.
#[derive(Debug, Subcommand)]
pub(super) enum Lookup {
    /// Makes a table of a CSV or XLSX file, or changes the one of that name; the first row names the columns
    Import(Import),
    /// Writes a table as a CSV or XLSX file
    Export(Export),
}

/// A file to import.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// File, or - for CSV on standard input; *.xlsx is read as a workbook, everything else as CSV
    #[arg(short, long, value_name = "FILE|-")]
    file: PathBuf,
    /// Organization that the table belongs to
    #[arg(long, value_name = "ORG_ID")]
    org: u64,
    /// Name of the table
    #[arg(long)]
    name: String,
    /// Keeps rows that the file does not have; they are removed if left out
    #[arg(long)]
    merge: bool,
    /// Column with the keys; the first if left out
    #[arg(long, value_name = "COLUMN")]
    key_column: Option<String>,
    /// Column with the values; if left out the other of two, or an object of all others
    #[arg(long, value_name = "COLUMN")]
    value_column: Option<String>,
    /// Reads what is written as a number, true or false in CSV as such
    #[arg(long)]
    typed: bool,
    /// Changes nothing and shows what would change, and every problem by row; exits with 1 if there are any
    #[arg(long)]
    dry_run: bool,
}

/// A table to export.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// Identifier of the table
    #[arg(value_parser = identifier)]
    id: String,
    /// Organization that it belongs to
    #[arg(long, value_name = "ORG_ID")]
    org: u64,
    /// File to write, which must not be there; standard output if left out
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Form of the file; by its ending if left out, and CSV if it has none
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
}

/// Form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    /// Texts between commas
    Csv,
    /// A workbook
    Xlsx,
}

/// What an import did, or would do.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    id: String,
    name: String,
    dry_run: bool,
    valid: bool,
    rows: usize,
    added: usize,
    changed: usize,
    removed: usize,
    unchanged: usize,
    problem_count: usize,
    problems: Vec<RowProblem>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What is wrong with a row.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RowProblem {
    row: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    message: String,
}

impl Lookup {
    pub(super) fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        match self {
            Self::Import(import) => import.run(client, output),
            Self::Export(export) => export.run(client, output),
        }
    }
}

impl Import {
    fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let format = form_of(&self.file);
        let mut query = vec![("orgId", self.org.to_string()), ("name", self.name.clone())];
        if self.merge {
            query.push(("mode", "merge".to_owned()));
        }
        for (name, column) in [("keyColumn", &self.key_column), ("valueColumn", &self.value_column)] {
            query.extend(column.clone().map(|column| (name, column)));
        }
        for (name, is_set) in [("typed", self.typed), ("dryRun", self.dry_run)] {
            query.push((name, is_set.to_string()));
        }
        let bytes = self.read()?;
        let report: Report = client.upload(&["lookups", "import"], &query, format.media_type(), bytes, self.dry_run)?;
        output.show(&report, write)?;
        for problem in &report.problems {
            let place = match (&problem.row, &problem.column) {
                (0, _) => String::new(),
                (row, None) => format!("row {row}: "),
                (row, Some(column)) => format!("row {row}, {column}: "),
            };
            output.say(printable(&format!("problem: {place}{}", problem.message)))?;
        }
        let more = report.problem_count.saturating_sub(report.problems.len());
        if more > 0 {
            output.say(format_args!("and {}", counted(more, "more problem")))?;
        }
        if report.dry_run {
            output.say("nothing was changed")?;
        }
        Ok(if report.valid {
            Outcome::Done
        } else {
            Outcome::Different
        })
    }

    fn read(&self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let read = if self.file.as_os_str() == "-" {
            io::stdin().lock().read_to_end(&mut bytes).map(drop)
        } else {
            std::fs::read(&self.file).map(|read| bytes = read)
        };
        match read {
            Ok(()) => Ok(bytes),
            Err(error) => Err(Failure::Usage(format!(
                "--file {} cannot be read: {error}",
                self.file.display()
            ))),
        }
    }
}

impl Export {
    fn run(&self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let format = match (self.format, &self.file) {
            (Some(FileFormat::Csv), _) => Format::Csv,
            (Some(FileFormat::Xlsx), _) => Format::Xlsx,
            (None, Some(file)) => form_of(file),
            (None, None) => Format::Csv,
        };
        let query = [("orgId", self.org.to_string()), ("format", format.ending().to_owned())];
        let bytes = client.download(&["lookups", &self.id, "export"], &query)?;
        let Some(file) = &self.file else {
            output.data.write_all(&bytes)?;
            return Ok(Outcome::Done);
        };
        let written = std::fs::File::create_new(file).and_then(|mut made| {
            made.write_all(&bytes)?;
            made.sync_all()
        });
        written.map_err(|error| Failure::Usage(format!("--file {} cannot be written: {error}", file.display())))?;
        Ok(Outcome::Done)
    }
}

fn form_of(file: &Path) -> Format {
    let is_workbook = file
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("xlsx"));
    if is_workbook { Format::Xlsx } else { Format::Csv }
}

fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&[
        "ID",
        "NAME",
        "ROWS",
        "ADDED",
        "CHANGED",
        "REMOVED",
        "UNCHANGED",
        "PROBLEMS",
    ]);
    table.row([
        report.id.clone(),
        report.name.clone(),
        report.rows.to_string(),
        report.added.to_string(),
        report.changed.to_string(),
        report.removed.to_string(),
        report.unchanged.to_string(),
        report.problem_count.to_string(),
    ]);
    table.write(out)
}

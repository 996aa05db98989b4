//! The three forms of output.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::failure::Failure;

/// Form of the output on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For people who edit and apply it again.
    Yaml,
}

/// Where a command writes: data to `data`, in the asked form, and everything else to `messages`.
pub(super) struct Output<'a> {
    pub(super) format: Format,
    /// True where the data goes to a terminal that may be coloured.
    pub(super) colour: bool,
    pub(super) data: &'a mut dyn Write,
    pub(super) messages: &'a mut dyn Write,
}

impl Output<'_> {
    /// Writes `value` as JSON or YAML, or has `table` write it for people.
    pub(super) fn show<T: Serialize>(
        &mut self,
        value: &T,
        table: impl FnOnce(&T, &mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Table => table(value, self.data)?,
            Format::Json => {
                serde_json::to_writer_pretty(&mut *self.data, value).map_err(io::Error::from)?;
                writeln!(self.data)?;
            }
            Format::Yaml => {
                let text = serde_saphyr::to_string(value).map_err(io::Error::other)?;
                write!(self.data, "{text}")?;
            }
        }
        Ok(())
    }

    /// Writes a line that is not data.
    pub(super) fn say(&mut self, line: impl std::fmt::Display) -> Result<(), Failure> {
        writeln!(self.messages, "{line}").map_err(Failure::Output)
    }
}

//! Plain tables: columns as wide as their widest cell, two spaces between them, nothing a script could trip over.

use std::io::{self, Write};

/// A table with a header.
pub(super) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(header: &[&'static str]) -> Self {
        Self {
            header: header.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells stay empty, and an empty cell is shown as `-`.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = cells.into_iter().map(|cell| printable(&cell)).collect();
        row.resize(self.header.len(), String::new());
        self.rows.push(row);
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let header: Vec<String> = self.header.iter().map(|&title| title.to_owned()).collect();
        let widths: Vec<usize> = (0..header.len())
            .map(|column| {
                std::iter::once(&header)
                    .chain(&self.rows)
                    .map(|row| shown(&row[column]).chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for row in std::iter::once(&header).chain(&self.rows) {
            write_row(out, row, &widths)?;
        }
        Ok(())
    }
}

/// `count` and the noun, in the plural where it should be.
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

/// The text without control characters: a name from the server must not be able to steer a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn write_row(out: &mut dyn Write, row: &[String], widths: &[usize]) -> io::Result<()> {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        let cell = shown(cell);
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
    }
    writeln!(out, "{}", line.trim_end())
}

fn shown(cell: &str) -> &str {
    if cell.is_empty() { "-" } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(table: &Table) -> String {
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_line_up_and_lines_end_without_spaces() {
        let mut table = Table::new(&["ID", "NAME", "HOSTS"]);
        table.row(["1".to_owned(), "Zürich".to_owned(), "a.example".to_owned()]);
        table.row(["22".to_owned(), String::new()]);
        assert_eq!(
            text(&table),
            "ID  NAME    HOSTS\n1   Zürich  a.example\n22  -       -\n"
        );
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let mut table = Table::new(&["NAME"]);
        table.row(["red \u{1b}[31m\nnext".to_owned()]);
        assert_eq!(text(&table), "NAME\nred \u{fffd}[31m\u{fffd}next\n");
    }

    #[test]
    fn numbers_and_nouns_agree() {
        assert_eq!(counted(1, "gateway"), "1 gateway");
        assert_eq!(counted(0, "gateway"), "0 gateways");
    }
}

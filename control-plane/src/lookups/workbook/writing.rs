//! Writes a workbook of one sheet.

use std::fmt::Write as _;
use std::io::{self, Cursor, Write as _};

use serde_json::Value;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::super::Columns;

/// The workbook of a table.
///
/// # Errors
/// If it cannot be packed.
pub(crate) fn write(columns: &Columns, rows: &[(Box<str>, Value)]) -> io::Result<Vec<u8>> {
    let mut package = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, text) in PARTS {
        package.start_file(name, options)?;
        package.write_all(text.as_bytes())?;
    }
    package.start_file("xl/worksheets/sheet1.xml", options)?;
    package.write_all(SHEET_BEGINS.as_bytes())?;
    let mut text = String::new();
    let names: Vec<Value> = columns.names().map(Value::from).collect();
    row(&mut text, 1, names.into_iter());
    for (number, (key, value)) in (2..).zip(rows) {
        row(&mut text, number, columns.cells(key, value));
        if text.len() > PIECE {
            package.write_all(text.as_bytes())?;
            text.clear();
        }
    }
    package.write_all(text.as_bytes())?;
    package.write_all(SHEET_ENDS.as_bytes())?;
    Ok(package.finish()?.into_inner())
}

fn row(text: &mut String, number: u32, cells: impl Iterator<Item = Value>) {
    // Writing to a text does not fail.
    let _ = write!(text, "<row r=\"{number}\">");
    for (column, cell) in cells.enumerate() {
        let place = place(column, number);
        let _ = match cell {
            Value::Null => Ok(()),
            Value::Bool(truth) => write!(text, "<c r=\"{place}\" t=\"b\"><v>{}</v></c>", u8::from(truth)),
            Value::Number(number) if is_exact(&number) => write!(text, "<c r=\"{place}\"><v>{number}</v></c>"),
            Value::Number(number) => inline(text, &place, &number.to_string()),
            Value::String(cell) => inline(text, &place, &cell),
            other => inline(text, &place, &other.to_string()),
        };
    }
    text.push_str("</row>");
}

fn inline(text: &mut String, place: &str, cell: &str) -> std::fmt::Result {
    write!(text, "<c r=\"{place}\" t=\"inlineStr\"><is><t xml:space=\"preserve\">")?;
    escape(text, cell);
    text.write_str("</t></is></c>")
}

/// What XML cannot hold is written as `_x000D_`, as spreadsheets do; and so is an underscore that would read as the begin
/// of that.
fn escape(text: &mut String, cell: &str) {
    for (at, character) in cell.char_indices() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '_' if cell[at + 1..].starts_with('x') => text.push_str("_x005F_"),
            '\t' | '\n' => text.push(character),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(text, "_x{:04X}_", u32::from(character));
            }
            character => text.push(character),
        }
    }
}

/// Spreadsheets count with 15 digits; longer numbers are kept as texts.
fn is_exact(number: &serde_json::Number) -> bool {
    number.to_string().bytes().filter(u8::is_ascii_digit).count() <= MOST_DIGITS
}

/// A place as `AB12`.
fn place(column: usize, row: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rest % 26]);
        rest /= 26;
    }
    let letters = letters.iter().rev().map(|letter| char::from(*letter));
    letters.chain(row.to_string().chars()).collect()
}

const PARTS: [(&str, &str); 4] = [
    (
        "[Content_Types].xml",
        concat!(
            r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
            r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">"#,
            r#"<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>"#,
            r#"<Override PartName="/xl/workbook.xml" "#,
            r#"ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>"#,
            r#"<Override PartName="/xl/worksheets/sheet1.xml" "#,
            r#"ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>"#
        ),
    ),
    (
        "_rels/.rels",
        concat!(
            r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
            r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">"#,
            r#"<Relationship Id="rId1" "#,
            r#"Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" "#,
            r#"Target="xl/workbook.xml"/></Relationships>"#
        ),
    ),
    (
        "xl/workbook.xml",
        concat!(
            r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
            r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" "#,
            r#"xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">"#,
            r#"<sheets><sheet name="Table" sheetId="1" r:id="rId1"/></sheets></workbook>"#
        ),
    ),
    (
        "xl/_rels/workbook.xml.rels",
        concat!(
            r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
            r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">"#,
            r#"<Relationship Id="rId1" "#,
            r#"Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" "#,
            r#"Target="worksheets/sheet1.xml"/></Relationships>"#
        ),
    ),
];
const SHEET_BEGINS: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
    r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>"#
);
const SHEET_ENDS: &str = "</sheetData></worksheet>";
/// Bytes that are packed at once.
const PIECE: usize = 64 * 1024;
const MOST_DIGITS: usize = 15;

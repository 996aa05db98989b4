//! Reads the first sheet of a workbook.

use std::io::{Cursor, Read as _};
use std::ops::ControlFlow;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use serde_json::{Number, Value};
use zip::ZipArchive;
use zip::result::ZipError;

use super::super::{Cell, FileFault, MOST_COLUMNS, Rows};
use super::MOST_UNPACKED;

/// Reads the first sheet of `bytes` row by row.
pub(in super::super) fn read(bytes: &[u8], rows: Rows<'_>) -> Result<(), FileFault> {
    let mut package = Package::open(bytes)?;
    let sheet = package.first_sheet()?;
    let strings = package.part("xl/sharedStrings.xml")?;
    let strings = strings.as_deref().map(shared_strings).transpose()?;
    let text = package.part(&sheet)?;
    let text = text.ok_or_else(|| unreadable(format!("the part {sheet} is missing")))?;
    read_sheet(&text, &strings.unwrap_or_default(), rows)
}

/// The parts of a workbook.
struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// Bytes that may still be unpacked.
    left: u64,
}

impl<'a> Package<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, FileFault> {
        if count_of_parts(bytes).is_none_or(|count| count > MOST_PARTS) {
            return Err(unreadable("it is no workbook (XLSX)"));
        }
        let archive = ZipArchive::new(Cursor::new(bytes));
        let archive = archive.map_err(|error| unreadable(format!("it is no workbook (XLSX): {error}")))?;
        Ok(Self {
            archive,
            left: MOST_UNPACKED,
        })
    }

    /// The text of a part, if it is there.
    fn part(&mut self, name: &str) -> Result<Option<String>, FileFault> {
        let file = match self.archive.by_name(name) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(unreadable(format!("{name}: {error}"))),
        };
        // What a part says of its size need not be true.
        let mut bytes = Vec::new();
        let read = file.take(self.left + 1).read_to_end(&mut bytes);
        read.map_err(|error| unreadable(format!("{name}: {error}")))?;
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(FileFault::TooLarge)?;
        let text = String::from_utf8(bytes).map_err(|_| unreadable(format!("{name} is not UTF-8")))?;
        Ok(Some(text))
    }

    /// The name of the part with the first sheet.
    fn first_sheet(&mut self) -> Result<String, FileFault> {
        let workbook = self.part("xl/workbook.xml")?;
        let workbook = workbook.ok_or_else(|| unreadable("it is no workbook (XLSX): xl/workbook.xml is missing"))?;
        let mut relation = None;
        each_start(&workbook, |start| {
            if relation.is_none() && local(start) == "sheet" {
                relation = attribute(start, "id");
            }
        })?;
        let relation = relation.ok_or_else(|| unreadable("it has no sheet"))?;
        let relations = self.part("xl/_rels/workbook.xml.rels")?.unwrap_or_default();
        let mut target = None;
        each_start(&relations, |start| {
            if local(start) == "Relationship" && attribute(start, "Id").as_ref() == Some(&relation) {
                target = attribute(start, "Target");
            }
        })?;
        let target = target.ok_or_else(|| unreadable("its first sheet is missing"))?;
        Ok(match target.strip_prefix('/') {
            Some(whole) => whole.to_owned(),
            None => format!("xl/{target}"),
        })
    }
}

/// How many parts the archive says that it has; `None` if it is no archive. Asked before its list is read, which takes
/// memory for each of them.
fn count_of_parts(bytes: &[u8]) -> Option<u16> {
    let tail = bytes.len().saturating_sub(LONGEST_END);
    let at = tail + bytes[tail..].windows(4).rposition(|window| window == END_OF_ARCHIVE)?;
    let count = bytes.get(at + 10..at + 12)?;
    Some(u16::from_le_bytes([count[0], count[1]]))
}

/// The texts that cells refer to by number.
fn shared_strings(text: &str) -> Result<Vec<String>, FileFault> {
    let mut reader = Reader::from_str(text);
    let (mut strings, mut current, mut in_text, mut in_reading) = (Vec::new(), None, false, false);
    loop {
        if strings.len() > MOST_STRINGS {
            return Err(FileFault::TooLarge);
        }
        match reader.read_event().map_err(|error| unreadable(error.to_string()))? {
            Event::Start(start) => match local(&start) {
                "si" => current = Some(String::new()),
                "t" => in_text = true,
                // How a text is pronounced is no part of it.
                "rPh" => in_reading = true,
                _ => {}
            },
            Event::Empty(start) if local(&start) == "si" => strings.push(String::new()),
            Event::End(end) => match local_name(end.name().0) {
                "si" => strings.extend(current.take().map(|text| unescaped(&text))),
                "t" => in_text = false,
                "rPh" => in_reading = false,
                _ => {}
            },
            Event::Eof => return Ok(strings),
            event => {
                if let Some(current) = current.as_mut().filter(|_| in_text && !in_reading) {
                    push_text(current, &event)?;
                }
            }
        }
    }
}

/// A cell that is being read.
#[derive(Default)]
struct Open {
    kind: String,
    text: String,
}

/// A row that is being read.
struct Line {
    number: u32,
    cells: Vec<Cell>,
    /// The column of the next cell that does not say where it is.
    next: usize,
}

fn read_sheet(text: &str, strings: &[String], rows: Rows<'_>) -> Result<(), FileFault> {
    let mut reader = Reader::from_str(text);
    let mut line = Line {
        number: 0,
        cells: Vec::new(),
        next: 0,
    };
    let (mut cell, mut in_value): (Option<Open>, bool) = (None, false);
    loop {
        match reader.read_event().map_err(|error| unreadable(error.to_string()))? {
            Event::Start(start) => match local(&start) {
                "row" => line.begin(&start),
                "c" => {
                    line.place(&start)?;
                    cell = Some(Open {
                        kind: attribute(&start, "t").unwrap_or_default(),
                        text: String::new(),
                    });
                }
                "v" | "t" => in_value = cell.is_some(),
                _ => {}
            },
            Event::Empty(start) => match local(&start) {
                "row" => line.begin(&start),
                "c" => {
                    line.place(&start)?;
                    line.next += 1;
                }
                _ => {}
            },
            Event::End(end) => match local_name(end.name().0) {
                "v" | "t" => in_value = false,
                "c" => line.end_cell(cell.take(), strings),
                "row" => {
                    let cells = std::mem::take(&mut line.cells);
                    let is_empty = cells.iter().all(|cell| *cell == Ok(Value::Null));
                    if !is_empty && rows(line.number, cells) == ControlFlow::Break(()) {
                        return Ok(());
                    }
                }
                "sheetData" => return Ok(()),
                _ => {}
            },
            Event::Eof => return Ok(()),
            event => {
                if let Some(cell) = cell.as_mut().filter(|_| in_value) {
                    push_text(&mut cell.text, &event)?;
                }
            }
        }
    }
}

impl Line {
    fn begin(&mut self, start: &BytesStart<'_>) {
        let given = attribute(start, "r").and_then(|number| number.parse().ok());
        self.number = given.unwrap_or_else(|| self.number.saturating_add(1));
        self.cells.clear();
        self.next = 0;
    }

    /// Goes to the column of a cell.
    fn place(&mut self, start: &BytesStart<'_>) -> Result<(), FileFault> {
        if let Some(column) = attribute(start, "r").as_deref().and_then(column_of) {
            self.next = column;
        }
        if self.next >= MOST_COLUMNS {
            let message = format!(
                "row {} has a cell beyond column {MOST_COLUMNS}, the last that is read",
                self.number
            );
            return Err(unreadable(message));
        }
        Ok(())
    }

    fn end_cell(&mut self, cell: Option<Open>, strings: &[String]) {
        let Some(cell) = cell else { return };
        if self.cells.len() <= self.next {
            self.cells.resize(self.next + 1, Ok(Value::Null));
        }
        self.cells[self.next] = value_of(cell, strings);
        self.next += 1;
    }
}

fn value_of(cell: Open, strings: &[String]) -> Cell {
    let Open { kind, text } = cell;
    match kind.as_str() {
        "s" => {
            let number = text.trim().parse().ok();
            let found = number.and_then(|number: usize| strings.get(number));
            found.map(|text| Value::from(text.as_str())).map_or_else(
                || Err("refers to a text that the workbook does not have".to_owned()),
                |text| Ok(if text == "" { Value::Null } else { text }),
            )
        }
        "str" | "inlineStr" | "d" => Ok(match unescaped(&text) {
            text if text.is_empty() => Value::Null,
            text => Value::from(text),
        }),
        "b" => Ok(Value::Bool(text.trim() == "1")),
        "e" => Err(format!("is the error {text} of a formula")),
        _ if text.is_empty() => Ok(Value::Null),
        _ => number_of(text.trim()).map_or_else(|| Err(format!("{text:?} is no number")), Ok),
    }
}

/// A whole number where it is one, as people write it: spreadsheets store `7` as `7.0` too.
fn number_of(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    let number: f64 = text.parse().ok()?;
    let whole = number.fract() == 0.0 && number.abs() < LARGEST_WHOLE;
    if whole {
        return format!("{number:.0}").parse::<i64>().ok().map(Value::from);
    }
    Number::from_f64(number).map(Value::Number)
}

/// The column of a place as `AB12`, from 0.
fn column_of(place: &str) -> Option<usize> {
    let letters = place.bytes().take_while(u8::is_ascii_alphabetic);
    let mut column: usize = 0;
    for letter in letters {
        column = column
            .checked_mul(26)?
            .checked_add(usize::from(letter.to_ascii_uppercase() - b'A') + 1)?;
    }
    column.checked_sub(1)
}

fn push_text(text: &mut String, event: &Event<'_>) -> Result<(), FileFault> {
    match event {
        Event::Text(part) => text.push_str(&part.xml10_content()),
        Event::CData(part) => text.push_str(&part.xml10_content()),
        Event::GeneralRef(reference) => {
            let character = reference
                .resolve_char_ref()
                .map_err(|error| unreadable(error.to_string()))?;
            let name = reference.xml10_content();
            let character = character.or(match &*name {
                "lt" => Some('<'),
                "gt" => Some('>'),
                "amp" => Some('&'),
                "apos" => Some('\''),
                "quot" => Some('"'),
                _ => None,
            });
            text.push(character.ok_or_else(|| unreadable("it has an entity that is not known"))?);
        }
        _ => {}
    }
    Ok(())
}

/// A text in which `_x000D_` stands for the character 13, as workbooks write what XML cannot.
fn unescaped(text: &str) -> String {
    let mut rest = text;
    let mut plain = String::with_capacity(text.len());
    while let Some(at) = rest.find("_x") {
        let code = rest
            .get(at + 2..at + 6)
            .filter(|_| rest.get(at + 6..at + 7) == Some("_"));
        let character = code
            .and_then(|code| u32::from_str_radix(code, 16).ok())
            .and_then(char::from_u32);
        match character {
            Some(character) => {
                plain.push_str(&rest[..at]);
                plain.push(character);
                rest = &rest[at + 7..];
            }
            None => {
                plain.push_str(&rest[..at + 2]);
                rest = &rest[at + 2..];
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// Calls `visit` with each element that begins.
fn each_start(text: &str, mut visit: impl FnMut(&BytesStart<'_>)) -> Result<(), FileFault> {
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event().map_err(|error| unreadable(error.to_string()))? {
            Event::Start(start) | Event::Empty(start) => visit(&start),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// The attribute of this name, whatever its prefix.
fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = start.attributes();
    let mut found = attributes.with_checks(false).flatten();
    let found = found.find(|attribute| local_name(attribute.key.0) == name)?;
    let value = found.normalized_value(XmlVersion::Implicit1_0).ok()?;
    Some(value.into_owned())
}

fn local<'a>(start: &'a BytesStart<'_>) -> &'a str {
    local_name(start.name().0)
}

fn local_name(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn unreadable(reason: impl Into<String>) -> FileFault {
    FileFault::Unreadable(reason.into().chars().take(LONGEST_REASON).collect())
}

const END_OF_ARCHIVE: [u8; 4] = *b"PK\x05\x06";
/// The end of an archive with the longest comment.
const LONGEST_END: usize = 22 + 65_535;
/// Texts that cells refer to; each takes memory, however short it is.
const MOST_STRINGS: usize = 4_000_000;
/// Workbooks have some dozen.
const MOST_PARTS: u16 = 10_000;
/// Whole numbers below are exact.
const LARGEST_WHOLE: f64 = 9_007_199_254_740_992.0;
/// Of what a message quotes.
const LONGEST_REASON: usize = 200;

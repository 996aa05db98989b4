//! XML to JSON. Nothing is fetched and nothing expanded: a document type is refused, and so is an entity of one.

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use serde_json::{Map, Value};

use super::super::FormatFault;
use super::{MAX_DEPTH, TEXT, XML};

/// Reads a document: an object with one field, the outermost element. Names lose their prefixes unless these are kept.
pub(in super::super) fn read(body: &[u8], keep_prefixes: bool) -> Result<Value, FormatFault> {
    let text = std::str::from_utf8(body).map_err(|_| unreadable("it is not UTF-8, the only encoding that is read"))?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut document = Document {
        keep_prefixes,
        open: Vec::new(),
        root: None,
    };
    loop {
        let event = reader.read_event().map_err(|error| at(&reader, &error.to_string()))?;
        if matches!(event, Event::Eof) {
            break;
        }
        document.take(event).map_err(|reason| at(&reader, &reason))?;
    }
    match (document.root, document.open.is_empty()) {
        (Some(root), true) => Ok(root),
        (None, true) => Err(unreadable("it has no element")),
        (_, false) => Err(unreadable("it ends before its elements are closed")),
    }
}

/// What was read so far.
struct Document {
    keep_prefixes: bool,
    open: Vec<Element>,
    root: Option<Value>,
}

/// An element that is not closed yet.
struct Element {
    name: String,
    fields: Map<String, Value>,
    text: String,
    is_nil: bool,
}

impl Document {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Start(start) => self.open(&start),
            Event::Empty(start) => {
                self.open(&start)?;
                self.close()
            }
            Event::End(_) => self.close(),
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => self.text(resolved(&reference)?.encode_utf8(&mut [0; 4])),
            Event::Decl(declaration) => match declaration.encoding() {
                None => Ok(()),
                Some(Ok(encoding)) if is_utf8(&encoding) => Ok(()),
                Some(_) => Err("its encoding is not UTF-8, the only one that is read".to_owned()),
            },
            Event::DocType(_) => Err("a document type is not allowed".to_owned()),
            Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("elements are nested more than {MAX_DEPTH} levels deep"));
        }
        if self.open.is_empty() && self.root.is_some() {
            return Err("there is more than one outermost element".to_owned());
        }
        let mut element = Element {
            name: self.name(start.name().0).to_owned(),
            fields: Map::new(),
            text: String::new(),
            is_nil: false,
        };
        // Their own check for repeated names takes a time that grows with the square of their number.
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let key = attribute.key.0;
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|error| error.to_string())?;
            let is_namespace = key == "xmlns" || key.starts_with("xmlns:");
            if !self.keep_prefixes && is_namespace {
                continue;
            }
            if key.ends_with(":nil") && matches!(&*value, "true" | "1") {
                element.is_nil = true;
                continue;
            }
            let field = format!("@{}", self.name(key));
            if element
                .fields
                .insert(field, Value::String(value.into_owned()))
                .is_some()
            {
                return Err(format!("the attribute `{key}` is there twice"));
            }
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let Some(element) = self.open.pop() else {
            return Err("an element is closed that was not opened".to_owned());
        };
        let (name, value) = element.finish();
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(Value::Object(Map::from_iter([(name, value)])));
            return Ok(());
        };
        match parent.fields.get_mut(&name) {
            None => drop(parent.fields.insert(name, value)),
            // Elements are never lists themselves, so this one holds those of the same name.
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err("there is text outside of the outermost element".to_owned()),
        }
        Ok(())
    }

    fn name<'n>(&self, name: &'n str) -> &'n str {
        match name.split_once(':') {
            Some((_, local)) if !self.keep_prefixes => local,
            _ => name,
        }
    }
}

impl Element {
    /// Its name and its value: a text where there is nothing else.
    fn finish(mut self) -> (String, Value) {
        let is_blank = self.text.trim().is_empty();
        let value = if self.is_nil {
            Value::Null
        } else if self.fields.is_empty() {
            Value::String(if is_blank { String::new() } else { self.text })
        } else {
            if !is_blank {
                self.fields.insert(TEXT.to_owned(), Value::from(self.text.trim()));
            }
            Value::Object(self.fields)
        };
        (self.name, value)
    }
}

fn resolved(reference: &BytesRef<'_>) -> Result<char, String> {
    if let Some(character) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(character);
    }
    match &*reference.xml10_content() {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        other => Err(format!("the entity `&{};` is not known", shortened(other))),
    }
}

fn is_utf8(encoding: &str) -> bool {
    ["utf-8", "utf8", "us-ascii"]
        .iter()
        .any(|known| encoding.eq_ignore_ascii_case(known))
}

fn at(reader: &Reader<&[u8]>, reason: &str) -> FormatFault {
    unreadable(&format!("{} (at byte {})", shortened(reason), reader.buffer_position()))
}

fn unreadable(reason: &str) -> FormatFault {
    FormatFault::Unreadable {
        format: XML,
        reason: reason.to_owned(),
    }
}

/// Of what a message quotes: it may be of the body.
fn shortened(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

const LONGEST: usize = 120;

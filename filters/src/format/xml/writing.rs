//! JSON to XML.

use quick_xml::escape::escape;
use serde_json::{Map, Value};

use super::super::FormatFault;
use super::{TEXT, XML};
use crate::lookup::text_of;

/// Writes a document: `value` as the element `root`, or the one field of `value` as the outermost element.
pub(in super::super) fn write(value: &Value, root: Option<&str>) -> Result<Vec<u8>, FormatFault> {
    let (name, value) = match (root, value) {
        (Some(root), value) => (root, value),
        (None, Value::Object(fields)) if fields.len() == 1 => match fields.iter().next() {
            Some((name, value)) => (name.as_str(), value),
            None => return Err(unwritable(NO_ROOT)),
        },
        (None, _) => return Err(unwritable(NO_ROOT)),
    };
    if value.is_array() {
        return Err(unwritable(
            "the outermost element would be a list: give it a `root`, and the list a name below it",
        ));
    }
    let mut out = String::with_capacity(1_024);
    out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    element(name, value, &mut out)?;
    Ok(out.into_bytes())
}

/// True for what an element may be called.
pub(in super::super) fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|next| next.is_alphanumeric() || matches!(next, '-' | '_' | '.' | ':'))
}

fn element(name: &str, value: &Value, out: &mut String) -> Result<(), FormatFault> {
    if !is_name(name) {
        return Err(unwritable(&format!("{name:?} cannot be the name of an element")));
    }
    match value {
        Value::Array(items) => {
            for item in items {
                if item.is_array() {
                    return Err(unwritable(&format!(
                        "`{name}` is a list of lists, which elements cannot tell"
                    )));
                }
                element(name, item, out)?;
            }
        }
        Value::Object(fields) => {
            out.push('<');
            out.push_str(name);
            attributes(fields, out)?;
            let before = out.len();
            out.push('>');
            for (field, value) in fields.iter().filter(|(field, _)| !field.starts_with('@')) {
                if field == TEXT {
                    out.push_str(&text(field, value)?);
                } else {
                    element(field, value, out)?;
                }
            }
            close(name, before, out);
        }
        plain => {
            out.push('<');
            out.push_str(name);
            let before = out.len();
            out.push('>');
            out.push_str(&text(name, plain)?);
            close(name, before, out);
        }
    }
    Ok(())
}

fn attributes(fields: &Map<String, Value>, out: &mut String) -> Result<(), FormatFault> {
    for (field, value) in fields {
        let Some(name) = field.strip_prefix('@') else { continue };
        if value.is_null() {
            continue;
        }
        if !is_name(name) {
            return Err(unwritable(&format!("{name:?} cannot be the name of an attribute")));
        }
        let value = text(field, value)?;
        for part in [" ", name, "=\"", &value, "\""] {
            out.push_str(part);
        }
    }
    Ok(())
}

/// Ends an element whose start tag ended at `start`.
fn close(name: &str, start: usize, out: &mut String) {
    if out.len() == start + 1 {
        out.truncate(start);
        out.push_str("/>");
    } else {
        for part in ["</", name, ">"] {
            out.push_str(part);
        }
    }
}

/// A plain value, with what has a meaning in XML escaped; nothing of null.
fn text(field: &str, value: &Value) -> Result<String, FormatFault> {
    if value.is_null() {
        return Ok(String::new());
    }
    let text = text_of(value).ok_or_else(|| unwritable(&format!("`{field}` must be a text, number or boolean")))?;
    let is_refused =
        |c: char| (c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    if text.contains(is_refused) {
        return Err(unwritable(&format!(
            "`{field}` has a control character in it, which XML does not have"
        )));
    }
    Ok(escape(&*text).into_owned())
}

fn unwritable(reason: &str) -> FormatFault {
    FormatFault::Unwritable {
        format: XML,
        reason: reason.to_owned(),
    }
}

const NO_ROOT: &str = "it has no outermost element: make it an object with one field, or set `root`";

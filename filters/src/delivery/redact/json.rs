//! Masks in a text that looks like JSON but is cut off, or is none.

use crate::model::secret::MASK;

/// `text` with the mask in the place of each value that follows a quoted name with a colon, where `hides` says that the
/// name is that of a secret. It needs no well-formed JSON: a value that does not end is masked to the end.
pub(super) fn masked(text: &str, hides: &dyn Fn(&str) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        shown.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = string_end(rest);
        let (quoted, after) = rest.split_at(end);
        shown.push_str(quoted);
        rest = after;
        let Some(colon) = colon_end(rest) else { continue };
        if !names_secret(quoted, hides) {
            continue;
        }
        shown.push_str(&rest[..colon]);
        rest = &rest[colon..];
        let end = value_end(rest);
        if end > 0 && !rest[..end].starts_with("null") {
            shown.push('"');
            shown.push_str(MASK);
            shown.push('"');
            rest = &rest[end..];
        }
    }
    shown.push_str(rest);
    shown
}

fn names_secret(quoted: &str, hides: &dyn Fn(&str) -> bool) -> bool {
    // Escapes may hide a name.
    serde_json::from_str::<String>(quoted).map_or_else(|_| hides(quoted.trim_matches('"')), |name| hides(&name))
}

/// The end of the string that `text` begins with, behind its closing quote.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The place behind a colon and white space, if `text` begins with these.
fn colon_end(text: &str) -> Option<usize> {
    let after = text.trim_start().strip_prefix(':')?.trim_start();
    Some(text.len() - after.len())
}

/// The end of the value that `text` begins with.
fn value_end(text: &str) -> usize {
    let Some(first) = text.bytes().next() else { return 0 };
    match first {
        b'"' => string_end(text),
        b'{' | b'[' => nested_end(text),
        _ => text
            .find(|letter: char| matches!(letter, ',' | '}' | ']') || letter.is_whitespace())
            .unwrap_or(text.len()),
    }
}

/// The end of the object or list that `text` begins with, behind its last bracket.
fn nested_end(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => {
                at += string_end(&text[at..]);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

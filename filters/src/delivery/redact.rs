//! What operators may see of an attempt: no secrets, and no more than a record may hold.

mod json;

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};
use serde_json::Value;
use url::Url;

use crate::model::secret::MASK;

/// Headers for a record, with the mask in the place of each value that signs in or signs: those whose name says so, those
/// that are marked as sensitive, and those named in `also`. Values of a repeated header are joined by commas.
pub fn headers(headers: &HeaderMap, also: &[HeaderName]) -> BTreeMap<String, String> {
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let is_masked = value.is_sensitive() || also.contains(name) || is_secret_header(name.as_str());
        let text = if is_masked {
            MASK.into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        let text = cut(&text, MAX_HEADER);
        let entry = shown.entry(name.as_str().to_owned()).or_default();
        if entry.is_empty() {
            entry.push_str(text);
        } else if entry != MASK && entry.len() < MAX_HEADER {
            entry.push_str(", ");
            entry.push_str(text);
        }
    }
    shown
}

/// A body for a record: JSON if it is whole and fits into `max_bytes`, else as much of the text as fits. Fields whose name
/// says that they hold a secret are masked in both. `None` for an empty body.
pub fn body(bytes: &[u8], is_whole: bool, max_bytes: usize) -> Option<Value> {
    body_hiding(bytes, is_whole, max_bytes, &is_secret_name)
}

/// The same, with `hides` to say which names are those of secrets where the body is cut or no JSON.
pub(crate) fn body_hiding(
    bytes: &[u8],
    is_whole: bool,
    max_bytes: usize,
    hides: &dyn Fn(&str) -> bool,
) -> Option<Value> {
    if bytes.is_empty() || max_bytes == 0 {
        return None;
    }
    if is_whole
        && bytes.len() <= max_bytes
        && let Ok(mut value) = serde_json::from_slice(bytes)
    {
        mask(&mut value);
        return Some(value);
    }
    let head = &bytes[..bytes.len().min(max_bytes.saturating_add(LONGEST_CHAR))];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character that is cut by the end is no fault.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return Some(Value::String(format!("[{} bytes that are not text]", bytes.len()))),
    };
    Some(Value::String(json::masked(cut(text, max_bytes), hides)))
}

/// An address for a record: without query, fragment and credentials.
pub fn url(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    // These fail for addresses without a host only, which have no credentials.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.into()
}

/// Masks the fields whose names say that they hold a secret, at every depth.
pub(crate) fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if is_secret_name(name) && !value.is_null() {
                    *value = Value::String(MASK.to_owned());
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The longest beginning of `text` that has at most `max_bytes` bytes and ends with a whole character.
fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

pub(crate) fn is_secret_header(name: &str) -> bool {
    matches!(name, "cookie" | "set-cookie")
        || is_secret_name(name)
        || name.contains("signature")
        || name.contains("hmac")
}

/// True for names such as `Authorization`, `apiKey`, `client_secret`, `X-Auth-Token`. Names that only mention such a word in
/// another, such as `tokens_used` or `author`, are none.
pub(crate) fn is_secret_name(name: &str) -> bool {
    SECRET_ENDINGS.iter().any(|ending| ends_with(name, ending))
}

/// Compares without case and without what is no letter or digit. This runs for each header of each attempt.
fn ends_with(name: &str, ending: &str) -> bool {
    let mut letters = name.bytes().rev().filter(u8::is_ascii_alphanumeric);
    let mut expected = ending.bytes().rev();
    expected.all(|expected| {
        letters
            .next()
            .is_some_and(|letter| letter.eq_ignore_ascii_case(&expected))
    })
}

const SECRET_ENDINGS: &[&str] = &[
    "authorization",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
    "subscriptionkey",
    "credential",
    "credentials",
    "assertion",
    "sessionid",
];
const MAX_HEADER: usize = 2_048;
const LONGEST_CHAR: usize = 4;

#[cfg(test)]
mod tests;

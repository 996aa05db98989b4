//! Payloads: kept as they came, and parsed at most once.

use std::cell::OnceCell;

use bytes::Bytes;
use memchr::memchr2;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Event;

/// The deepest nesting of a payload. What comes after has room above it: mappings and scripts read 127 levels.
pub const MAX_DEPTH: usize = 64;

/// A payload that is parsed when somebody looks into it, and then kept.
#[derive(Debug)]
pub struct Payload<'e> {
    event: &'e Event,
    parsed: OnceCell<Option<Value>>,
}

impl<'e> Payload<'e> {
    /// The payload of `event`.
    pub fn of(event: &'e Event) -> Self {
        Self::with(event, None)
    }

    /// The payload of `event`, which was parsed already if `parsed` is there.
    pub fn with(event: &'e Event, parsed: Option<Value>) -> Self {
        Self {
            event,
            parsed: parsed.map_or_else(OnceCell::new, |value| OnceCell::from(Some(value))),
        }
    }

    /// The payload as JSON; `None` if it is none. Of a key that is there twice the last value counts.
    pub fn value(&self) -> Option<&Value> {
        let parse = || serde_json::from_slice(&self.event.payload).ok();
        let is_json = is_json(self.event.head.data_content_type.as_deref());
        self.parsed
            .get_or_init(|| if is_json { parse() } else { None })
            .as_ref()
    }
}

/// True if a media type says JSON. None means JSON too.
pub fn is_json(media_type: Option<&str>) -> bool {
    let Some(media_type) = media_type else {
        return true;
    };
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let Some((_, subtype)) = essence.split_once('/') else {
        return false;
    };
    let suffix = subtype.rsplit('+').next().unwrap_or_default();
    suffix.eq_ignore_ascii_case("json")
}

/// What an event says its payload is, before it is kept.
#[derive(Clone, Debug)]
pub(super) enum Content<'b> {
    /// A part of the body.
    Part(&'b [u8]),
    /// Bytes that are not in the body as they are.
    Made(Bytes),
}

impl<'b> Content<'b> {
    /// That of an event without data.
    pub(super) fn none() -> Self {
        Self::Made(Bytes::from_static(b"null"))
    }

    /// A part of the body that is JSON by its syntax, checked.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub(super) fn json(text: &'b str) -> Result<Self, String> {
        check(text)?;
        Ok(Self::Part(text.as_bytes()))
    }

    /// Bytes that are to be JSON.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub(super) fn made_json(bytes: Bytes) -> Result<Self, String> {
        let raw: &RawValue = serde_json::from_slice(&bytes).map_err(|error| format!("is no JSON: {error}"))?;
        check(raw.get())?;
        Ok(Self::Made(bytes))
    }

    /// The bytes, to be kept longer than the body. A part that is most of the body keeps the body; a smaller one is
    /// copied, so that it does not hold the rest in memory.
    pub(super) fn keep(self, body: &Bytes) -> Bytes {
        let part = match self {
            Self::Part(part) => part,
            Self::Made(bytes) => return bytes,
        };
        if part.len() > body.len() / 2 {
            body.slice_ref(part)
        } else {
            Bytes::copy_from_slice(part)
        }
    }
}

/// Makes sure that a text, which is JSON by its syntax, can be read by everybody who comes after.
fn check(text: &str) -> Result<(), String> {
    let scan = Scan::of(text);
    if scan.depth > MAX_DEPTH {
        return Err(format!(
            "is nested {} levels deep; at most {MAX_DEPTH} are allowed",
            scan.depth
        ));
    }
    if scan.is_odd {
        serde_json::from_str::<Value>(text).map_err(|error| format!("cannot be read: {error}"))?;
    }
    Ok(())
}

/// What one look over a JSON text finds.
struct Scan {
    depth: usize,
    /// It has something that is right by JSON's syntax and may have no value all the same: halves of surrogate pairs,
    /// numbers beyond what a machine can hold.
    is_odd: bool,
}

impl Scan {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut scan = Self {
            depth: 0,
            is_odd: false,
        };
        let (mut at, mut open, mut digits) = (0, 0_usize, 0);
        while let Some(byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'0'..=b'9' => digits += 1,
                b'e' | b'E' if digits > 0 => scan.is_odd = true,
                other => {
                    scan.is_odd |= digits > LONGEST_PLAIN_NUMBER;
                    digits = 0;
                    match other {
                        b'{' | b'[' => {
                            open += 1;
                            scan.depth = scan.depth.max(open);
                        }
                        b'}' | b']' => open = open.saturating_sub(1),
                        b'"' => at = scan.skip_text(bytes, at),
                        _ => {}
                    }
                }
            }
        }
        scan.is_odd |= digits > LONGEST_PLAIN_NUMBER;
        scan
    }

    /// The place after the quotation mark that ends the text.
    fn skip_text(&mut self, bytes: &[u8], mut at: usize) -> usize {
        while let Some(found) = memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
            at += found;
            if bytes[at] == b'"' {
                return at + 1;
            }
            self.is_odd |= matches!(bytes.get(at + 1..at + 3), Some([b'u', b'd' | b'D']));
            at += 2;
        }
        bytes.len()
    }
}

/// Digits that every number has room for.
const LONGEST_PLAIN_NUMBER: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_of_texts() {
        for (text, depth) in [
            ("1", 0),
            ("[]", 1),
            (r#"{"a":[{"b":"[[[["}],"c":{}}"#, 3),
            (r#"["\"[", "\\", [1]]"#, 2),
        ] {
            assert_eq!(Scan::of(text).depth, depth, "{text}");
        }
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(check(&deep(MAX_DEPTH)).is_ok());
        assert!(check(&deep(MAX_DEPTH + 1)).unwrap_err().contains("65 levels"));
    }

    #[test]
    fn what_has_no_value_is_refused_although_its_syntax_is_right() {
        let long = format!("[{}]", "9".repeat(400));
        for text in ["[1e999]", r#"{"a":"\ud800"}"#, r#"["\uDC00x"]"#, &long] {
            assert!(serde_json::from_str::<&RawValue>(text).is_ok(), "{text}");
            assert!(check(text).is_err(), "{text}");
        }
        for text in [
            "[1e9, 1.5E-3]",
            r#"["\ud83d\ude00", "\\ud800"]"#,
            "true",
            "12345678901234567890123",
        ] {
            assert!(check(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn media_types_of_json() {
        for media_type in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/fhir+json",
        ] {
            assert!(is_json(Some(media_type)), "{media_type}");
        }
        for media_type in ["text/plain", "application/jsonl", "json", "application/json+xml"] {
            assert!(!is_json(Some(media_type)), "{media_type}");
        }
        assert!(is_json(None));
    }

    #[test]
    fn a_small_part_does_not_hold_the_whole_body() {
        let body = Bytes::from(format!("{{\"a\":1}}{}", " ".repeat(100)));
        let small = Content::Part(&body[..7]).keep(&body);
        assert_eq!(small, "{\"a\":1}");
        assert_ne!(small.as_ptr(), body.as_ptr());
        let large = Content::Part(&body[..100]).keep(&body);
        assert_eq!(large.as_ptr(), body.as_ptr());
    }
}

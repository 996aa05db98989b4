//! Values of scripts as JSON, with a cap on size and depth.

use std::io;

use rhai::{Array, Dynamic, Map};
use serde::{Serialize, Serializer};

/// As deep as a body may be that is read.
pub(super) const MAX_DEPTH: usize = 127;

/// Why a value cannot be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteFault {
    #[error("it is too large")]
    TooLarge,
    #[error("it is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    #[error("it has {0} in it, which JSON does not have")]
    NotJson(&'static str),
}

/// The JSON text of `value`, of at most `limit` bytes.
pub(super) fn write(value: &Dynamic, limit: usize) -> Result<Vec<u8>, WriteFault> {
    check(value, 0)?;
    capped(value, limit).ok_or(WriteFault::TooLarge)
}

/// A list as text for people: as [`write()`], with names in the place of functions. None if it is too large or too deep.
pub(super) fn list_as_text(list: &Array, limit: usize) -> Option<Vec<u8>> {
    match check_all(list.iter(), 0) {
        Err(WriteFault::TooDeep) => None,
        _ => capped(list, limit),
    }
}

/// As [`list_as_text`], of a map.
pub(super) fn map_as_text(map: &Map, limit: usize) -> Option<Vec<u8>> {
    match check_all(map.values(), 0) {
        Err(WriteFault::TooDeep) => None,
        _ => capped(&Fields(map), limit),
    }
}

/// Refuses what is nested too deep to be visited safely, and then what JSON does not have.
fn check(value: &Dynamic, depth: usize) -> Result<(), WriteFault> {
    if let Some(list) = value.read_lock::<Array>() {
        return check_all(list.iter(), depth);
    }
    if let Some(map) = value.read_lock::<Map>() {
        return check_all(map.values(), depth);
    }
    if let Ok(number) = value.as_float() {
        return if number.is_finite() {
            Ok(())
        } else {
            Err(WriteFault::NotJson("a number that is infinite or undefined"))
        };
    }
    if value.is_unit() || value.is_bool() || value.is_int() || value.is_string() || value.is_char() {
        return Ok(());
    }
    Err(WriteFault::NotJson(if value.is_fnptr() {
        "a function"
    } else {
        "a range, a blob or another special value"
    }))
}

/// The first fault, except that depth goes before all others.
fn check_all<'a>(values: impl Iterator<Item = &'a Dynamic>, depth: usize) -> Result<(), WriteFault> {
    if depth >= MAX_DEPTH {
        return Err(WriteFault::TooDeep);
    }
    let mut outcome = Ok(());
    for value in values {
        match check(value, depth + 1) {
            Err(WriteFault::TooDeep) => return Err(WriteFault::TooDeep),
            other => outcome = outcome.and(other),
        }
    }
    outcome
}

/// None if it does not fit.
fn capped(value: &impl Serialize, limit: usize) -> Option<Vec<u8>> {
    let mut output = Capped {
        bytes: Vec::new(),
        limit,
    };
    // Values of scripts fail to be written in one way only: the cap is reached.
    serde_json::to_writer(&mut output, value).ok()?;
    Some(output.bytes)
}

struct Fields<'a>(&'a Map);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name.as_str(), value)))
    }
}

struct Capped {
    bytes: Vec<u8>,
    limit: usize,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.limit - self.bytes.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! Regular expressions, on an engine whose time grows with the text and not faster.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use regex::{Regex, RegexBuilder};
use rhai::{Array, Dynamic, Engine, EvalAltResult, Position};

use super::{Around, Outcome, failed};
use crate::script::engine::{MAX_LIST, MAX_TEXT};
use crate::script::gate::Gate;

/// Patterns that were compiled.
#[derive(Default)]
pub(super) struct Patterns(RefCell<HashMap<String, Regex>>);

impl Patterns {
    fn get(&self, pattern: &str) -> Outcome<Regex> {
        if let Some(known) = self.0.borrow().get(pattern) {
            return Ok(known.clone());
        }
        if pattern.len() > LONGEST {
            return Err(failed(format_args!("a pattern may have at most {LONGEST} bytes")));
        }
        let compiled = RegexBuilder::new(pattern)
            .size_limit(MOST_BYTES)
            .dfa_size_limit(MOST_BYTES)
            .build()
            .map_err(|error| failed(format_args!("the pattern is not usable: {error}")))?;
        let mut known = self.0.borrow_mut();
        if known.len() >= MOST_KEPT {
            known.clear();
        }
        known.insert(pattern.to_owned(), compiled.clone());
        Ok(compiled)
    }
}

pub(super) fn register(engine: &mut Engine, around: &Rc<Around>, gate: &Rc<Gate>) {
    let patterns = Rc::clone(around);
    engine.register_fn("regex_matches", move |text: &str, pattern: &str| -> Outcome<bool> {
        Ok(patterns.patterns.get(pattern)?.is_match(text))
    });
    let patterns = Rc::clone(around);
    engine.register_fn("regex_find", move |text: &str, pattern: &str| -> Outcome<Dynamic> {
        let pattern = patterns.patterns.get(pattern)?;
        let found = pattern.find(text);
        Ok(found.map_or(Dynamic::UNIT, |found| found.as_str().into()))
    });
    let patterns = Rc::clone(around);
    engine.register_fn("regex_captures", move |text: &str, pattern: &str| -> Outcome<Dynamic> {
        let pattern = patterns.patterns.get(pattern)?;
        let Some(groups) = pattern.captures(text) else {
            return Ok(Dynamic::UNIT);
        };
        let groups = groups
            .iter()
            .map(|group| group.map_or(Dynamic::UNIT, |group| group.as_str().into()));
        Ok(groups.collect::<Array>().into())
    });
    let (patterns, end) = (Rc::clone(around), Rc::clone(gate));
    engine.register_fn("regex_find_all", move |text: &str, pattern: &str| -> Outcome<Array> {
        let pattern = patterns.patterns.get(pattern)?;
        let mut all = Array::new();
        for found in pattern.find_iter(text) {
            go_on(&end, all.len() < MAX_LIST)?;
            all.push(found.as_str().into());
        }
        Ok(all)
    });
    let (patterns, end) = (Rc::clone(around), Rc::clone(gate));
    engine.register_fn("regex_split", move |text: &str, pattern: &str| -> Outcome<Array> {
        let pattern = patterns.patterns.get(pattern)?;
        let mut parts = Array::new();
        for part in pattern.split(text) {
            go_on(&end, parts.len() < MAX_LIST)?;
            parts.push(part.into());
        }
        Ok(parts)
    });
    let (patterns, end) = (Rc::clone(around), Rc::clone(gate));
    engine.register_fn(
        "regex_replace",
        move |text: &str, pattern: &str, with: &str| -> Outcome<String> {
            replaced(&patterns.patterns.get(pattern)?, text, with, &end)
        },
    );
}

/// `text` with `with` in the place of each match; `$1` stands for a group.
fn replaced(pattern: &Regex, text: &str, with: &str, gate: &Gate) -> Outcome<String> {
    let mut out = String::new();
    let mut rest = 0;
    for groups in pattern.captures_iter(text) {
        let Some(whole) = groups.get(0) else { continue };
        out.push_str(&text[rest..whole.start()]);
        groups.expand(with, &mut out);
        rest = whole.end();
        go_on(gate, out.len() <= MAX_TEXT)?;
    }
    out.push_str(&text[rest..]);
    Ok(out)
}

/// Between two matches: each costs a time that grows with the text, and there may be as many as it has characters.
fn go_on(gate: &Gate, is_within: bool) -> Outcome<()> {
    if gate.is_closed() {
        return Err(EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE).into());
    }
    if !is_within {
        return Err(EvalAltResult::ErrorDataTooLarge("Size of the result".to_owned(), Position::NONE).into());
    }
    Ok(())
}

/// The most bytes of a pattern.
const LONGEST: usize = 1_000;
/// The most bytes of a compiled pattern.
const MOST_BYTES: usize = 256 * 1_024;
/// The most patterns that a thread keeps.
const MOST_KEPT: usize = 50;

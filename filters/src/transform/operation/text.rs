//! Transformers of texts.

use std::borrow::Cow;

use serde_json::Value;

use super::super::fault::{Kind, ValueFault, quoted};
use crate::lookup::text_of;
use crate::model::Problem;
use crate::model::problem::join;

/// What counts as true and as false.
#[derive(Debug)]
pub(in super::super) struct Truths {
    yes: Box<[Value]>,
    no: Box<[Value]>,
}

impl Truths {
    pub(super) fn compile(yes: &[Value], no: &[Value], path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        if yes.is_empty() && no.is_empty() {
            let [yes, no] = [["true", "1"], ["false", "0"]].map(|words| words.map(Value::from).into());
            return Some(Self { yes, no });
        }
        let before = problems.len();
        for (values, setting) in [(yes, "yes"), (no, "no")] {
            if values.is_empty() {
                let message = "must hold at least one value, as `yes` and `no` are given together";
                problems.push(Problem::new(join(path, setting), message));
            }
        }
        if let Some(both) = yes.iter().find(|value| no.contains(value)) {
            problems.push(Problem::new(join(path, "no"), format!("{both} stands in `yes` too")));
        }
        (problems.len() == before).then(|| Self {
            yes: yes.into(),
            no: no.into(),
        })
    }

    /// A boolean, or what stands for one. A text with nothing in it becomes null.
    pub(super) fn read<'a>(&self, value: Cow<'a, Value>) -> Result<Cow<'a, Value>, ValueFault> {
        if value.is_boolean() {
            return Ok(value);
        }
        if value.as_str().is_some_and(|text| text.trim().is_empty()) {
            return Ok(Cow::Owned(Value::Null));
        }
        let is_in = |values: &[Value]| values.iter().any(|known| is_same(known, &value));
        match (is_in(&self.yes), is_in(&self.no)) {
            (true, _) => Ok(Cow::Owned(Value::Bool(true))),
            (_, true) => Ok(Cow::Owned(Value::Bool(false))),
            _ => Err(ValueFault::Unreadable {
                operation: "toBoolean",
                value: quoted(&value),
                wanted: "one of the values that stand for true and false",
            }),
        }
    }
}

/// True if both are written alike, whatever the case.
fn is_same(known: &Value, value: &Value) -> bool {
    match (text_of(known), text_of(value)) {
        (Some(known), Some(value)) => known.eq_ignore_ascii_case(value.trim()),
        _ => false,
    }
}

pub(super) fn replaced(text: &str, find: &str, with: &str) -> Result<Value, ValueFault> {
    let found = text.matches(find).count();
    let grown = found.saturating_mul(with.len());
    check_length(text.len().saturating_add(grown), "replace")?;
    Ok(Value::String(text.replace(find, with)))
}

/// The characters from `start` on, `length` of them.
pub(super) fn part(text: &str, start: usize, length: Option<usize>) -> String {
    text.chars().skip(start).take(length.unwrap_or(usize::MAX)).collect()
}

/// With characters before it so that it has `length`; `None` if it has them already.
pub(super) fn padded(value: &Value, length: usize, with: char) -> Result<Option<Value>, ValueFault> {
    let text = text_of(value).ok_or_else(|| ValueFault::WrongKind {
        operation: "padStart",
        needs: "a text or number",
        found: Kind::of(value),
    })?;
    let missing = length.saturating_sub(text.chars().count());
    if missing == 0 && value.is_string() {
        return Ok(None);
    }
    let padding = std::iter::repeat_n(with, missing);
    Ok(Some(Value::String(padding.chain(text.chars()).collect())))
}

pub(super) fn split(text: &str, separator: &str) -> Value {
    if text.is_empty() {
        return Value::Array(Vec::new());
    }
    text.split(separator).map(|part| Value::from(part.trim())).collect()
}

pub(in super::super) fn check_length(length: usize, operation: &'static str) -> Result<(), ValueFault> {
    if length > MOST_BYTES {
        return Err(ValueFault::TooLong {
            operation,
            limit: MOST_BYTES,
        });
    }
    Ok(())
}

/// The most bytes that a transformer makes of one value.
const MOST_BYTES: usize = 10_000_000;

//! Walks the tree of the target and writes the result as it goes.

use std::borrow::Cow;
use std::io;

use serde_json::Value;

use super::fault::{Kind, MappingFault};
use super::line::{Check, Line, Origin, Source, Test};
use super::operation::is_empty;
use super::path::resolve;
use super::target::{Each, Leaf, Node, SourceList};
use crate::model::mapping::OmitWhen;

/// Writes the target of `source`; an absent source has no field at all.
pub(super) fn evaluate(
    lines: &[Line],
    root: &Node,
    source: Option<&Value>,
    max_output: usize,
) -> Result<Vec<u8>, MappingFault> {
    let mut evaluation = Evaluation {
        lines,
        applies: lines.iter().map(|line| holds(line.when.as_ref(), source)).collect(),
        places: Vec::new(),
        steps: 0,
        out: Output {
            bytes: Vec::with_capacity(FIRST_OUTPUT.min(max_output)),
            limit: max_output,
        },
    };
    if !evaluation.write(root, &[source])? {
        let nothing = if matches!(root, Node::Object(_)) { "{}" } else { "[]" };
        evaluation.out.push(nothing)?;
    }
    Ok(evaluation.out.bytes)
}

/// One run over one body.
struct Evaluation<'a> {
    lines: &'a [Line],
    /// Whether each line's condition holds.
    applies: Vec<bool>,
    /// Index of the current item in each list around.
    places: Vec<usize>,
    /// Lines visited so far.
    steps: usize,
    out: Output,
}

/// The current item of each list that the innermost [`Each`] reads; outside of any, the body.
type Cursors<'c, 'a> = &'c [Option<&'a Value>];

impl<'a> Evaluation<'a> {
    /// Writes `node`. False, with nothing written, if there is nothing in it.
    fn write(&mut self, node: &'a Node, cursors: Cursors<'_, 'a>) -> Result<bool, MappingFault> {
        match node {
            Node::Leaf(leaf) => self.leaf(leaf, cursors),
            Node::Object(fields) => {
                let parts = fields.iter().map(|field| (&*field.key, &field.node));
                self.group(["{", "}"], parts, cursors)
            }
            Node::Places(places) => {
                let parts = places.iter().map(|place| ("", &place.node));
                self.group(["[", "]"], parts, cursors)
            }
            Node::Each(each) => self.each(each, cursors),
        }
    }

    /// Writes the parts that have something in them, and nothing at all if none has.
    fn group(
        &mut self,
        brackets: [&str; 2],
        parts: impl Iterator<Item = (&'a str, &'a Node)>,
        cursors: Cursors<'_, 'a>,
    ) -> Result<bool, MappingFault> {
        let start = self.out.bytes.len();
        self.out.push(brackets[0])?;
        let mut wrote = false;
        for (key, node) in parts {
            let before = self.out.bytes.len();
            self.out.push(if wrote { "," } else { "" })?;
            self.out.push(key)?;
            if self.write(node, cursors)? {
                wrote = true;
            } else {
                self.out.bytes.truncate(before);
            }
        }
        if wrote {
            self.out.push(brackets[1])?;
        } else {
            self.out.bytes.truncate(start);
        }
        Ok(wrote)
    }

    /// Writes a list with an item for each place that one of the source's lists has.
    fn each(&mut self, each: &'a Each, outer: Cursors<'_, 'a>) -> Result<bool, MappingFault> {
        let lists = each
            .lists
            .iter()
            .map(|list| self.list(list, outer))
            .collect::<Result<Vec<Option<&'a [Value]>>, _>>()?;
        if lists.iter().all(Option::is_none) {
            return Ok(false);
        }
        let length = lists.iter().flatten().map(|items| items.len()).max().unwrap_or(0);
        let mut cursors = Vec::with_capacity(lists.len());
        let mut wrote = false;
        self.out.push("[")?;
        self.places.push(0);
        for index in 0..length {
            if let Some(place) = self.places.last_mut() {
                *place = index;
            }
            cursors.clear();
            cursors.extend(lists.iter().map(|items| items.and_then(|items| items.get(index))));
            let before = self.out.bytes.len();
            self.out.push(if wrote { "," } else { "" })?;
            if self.write(&each.item, &cursors)? {
                wrote = true;
            } else {
                self.out.bytes.truncate(before);
            }
        }
        self.places.pop();
        self.out.push("]")?;
        Ok(true)
    }

    /// The items of a list of the source. `None` if it is absent or null, or if no line that reads it applies.
    fn list(&mut self, list: &SourceList, outer: Cursors<'_, 'a>) -> Result<Option<&'a [Value]>, MappingFault> {
        self.step()?;
        let mut applying = list.lines.iter().filter(|line| self.applies[**line]).peekable();
        let Some(first) = applying.peek().map(|line| **line) else {
            return Ok(None);
        };
        let found = outer
            .get(list.parent)
            .copied()
            .flatten()
            .and_then(|value| resolve(value, &list.steps));
        match found {
            Some(Value::Array(items)) => Ok(Some(items)),
            None | Some(Value::Null) => match applying.find(|line| self.requires(**line)) {
                Some(line) => Err(self.missing_list(*line)),
                None => Ok(None),
            },
            Some(other) => Err(MappingFault::NotAList {
                target: self.target(first),
                origin: self.list_path(first),
                found: Kind::of(other),
            }),
        }
    }

    fn leaf(&mut self, leaf: &Leaf, cursors: Cursors<'_, 'a>) -> Result<bool, MappingFault> {
        self.step()?;
        if !self.applies[leaf.line] {
            return Ok(false);
        }
        match &self.lines[leaf.line].origin {
            Origin::Static(text) => {
                self.out.push(text)?;
                Ok(true)
            }
            Origin::Source(source) => {
                let cursor = cursors.get(leaf.cursor).copied().flatten();
                match self.value(leaf.line, source, cursor)? {
                    Some(value) => {
                        self.out.value(&value)?;
                        Ok(true)
                    }
                    None => Ok(false),
                }
            }
        }
    }

    /// The value that a line writes, or none if it leaves its target out.
    fn value(
        &self,
        line: usize,
        source: &'a Source,
        cursor: Option<&'a Value>,
    ) -> Result<Option<Cow<'a, Value>>, MappingFault> {
        let steps = source.path.segments().last().map_or(&[][..], Vec::as_slice);
        let found = cursor.and_then(|value| resolve(value, steps));
        let value = match (&source.default, found) {
            (Some(default), None | Some(Value::Null)) => Some(Cow::Borrowed(default)),
            (_, found) => source
                .operations
                .iter()
                .try_fold(found.map(Cow::Borrowed), |value, operation| operation.apply(value))
                .map_err(|fault| MappingFault::Value {
                    target: self.target(line),
                    fault,
                })?,
        };
        if source.required && source.default.is_none() && value.as_deref().is_none_or(Value::is_null) {
            return Err(MappingFault::Missing {
                target: self.target(line),
                origin: source.path.at(&self.places),
            });
        }
        Ok(value.filter(|value| match source.omit {
            OmitWhen::Absent => true,
            OmitWhen::Null => !value.is_null(),
            OmitWhen::Empty => !is_empty(value),
        }))
    }

    /// Counts a visit, so that long lists under many lines end in an error and not in a long stay.
    fn step(&mut self) -> Result<(), MappingFault> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(MappingFault::TooManySteps { limit: MAX_STEPS });
        }
        Ok(())
    }

    fn requires(&self, line: usize) -> bool {
        matches!(&self.lines[line].origin, Origin::Source(source) if source.required)
    }

    fn missing_list(&self, line: usize) -> MappingFault {
        MappingFault::Missing {
            target: self.target(line),
            origin: self.list_path(line),
        }
    }

    fn target(&self, line: usize) -> String {
        self.lines[line].target.at(&self.places)
    }

    /// Path of the list that the line is about to enter.
    fn list_path(&self, line: usize) -> String {
        match &self.lines[line].origin {
            Origin::Source(source) => source.path.list_at(self.places.len(), &self.places),
            Origin::Static(_) => String::new(),
        }
    }
}

fn holds(test: Option<&Test>, source: Option<&Value>) -> bool {
    let Some(test) = test else { return true };
    let steps = test.path.segments().first().map_or(&[][..], Vec::as_slice);
    let found = source.and_then(|source| resolve(source, steps));
    match &test.check {
        Check::Equals(value) => found.is_some_and(|found| same(found, value)),
        Check::NotEquals(value) => !found.is_some_and(|found| same(found, value)),
        Check::OneOf(values) => found.is_some_and(|found| values.iter().any(|value| same(found, value))),
        Check::Exists(wanted) => found.is_some_and(|found| !found.is_null()) == *wanted,
    }
}

/// Equality of JSON values: numbers by their value (1 is 1.0), objects whatever the order of their fields.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, left)| right.get(name).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

/// The result so far, with its cap.
struct Output {
    bytes: Vec<u8>,
    limit: usize,
}

impl Output {
    fn push(&mut self, text: &str) -> Result<(), MappingFault> {
        io::Write::write_all(self, text.as_bytes()).map_err(|_| self.full())
    }

    fn value(&mut self, value: &Value) -> Result<(), MappingFault> {
        // Writing a value fails in one way only: the cap is reached.
        serde_json::to_writer(&mut *self, value).map_err(|_| self.full())
    }

    fn full(&self) -> MappingFault {
        MappingFault::TooLarge { limit: self.limit }
    }
}

impl io::Write for Output {
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

const FIRST_OUTPUT: usize = 1_024;

/// The most visits of lines and lists in one run: 500 lines over 4,000 items, or 20 lines over 100,000.
const MAX_STEPS: usize = 2_000_000;

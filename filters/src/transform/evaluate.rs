//! Walks the tree of the target and writes the result as it goes.

mod lists;
mod output;
mod value;

use std::borrow::Cow;

use serde_json::Value;

use self::lists::Rows;
use self::output::Output;
use super::edits::{Aside, Edits};
use super::fault::MappingFault;
use super::line::{Line, Origin, Target};
use super::path::{resolve, resolve_lenient};
use super::source::FieldRef;
use super::target::{Each, Node};
use crate::condition::Condition;

/// One run over one body.
pub(super) struct Evaluation<'a> {
    lines: &'a [Line],
    /// Whether the condition of each line holds; empty where no line has one for the whole body.
    applies: Vec<bool>,
    /// The body, what is known around it, and the current item of each list around.
    cursors: Vec<Option<&'a Value>>,
    /// Index of the current item in each list around.
    places: Vec<usize>,
    /// Lines visited so far.
    steps: usize,
    /// True where the source cannot tell a list of one item from the item.
    lenient: bool,
    out: Output,
}

impl<'a> Evaluation<'a> {
    /// A run over `source`; an absent source has no field at all.
    pub(super) fn new(
        lines: &'a [Line],
        source: Option<&'a Value>,
        given: &'a [Option<Cow<'_, Value>>],
        lenient: bool,
        max_output: usize,
    ) -> Self {
        let mut cursors = Vec::with_capacity(given.len() + FEW_CURSORS);
        cursors.push(source);
        cursors.extend(given.iter().map(Option::as_deref));
        let mut run = Self {
            lines,
            applies: Vec::new(),
            cursors,
            places: Vec::new(),
            steps: 0,
            lenient,
            out: Output::new(max_output),
        };
        if lines.iter().any(|line| line.when.is_some()) {
            run.applies = lines.iter().map(|line| run.may_apply(line)).collect();
        }
        run
    }

    /// Writes the body.
    pub(super) fn body(&mut self, root: &'a Node) -> Result<Vec<u8>, MappingFault> {
        if !self.write(root)? {
            let nothing = if matches!(root, Node::Object(_)) { "{}" } else { "[]" };
            self.out.push(nothing)?;
        }
        Ok(self.out.take())
    }

    /// Writes what goes around the body: for each place the first of its lines that has a value.
    pub(super) fn edits(&mut self, asides: &[Vec<usize>]) -> Result<Edits, MappingFault> {
        let mut edits = Edits::default();
        for line in asides {
            self.aside(line, &mut edits)?;
        }
        Ok(edits)
    }

    fn aside(&mut self, lines: &[usize], edits: &mut Edits) -> Result<(), MappingFault> {
        for index in lines.iter().copied() {
            self.step()?;
            if !self.applies(index) {
                continue;
            }
            let line = &self.lines[index];
            let value = match &line.origin {
                Origin::Static(_, value) => Some(Cow::Borrowed(value)),
                _ => self.value(index)?,
            };
            if let (Some(value), Target::Aside(aside)) = (value, &line.target) {
                return aside.write(&value, edits).map_err(|fault| MappingFault::Value {
                    target: aside.text().to_owned(),
                    fault,
                });
            }
        }
        // A path has no place for nothing.
        let line = lines.first().map(|index| &self.lines[*index]);
        match line.map(|line| (line, &line.target)) {
            Some((line, Target::Aside(aside @ Aside::PathParameter(..)))) => Err(MappingFault::Missing {
                target: aside.text().to_owned(),
                origin: line
                    .driver()
                    .map_or_else(String::new, |field| field.path.text().to_owned()),
            }),
            _ => Ok(()),
        }
    }

    /// Writes `node`. False, with nothing written, if there is nothing in it.
    fn write(&mut self, node: &'a Node) -> Result<bool, MappingFault> {
        match node {
            Node::Leaf(lines) => {
                for line in lines {
                    if self.leaf(*line)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Node::Object(fields) => {
                let parts = fields.iter().map(|field| (&*field.key, &field.node));
                self.group(["{", "}"], parts)
            }
            Node::Places(places) => {
                let parts = places.iter().map(|place| ("", &place.node));
                self.group(["[", "]"], parts)
            }
            Node::Each(each) => self.each(each),
        }
    }

    /// Writes the parts that have something in them, and nothing at all if none has.
    fn group(
        &mut self,
        brackets: [&str; 2],
        parts: impl Iterator<Item = (&'a str, &'a Node)>,
    ) -> Result<bool, MappingFault> {
        let start = self.out.len();
        self.out.push(brackets[0])?;
        let mut wrote = false;
        for (key, node) in parts {
            let before = self.out.len();
            self.out.push(if wrote { "," } else { "" })?;
            self.out.push(key)?;
            if self.write(node)? {
                wrote = true;
            } else {
                self.out.truncate(before);
            }
        }
        if wrote {
            self.out.push(brackets[1])?;
        } else {
            self.out.truncate(start);
        }
        Ok(wrote)
    }

    /// Writes a list with an item for each place that one of the source's lists has.
    fn each(&mut self, each: &'a Each) -> Result<bool, MappingFault> {
        let outside = self.cursors.len();
        let rows = each
            .lists
            .iter()
            .map(|list| self.rows(list))
            .collect::<Result<Vec<Rows<'a>>, _>>()?;
        if rows.iter().all(Rows::is_absent) {
            return Ok(false);
        }
        let length = rows.iter().map(Rows::len).max().unwrap_or(0);
        self.cursors.resize(each.inside, None);
        let mut wrote = false;
        self.out.push("[")?;
        self.places.push(0);
        for index in 0..length {
            if let Some(place) = self.places.last_mut() {
                *place = index;
            }
            for (list, rows) in each.lists.iter().zip(&rows) {
                rows.place(index, &mut self.cursors[list.slot..list.slot + list.chain.len()]);
            }
            if !self.passes(&each.filters)? {
                continue;
            }
            let before = self.out.len();
            self.out.push(if wrote { "," } else { "" })?;
            if self.write(&each.item)? {
                wrote = true;
            } else {
                self.out.truncate(before);
            }
        }
        self.places.pop();
        self.cursors.truncate(outside);
        self.out.push("]")?;
        Ok(true)
    }

    /// True if all of these filters let the current item through.
    fn passes(&mut self, filters: &[usize]) -> Result<bool, MappingFault> {
        for filter in filters {
            self.step()?;
            if let Origin::Filter(condition) = &self.lines[*filter].origin
                && !self.holds(condition)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn leaf(&mut self, index: usize) -> Result<bool, MappingFault> {
        self.step()?;
        if !self.applies(index) {
            return Ok(false);
        }
        if let Origin::Static(text, _) = &self.lines[index].origin {
            self.out.push(text)?;
            return Ok(true);
        }
        match self.value(index)? {
            Some(value) => {
                self.out.value(&value)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Counts a visit, so that long lists under many lines end in an error and not in a long stay.
    fn step(&mut self) -> Result<(), MappingFault> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(MappingFault::TooManySteps { limit: MAX_STEPS });
        }
        Ok(())
    }

    /// False if the line applies to no item whatsoever.
    fn may_apply(&self, line: &Line) -> bool {
        line.when
            .as_ref()
            .is_none_or(|when| when.of_items || self.holds(&when.condition))
    }

    /// True if the line applies here.
    fn applies(&self, index: usize) -> bool {
        let Some(may) = self.applies.get(index) else {
            return true;
        };
        let of_items = self.lines[index].when.as_ref().filter(|when| when.of_items);
        *may && of_items.is_none_or(|when| self.holds(&when.condition))
    }

    fn holds(&self, condition: &Condition<FieldRef>) -> bool {
        condition.holds_with(&|field: &FieldRef| {
            let cursor = self.cursors.get(field.slot).copied().flatten()?;
            self.resolve(cursor, field.below().first()?)
        })
    }

    fn resolve(&self, value: &'a Value, steps: &[super::path::Step]) -> Option<&'a Value> {
        if self.lenient {
            resolve_lenient(value, steps)
        } else {
            resolve(value, steps)
        }
    }

    fn target(&self, index: usize) -> String {
        match &self.lines[index].target {
            Target::Body(path) => path.at(&self.places),
            Target::Aside(aside) => aside.text().to_owned(),
        }
    }
}

/// Cursors that a small table needs.
const FEW_CURSORS: usize = 4;

/// The most visits of lines and lists in one run: 500 lines over 4,000 items, or 20 lines over 100,000.
const MAX_STEPS: usize = 2_000_000;

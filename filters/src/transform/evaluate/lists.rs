//! The lists of the source that one list of the target is written from.

use serde_json::Value;

use super::Evaluation;
use crate::transform::fault::{Kind, MappingFault};
use crate::transform::path::Step;
use crate::transform::target::SourceList;

/// The items of a list, or of several within each other, one after the other.
pub(super) enum Rows<'a> {
    /// There is none.
    Absent,
    /// Of one list.
    Items(&'a [Value]),
    /// Of lists within each other: for each innermost item those that it is in, and itself.
    Nested { items: Vec<&'a Value>, depth: usize },
}

impl<'a> Rows<'a> {
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Absent => 0,
            Self::Items(items) => items.len(),
            Self::Nested { items, depth } => items.len() / depth,
        }
    }

    /// Puts the items at `index` on the stack of cursors; none where the list is shorter.
    pub(super) fn place(&self, index: usize, cursors: &mut [Option<&'a Value>]) {
        match self {
            Self::Absent => cursors.fill(None),
            Self::Items(items) => cursors.fill(items.get(index)),
            Self::Nested { items, depth } => match items.chunks_exact(*depth).nth(index) {
                Some(row) => cursors
                    .iter_mut()
                    .zip(row)
                    .for_each(|(cursor, item)| *cursor = Some(item)),
                None => cursors.fill(None),
            },
        }
    }
}

impl<'a> Evaluation<'a> {
    /// The items of a list of the source; none if it is absent or null, or if no line that reads it applies.
    pub(super) fn rows(&mut self, list: &'a SourceList) -> Result<Rows<'a>, MappingFault> {
        self.step()?;
        let may_apply = |line: &&usize| self.applies.get(**line).copied().unwrap_or(true);
        let Some(first) = list.lines.iter().find(may_apply).copied() else {
            return Ok(Rows::Absent);
        };
        let Some(cursor) = self.cursors.get(list.parent).copied().flatten() else {
            return self.absent_rows(list);
        };
        if let [steps] = list.chain.as_slice() {
            return match self.items(cursor, steps) {
                Items::Some(items) => Ok(Rows::Items(items)),
                Items::Absent => self.absent_rows(list),
                Items::NotAList(found) => Err(self.not_a_list(first, 0, found)),
            };
        }
        let mut items = Vec::new();
        let mut above = Vec::with_capacity(list.chain.len());
        match self.nested(cursor, &list.chain, first, &mut above, &mut items)? {
            true => Ok(Rows::Nested {
                items,
                depth: list.chain.len(),
            }),
            false => self.absent_rows(list),
        }
    }

    /// Adds the innermost items of `chain` below `value`, each after those that it is in. False if the outermost list is not
    /// there.
    fn nested(
        &mut self,
        value: &'a Value,
        chain: &'a [Vec<Step>],
        line: usize,
        above: &mut Vec<&'a Value>,
        rows: &mut Vec<&'a Value>,
    ) -> Result<bool, MappingFault> {
        let Some((steps, inner)) = chain.split_first() else {
            return Ok(true);
        };
        let items = match self.items(value, steps) {
            Items::Some(items) => items,
            Items::Absent => return Ok(false),
            Items::NotAList(found) => return Err(self.not_a_list(line, above.len(), found)),
        };
        for item in items {
            above.push(item);
            if inner.is_empty() {
                for _ in 0..above.len() {
                    self.step()?;
                }
                rows.extend_from_slice(above);
            } else {
                self.step()?;
                self.nested(item, inner, line, above, rows)?;
            }
            above.pop();
        }
        Ok(true)
    }

    pub(super) fn items(&self, value: &'a Value, steps: &[Step]) -> Items<'a> {
        match self.resolve(value, steps) {
            Some(Value::Array(items)) => Items::Some(items),
            None | Some(Value::Null) => Items::Absent,
            Some(single) if self.lenient => Items::Some(std::slice::from_ref(single)),
            Some(other) => Items::NotAList(Kind::of(other)),
        }
    }

    /// Of a list that is not there: an error if a line that applies requires a value of it.
    fn absent_rows(&self, list: &SourceList) -> Result<Rows<'a>, MappingFault> {
        let mut lines = list.lines.iter().copied();
        let requiring = lines.find(|line| {
            let applies = self.applies.get(*line).copied().unwrap_or(true);
            let handling = self.lines[*line].handling();
            applies && handling.is_some_and(|handling| handling.required && handling.default.is_none())
        });
        match requiring {
            Some(line) => Err(MappingFault::Missing {
                target: self.target(line),
                origin: self.list_path(line, 0),
            }),
            None => Ok(Rows::Absent),
        }
    }

    fn not_a_list(&self, line: usize, deeper: usize, found: Kind) -> MappingFault {
        MappingFault::NotAList {
            target: self.target(line),
            origin: self.list_path(line, deeper),
            found,
        }
    }

    /// Path of the list that the line is about to enter, or of one that is `deeper` in it.
    fn list_path(&self, line: usize, deeper: usize) -> String {
        let driver = self.lines[line].driver();
        driver.map_or_else(String::new, |field| {
            field.path.list_at(self.places.len() + deeper, &self.places)
        })
    }
}

/// What stands where a list is expected.
pub(super) enum Items<'a> {
    Some(&'a [Value]),
    Absent,
    NotAList(Kind),
}

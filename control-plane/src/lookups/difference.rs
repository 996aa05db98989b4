//! What one state of a table has that another has not.

use std::cmp::Ordering;

use filters::model::Entries;
use schemars::JsonSchema;
use serde::Serialize;

/// How the rows of two states of a table differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Difference {
    /// Rows that are new.
    pub(crate) added: usize,
    /// Rows with another value.
    pub(crate) changed: usize,
    /// Rows that are gone.
    pub(crate) removed: usize,
    /// Rows that are as they were.
    pub(crate) unchanged: usize,
}

impl Difference {
    /// From `before` to `after`, both in the order of their keys.
    pub(crate) fn between(before: &Entries, after: &Entries) -> Self {
        let mut difference = Self::default();
        let (mut before, mut after) = (before.rows().iter().peekable(), after.rows().iter().peekable());
        loop {
            let order = match (before.peek(), after.peek()) {
                (None, None) => return difference,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((old, _)), Some((new, _))) => old.cmp(new),
            };
            match order {
                Ordering::Less => difference.removed += 1,
                Ordering::Greater => difference.added += 1,
                Ordering::Equal if before.peek().map(|row| &row.1) == after.peek().map(|row| &row.1) => {
                    difference.unchanged += 1;
                }
                Ordering::Equal => difference.changed += 1,
            }
            if order != Ordering::Greater {
                before.next();
            }
            if order != Ordering::Less {
                after.next();
            }
        }
    }
}

//! The `lookup` transformer.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::super::fault::{Kind, ValueFault, quoted};
use crate::lookup::{Table, Tables, text_of};
use crate::model::Problem;
use crate::model::mapping::{LookupIn, OnMissing};
use crate::model::problem::join;

/// A search in a table.
#[derive(Debug)]
pub(in super::super) struct Search {
    table: Arc<Table>,
    column: Option<Box<str>>,
    /// The order of the column, where its values lead to keys.
    reverse: Option<Arc<[u32]>>,
    missing: Missing,
}

/// What becomes of a value that is in no row.
#[derive(Debug)]
enum Missing {
    Fault,
    Keep,
    Take(Value),
}

impl Search {
    /// Checks the settings of the transformer at `path`.
    pub(super) fn compile(lookup: &LookupIn, path: &str, tables: &Tables, problems: &mut Vec<Problem>) -> Option<Self> {
        let Some(table) = tables.get(lookup.table.as_str()) else {
            let known: Vec<&str> = tables.keys().take(MOST_NAMED).map(|name| &**name).collect();
            let message = match known.as_slice() {
                [] => format!("{:?} is not there: the organization has no lookup table", lookup.table),
                known => format!(
                    "{:?} is not there; the organization has {}",
                    lookup.table,
                    known.join(", ")
                ),
            };
            problems.push(Problem::new(join(path, "table"), message));
            return None;
        };
        let missing = match (&lookup.fallback, lookup.on_missing) {
            (Some(value), None) => Missing::Take(value.clone()),
            (None, None | Some(OnMissing::Error)) => Missing::Fault,
            (None, Some(OnMissing::Null)) => Missing::Take(Value::Null),
            (None, Some(OnMissing::Keep)) => Missing::Keep,
            (Some(_), Some(_)) => {
                let message = "has no meaning beside `fallback`: leave one of them out";
                problems.push(Problem::new(join(path, "onMissing"), message));
                return None;
            }
        };
        Some(Self {
            table: Arc::clone(table),
            column: lookup.column.as_deref().map(Into::into),
            reverse: lookup.reverse.then(|| table.reversed(lookup.column.as_deref())),
            missing,
        })
    }

    pub(in super::super) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// What `value` stands for.
    pub(super) fn find<'a>(&'a self, value: Cow<'a, Value>) -> Result<Cow<'a, Value>, ValueFault> {
        let key = text_of(&value).ok_or_else(|| ValueFault::WrongKind {
            operation: "lookup",
            needs: "a text, number or boolean",
            found: Kind::of(&value),
        })?;
        let column = self.column.as_deref();
        let found = match &self.reverse {
            None => self.table.get(&key, column).map(Cow::Borrowed),
            Some(order) => {
                let key = self.table.key_of(&key, column, order);
                key.map(|key| Cow::Owned(Value::from(key)))
            }
        };
        drop(key);
        match (found, &self.missing) {
            (Some(found), _) => Ok(found),
            (None, Missing::Take(value)) => Ok(Cow::Borrowed(value)),
            (None, Missing::Keep) => Ok(value),
            (None, Missing::Fault) => Err(ValueFault::NotInTable {
                value: quoted(&value),
                table: self.table.name().to_owned(),
            }),
        }
    }
}

/// The most tables that a message names.
const MOST_NAMED: usize = 10;

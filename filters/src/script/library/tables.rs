//! Lookup tables in scripts.

use std::rc::Rc;
use std::sync::Arc;

use rhai::{Dynamic, Engine};

use super::{Around, Outcome, failed};
use crate::lookup::Table;

pub(super) fn register(engine: &mut Engine, around: &Rc<Around>) {
    let tables = Rc::clone(around);
    engine.register_fn("lookup", move |name: &str, key: Dynamic| -> Outcome<Dynamic> {
        let (table, key) = (tables.table(name)?, text_of(&key)?);
        table.get(&key, None).map_or_else(
            || Err(failed(format_args!("`lookup`: the key is not in the table `{name}`"))),
            rhai::serde::to_dynamic,
        )
    });
    let tables = Rc::clone(around);
    engine.register_fn(
        "lookup",
        move |name: &str, key: Dynamic, fallback: Dynamic| -> Outcome<Dynamic> {
            let table = tables.table(name)?;
            let Ok(key) = text_of(&key) else { return Ok(fallback) };
            table.get(&key, None).map_or(Ok(fallback), rhai::serde::to_dynamic)
        },
    );
    let tables = Rc::clone(around);
    engine.register_fn("lookup_key", move |name: &str, value: Dynamic| -> Outcome<Dynamic> {
        tables.table(name)?.key(&value, None)
    });
    let tables = Rc::clone(around);
    engine.register_fn(
        "lookup_key",
        move |name: &str, value: Dynamic, column: &str| -> Outcome<Dynamic> {
            tables.table(name)?.key(&value, Some(column))
        },
    );
}

impl Around {
    fn table(&self, name: &str) -> Outcome<Arc<Table>> {
        let tables = self.tables.borrow();
        let found = tables.iter().find(|table| table.name() == name);
        found.cloned().ok_or_else(|| {
            failed(format_args!(
                "the organization has no lookup table `{name}` (its name must stand in the script as it is)"
            ))
        })
    }
}

impl Table {
    /// The first key whose value, or the column of it, is `value`; `()` if there is none.
    fn key(&self, value: &Dynamic, column: Option<&str>) -> Outcome<Dynamic> {
        let order = self.reversed(column);
        let key = self.key_of(&text_of(value)?, column, &order);
        Ok(key.map_or(Dynamic::UNIT, Into::into))
    }
}

/// A text, number or boolean as tables write it.
fn text_of(value: &Dynamic) -> Outcome<String> {
    if value.is_string() || value.is_int() || value.is_bool() || value.is_char() || value.is_float() {
        return Ok(value.to_string());
    }
    Err(failed("a key of a lookup table is a text, number or boolean"))
}

//! The standard library of scripts: dates, encodings, hashes, identifiers, patterns, lookup tables, variables.
//!
//! Each function either works in a time that grows with its arguments and not faster, or looks between its steps whether
//! the run has to end.

mod codes;
mod dates;
mod patterns;
mod tables;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use rhai::{Engine, EvalAltResult};

use super::ScriptContext;
use super::gate::Gate;
use crate::lookup::Table;
use crate::variable::{Known, fill};
use patterns::Patterns;

/// What the functions work with: known for the length of one run.
#[derive(Default)]
pub(super) struct Around {
    known: RefCell<Known>,
    tables: RefCell<Arc<[Arc<Table>]>>,
    seed: Cell<[u8; 16]>,
    /// How many identifiers were made in this run.
    made: Cell<u64>,
    patterns: Patterns,
}

impl Around {
    /// Begins a run.
    pub(super) fn open(&self, context: &ScriptContext, tables: &Arc<[Arc<Table>]>) {
        self.known.replace(context.known());
        self.tables.replace(Arc::clone(tables));
        self.seed.set(context.seed);
        self.made.set(0);
    }

    /// Ends a run: nothing of it is kept.
    pub(super) fn close(&self) {
        self.known.take();
        self.tables.take();
        self.seed.take();
    }
}

pub(super) type Outcome<T> = Result<T, Box<EvalAltResult>>;

/// Adds the functions.
pub(super) fn register(engine: &mut Engine, around: &Rc<Around>, gate: &Rc<Gate>) {
    dates::register(engine, around);
    codes::register(engine, around);
    patterns::register(engine, around, gate);
    tables::register(engine, around);
    let variables = Rc::clone(around);
    engine.register_fn("fill", move |text: &str| -> Outcome<String> {
        fill(text, &variables.known.borrow()).map_err(failed)
    });
    let variables = Rc::clone(around);
    engine.register_fn("env", move |name: &str| -> Outcome<String> {
        let known = variables.known.borrow();
        let value = known.env.get(name);
        value.map(str::to_owned).ok_or_else(|| {
            format!("`env`: `{name}` is not set, or not named in the setting `scripts.env` of the gateway").into()
        })
    });
}

fn failed(error: impl std::fmt::Display) -> Box<EvalAltResult> {
    error.to_string().into()
}

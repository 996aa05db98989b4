//! The interpreter: its limits, what it offers, and the doors that are closed.

use std::rc::Rc;

use rhai::packages::{
    BasicArrayPackage, BasicMapPackage, BasicMathPackage, CorePackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{AST, Dynamic, Engine, OptimizationLevel, ParseError};

use super::fault::shortened;
use super::gate::Gate;
use super::library::{self, Around};
use super::{MAX_SOURCE, bounded};

pub(super) const MAX_OPERATIONS: u64 = 200_000;
pub(super) const MAX_CALLS: usize = 32;
pub(super) const MAX_VARIABLES: usize = 500;
pub(super) const MAX_TEXT: usize = 256 * 1_024;
pub(super) const MAX_LIST: usize = 10_000;
pub(super) const MAX_MAP: usize = 2_000;
/// Name of the function that a script must have.
pub(super) const ENTRY: &str = "transform";

/// An interpreter that can parse, and nothing else: cheap to make.
pub(super) fn parser() -> Engine {
    let mut engine = Engine::new_raw();
    engine
        .set_max_operations(MAX_OPERATIONS)
        .set_max_call_levels(MAX_CALLS)
        .set_max_expr_depths(MAX_EXPRESSION, MAX_FUNCTION_EXPRESSION)
        .set_max_variables(MAX_VARIABLES)
        .set_max_functions(MAX_FUNCTIONS)
        .set_max_modules(0)
        .set_max_string_size(MAX_TEXT)
        .set_max_array_size(MAX_LIST)
        .set_max_map_size(MAX_MAP)
        .set_strict_variables(true)
        // Folding constants happens before any limit counts.
        .set_optimization_level(OptimizationLevel::None);
    for word in CLOSED {
        engine.disable_symbol(word);
    }
    engine
}

/// An interpreter that can run scripts. It takes milliseconds to make and is kept.
pub(super) fn runner(gate: &Rc<Gate>, around: &Rc<Around>) -> Engine {
    let mut engine = parser();
    // Everything of the standard package but the clock, bit fields and blobs.
    CorePackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    bounded::register(&mut engine, gate);
    library::register(&mut engine, around, gate);
    let asked = Rc::clone(gate);
    engine.on_progress(move |_| asked.is_closed().then_some(Dynamic::UNIT));
    engine
}

/// Parses a script and looks for its entry function.
///
/// # Errors
/// What is wrong, with line and column where there is one.
pub(super) fn compile(engine: &Engine, source: &str) -> Result<AST, String> {
    if source.len() > MAX_SOURCE {
        return Err(format!(
            "the script has {} bytes; at most {MAX_SOURCE} are allowed",
            source.len()
        ));
    }
    let ast = engine.compile(source).map_err(|error| located(&error))?;
    let arities: Vec<usize> = ast
        .iter_functions()
        .filter(|function| function.name == ENTRY)
        .map(|function| function.params.len())
        .collect();
    if arities.is_empty() {
        return Err(format!(
            "the script has no function `{ENTRY}`: write `fn {ENTRY}(payload, context) {{ ... }}`"
        ));
    }
    if !arities.contains(&2) {
        return Err(format!(
            "the function `{ENTRY}` must have two parameters: `fn {ENTRY}(payload, context)`"
        ));
    }
    Ok(ast)
}

fn located(error: &ParseError) -> String {
    let position = error.position();
    let message = shortened(&error.err_type().to_string());
    match (position.line(), position.position()) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: {message}"),
        (Some(line), None) => format!("line {line}: {message}"),
        _ => message,
    }
}

const MAX_EXPRESSION: usize = 64;
const MAX_FUNCTION_EXPRESSION: usize = 32;
const MAX_FUNCTIONS: usize = 200;

/// Words that mean nothing in a script: dynamic code, modules, and output that nobody would read. Currying is closed as it
/// builds chains of functions that no limit counts.
const CLOSED: [&str; 6] = ["eval", "import", "export", "print", "debug", "curry"];

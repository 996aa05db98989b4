//! The interpreter: its limits, what it offers, and the doors that are closed.

use rhai::packages::{
    BasicArrayPackage, BasicMapPackage, BasicMathPackage, CorePackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{AST, Array, Dynamic, Engine, EvalAltResult, FuncRegistration, ImmutableString, Map, ParseError, Position};

use super::{MAX_SOURCE, json};

pub(super) const MAX_OPERATIONS: u64 = 200_000;
pub(super) const MAX_CALLS: usize = 32;
pub(super) const MAX_VARIABLES: usize = 500;
pub(super) const MAX_TEXT: usize = 256 * 1_024;
pub(super) const MAX_LIST: usize = 10_000;
pub(super) const MAX_MAP: usize = 2_000;
/// Name of the function that a script must have.
pub(super) const ENTRY: &str = "transform";

type Outcome<T> = Result<T, Box<EvalAltResult>>;

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
        .set_strict_variables(true);
    for word in CLOSED {
        engine.disable_symbol(word);
    }
    engine
}

/// An interpreter that can run scripts. It takes milliseconds to make and is kept.
pub(super) fn runner() -> Engine {
    let mut engine = parser();
    // Everything of the standard package but the clock, bit fields and blobs.
    CorePackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    close_sleep(&mut engine);
    bound_texts(&mut engine);
    bound_replace(&mut engine);
    engine
}

/// Parses a script and looks for its entry function.
///
/// # Errors
/// What is wrong, with line and column where there is one.
pub(super) fn compile(engine: &Engine, source: &str) -> Result<AST, String> {
    if source.len() > MAX_SOURCE {
        return Err(format!("the script has {} bytes; at most {MAX_SOURCE} are allowed", source.len()));
    }
    let ast = engine.compile(source).map_err(|error| located(&error))?;
    let arities: Vec<usize> = ast
        .iter_functions()
        .filter(|function| function.name == ENTRY)
        .map(|function| function.params.len())
        .collect();
    if arities.is_empty() {
        return Err(format!("the script has no function `{ENTRY}`: write `fn {ENTRY}(payload, context) {{ ... }}`"));
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
    match (position.line(), position.position()) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: {}", error.err_type()),
        (Some(line), None) => format!("line {line}: {}", error.err_type()),
        _ => error.err_type().to_string(),
    }
}

/// `sleep` is a function of the core package and no symbol that can be disabled.
fn close_sleep(engine: &mut Engine) {
    engine.register_fn("sleep", |_: i64| -> Outcome<()> { Err("`sleep` is not available in scripts".into()) });
    engine.register_fn("sleep", |_: f64| -> Outcome<()> { Err("`sleep` is not available in scripts".into()) });
}

/// Writing a list or map as text is one operation, whatever its size: these give up at the limit and at a fixed depth.
fn bound_texts(engine: &mut Engine) {
    for name in ["to_string", "to_debug", "to_json"] {
        FuncRegistration::new(name)
            .with_purity(true)
            .register_into_engine(engine, |list: &mut Array| as_text(json::write_list(list, MAX_TEXT)));
        FuncRegistration::new(name)
            .with_purity(true)
            .register_into_engine(engine, |map: &mut Map| as_text(json::write_map(map, MAX_TEXT)));
    }
    engine.register_fn("parse_json", |text: &str| -> Outcome<Dynamic> {
        serde_json::from_str(text).map_err(|error| format!("`parse_json`: {error}").into())
    });
}

/// The package's `replace` makes its result before any limit is looked at.
fn bound_replace(engine: &mut Engine) {
    engine.register_fn("replace", |text: &mut ImmutableString, find: &str, with: &str| replace(text, find, with));
    engine.register_fn("replace", |text: &mut ImmutableString, find: &str, with: char| {
        replace(text, find, with.encode_utf8(&mut [0; 4]))
    });
    engine.register_fn("replace", |text: &mut ImmutableString, find: char, with: &str| {
        replace(text, find.encode_utf8(&mut [0; 4]), with)
    });
    engine.register_fn("replace", |text: &mut ImmutableString, find: char, with: char| {
        replace(text, find.encode_utf8(&mut [0; 4]), with.encode_utf8(&mut [0; 4]))
    });
}

fn as_text(written: Result<Vec<u8>, json::WriteFault>) -> Outcome<ImmutableString> {
    match written {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).as_ref().into()),
        Err(json::WriteFault::TooLarge) => Err(too_large()),
        Err(fault) => Err(fault.to_string().into()),
    }
}

fn replace(text: &mut ImmutableString, find: &str, with: &str) -> Outcome<()> {
    if text.is_empty() {
        return Ok(());
    }
    let found = text.matches(find).count();
    let length = (text.len() - found * find.len()).saturating_add(found.saturating_mul(with.len()));
    if length > MAX_TEXT {
        return Err(too_large());
    }
    *text = text.replace(find, with).into();
    Ok(())
}

fn too_large() -> Box<EvalAltResult> {
    EvalAltResult::ErrorDataTooLarge("Length of string".to_owned(), Position::NONE).into()
}

const MAX_EXPRESSION: usize = 64;
const MAX_FUNCTION_EXPRESSION: usize = 32;
const MAX_FUNCTIONS: usize = 200;

/// Words that mean nothing in a script: dynamic code, modules, and output that nobody would read. Currying would build
/// chains of functions that no limit counts.
const CLOSED: [&str; 6] = ["eval", "import", "export", "print", "debug", "curry"];

//! Functions of the interpreter's packages that no limit would end, in forms that end.
//!
//! One call of a package's function is one operation, whatever it does: limits on data are looked at only when it
//! returns. So these either know the size of their result first, or give up at a size or depth.

use std::rc::Rc;

use rhai::{Array, Dynamic, Engine, EvalAltResult, FuncRegistration, ImmutableString, Map, Position};

use super::engine::MAX_TEXT;
use super::gate::Gate;
use super::json;

type Outcome<T> = Result<T, Box<EvalAltResult>>;

/// Puts them in the place of the packages' functions.
pub(super) fn register(engine: &mut Engine, gate: &Rc<Gate>) {
    register_texts(engine, gate);
    register_replace(engine);
    register_equality(engine);
    engine.register_fn("parse_json", |text: &str| -> Outcome<Dynamic> {
        serde_json::from_str(text).map_err(|error| format!("`parse_json`: {error}").into())
    });
    engine.register_fn("sleep", |_: i64| no_sleep());
    engine.register_fn("sleep", |_: f64| no_sleep());
}

/// Lists and maps as text: JSON.
///
/// Where the interpreter makes a text of a value on its own behalf (in `"${list}"`), it takes an error for a reason to
/// write the value itself, without a limit. So too much is no error but ends the run, and the value is emptied, lest its
/// size be that error.
fn register_texts(engine: &mut Engine, gate: &Rc<Gate>) {
    for name in ["to_string", "to_debug", "to_json"] {
        let at_limit = Rc::clone(gate);
        let list_text = move |list: &mut Array| {
            as_text(json::list_as_text(list, MAX_TEXT)).unwrap_or_else(|| {
                at_limit.too_large();
                list.clear();
                ImmutableString::new()
            })
        };
        let at_limit = Rc::clone(gate);
        let map_text = move |map: &mut Map| {
            as_text(json::map_as_text(map, MAX_TEXT)).unwrap_or_else(|| {
                at_limit.too_large();
                map.clear();
                ImmutableString::new()
            })
        };
        FuncRegistration::new(name)
            .with_purity(true)
            .register_into_engine(engine, list_text);
        FuncRegistration::new(name)
            .with_purity(true)
            .register_into_engine(engine, map_text);
    }
}

fn as_text(bytes: Option<Vec<u8>>) -> Option<ImmutableString> {
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).as_ref().into())
}

fn register_replace(engine: &mut Engine) {
    engine.register_fn("replace", |text: &mut ImmutableString, find: &str, with: &str| {
        replace(text, find, with)
    });
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

fn replace(text: &mut ImmutableString, find: &str, with: &str) -> Outcome<()> {
    if text.is_empty() {
        return Ok(());
    }
    let found = text.matches(find).count();
    let length = (text.len() - found * find.len()).saturating_add(found.saturating_mul(with.len()));
    if length > MAX_TEXT {
        return Err(EvalAltResult::ErrorDataTooLarge("Length of string".to_owned(), Position::NONE).into());
    }
    *text = text.replace(find, with).into();
    Ok(())
}

/// The packages compare lists and maps by calling themselves through the interpreter, some kilobytes of stack a level.
fn register_equality(engine: &mut Engine) {
    for (name, expected) in [("==", true), ("!=", false)] {
        FuncRegistration::new(name)
            .with_purity(true)
            .register_into_engine(engine, move |left: &mut Array, right: Array| -> Outcome<bool> {
                Ok(same_list(left, &right, 0)? == expected)
            });
        FuncRegistration::new(name)
            .with_purity(true)
            .register_into_engine(engine, move |left: &mut Map, right: Map| -> Outcome<bool> {
                Ok(same_map(left, &right, 0)? == expected)
            });
    }
}

fn same(left: &Dynamic, right: &Dynamic, depth: usize) -> Outcome<bool> {
    if let (Some(left), Some(right)) = (left.read_lock::<Array>(), right.read_lock::<Array>()) {
        return same_list(&left, &right, depth);
    }
    if let (Some(left), Some(right)) = (left.read_lock::<Map>(), right.read_lock::<Map>()) {
        return same_map(&left, &right, depth);
    }
    if let (Ok(left), Ok(right)) = (left.as_immutable_string_ref(), right.as_immutable_string_ref()) {
        return Ok(*left == *right);
    }
    if let (Ok(left), Ok(right)) = (left.as_int(), right.as_int()) {
        return Ok(left == right);
    }
    if let (Some(left), Some(right)) = (number(left), number(right)) {
        return Ok(left == right);
    }
    if let (Ok(left), Ok(right)) = (left.as_bool(), right.as_bool()) {
        return Ok(left == right);
    }
    if let (Ok(left), Ok(right)) = (left.as_char(), right.as_char()) {
        return Ok(left == right);
    }
    Ok(left.is_unit() && right.is_unit())
}

fn same_list(left: &Array, right: &Array, depth: usize) -> Outcome<bool> {
    let depth = deeper(depth)?;
    if left.len() != right.len() {
        return Ok(false);
    }
    for (left, right) in left.iter().zip(right) {
        if !same(left, right, depth)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn same_map(left: &Map, right: &Map, depth: usize) -> Outcome<bool> {
    let depth = deeper(depth)?;
    if left.len() != right.len() {
        return Ok(false);
    }
    // Both are in the order of their keys.
    for ((left_key, left), (right_key, right)) in left.iter().zip(right) {
        if left_key != right_key || !same(left, right, depth)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn number(value: &Dynamic) -> Option<f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "as the interpreter compares a whole number with a fraction"
    )]
    value
        .as_int()
        .map(|whole| whole as f64)
        .or_else(|_| value.as_float())
        .ok()
}

fn deeper(depth: usize) -> Outcome<usize> {
    if depth >= json::MAX_DEPTH {
        return Err(format!(
            "values that are nested more than {} levels deep cannot be compared",
            json::MAX_DEPTH
        )
        .into());
    }
    Ok(depth + 1)
}

/// The core package's `sleep` is no symbol that could be disabled.
fn no_sleep() -> Outcome<()> {
    Err("`sleep` is not available in scripts".into())
}

//! Transformers that change the type of a value: to text, to a number, to a whole number.

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::super::fault::{Kind, ValueFault, quoted};
use crate::model::Problem;
use crate::model::problem::join;

/// How many decimals a number is given.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Decimals(u8);

impl Decimals {
    pub(super) fn compile(decimals: Option<u8>, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let decimals = decimals?;
        if decimals > MOST_DECIMALS {
            let message = format!("{decimals} must be at most {MOST_DECIMALS}");
            problems.push(Problem::new(join(path, "decimals"), message));
        }
        Some(Self(decimals))
    }
}

/// A text, number or boolean as text; with decimals, of numbers only.
pub(super) fn to_text(value: Cow<'_, Value>, decimals: Option<Decimals>) -> Result<Cow<'_, Value>, ValueFault> {
    let text = match (&*value, decimals) {
        (_, Some(Decimals(decimals))) => {
            let number = as_number(&value, "toText")?;
            match (number.as_i64(), decimals) {
                (Some(whole), 0) => whole.to_string(),
                _ => format!("{:.*}", usize::from(decimals), number.as_f64().unwrap_or_default()),
            }
        }
        (Value::String(_), None) => return Ok(value),
        (Value::Number(number), None) => number.to_string(),
        (Value::Bool(truth), None) => truth.to_string(),
        (Value::Null | Value::Array(_) | Value::Object(_), None) => {
            return Err(ValueFault::WrongKind {
                operation: "toText",
                needs: "a text, number or boolean",
                found: Kind::of(&value),
            });
        }
    };
    Ok(Cow::Owned(Value::String(text)))
}

/// A number, or a text that is one. A text with nothing in it becomes null.
pub(super) fn to_number(value: Cow<'_, Value>, decimals: Option<Decimals>) -> Result<Cow<'_, Value>, ValueFault> {
    if is_blank(&value) {
        return Ok(Cow::Owned(Value::Null));
    }
    if value.is_number() && decimals.is_none() {
        return Ok(value);
    }
    let number = as_number(&value, "toNumber")?;
    let Some(Decimals(decimals)) = decimals.filter(|_| number.is_f64()) else {
        return Ok(Cow::Owned(Value::Number(number)));
    };
    let scale = 10_f64.powi(i32::from(decimals));
    let rounded = number.as_f64().map(|number| (number * scale).round() / scale);
    let rounded = rounded.and_then(Number::from_f64).unwrap_or(number);
    Ok(Cow::Owned(Value::Number(rounded)))
}

/// A whole number, or a text or fraction that is one. A text with nothing in it becomes null.
pub(super) fn to_integer(value: Cow<'_, Value>) -> Result<Cow<'_, Value>, ValueFault> {
    if is_blank(&value) {
        return Ok(Cow::Owned(Value::Null));
    }
    let number = as_number(&value, "toInteger")?;
    if !number.is_f64() {
        return Ok(Cow::Owned(Value::Number(number)));
    }
    let whole = number
        .as_f64()
        .filter(|number| number.fract() == 0.0 && number.abs() < WHOLE);
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within 2^53")]
    let whole = whole.map(|number| Value::from(number as i64));
    whole.map(Cow::Owned).ok_or_else(|| ValueFault::Unreadable {
        operation: "toInteger",
        value: quoted(&value),
        wanted: "a whole number",
    })
}

/// A number, or the one that a text is.
pub(super) fn as_number(value: &Value, operation: &'static str) -> Result<Number, ValueFault> {
    match value {
        Value::Number(number) => Ok(number.clone()),
        Value::String(text) => read(text.trim()).ok_or_else(|| ValueFault::Unreadable {
            operation,
            value: quoted(value),
            wanted: "a number, with a point before its decimals",
        }),
        other => Err(ValueFault::WrongKind {
            operation,
            needs: "a number, or a text that is one",
            found: Kind::of(other),
        }),
    }
}

fn read(text: &str) -> Option<Number> {
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    if !is_number || text.len() > LONGEST {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    if let Ok(whole) = text.parse::<u64>() {
        return Some(whole.into());
    }
    Number::from_f64(text.parse().ok()?)
}

fn is_blank(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

const MOST_DECIMALS: u8 = 15;
/// The most characters of a number.
const LONGEST: usize = 40;
/// From here on fractions do not tell whole numbers apart.
const WHOLE: f64 = 9_007_199_254_740_992.0;

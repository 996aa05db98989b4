//! Transformers that make one value of a list.

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::super::fault::{Kind, ValueFault};
use super::number::as_number;
use crate::lookup::text_of;

pub(super) fn items<'a>(value: &'a Value, operation: &'static str) -> Result<&'a [Value], ValueFault> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(ValueFault::WrongKind {
            operation,
            needs: "a list",
            found: Kind::of(other),
        }),
    }
}

/// The items as one text; what is null or an empty text is left out.
pub(super) fn joined(value: &Value, separator: &str) -> Result<Value, ValueFault> {
    let mut text = String::new();
    let mut first = true;
    for item in items(value, "join")?.iter().filter(|item| !super::is_empty(item)) {
        let part = text_of(item).ok_or(ValueFault::WrongKind {
            operation: "join",
            needs: "a list of texts, numbers or booleans",
            found: Kind::List,
        })?;
        if !first {
            text.push_str(separator);
        }
        first = false;
        text.push_str(&part);
        super::text::check_length(text.len(), "join")?;
    }
    Ok(Value::String(text))
}

/// The first or the last item; null of an empty list.
pub(super) fn end(value: Cow<'_, Value>, last: bool) -> Result<Cow<'_, Value>, ValueFault> {
    let operation = if last { "last" } else { "first" };
    items(&value, operation)?;
    Ok(match value {
        Cow::Borrowed(Value::Array(items)) => {
            let item = if last { items.last() } else { items.first() };
            item.map_or(Cow::Owned(Value::Null), Cow::Borrowed)
        }
        Cow::Owned(Value::Array(mut items)) => {
            let at = if last { items.len().saturating_sub(1) } else { 0 };
            Cow::Owned(if items.is_empty() {
                Value::Null
            } else {
                items.swap_remove(at)
            })
        }
        other => other,
    })
}

/// The sum of the numbers of a list, which may be written as texts; what is null or an empty text is left out.
pub(super) fn sum(value: &Value) -> Result<Value, ValueFault> {
    let (mut whole, mut fraction) = (0_i64, 0.0_f64);
    let mut is_whole = true;
    for item in items(value, "sum")?.iter().filter(|item| !super::is_empty(item)) {
        let number = as_number(item, "sum")?;
        match number.as_i64().and_then(|number| whole.checked_add(number)) {
            Some(sum) if is_whole => whole = sum,
            _ => is_whole = false,
        }
        fraction += number.as_f64().unwrap_or_default();
    }
    let sum = if is_whole {
        Some(Number::from(whole))
    } else {
        // Amounts of two decimals would otherwise end in digits that nobody entered.
        Number::from_f64((fraction * SUM_PRECISION).round() / SUM_PRECISION)
    };
    sum.map(Value::Number).ok_or_else(|| ValueFault::Unreadable {
        operation: "sum",
        value: Kind::List.to_string(),
        wanted: "numbers whose sum is a number",
    })
}

const SUM_PRECISION: f64 = 1e9;

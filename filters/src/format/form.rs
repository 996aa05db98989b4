//! Forms: `application/x-www-form-urlencoded`.

use serde_json::{Map, Value};

use super::FormatFault;
use crate::lookup::text_of;

/// Fields are texts; one that is there several times is a list of them.
pub(super) fn read(body: &[u8]) -> Result<Value, FormatFault> {
    if std::str::from_utf8(body).is_err() {
        return Err(FormatFault::Unreadable {
            format: FORM,
            reason: "it is not UTF-8".to_owned(),
        });
    }
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        let value = Value::String(value.into_owned());
        match fields.get_mut(&*name) {
            None => drop(fields.insert(name.into_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Ok(Value::Object(fields))
}

/// An object of texts, numbers and booleans, and of lists of them. What is null is left out.
pub(super) fn write(value: &Value) -> Result<Vec<u8>, FormatFault> {
    let unwritable = |reason: String| FormatFault::Unwritable { format: FORM, reason };
    let Value::Object(fields) = value else {
        return Err(unwritable("a form needs an object with fields".to_owned()));
    };
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        let values = match value {
            Value::Array(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        for value in values.iter().filter(|value| !value.is_null()) {
            let text = text_of(value).ok_or_else(|| {
                unwritable(format!(
                    "`{name}` has fields of its own, and a form has texts, numbers and booleans"
                ))
            })?;
            form.append_pair(name, &text);
        }
    }
    Ok(form.finish().into_bytes())
}

const FORM: &str = "a form";

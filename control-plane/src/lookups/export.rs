//! The columns of a table in a file.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

/// The columns that hold a table: its key, then either one with the values, or one for each field of them.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// True if some value is none of an object's fields.
    plain: bool,
    fields: Vec<String>,
}

impl Columns {
    /// Those that `rows` need.
    pub(crate) fn of(rows: &[(Box<str>, Value)]) -> Self {
        let (mut fields, mut known, mut plain) = (Vec::new(), BTreeSet::new(), rows.is_empty());
        for (_, value) in rows {
            let Value::Object(object) = value else {
                plain = true;
                continue;
            };
            for name in object.keys() {
                if !known.contains(name.as_str()) {
                    known.insert(name.clone());
                    fields.push(name.clone());
                }
            }
        }
        Self { plain, fields }
    }

    /// What the first row calls them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let value = self.plain.then_some(VALUE);
        let fields = self.fields.iter().map(String::as_str);
        std::iter::once(KEY).chain(value).chain(fields)
    }

    /// The cells of one row. Lists and objects within a value are its JSON text.
    pub(crate) fn cells<'a>(&'a self, key: &'a str, value: &'a Value) -> impl Iterator<Item = Value> + 'a {
        let plain = self
            .plain
            .then(|| if value.is_object() { Value::Null } else { cell(value) });
        let fields = self.fields.iter().map(|name| value.get(name).map_or(Value::Null, cell));
        std::iter::once(Value::from(key)).chain(plain).chain(fields)
    }
}

fn cell(value: &Value) -> Value {
    match value {
        Value::Array(_) | Value::Object(_) => Cow::<str>::Owned(value.to_string()).into(),
        _ => value.clone(),
    }
}

const KEY: &str = "key";
const VALUE: &str = "value";

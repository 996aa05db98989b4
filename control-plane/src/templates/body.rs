//! The body of a template, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};

use filters::lookup::text_of;
use filters::model::Problem;
use filters::model::problem::join;
use serde_json::{Map, Value};

/// The value of each parameter; `None` for those that are left out.
pub(super) type Values<'a> = BTreeMap<&'a str, Option<Value>>;

/// A body with the values in it.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) fields: Map<String, Value>,
    /// The parameters that were met.
    pub(super) used: BTreeSet<String>,
}

impl Filled {
    /// Puts `values` into `body`.
    ///
    /// # Errors
    /// Names of parameters that there are not, each with its place.
    pub(super) fn of(body: &Map<String, Value>, values: &Values<'_>) -> Result<Self, Vec<Problem>> {
        let mut filling = Filling {
            values,
            used: BTreeSet::new(),
            problems: Vec::new(),
        };
        let fields = filling.fields(body, "body");
        if filling.problems.is_empty() {
            Ok(Self {
                fields,
                used: filling.used,
            })
        } else {
            Err(filling.problems)
        }
    }
}

struct Filling<'a> {
    values: &'a Values<'a>,
    used: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Filling<'_> {
    fn fields(&mut self, fields: &Map<String, Value>, path: &str) -> Map<String, Value> {
        let mut filled = Map::new();
        for (name, value) in fields {
            if let Some(value) = self.value(value, &join(path, name)) {
                filled.insert(name.clone(), value);
            }
        }
        filled
    }

    /// The value with parameters in it; `None` where it stands for one that is left out.
    fn value(&mut self, value: &Value, path: &str) -> Option<Value> {
        match value {
            Value::String(text) => self.text(text, path),
            Value::Object(fields) => Some(Value::Object(self.fields(fields, path))),
            Value::Array(items) => {
                let filled = items.iter().enumerate();
                let filled = filled.filter_map(|(at, item)| self.value(item, &format!("{path}[{at}]")));
                Some(filled.collect())
            }
            other => Some(other.clone()),
        }
    }

    fn text(&mut self, text: &str, path: &str) -> Option<Value> {
        if let Some(name) = only_name(text) {
            return self.parameter(name, path);
        }
        let (mut filled, mut rest) = (String::new(), text);
        while let Some((before, name, after)) = next(rest) {
            filled.push_str(before);
            let value = self.parameter(name, path);
            filled.push_str(&value.as_ref().and_then(text_of).unwrap_or_default());
            rest = after;
        }
        filled.push_str(rest);
        Some(filled.into())
    }

    fn parameter(&mut self, name: &str, path: &str) -> Option<Value> {
        self.used.insert(name.to_owned());
        if let Some(value) = self.values.get(name) {
            return value.clone();
        }
        let message = format!("names the parameter {name:?}, which the template does not have");
        self.problems.push(Problem::new(path, message));
        None
    }
}

/// Calls `visit` with the path, the text and what `beside` has there, for each text of a body.
pub(super) fn each_text(
    body: &Map<String, Value>,
    beside: &Value,
    visit: &mut impl FnMut(String, &str, Option<&Value>),
) {
    for (name, value) in body {
        each(value, beside.get(name), &join("body", name), visit);
    }
}

fn each(value: &Value, beside: Option<&Value>, path: &str, visit: &mut impl FnMut(String, &str, Option<&Value>)) {
    match value {
        Value::String(text) => visit(path.to_owned(), text, beside),
        Value::Object(fields) => {
            for (name, value) in fields {
                each(
                    value,
                    beside.and_then(|beside| beside.get(name)),
                    &join(path, name),
                    visit,
                );
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                each(
                    value,
                    beside.and_then(|beside| beside.get(at)),
                    &format!("{path}[{at}]"),
                    visit,
                );
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The parameter that is the whole of a text.
pub(super) fn only_name(text: &str) -> Option<&str> {
    match next(text)? {
        ("", name, "") => Some(name),
        _ => None,
    }
}

/// The parameters in a text.
pub(super) fn names_in(text: &str) -> Vec<&str> {
    let (mut names, mut rest) = (Vec::new(), text);
    while let Some((_, name, after)) = next(rest) {
        names.push(name);
        rest = after;
    }
    names
}

/// The text before the first parameter, its name, and the text behind it.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let at = text.find(BEGIN)?;
    let (name, after) = text[at + BEGIN.len()..].split_once(END)?;
    Some((&text[..at], name.trim(), after))
}

const BEGIN: &str = "{{parameters.";
const END: &str = "}}";

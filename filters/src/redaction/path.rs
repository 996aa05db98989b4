//! Paths of fields in JSON, as far as rules need them: `$.a.b`, `$['a b']`, `$.a[*].b`, `$.a[0]`, `$..b`.

use serde_json::Value;

use super::masked;

/// Where a rule applies; from the root, or at any depth below a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(Box<str>),
    /// The name, here or anywhere below.
    Anywhere(Box<str>),
    /// Each item of a list, or each field of an object.
    Each,
    Place(usize),
}

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// What is wrong with it, to follow the path in a sentence.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut rest = text
            .strip_prefix('$')
            .ok_or("must begin with `$`, as in `$.patient.ssn`")?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest)?;
            steps.push(step);
            rest = after;
            if steps.len() > MOST_STEPS {
                return Err("has more than 32 steps");
            }
        }
        if steps.is_empty() {
            return Err("names no field; give one, as in `$.patient.ssn`");
        }
        Ok(Self(steps))
    }

    /// Puts the mask in the place of each value that the path leads to; where there is none yet, nothing.
    pub(super) fn mask(&self, value: &mut Value) {
        mask(&self.0, value);
    }

    /// The last name in it; `None` if it goes by places only.
    pub(super) fn last_name(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|step| match step {
            Step::Name(name) | Step::Anywhere(name) => Some(&**name),
            Step::Each | Step::Place(_) => None,
        })
    }
}

/// The step that `text` begins with, and what follows it.
fn step(text: &str) -> Result<(Step, &str), &'static str> {
    if let Some(rest) = text.strip_prefix("..") {
        let (name, rest) = name(rest)?;
        return Ok((Step::Anywhere(name.into()), rest));
    }
    if let Some(rest) = text.strip_prefix(".*") {
        return Ok((Step::Each, rest));
    }
    if let Some(rest) = text.strip_prefix('.') {
        let (name, rest) = name(rest)?;
        return Ok((Step::Name(name.into()), rest));
    }
    let inner = text.strip_prefix('[').ok_or("needs a `.` or a `[` between its steps")?;
    if let Some(quote) = inner.chars().next().filter(|first| matches!(first, '\'' | '"')) {
        let (name, rest) = inner[1..].split_once(quote).ok_or("has a quote that does not end")?;
        let rest = rest.strip_prefix(']').ok_or("has a `[` without its `]`")?;
        return Ok((Step::Name(name.into()), rest));
    }
    let (place, rest) = inner.split_once(']').ok_or("has a `[` without its `]`")?;
    match place {
        "*" => Ok((Step::Each, rest)),
        place => place
            .parse()
            .map(|place| (Step::Place(place), rest))
            .map_err(|_| "has something in brackets that is neither `*` nor a number nor a name in quotes"),
    }
}

fn name(text: &str) -> Result<(&str, &str), &'static str> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() || name.contains(['*', '?', '(', '@']) {
        return Err("has a step that is no name; quote odd names, as in `$['a.b']`");
    }
    Ok((name, rest))
}

fn mask(steps: &[Step], value: &mut Value) {
    let Some((step, rest)) = steps.split_first() else {
        if !value.is_null() {
            *value = masked();
        }
        return;
    };
    match (step, value) {
        (Step::Name(name), Value::Object(fields)) => {
            if let Some(value) = fields.get_mut(&**name) {
                mask(rest, value);
            }
        }
        (Step::Each, Value::Array(items)) => items.iter_mut().for_each(|item| mask(rest, item)),
        (Step::Each, Value::Object(fields)) => fields.values_mut().for_each(|value| mask(rest, value)),
        (Step::Place(place), Value::Array(items)) => {
            if let Some(item) = items.get_mut(*place) {
                mask(rest, item);
            }
        }
        (Step::Anywhere(_), Value::Array(items)) => items.iter_mut().for_each(|item| mask(steps, item)),
        (Step::Anywhere(name), Value::Object(fields)) => {
            for (other, value) in fields.iter_mut() {
                if **other == **name {
                    mask(rest, value);
                }
                mask(steps, value);
            }
        }
        _ => {}
    }
}

/// The most steps of a path.
const MOST_STEPS: usize = 32;

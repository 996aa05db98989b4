//! A table held against a sample of what it will get: paths that lead nowhere, values that do not fit what is done to
//! them.

use std::borrow::Cow;

use serde_json::Value;

use super::Mapping;
use super::compose::Part;
use super::fault::{Kind, ValueFault};
use super::line::{Handling, Line, Origin};
use super::path::{FieldPath, Step, resolve_lenient};
use super::source::FieldRef;
use crate::model::Problem;
use crate::model::problem::join;

impl Mapping {
    /// What is wrong with the table, which stands at `path` of its document, if bodies look like `sample`. Fields that the
    /// sample does not have are reported unless their line says what then happens (`defaultValue`, `omitWhen`, `when`).
    /// `lenient` is as of [`Mapping::map`].
    pub fn check_sample(&self, sample: &Value, lenient: bool, path: &str) -> Vec<Problem> {
        let check = Check { sample, lenient };
        let mut problems = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            if let Some((setting, message)) = check.line(line) {
                let place = join(path, &format!("[{index}].{setting}"));
                problems.push(Problem::new(place, message));
            }
        }
        problems
    }
}

struct Check<'s> {
    sample: &'s Value,
    lenient: bool,
}

/// A setting of a line, and what is wrong with it.
type Wrong = (String, String);

impl<'s> Check<'s> {
    fn line(&self, line: &Line) -> Option<Wrong> {
        match &line.origin {
            Origin::Field(field, handling) => self.field(line, field, handling),
            Origin::Composed(composed, handling) => {
                let is_concat = composed.separator.is_some();
                let may_be_absent = is_concat || is_prepared(line, handling);
                composed.parts.iter().find_map(|part| match part {
                    Part::Text(_) => None,
                    Part::Field(field) => {
                        let found = self.values(field);
                        let setting = if is_concat { "concat" } else { "template" };
                        self.wrong(found.as_deref(), field, may_be_absent)
                            .map(|message| (setting.to_owned(), message))
                    }
                })
            }
            Origin::Static(..) | Origin::Filter(_) => None,
        }
    }

    fn field(&self, line: &Line, field: &FieldRef, handling: &Handling) -> Option<Wrong> {
        let found = self.values(field);
        if let Some(message) = self.wrong(found.as_deref(), field, is_prepared(line, handling)) {
            return Some(("sourceField".to_owned(), message));
        }
        let values = found.unwrap_or_default();
        if !line.gathers() {
            return values
                .into_iter()
                .take(MOST_VALUES)
                .find_map(|value| tried(handling, Cow::Borrowed(value)));
        }
        // Lists that become one value: what there is counts as one list.
        let all = match values.as_slice() {
            [list] if field.path.lists() == 0 => Cow::Borrowed(*list),
            several => Cow::Owned(several.iter().take(MOST_VALUES).map(|value| (*value).clone()).collect()),
        };
        tried(handling, all)
    }

    /// What is wrong with what was found at a path.
    fn wrong(&self, found: Result<&[&'s Value], &String>, field: &FieldRef, may_be_absent: bool) -> Option<String> {
        match found {
            Err(message) => Some(message.clone()),
            Ok([]) if !may_be_absent && field.root == 0 => Some(format!(
                "{}: correct the path, or say what happens without it, by `defaultValue`, `omitWhen` or `when`",
                self.absent(&field.path)
            )),
            Ok(_) => None,
        }
    }

    /// The values at a path of the body, in all items of lists; none of what is around the body.
    fn values(&self, field: &FieldRef) -> Result<Vec<&'s Value>, String> {
        let mut values = Vec::new();
        if field.root == 0 {
            values.push(self.sample);
        }
        for (index, segment) in field.path.segments().iter().enumerate() {
            if index > 0 {
                values = self.items(&values, &field.path, index - 1)?;
            }
            let mut next = Vec::with_capacity(values.len());
            for value in values {
                next.extend(self.walk(value, segment, &field.path)?);
            }
            values = next;
        }
        Ok(values)
    }

    fn items(&self, lists: &[&'s Value], path: &FieldPath, list: usize) -> Result<Vec<&'s Value>, String> {
        let mut items = Vec::new();
        for value in lists {
            match value {
                Value::Array(found) => items.extend(found),
                Value::Null => {}
                single if self.lenient => items.push(*single),
                other => {
                    return Err(format!(
                        "in the sample `{}` is {}, not a list",
                        path.list_at(list, &[]),
                        Kind::of(other)
                    ));
                }
            }
        }
        Ok(items)
    }

    fn walk(&self, value: &'s Value, steps: &[Step], path: &FieldPath) -> Result<Option<&'s Value>, String> {
        let mut value = value;
        for step in steps {
            let fits = match (step, value) {
                (_, Value::Null) => return Ok(None),
                (Step::Field(_), Value::Object(_)) => true,
                (Step::Field(_), _) => false,
                (_, Value::Array(_)) => true,
                (_, _) => self.lenient,
            };
            if !fits {
                let wanted = match step {
                    Step::Field(name) if value.is_array() => {
                        format!("has no field `{name}`: take each item with `[]`, or one with a place such as `[0]`")
                    }
                    Step::Field(name) => format!("has no field `{name}`"),
                    Step::Place(_) | Step::FromEnd(_) | Step::Where(..) => "has no items".to_owned(),
                };
                return Err(format!(
                    "`{}` leads nowhere in the sample: {} {wanted}",
                    path.text(),
                    Kind::of(value)
                ));
            }
            match resolve_lenient(value, std::slice::from_ref(step)) {
                Some(found) => value = found,
                None => return Ok(None),
            }
        }
        Ok(Some(value))
    }

    /// What the sample has where a path leads nowhere.
    fn absent(&self, path: &FieldPath) -> String {
        let mut value = self.sample;
        let steps = path.segments().iter().flatten();
        for step in steps {
            while let Value::Array(items) = value
                && matches!(step, Step::Field(_))
            {
                let Some(first) = items.first() else { break };
                value = first;
            }
            match resolve_lenient(value, std::slice::from_ref(step)) {
                Some(found) => value = found,
                None => break,
            }
        }
        let text = path.text();
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                let names: Vec<&str> = fields.keys().take(MOST_NAMED).map(String::as_str).collect();
                format!("the sample has no `{text}`, but there {}", names.join(", "))
            }
            _ => format!("the sample has no `{text}`"),
        }
    }
}

/// True for a line that says what happens where its source is not there.
fn is_prepared(line: &Line, handling: &Handling) -> bool {
    line.may_stand_back || handling.default.is_some()
}

/// What happens to a value of the sample.
fn tried(handling: &Handling, value: Cow<'_, Value>) -> Option<Wrong> {
    if handling.default.is_some() && value.is_null() {
        return None;
    }
    let mut value = Some(value);
    for (index, operation) in handling.operations.iter().enumerate() {
        value = match operation.apply(value) {
            Ok(value) => value,
            // Tables change without the mapping.
            Err(ValueFault::NotInTable { .. }) => return None,
            Err(fault) => {
                let setting = format!("transform[{index}]");
                return Some((setting, format!("does not fit the sample: {fault}")));
            }
        };
    }
    None
}

/// The most values of the sample that are tried.
const MOST_VALUES: usize = 1_000;
/// The most fields that a message names.
const MOST_NAMED: usize = 10;

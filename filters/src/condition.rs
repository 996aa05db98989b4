//! Tests of documents, compiled: the filters of subscriptions, and the conditions of mapping tables.

use serde_json::{Number, Value};

use crate::model::Problem;
use crate::model::outbound::Filter;
use crate::model::problem::join;
use crate::transform::path::{FieldPath, Step, resolve};

/// The most conditions of one filter, groups included.
const MOST_CONDITIONS: usize = 200;
/// The deepest nesting of groups.
const MAX_DEPTH: usize = 16;
/// The most values of `oneOf`.
const MOST_VALUES: usize = 1_000;

/// A test of a document. `F` says how one of its fields is found.
#[derive(Debug)]
pub(crate) enum Condition<F = Box<[Step]>> {
    Field(F, Test),
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
}

/// A test of one field.
#[derive(Debug)]
pub(crate) enum Test {
    Equals(Value),
    NotEquals(Value),
    OneOf(Vec<Value>),
    Exists(bool),
    GreaterThan(f64),
    AtLeast(f64),
    LessThan(f64),
    AtMost(f64),
    StartsWith(String),
    EndsWith(String),
    Contains(Value),
}

impl Condition {
    /// Compiles the filter at `path` of its document, adding its problems.
    pub(crate) fn compile(filter: &Filter, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        Self::compile_with(filter, path, &mut single_field, problems)
    }

    /// True if it holds for a payload. In one that is no JSON every field is absent.
    pub(crate) fn holds(&self, payload: Option<&Value>) -> bool {
        self.holds_with(&|steps| payload.and_then(|payload| resolve(payload, steps)))
    }
}

impl<F> Condition<F> {
    /// The same where `read` makes of a path what a field is found by.
    pub(crate) fn compile_with(
        filter: &Filter,
        path: &str,
        read: &mut dyn FnMut(&str) -> Result<F, String>,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let before = problems.len();
        let mut compiler = Compiler {
            read,
            problems,
            count: 0,
        };
        let compiled = compiler.condition(filter, path, 1);
        let count = compiler.count;
        if count > MOST_CONDITIONS {
            let message = format!("has {count} conditions; at most {MOST_CONDITIONS} are allowed");
            problems.push(Problem::new(path, message));
        }
        compiled.filter(|_| problems.len() == before)
    }

    /// True if it holds for the fields that `find` finds.
    pub(crate) fn holds_with<'v>(&self, find: &impl Fn(&F) -> Option<&'v Value>) -> bool {
        match self {
            Self::Field(field, test) => test.holds(find(field)),
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds_with(find)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds_with(find)),
            Self::Not(condition) => !condition.holds_with(find),
        }
    }

    /// Calls `visit` with each of its fields.
    pub(crate) fn for_each_field(&mut self, visit: &mut dyn FnMut(&mut F)) {
        match self {
            Self::Field(field, _) => visit(field),
            Self::All(conditions) | Self::Any(conditions) => {
                conditions
                    .iter_mut()
                    .for_each(|condition| condition.for_each_field(visit));
            }
            Self::Not(condition) => condition.for_each_field(visit),
        }
    }
}

impl Test {
    fn holds(&self, value: Option<&Value>) -> bool {
        let number = || value.and_then(Value::as_f64);
        let text = || value.and_then(Value::as_str);
        match self {
            Self::Equals(wanted) => value.is_some_and(|value| is_same(value, wanted)),
            Self::NotEquals(other) => !value.is_some_and(|value| is_same(value, other)),
            Self::OneOf(wanted) => value.is_some_and(|value| wanted.iter().any(|wanted| is_same(value, wanted))),
            Self::Exists(exists) => value.is_some_and(|value| !value.is_null()) == *exists,
            Self::GreaterThan(limit) => number().is_some_and(|number| number > *limit),
            Self::AtLeast(limit) => number().is_some_and(|number| number >= *limit),
            Self::LessThan(limit) => number().is_some_and(|number| number < *limit),
            Self::AtMost(limit) => number().is_some_and(|number| number <= *limit),
            Self::StartsWith(start) => text().is_some_and(|text| text.starts_with(start)),
            Self::EndsWith(end) => text().is_some_and(|text| text.ends_with(end)),
            Self::Contains(part) => match (value, part) {
                (Some(Value::String(text)), Value::String(part)) => text.contains(part),
                (Some(Value::Array(items)), part) => items.iter().any(|item| is_same(item, part)),
                _ => false,
            },
        }
    }
}

/// True for the same value; numbers are compared by what they are worth, so that 1 and 1.0 are the same.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => is_same_number(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, value)| other.get(name).is_some_and(|other| is_same(value, other)))
        }
        (one, other) => one == other,
    }
}

fn is_same_number(one: &Number, other: &Number) -> bool {
    // Whole numbers beyond 2^53 would be rounded together as fractions.
    if one.is_f64() || other.is_f64() {
        one.as_f64() == other.as_f64()
    } else {
        one == other
    }
}

struct Compiler<'p, F> {
    read: &'p mut dyn FnMut(&str) -> Result<F, String>,
    problems: &'p mut Vec<Problem>,
    count: usize,
}

impl<F> Compiler<'_, F> {
    fn condition(&mut self, filter: &Filter, path: &str, depth: usize) -> Option<Condition<F>> {
        self.count += 1;
        if depth > MAX_DEPTH {
            self.refuse(path, format!("is nested more than {MAX_DEPTH} levels deep"));
            return None;
        }
        let groups = [filter.all.is_some(), filter.any.is_some(), filter.not.is_some()];
        let groups = groups.into_iter().filter(|given| *given).count();
        let tests = self.tests(filter, path);
        match (&filter.field, groups, tests.len()) {
            (Some(field), 0, 1) => self.field(field, tests, path),
            (None, 1, 0) => self.group(filter, path, depth),
            (Some(_), 0, count) => {
                self.refuse(
                    path,
                    format!("needs exactly one comparison beside `field`, not {count}"),
                );
                None
            }
            (None, 0, 1..) => {
                self.refuse(path, "needs `field`, which names what is compared".to_owned());
                None
            }
            _ => {
                let message = "must be either `field` with one comparison, or one of `all`, `any` and `not`";
                self.refuse(path, message.to_owned());
                None
            }
        }
    }

    /// The comparisons that are given.
    fn tests(&mut self, filter: &Filter, path: &str) -> Vec<Test> {
        if let Some(values) = &filter.one_of
            && !(1..=MOST_VALUES).contains(&values.len())
        {
            let message = format!("holds {} values; 1 to {MOST_VALUES} are allowed", values.len());
            self.refuse(&join(path, "oneOf"), message);
        }
        let limits = [
            ("greaterThan", filter.greater_than),
            ("atLeast", filter.at_least),
            ("lessThan", filter.less_than),
            ("atMost", filter.at_most),
        ];
        for (name, limit) in limits {
            if limit.is_some_and(|limit| !limit.is_finite()) {
                self.refuse(&join(path, name), "must be a number".to_owned());
            }
        }
        let given = [
            filter.equals.clone().map(Test::Equals),
            filter.not_equals.clone().map(Test::NotEquals),
            filter.one_of.clone().map(Test::OneOf),
            filter.exists.map(Test::Exists),
            filter.greater_than.map(Test::GreaterThan),
            filter.at_least.map(Test::AtLeast),
            filter.less_than.map(Test::LessThan),
            filter.at_most.map(Test::AtMost),
            filter.starts_with.clone().map(Test::StartsWith),
            filter.ends_with.clone().map(Test::EndsWith),
            filter.contains.clone().map(Test::Contains),
        ];
        given.into_iter().flatten().collect()
    }

    fn field(&mut self, field: &str, tests: Vec<Test>, path: &str) -> Option<Condition<F>> {
        match (self.read)(field) {
            Ok(steps) => tests.into_iter().next().map(|test| Condition::Field(steps, test)),
            Err(message) => {
                self.refuse(&join(path, "field"), message);
                None
            }
        }
    }

    fn group(&mut self, filter: &Filter, path: &str, depth: usize) -> Option<Condition<F>> {
        if let Some(inner) = &filter.not {
            let inner = self.condition(inner, &join(path, "not"), depth + 1)?;
            return Some(Condition::Not(Box::new(inner)));
        }
        if let Some(members) = &filter.all {
            return self.members(members, &join(path, "all"), depth).map(Condition::All);
        }
        let members = filter.any.as_deref().unwrap_or_default();
        self.members(members, &join(path, "any"), depth).map(Condition::Any)
    }

    fn members(&mut self, members: &[Filter], path: &str, depth: usize) -> Option<Vec<Condition<F>>> {
        if members.is_empty() {
            self.refuse(path, "must hold at least one condition".to_owned());
            return None;
        }
        let compiled: Vec<Option<Condition<F>>> = members
            .iter()
            .enumerate()
            .map(|(index, member)| self.condition(member, &join(path, &format!("[{index}]")), depth + 1))
            .collect();
        compiled.into_iter().collect()
    }

    fn refuse(&mut self, path: &str, message: String) {
        self.problems.push(Problem::new(path, message));
    }
}

/// The steps to one field of a payload.
///
/// # Errors
/// What is wrong with the path, for people.
pub(crate) fn single_field(text: &str) -> Result<Box<[Step]>, String> {
    let path = FieldPath::parse(text)?;
    match path.segments() {
        [steps] => Ok(steps.clone().into()),
        _ => Err(format!(
            "`{text}` has a `[]`, but one field is meant: name its place, as in `[0]`"
        )),
    }
}

#[cfg(test)]
mod tests;

//! One line of a mapping table, checked on its own.

use serde_json::Value;

use super::operation::{self, Operation};
use super::path::FieldPath;
use crate::model::Problem;
use crate::model::mapping::{Condition, FieldMapping, OmitWhen};
use crate::model::problem::join;

/// A compiled line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) target: FieldPath,
    pub(super) origin: Origin,
    /// The line applies only where this holds.
    pub(super) when: Option<Test>,
}

/// Where a line's value comes from.
#[derive(Debug)]
pub(super) enum Origin {
    /// A static value, as JSON text.
    Static(Box<str>),
    /// A field of the source.
    Source(Source),
}

/// A field of the source, and what is done to it.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: FieldPath,
    pub(super) operations: Vec<Operation>,
    pub(super) default: Option<Value>,
    pub(super) required: bool,
    pub(super) omit: OmitWhen,
}

/// A compiled condition.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) path: FieldPath,
    pub(super) check: Check,
}

#[derive(Debug)]
pub(super) enum Check {
    Equals(Value),
    NotEquals(Value),
    OneOf(Vec<Value>),
    Exists(bool),
}

/// Compiles the line at `path`, adding every problem of it; `None` if there was any.
pub(super) fn compile(line: &FieldMapping, path: &str, problems: &mut Vec<Problem>) -> Option<Line> {
    let before = problems.len();
    let target = parsed(&line.target_field, &join(path, "targetField"), problems);
    let origin = match (&line.source_field, &line.value) {
        (Some(field), None) => source(line, field, path, problems).map(Origin::Source),
        (None, Some(value)) => {
            refuse_beside_value(line, path, problems);
            Some(Origin::Static(value.to_string().into()))
        }
        (Some(_), Some(_)) => {
            problems.push(Problem::new(
                join(path, "value"),
                "`sourceField` and `value` exclude each other: leave one of them out",
            ));
            None
        }
        (None, None) => {
            problems.push(Problem::new(
                path,
                "either `sourceField` or `value` is needed, to say where the value comes from",
            ));
            None
        }
    };
    let when = line
        .when
        .as_ref()
        .and_then(|condition| test(condition, &join(path, "when"), problems));
    if let (Some(target), Some(Origin::Source(source))) = (&target, &origin)
        && target.lists() != source.path.lists()
    {
        problems.push(Problem::new(
            join(path, "targetField"),
            lists_differ(&source.path, target),
        ));
    }
    let (target, origin) = (target?, origin?);
    (problems.len() == before).then_some(Line { target, origin, when })
}

fn source(line: &FieldMapping, field: &str, path: &str, problems: &mut Vec<Problem>) -> Option<Source> {
    let from = source_path(field, &join(path, "sourceField"), problems);
    let operations = line
        .transform
        .iter()
        .enumerate()
        .filter_map(|(index, step)| operation::compile(step, &join(path, &format!("transform[{index}]")), problems))
        .collect();
    Some(Source {
        path: from?,
        operations,
        default: line.default_value.clone(),
        required: line.required,
        omit: line.omit_when.unwrap_or(OmitWhen::Absent),
    })
}

fn refuse_beside_value(line: &FieldMapping, path: &str, problems: &mut Vec<Problem>) {
    for (given, setting) in [
        (!line.transform.is_empty(), "transform"),
        (line.default_value.is_some(), "defaultValue"),
        (line.required, "required"),
        (line.omit_when.is_some(), "omitWhen"),
    ] {
        if given {
            problems.push(Problem::new(
                join(path, setting),
                "has no meaning beside the static `value`: leave it out, or use `sourceField`",
            ));
        }
    }
}

fn test(condition: &Condition, path: &str, problems: &mut Vec<Problem>) -> Option<Test> {
    let field = source_path(&condition.field, &join(path, "field"), problems);
    if field.as_ref().is_some_and(|field| field.lists() > 0) {
        problems.push(Problem::new(
            join(path, "field"),
            "a condition tests one field of the body: `[]` is not possible here, a place such as `[0]` is",
        ));
    }
    let mut checks = [
        condition.equals.clone().map(Check::Equals),
        condition.not_equals.clone().map(Check::NotEquals),
        condition.one_of.clone().map(Check::OneOf),
        condition.exists.map(Check::Exists),
    ]
    .into_iter()
    .flatten();
    let (Some(check), None) = (checks.next(), checks.next()) else {
        problems.push(Problem::new(
            path,
            "exactly one of `equals`, `notEquals`, `oneOf` and `exists` is needed",
        ));
        return None;
    };
    if matches!(&check, Check::OneOf(values) if values.is_empty()) {
        problems.push(Problem::new(
            join(path, "oneOf"),
            "the list is empty, so the line would never apply: give at least one value",
        ));
    }
    Some(Test { path: field?, check })
}

/// A path into the source.
fn source_path(text: &str, at: &str, problems: &mut Vec<Problem>) -> Option<FieldPath> {
    if text.starts_with('$') {
        problems.push(Problem::new(
            at,
            format!(
                "`{text}`: names that start with `$` are not supported yet; a path starts with a field of the body"
            ),
        ));
        return None;
    }
    parsed(text, at, problems)
}

fn parsed(text: &str, at: &str, problems: &mut Vec<Problem>) -> Option<FieldPath> {
    FieldPath::parse(text)
        .map_err(|message| problems.push(Problem::new(at, message)))
        .ok()
}

fn lists_differ(source: &FieldPath, target: &FieldPath) -> String {
    format!(
        "`{}` has {} `[]` and the source `{}` has {}: both must have the same number, as each list of the source fills one of the target",
        target.text(),
        target.lists(),
        source.text(),
        source.lists()
    )
}

//! What differs between two states of an object: field by field for programs, as text for people, and never a secret.

use std::collections::BTreeSet;
use std::time::Duration;

use filters::model::problem::join;
use filters::model::push::{Object, ObjectId, ObjectKind};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use similar::TextDiff;

use crate::comparable;

/// What differs between two states of an object.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Difference {
    /// Kind of the object.
    pub(crate) kind: ObjectKind,
    /// The number of an organization or unit, or the identifier of another object.
    pub(crate) id: Value,
    /// What happened to it.
    pub(crate) action: DifferenceAction,
    /// Field by field, where it was changed; at most 200.
    pub(crate) changes: Vec<FieldChange>,
    /// Unified diff of the object as YAML, at most 64 KiB.
    pub(crate) unified: String,
    /// True if there is more than is shown.
    pub(crate) truncated: bool,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum DifferenceAction {
    /// It was not there before.
    Created,
    /// It was there with another content.
    Changed,
    /// It is gone.
    Deleted,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FieldChange {
    /// Where it is, as `targets[1].url`.
    pub(crate) path: String,
    /// What was there; left out if nothing was, or it is secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Value>,
    /// What is there now; left out if nothing is, or it is secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<Value>,
    /// True for a secret, of which only that it differs is told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) secret: bool,
}

/// What differs between `before` and `after`, which are states of the object `id`; `None` if nothing does but times.
pub(crate) fn between(id: &ObjectId, before: Option<&Object>, after: Option<&Object>) -> Option<Difference> {
    let action = match (before, after) {
        (None, None) => return None,
        (None, Some(_)) => DifferenceAction::Created,
        (Some(_), None) => DifferenceAction::Deleted,
        (Some(_), Some(_)) => DifferenceAction::Changed,
    };
    let mut found = Found::default();
    if let (Some(before), Some(after)) = (before, after) {
        let (before, after) = (Both::of(before), Both::of(after));
        found.compare("", before.side(), after.side());
        if found.changes.is_empty() {
            return None;
        }
    }
    let (unified, cut) = unified(id, before, after);
    Some(Difference {
        kind: id.kind(),
        id: json_of(id),
        action,
        truncated: cut || found.truncated,
        changes: found.changes,
        unified,
    })
}

/// An identifier as documents have it.
pub(crate) fn json_of(id: &ObjectId) -> Value {
    match id {
        ObjectId::Organization(number) | ObjectId::Unit(number) => (*number).into(),
        other => other.text().into(),
    }
}

/// An object as JSON, with its secrets and without.
struct Both {
    real: Value,
    shown: Value,
}

/// A part of it; `None` where there is nothing.
#[derive(Clone, Copy)]
struct Side<'a> {
    real: Option<&'a Value>,
    shown: Option<&'a Value>,
}

impl Both {
    fn of(object: &Object) -> Self {
        Self {
            real: plain(object),
            shown: plain(&object.masked()),
        }
    }

    fn side(&self) -> Side<'_> {
        Side {
            real: Some(&self.real),
            shown: Some(&self.shown),
        }
    }
}

impl<'a> Side<'a> {
    fn field(self, name: &str) -> Self {
        let of = |value: Option<&'a Value>| value.and_then(|value| value.get(name));
        Self {
            real: of(self.real),
            shown: of(self.shown),
        }
    }

    fn item(self, index: usize) -> Self {
        let of = |value: Option<&'a Value>| value.and_then(|value| value.get(index));
        Self {
            real: of(self.real),
            shown: of(self.shown),
        }
    }
}

#[derive(Default)]
struct Found {
    changes: Vec<FieldChange>,
    truncated: bool,
}

impl Found {
    fn compare(&mut self, path: &str, before: Side<'_>, after: Side<'_>) {
        if before.real == after.real {
            return;
        }
        match (before.shown, after.shown) {
            (Some(Value::Object(old)), Some(Value::Object(new))) => {
                let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
                for name in names {
                    self.compare(&join(path, name), before.field(name), after.field(name));
                }
            }
            (Some(Value::Array(_)), Some(Value::Array(_))) => self.compare_lists(path, before, after),
            (old, new) => self.add(path, old, new),
        }
    }

    /// What is the same at the beginning and at the end of two lists is left out, and the rest compared item by item.
    fn compare_lists<'a>(&mut self, path: &str, before: Side<'a>, after: Side<'a>) {
        let items = |side: Side<'a>| side.real.and_then(Value::as_array).map_or(0, Vec::len);
        let (old, new) = (items(before), items(after));
        let shorter = old.min(new);
        let same = |one: usize, other: usize| before.item(one).real == after.item(other).real;
        let head = (0..shorter).take_while(|index| same(*index, *index)).count();
        let tail = (1..=shorter - head)
            .take_while(|back| same(old - back, new - back))
            .count();
        let nothing = Side {
            real: None,
            shown: None,
        };
        for index in head..(old.max(new) - tail) {
            let part = |side: Side<'a>, length: usize| {
                if index < length - tail {
                    side.item(index)
                } else {
                    nothing
                }
            };
            self.compare(&format!("{path}[{index}]"), part(before, old), part(after, new));
        }
    }

    fn add(&mut self, path: &str, before: Option<&Value>, after: Option<&Value>) {
        if self.changes.len() >= MOST_CHANGES {
            self.truncated = true;
            return;
        }
        // Different, and the same where it is shown.
        let secret = before == after;
        self.changes.push(FieldChange {
            path: path.to_owned(),
            before: before.filter(|_| !secret).cloned(),
            after: after.filter(|_| !secret).cloned(),
            secret,
        });
    }
}

/// The fields of an object, but for what only we set.
fn plain(object: &Object) -> Value {
    let whole = serde_json::to_value(object).expect("model types have text keys and serialize without fail");
    let mut value = match whole {
        Value::Object(mut fields) => fields.remove("value").unwrap_or_default(),
        other => other,
    };
    if let Value::Object(fields) = &mut value {
        fields.retain(|name, _| !matches!(name.as_str(), "createdAt" | "updatedAt"));
    }
    value
}

/// The unified diff, and whether it was cut off.
fn unified(id: &ObjectId, before: Option<&Object>, after: Option<&Object>) -> (String, bool) {
    let text = |object: Option<&Object>| object.map(comparable::object).unwrap_or_default();
    let name = |object: Option<&Object>| match object {
        Some(_) => format!("{}/{}", id.kind().name(), id.text()),
        None => "/dev/null".to_owned(),
    };
    let (old, new) = (text(before), text(after));
    let mut unified = TextDiff::configure()
        .timeout(LONGEST_DIFF)
        .diff_lines(&old, &new)
        .unified_diff()
        .context_radius(3)
        .header(&name(before), &name(after))
        .to_string();
    let cut = unified.len() > MOST_BYTES;
    if cut {
        unified.truncate(unified.floor_char_boundary(MOST_BYTES));
        unified.truncate(unified.rfind('\n').map_or(0, |end| end + 1));
    }
    (unified, cut)
}

const MOST_CHANGES: usize = 200;
const MOST_BYTES: usize = 64 * 1024;
/// Beyond this time a diff is right but longer than it had to be.
const LONGEST_DIFF: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;

//! Event types, compiled.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::{check_identifier, organization};
use crate::model::{Entry, EventType, Problem, Snapshot};
use crate::plan::events::{Twice, TypePlan, Types};
use crate::schema::Schema;
use crate::subscription::pattern;

/// Numbers that an action may have: those that every JSON reader keeps exactly.
pub(super) const ACTIONS: RangeInclusive<i64> = 1..=(1 << 53) - 1;

/// Compiles the event types of `snapshot`, sharing with `previous` what has not changed.
pub(super) fn compile(snapshot: &Snapshot, previous: Option<&Arc<Types>>, problems: &mut Vec<Problem>) -> Arc<Types> {
    let unchanged = |id: &Arc<str>, entry: &Entry<EventType>| {
        let before = previous?.by_id.get(id)?;
        before.is_of(entry).then(|| Arc::clone(before))
    };
    let mut types = BTreeMap::new();
    let mut changed = 0;
    for (id, entry) in &snapshot.event_types {
        let compiled = unchanged(id, entry).or_else(|| {
            changed += 1;
            one(id, entry, problems).map(Arc::new)
        });
        types.extend(compiled.map(|compiled| (Arc::clone(id), compiled)));
    }
    match previous {
        Some(previous) if changed == 0 && previous.by_id.len() == types.len() => Arc::clone(previous),
        _ => Arc::new(Types::of(types, |event_type, twice| {
            let path = path(&event_type.id);
            problems.push(match twice {
                Twice::Name(other) => {
                    let message = format!("{:?} is that of event type {other:?} too", event_type.name);
                    Problem::new(format!("{path}.eventType"), message)
                }
                Twice::Action(other) => {
                    let action = event_type.action_id.unwrap_or_default();
                    let message = format!("{action} is that of event type {other:?} too");
                    Problem::new(format!("{path}.actionId"), message)
                }
            });
        })),
    }
}

/// What is wrong with an action id.
pub(super) fn bad_action(action: i64) -> String {
    format!("{action} must be between {} and {}", ACTIONS.start(), ACTIONS.end())
}

fn one(id: &Arc<str>, entry: &Entry<EventType>, problems: &mut Vec<Problem>) -> Option<TypePlan> {
    let source = &entry.value;
    let mut own = Vec::new();
    check_identifier(id, "id", &mut own);
    organization::check_id(source.org_id, "orgId", &mut own);
    if let Err(message) = pattern::check_name(&source.event_type) {
        own.push(Problem::new("eventType", message));
    }
    if let Some(action) = source.action_id.filter(|action| !ACTIONS.contains(action)) {
        own.push(Problem::new("actionId", bad_action(action)));
    }
    for (field, text, most) in [
        ("name", &source.name, 200),
        ("description", &source.description, 10_000),
    ] {
        if text.len() > most {
            own.push(Problem::new(field, format!("must be at most {most} bytes long")));
        }
    }
    organization::check_text(&source.name, "name", &mut own);
    let schema = source
        .schema
        .as_ref()
        .map(|schema| Schema::compile(schema, "schema", &mut own));
    let clean = own.is_empty();
    problems.extend(own.into_iter().map(|problem| problem.within(&path(id))));
    clean.then(|| TypePlan {
        id: Arc::clone(id),
        org_id: source.org_id,
        name: source.event_type.as_str().into(),
        action_id: source.action_id,
        schema: schema.flatten(),
        digest: entry.digest,
    })
}

fn path(id: &str) -> String {
    format!("eventTypes[{id:?}]")
}

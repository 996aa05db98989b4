//! Mapping tables held against the schemas of the bodies that they get: those of `validation` for requests and answers,
//! those of event types for subscriptions; and against those of the bodies that they are to make.
//!
//! This is asked when something is saved, and not by [`compile`](crate::compile()): what is stored goes on as it is.

mod kinds;
mod shape;

use std::collections::BTreeSet;

use crate::model::format::{BodyFormat, Format};
use crate::model::push::ObjectId;
use crate::model::route::HttpMethod;
use crate::model::target_schema::TargetSchema;
use crate::model::validation::{Content, Operation, ResponseRule, Unlisted, Validation};
use crate::model::{OutboundIntegration, Problem, Snapshot};
use crate::plan::{Change, Integration, Mode, Plan, Transform};
use crate::subscription::{Subscription, Topic};
pub(crate) use kinds::Kinds;
use shape::Source;
pub(crate) use shape::{Found, Shape, Spot};

/// Bodies that a table gets.
#[derive(Debug)]
pub(crate) struct Bodies<'s> {
    /// What they look like.
    pub(crate) shape: Shape<'s>,
    /// True if they do not tell a list of one item from the item.
    pub(crate) lenient: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What cannot work on any body that fits the schemas: a path to a field that they do not allow, a transformer that
    /// gets no value that it takes.
    pub problems: Vec<Problem>,
    /// What may be wrong: a field that the schemas do not name, a transformer that gets other values too.
    pub warnings: Vec<Problem>,
}

/// Holds the tables of the objects `changed` against their schemas. `plan` is the compiled `snapshot`. Paths begin as those
/// of [`compile`](crate::compile()). Where only the event type changed, what is wrong with subscriptions to it is a warning.
pub fn mappings(snapshot: &Snapshot, plan: &Plan, changed: &BTreeSet<ObjectId>) -> Findings {
    let mut findings = Findings::default();
    for integration in plan.integrations() {
        if changed.contains(&ObjectId::Integration(integration.id.clone())) {
            of_integration(integration, &mut findings);
        }
    }
    let types: BTreeSet<&str> = changed.iter().filter_map(event_type_of).collect();
    for subscription in plan.events.subscriptions() {
        let is_changed = changed.contains(&ObjectId::Outbound(subscription.id.clone()));
        if !is_changed && types.is_empty() {
            continue;
        }
        let mut own = Findings::default();
        let is_concerned = of_subscription(subscription, snapshot, &types, &mut own);
        if is_changed {
            findings.problems.append(&mut own.problems);
            findings.warnings.append(&mut own.warnings);
        } else if is_concerned {
            findings.warnings.append(&mut own.problems);
            findings.warnings.append(&mut own.warnings);
        }
    }
    findings
}

fn event_type_of(id: &ObjectId) -> Option<&str> {
    match id {
        ObjectId::EventType(id) => Some(id),
        _ => None,
    }
}

fn of_integration(integration: &Integration, findings: &mut Findings) {
    let source = &integration.source;
    let Mode::Exchange { request, response } = &integration.mode else {
        return;
    };
    let validation = source.validation.as_ref();
    let path = format!("integrations[{:?}]", &*integration.id);
    if let Some(table) = request.as_ref().and_then(table_of) {
        let bodies = Bodies {
            shape: validation.map(requests).unwrap_or_default(),
            lenient: is_lenient(source.request_format.as_ref()),
        };
        let at = format!("{path}.requestFieldMappings");
        table.fit(&bodies, &at, findings);
        if let Some(target) = &source.request_target_schema {
            table.fit_target(&taken(target), &bodies, &at, findings);
        }
    }
    if let Some(table) = response.as_ref().and_then(table_of) {
        let answers = |validation| answers(validation, source.transform_errors);
        let bodies = Bodies {
            shape: validation.map(answers).unwrap_or_default(),
            lenient: is_lenient(source.response_format.as_ref()),
        };
        let at = format!("{path}.responseFieldMappings");
        table.fit(&bodies, &at, findings);
        if let Some(target) = &source.response_target_schema {
            table.fit_target(&taken(target), &bodies, &at, findings);
        }
    }
}

/// What whoever gets a mapped body takes.
fn taken(target: &TargetSchema) -> Shape<'_> {
    let mut shape = Shape::default();
    shape.add(Source {
        schema: &target.schema,
        definitions: None,
    });
    shape
}

/// Holds the tables of a subscription against the types of its events. True if one of `types` is among them.
fn of_subscription(
    subscription: &Subscription,
    snapshot: &Snapshot,
    types: &BTreeSet<&str>,
    findings: &mut Findings,
) -> bool {
    let source = &subscription.source;
    let (mut shape, is_concerned) = events(subscription, snapshot, types);
    for enrichment in &subscription.enrichments {
        match enrichment.target_field.as_deref() {
            Some([first, ..]) => shape.with(first),
            _ => shape.open(),
        }
    }
    if !source.actions.is_empty() {
        shape.with("steps");
    }
    let path = format!("integrations[{:?}]", &*subscription.id);
    let bodies = Bodies {
        shape,
        lenient: is_lenient_delivery(source),
    };
    let mut is_shared_done = false;
    for (index, step) in subscription.steps.iter().enumerate() {
        let is_own = source
            .actions
            .get(index)
            .is_some_and(|action| action.transformation_mode.is_some());
        let Some(table) = step.transform.as_deref().and_then(table_of) else {
            continue;
        };
        if is_own {
            let at = format!("{path}.actions[{index}].fieldMappings");
            table.fit(&bodies, &at, findings);
            continue;
        }
        if std::mem::replace(&mut is_shared_done, true) {
            continue;
        }
        let at = format!("{path}.fieldMappings");
        table.fit(&bodies, &at, findings);
        if let Some(target) = &source.target_schema {
            table.fit_target(&taken(target), &bodies, &at, findings);
        }
    }
    is_concerned
}

/// The payloads that a subscription gets, and whether one of `types` is among their types.
fn events<'s>(subscription: &Subscription, snapshot: &'s Snapshot, types: &BTreeSet<&str>) -> (Shape<'s>, bool) {
    let mut shape = Shape::default();
    let mut is_concerned = false;
    for (id, entry) in &snapshot.event_types {
        let event_type = &entry.value;
        let is_subscribed = event_type.org_id == subscription.org_id
            && match &subscription.topic {
                Topic::Type(pattern) => pattern.matches(&event_type.event_type),
                Topic::Action(action) => event_type.action_id == Some(*action),
            };
        if !is_subscribed {
            continue;
        }
        is_concerned |= types.contains(&**id);
        match &event_type.schema {
            Some(schema) => shape.add(Source {
                schema,
                definitions: None,
            }),
            None => shape.open(),
        }
    }
    (shape, is_concerned)
}

/// The bodies of requests.
fn requests(validation: &Validation) -> Shape<'_> {
    let mut shape = Shape::default();
    if validation.unlisted == Unlisted::Pass {
        shape.open();
    }
    for operation in &validation.operations {
        match &operation.request_body {
            Some(body) => contents(&body.content, validation, &mut shape),
            None if has_no_bodies(operation) => {}
            None => shape.open(),
        }
    }
    shape
}

fn has_no_bodies(operation: &Operation) -> bool {
    let bodiless = [
        HttpMethod::Get,
        HttpMethod::Head,
        HttpMethod::Delete,
        HttpMethod::Options,
    ];
    !operation.methods.is_empty() && operation.methods.iter().all(|method| bodiless.contains(method))
}

/// The bodies of answers: of those with a good status, or of all.
fn answers(validation: &Validation, with_errors: bool) -> Shape<'_> {
    let mut shape = Shape::default();
    if validation.unlisted == Unlisted::Pass {
        shape.open();
    }
    for operation in &validation.operations {
        let mut rules = operation
            .responses
            .iter()
            .filter(|rule| with_errors || may_be_good(rule))
            .peekable();
        if rules.peek().is_none() {
            shape.open();
        }
        for rule in rules {
            match rule.content.as_slice() {
                [] if rule.status == "204" => {}
                [] => shape.open(),
                content => contents(content, validation, &mut shape),
            }
        }
    }
    shape
}

fn may_be_good(rule: &ResponseRule) -> bool {
    rule.status.starts_with('2') || rule.status == "default"
}

fn contents<'v>(contents: &'v [Content], validation: &'v Validation, shape: &mut Shape<'v>) {
    for content in contents {
        match &content.schema {
            Some(schema) => shape.add(Source {
                schema,
                definitions: Some(&validation.definitions),
            }),
            None => shape.open(),
        }
    }
}

fn table_of(transform: &Transform) -> Option<&crate::transform::Mapping> {
    match &transform.change {
        Change::Mapping(mapping) => Some(mapping),
        Change::Script(_) | Change::Nothing => None,
    }
}

/// True for bodies that do not tell a list of one item from the item.
fn is_lenient(format: Option<&BodyFormat>) -> bool {
    format.is_some_and(|format| format.from != Some(Format::Json))
}

fn is_lenient_delivery(source: &OutboundIntegration) -> bool {
    is_lenient(source.body_format.as_ref())
}

#[cfg(test)]
mod tests;

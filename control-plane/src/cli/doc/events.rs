//! Sections 4 and 5 of a subscription: its events, their order, and what happens where several steps fail.

use std::fmt::Write as _;

use filters::model::outbound::handling::{OnBlocked, OrderingMode};
use filters::model::{EventType, OutboundIntegration};

use super::contract::pretty;
use super::markdown::{Markdown, code, plain};
use super::topology::label;
use super::{Facts, OPEN, resilience, word};

pub(super) fn write(facts: &Facts, integration: &OutboundIntegration, page: &mut Markdown) {
    page.heading(2, "4. Event-Driven Integrations");
    page.heading(3, "4.1 Event Schemas (CloudEvents 1.0)");
    schemas(facts, integration, page);
    page.heading(3, "4.2 Topics / Queues");
    page.table(
        &["Queue", "Retention", "Consumers", "Producer"],
        [vec![
            "durable queue of the gateway that took the event in".to_owned(),
            "until delivered or dropped; delivered events as `queue.retention` says".to_owned(),
            plain(&integration.name),
            "products, with a producer key".to_owned(),
        ]],
    );
    page.heading(3, "4.3 Ordering Guarantees");
    page.table(
        &["Integration", "Ordering", "Scope", "Notes"],
        [vec![
            plain(&integration.name),
            code(&word(&integration.ordering.mode)),
            order_scope(integration),
            blocked(integration),
        ]],
    );
    page.heading(3, "4.4 Idempotency Strategy");
    page.list([
        "An event is known by organization, source and id; a repeat is taken in and not delivered again.".to_owned(),
        "Events without an id are known by type, payload and tenant for 5 minutes.".to_owned(),
        format!(
            "Deliveries are made at least once: consumers know a repeat by {}.",
            code("webhook-id")
        ),
    ]);
    page.heading(2, "5. Data Consistency Patterns");
    page.heading(3, "5.1 Consistency Model");
    page.facts([
        (
            "Model",
            "Eventual: an accepted event is delivered, or becomes a dead letter".to_owned(),
        ),
        ("Acceptable lag", "alerted on as `alerts.rules.lag` says".to_owned()),
        ("When", schedule(integration)),
    ]);
    saga(integration, page);
}

/// The events that it gets, as people write them.
pub(super) fn name(integration: &OutboundIntegration) -> String {
    match (&integration.event_type, integration.action_id) {
        (Some(kind), _) => kind.clone(),
        (None, Some(action)) => format!("action {action}"),
        (None, None) => String::new(),
    }
}

fn schemas(facts: &Facts, integration: &OutboundIntegration, page: &mut Markdown) {
    let organization = integration.org_id;
    let whose = match integration.tenant() {
        tenant if tenant == organization => format!("{} of organization {organization}", word(&integration.scope)),
        unit => format!("unit {unit}"),
    };
    page.facts([
        ("Events", code(&name(integration))),
        ("Of", plain(&whose)),
        ("Filter", filter(integration)),
        ("Published by", format!("products of {}", facts.organization_name())),
        ("Consumed by", plain(&integration.name)),
    ]);
    for known in facts
        .event_types
        .iter()
        .filter(|known| is_meant(known, integration))
        .take(MOST_SHOWN)
    {
        let action = known.action_id.map(|id| format!(", action {id}")).unwrap_or_default();
        page.paragraph(&format!(
            "Event {}{action}: {}",
            code(&known.event_type),
            plain(&known.description)
        ));
        if let Some(schema) = &known.schema {
            page.block("json", &pretty(schema));
        }
    }
}

/// True for an event type that the subscription is about by name, pattern or action id.
fn is_meant(known: &EventType, integration: &OutboundIntegration) -> bool {
    match (&integration.event_type, integration.action_id) {
        (Some(pattern), _) if pattern == "*" => true,
        (Some(pattern), _) => match pattern.strip_suffix(".*") {
            Some(prefix) => known
                .event_type
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with('.')),
            None => known.event_type == *pattern,
        },
        (None, action) => action.is_some() && known.action_id == action,
    }
}

fn filter(integration: &OutboundIntegration) -> String {
    let filter = integration
        .filter
        .as_ref()
        .and_then(|filter| serde_json::to_value(filter).ok());
    filter.map_or_else(|| "none: all of them".to_owned(), |filter| code(&filter.to_string()))
}

fn order_scope(integration: &OutboundIntegration) -> String {
    match integration.ordering.mode {
        OrderingMode::PerTenantAndType => "per entity and event type".to_owned(),
        OrderingMode::PerKey => {
            let key = integration.ordering.key.as_deref().map(code).unwrap_or_default();
            format!("per value of {key}")
        }
        OrderingMode::None => OPEN.to_owned(),
    }
}

fn blocked(integration: &OutboundIntegration) -> String {
    match (integration.ordering.mode, &integration.ordering.on_blocked) {
        (OrderingMode::None, _) => "independent events".to_owned(),
        (_, OnBlocked::Block) => "those behind a failed one wait until its retries are over".to_owned(),
        (_, OnBlocked::DeadLetterAfter(attempts)) => {
            format!("those behind a failed one wait for {attempts} attempts at it")
        }
    }
}

fn schedule(integration: &OutboundIntegration) -> String {
    let mode = code(&word(&integration.scheduling_mode));
    let config = integration
        .scheduling_config
        .as_ref()
        .and_then(|config| serde_json::to_value(config).ok());
    config.map_or_else(
        || mode.clone(),
        |config| format!("{mode} {}", code(&config.to_string())),
    )
}

/// Steps and what undoes them, as a sequence.
fn saga(integration: &OutboundIntegration, page: &mut Markdown) {
    page.heading(3, "5.2 Saga Pattern");
    if integration.actions.iter().all(|action| action.compensate.is_none()) {
        return page.paragraph("Not used: no step is undone when a later one fails.");
    }
    let mut text = "sequenceDiagram\n    autonumber\n    participant G as Gateway\n".to_owned();
    for (index, action) in integration.actions.iter().enumerate() {
        let _ = writeln!(text, "    participant S{index} as {}", label(&action.name));
    }
    for (index, action) in integration.actions.iter().enumerate() {
        let _ = writeln!(text, "    G->>S{index}: {}", label(&action.name));
    }
    text.push_str("    Note over G: where a step fails for good, those before it are undone in reverse order\n");
    let undone = integration
        .actions
        .iter()
        .enumerate()
        .rev()
        .filter_map(|(index, action)| {
            let undo = action.compensate.as_ref()?;
            Some((index, undo))
        });
    for (index, undo) in undone {
        let _ = writeln!(text, "    G->>S{index}: undo by {}", label(&undo.target_url));
    }
    page.block("mermaid", &text);
    let delays = integration
        .actions
        .iter()
        .filter(|action| action.delay_ms > 0)
        .map(|action| {
            let delay = resilience::duration(i64::try_from(action.delay_ms).unwrap_or(i64::MAX));
            format!("{} begins {delay} after the step before it.", plain(&action.name))
        });
    page.list(delays);
}

const MOST_SHOWN: usize = 20;

//! The document of an outbound integration: events are delivered to an endpoint.

use filters::model::OutboundIntegration;

use super::contract::{Body, sign_in, transformation};
use super::markdown::{Markdown, code, codes, plain};
use super::parties::host_of;
use super::topology::Chart;
use super::{Facts, OPEN, events, monitoring, purpose, resilience, word};

pub(super) fn write(facts: &Facts, integration: &OutboundIntegration, page: &mut Markdown) {
    overview(facts, integration, page);
    page.heading(2, "2. Integration Topology Diagram");
    page.block("mermaid", &topology(integration));
    page.heading(2, "3. Service Contracts");
    contract(integration, page);
    actions(integration, page);
    limits(integration, page);
    events::write(facts, integration, page);
    testing(integration, page);
    monitoring::write(
        &integration.id,
        &monitoring::OF_DELIVERIES,
        &[
            (
                "ENDPOINT_DOWN",
                "the circuit breaker is open, or the endpoint is disabled",
            ),
            ("LAG", "events wait for too long"),
            ("DEAD_LETTERS", "there are many dead letters"),
            ("DEAD_LETTER_GROWTH", "dead letters become more quickly"),
            ("DEAD_LETTERS_ABANDONED", "deliveries were given up"),
        ],
        page,
    );
}

fn overview(facts: &Facts, integration: &OutboundIntegration, page: &mut Markdown) {
    page.heading(2, "1. Integration Overview & Context");
    page.facts([
        ("Integration name", plain(&integration.name)),
        ("Type", "Asynchronous (events)".to_owned()),
        ("Direction", "outbound: product → gateway → endpoint".to_owned()),
    ]);
    purpose(page);
    page.heading(3, "Parties");
    let party = |role: &str, system: String, contact: String| vec![role.to_owned(), system, OPEN.to_owned(), contact];
    page.table(
        &["Party", "System", "Team", "Contact"],
        [
            party(
                "Publisher",
                format!("products of {}", facts.organization_name()),
                facts.contact(),
            ),
            party("Consumer (endpoint)", codes(endpoints(integration)), OPEN.to_owned()),
        ],
    );
}

fn topology(integration: &OutboundIntegration) -> String {
    let mut chart = Chart::default();
    let producers = chart.group("Publisher", ["Product"]);
    let mut steps = vec!["Durable queue".to_owned()];
    let optional = [
        (integration.filter.is_some(), "Filter"),
        (!integration.enrichments.is_empty(), "Enrichment"),
        (integration.transformation_mode.is_some(), "Transformation"),
        (word(&integration.signing_type) != "NONE", "Signature"),
        (integration.breaker.enabled, "Circuit breaker"),
    ];
    steps.extend(
        optional
            .into_iter()
            .filter(|(is_there, _)| *is_there)
            .map(|(_, step)| step.to_owned()),
    );
    let gateway = chart.group("Integration Gateway", steps);
    let kept = chart.group("Kept for operators", ["Dead letters", "Alerts"]);
    let partners = chart.group("Consumer", endpoints(integration));
    chart.chain(&gateway);
    if let (Some(first), Some(last), [dead, alerts]) = (gateway.first(), gateway.last(), kept.as_slice()) {
        for producer in &producers {
            chart.arrow(producer, &events::name(integration), first);
        }
        for partner in &partners {
            chart.arrow(last, &word(&integration.outgoing_auth_type), partner);
        }
        chart.arrow(last, "failed for good", dead);
        chart.arrow(dead, "", alerts);
    }
    chart.into_text()
}

fn contract(integration: &OutboundIntegration, page: &mut Markdown) {
    page.heading(3, &format!("3.1 Integration: {}", plain(&integration.name)));
    page.facts([
        ("Protocol", "HTTP".to_owned()),
        ("Direction", format!("gateway → {}", codes(endpoints(integration)))),
        (
            "Idempotency",
            format!(
                "yes: {} and {} are the same in each attempt at a delivery",
                code("Idempotency-Key"),
                code("webhook-id")
            ),
        ),
    ]);
    let config = integration.outgoing_auth_config.as_ref();
    sign_in("Authentication", &integration.outgoing_auth_type, config, page);
    sign_in(
        "Signature",
        &integration.signing_type,
        integration.signing_config.as_ref(),
        page,
    );
    page.heading(4, "Request Contract");
    let target = integration
        .target_url
        .as_deref()
        .map_or_else(|| "that of each step".to_owned(), code);
    page.facts([("Endpoint", format!("{} {target}", word(&integration.http_method)))]);
    page.block(
        "http",
        "Content-Type: application/json\nIdempotency-Key: <delivery>\nwebhook-id: <delivery>\nce-id: <event>",
    );
    page.list(integration.enrichments.iter().map(|call| {
        let into = call
            .target_field
            .as_deref()
            .map_or_else(|| "the whole payload".to_owned(), code);
        format!("Before each attempt {} is fetched into {into}.", code(&call.url))
    }));
    page.heading(4, "Request Body");
    transformation(
        &Body {
            mode: integration.transformation_mode,
            mappings: &integration.field_mappings,
            script: integration.transform_script.as_deref(),
            sample: integration.sample.as_ref(),
        },
        page,
    );
    page.heading(4, "Successful Response");
    page.paragraph("Any 2xx; its body is not looked at.");
    page.heading(4, "Error Handling");
    resilience::delivery_errors(integration, page);
}

/// Steps that take the place of the one delivery.
fn actions(integration: &OutboundIntegration, page: &mut Markdown) {
    if integration.actions.is_empty() {
        return;
    }
    page.heading(3, "3.2 Steps");
    let rows = integration.actions.iter().enumerate().map(|(index, action)| {
        let target = action.target_url.as_deref().or(integration.target_url.as_deref());
        let method = action.http_method.unwrap_or(integration.http_method);
        vec![
            (index + 1).to_string(),
            plain(&action.name),
            format!("{} {}", word(&method), target.map(code).unwrap_or_default()),
            resilience::duration(i64::try_from(action.delay_ms).unwrap_or(i64::MAX)),
            action
                .compensate
                .as_ref()
                .map_or_else(|| OPEN.to_owned(), |undo| code(&undo.target_url)),
        ]
    });
    page.table(&["Step", "Name", "Call", "Delay", "Undone by"], rows);
}

fn limits(integration: &OutboundIntegration, page: &mut Markdown) {
    page.heading(4, "Retry Policy");
    resilience::schedule(&integration.retry, page);
    let dead = &integration.dead_letter_retry;
    let delays: Vec<String> = dead
        .delays_ms
        .iter()
        .map(|ms| resilience::duration(i64::try_from(*ms).unwrap_or(i64::MAX)))
        .collect();
    page.facts([(
        "Dead letters",
        if dead.enabled && !delays.is_empty() {
            format!(
                "are retried by themselves after {}, then wait for an operator",
                delays.join(", ")
            )
        } else {
            "wait for an operator".to_owned()
        },
    )]);
    page.heading(4, "Circuit Breaker Configuration");
    resilience::breaker(Some(&integration.breaker), page);
    page.heading(4, "Rate Limiting");
    resilience::delivery_limits(&integration.rate_limits, page);
    page.heading(4, "Timeout Configuration");
    resilience::timeouts(&integration.timeouts, page);
}

fn testing(integration: &OutboundIntegration, page: &mut Markdown) {
    page.heading(2, "6. Integration Testing Strategy");
    page.paragraph("A test delivery to the endpoint, once, with the attempt in the logs:");
    page.block(
        "sh",
        &format!(
            "curl -X POST -H \"X-API-Key: $GWCTL_KEY\" \\\n  \
             \"$GWCTL_SERVER/api/v1/outbound-integrations/{}/deliver-test?orgId={}\"",
            integration.id, integration.org_id
        ),
    );
    page.list([
        "the endpoint answers 2xx: the event is delivered once".to_owned(),
        "the endpoint answers 500: the delivery is retried by the schedule, then becomes a dead letter".to_owned(),
        "the endpoint fails for long: the circuit opens, and events wait".to_owned(),
        "the same event comes twice: it is delivered once".to_owned(),
    ]);
}

/// Hosts that events are delivered to, each once.
fn endpoints(integration: &OutboundIntegration) -> Vec<String> {
    let steps = integration
        .actions
        .iter()
        .filter_map(|action| action.target_url.as_ref());
    let mut hosts: Vec<String> = integration
        .target_url
        .iter()
        .chain(steps)
        .map(|url| host_of(url))
        .collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

//! The document of an inbound integration: clients call, the gateway calls the partner.

use filters::model::InboundIntegration;

use super::contract::{Body, pretty, sign_in, transformation};
use super::markdown::{Markdown, code, codes, plain};
use super::parties::{callers, consumers, endpoints, kept, partners, path_rewrite, path_text, targets};
use super::topology::Chart;
use super::{Facts, OPEN, faults, monitoring, purpose, resilience, word};

pub(super) fn write(facts: &Facts, integration: &InboundIntegration, page: &mut Markdown) {
    overview(facts, integration, page);
    page.heading(2, "2. Integration Topology Diagram");
    page.block("mermaid", &topology(facts, integration));
    page.heading(2, "3. Service Contracts");
    contract(facts, integration, page);
    bodies(integration, page);
    errors(integration, page);
    limits(integration, page);
    page.heading(2, "4. Event-Driven Integrations");
    page.paragraph("None: calls are answered at once and leave no event behind.");
    page.heading(2, "5. Data Consistency Patterns");
    page.facts([
        (
            "Model",
            "that of the partner; the gateway answers with what the partner answers".to_owned(),
        ),
        ("Kept answers", kept(integration)),
    ]);
    testing(integration, page);
    monitoring::write(
        &integration.id,
        &monitoring::OF_CALLS,
        &[("GATEWAY_GONE", "a gateway is not connected")],
        page,
    );
}

fn overview(facts: &Facts, integration: &InboundIntegration, page: &mut Markdown) {
    page.heading(2, "1. Integration Overview & Context");
    page.facts([
        ("Integration name", plain(&integration.name)),
        ("Type", "Synchronous (HTTP)".to_owned()),
        ("Direction", "inbound: clients → gateway → partner".to_owned()),
    ]);
    purpose(page);
    page.heading(3, "Parties");
    let party = |role: &str, system: String, contact: String| vec![role.to_owned(), system, OPEN.to_owned(), contact];
    page.table(
        &["Party", "System", "Team", "Contact"],
        [
            party("Consumer (caller)", callers(facts, integration), OPEN.to_owned()),
            party("Owner", facts.organization_name(), facts.contact()),
            party("Provider (server)", codes(partners(integration)), OPEN.to_owned()),
        ],
    );
}

fn topology(facts: &Facts, integration: &InboundIntegration) -> String {
    let mut chart = Chart::default();
    let known = consumers(facts, integration);
    let clients = match known.is_empty() {
        true => chart.group("Consumers", ["Clients"]),
        false => chart.group("Consumers", known),
    };
    let addresses = match integration.hosts.is_empty() {
        true => format!("/api/v1/integrations/{}", integration.kind),
        false => integration.hosts.join(" "),
    };
    let mut steps = vec![addresses];
    let auth = word(&integration.inbound_auth_type);
    let optional = [
        (auth != "NONE", format!("Sign-in {auth}")),
        (integration.rate_limits.is_some(), "Rate limits".to_owned()),
        (integration.validation.is_some(), "Validation".to_owned()),
        (
            integration.request_transformation_mode.is_some(),
            "Transformation".to_owned(),
        ),
        (integration.retry.is_some(), "Retry handler".to_owned()),
        (integration.breaker.is_some(), "Circuit breaker".to_owned()),
    ];
    steps.extend(
        optional
            .into_iter()
            .filter(|(is_there, _)| *is_there)
            .map(|(_, step)| step),
    );
    let gateway = chart.group("Integration Gateway", steps);
    let provider = chart.group("Provider", partners(integration));
    chart.chain(&gateway);
    if let (Some(first), Some(last)) = (gateway.first(), gateway.last()) {
        for client in &clients {
            chart.arrow(client, "HTTP", first);
        }
        let protocol = format!(
            "{} {}",
            word(&integration.target_protocol),
            word(&integration.outgoing_auth_type)
        );
        for partner in &provider {
            chart.arrow(last, protocol.trim(), partner);
        }
    }
    chart.into_text()
}

fn contract(facts: &Facts, integration: &InboundIntegration, page: &mut Markdown) {
    page.heading(3, &format!("3.1 Integration: {}", plain(&integration.name)));
    let idempotency = match integration.idempotency.as_ref().filter(|rules| rules.enabled) {
        Some(rules) => format!(
            "yes, by {}{}; answers are kept for {}",
            code("Idempotency-Key"),
            if rules.required { ", which is required" } else { "" },
            resilience::duration(i64::from(rules.keep_seconds) * 1_000)
        ),
        None => "keys are passed on to the partner".to_owned(),
    };
    page.facts([
        (
            "Protocol",
            format!(
                "HTTP, towards the partner {}",
                code(&word(&integration.target_protocol))
            ),
        ),
        (
            "Direction",
            format!("{} → {}", callers(facts, integration), codes(partners(integration))),
        ),
        ("Idempotency", idempotency),
    ]);
    let inbound = integration.inbound_auth_config.as_ref();
    sign_in(
        "Authentication of clients",
        &integration.inbound_auth_type,
        inbound,
        page,
    );
    let outgoing = integration.outgoing_auth_config.as_ref();
    sign_in(
        "Authentication towards the partner",
        &integration.outgoing_auth_type,
        outgoing,
        page,
    );
    page.heading(4, "Request Contract");
    page.facts([
        ("Endpoint", endpoints(integration)),
        ("Partner's address", codes(targets(integration))),
        ("Partner's path", path_rewrite(integration)),
        (
            "Largest body",
            format!("{} bytes", integration.body_limits.request_bytes),
        ),
    ]);
    operations(integration, page);
}

/// How both bodies are transformed.
fn bodies(integration: &InboundIntegration, page: &mut Markdown) {
    page.heading(4, "Request Body");
    transformation(
        &Body {
            mode: integration.request_transformation_mode,
            mappings: &integration.request_field_mappings,
            script: integration.request_transform_script.as_deref(),
            sample: integration.request_sample.as_ref(),
        },
        page,
    );
    page.heading(4, "Successful Response");
    transformation(
        &Body {
            mode: integration.response_transformation_mode,
            mappings: &integration.response_field_mappings,
            script: integration.response_transform_script.as_deref(),
            sample: integration.response_sample.as_ref(),
        },
        page,
    );
}

/// The operations that requests are checked by.
fn operations(integration: &InboundIntegration, page: &mut Markdown) {
    let Some(validation) = &integration.validation else {
        return;
    };
    let rows = validation.operations.iter().map(|operation| {
        let path = operation
            .path
            .as_ref()
            .map_or_else(|| "any".to_owned(), |path| code(path_text(path)));
        let methods = operation.methods.iter().map(word);
        let name = operation.name.as_deref().map(plain).unwrap_or_default();
        vec![name, codes(methods), path, operation.parameters.len().to_string()]
    });
    page.table(&["Operation", "Methods", "Path", "Parameters"], rows);
    page.paragraph(&format!(
        "Requests that are none of these: {}.",
        code(&word(&validation.unlisted))
    ));
}

/// What clients get when something is wrong: the gateway's own errors, as far as the integration can have them.
fn errors(integration: &InboundIntegration, page: &mut Markdown) {
    page.heading(4, "Error Handling");
    let rows = faults::of(integration).into_iter().filter(|(can_be, ..)| *can_be);
    page.table(
        &["HTTP status", "Error code", "Consumer action"],
        rows.map(|(_, status, error, action)| vec![status.to_owned(), code(error), action.to_owned()]),
    );
    page.paragraph("Any other status is the partner's own, with the partner's body.");
    let mapped = integration
        .status_mapping
        .iter()
        .filter_map(|mapping| serde_json::to_value(mapping).ok());
    page.list(mapped.map(|mapping| format!("Status mapping: {}", code(&mapping.to_string()))));
    if let Some(fallback) = &integration.fallback {
        page.paragraph(&format!(
            "Where there is no answer, clients get {} with this body:",
            fallback.status
        ));
        page.block("json", &pretty(&fallback.body));
    }
}

fn limits(integration: &InboundIntegration, page: &mut Markdown) {
    page.heading(4, "Retry Policy");
    match &integration.retry {
        Some(retry) => {
            page.facts([
                ("Retried", format!("no answer, and {}", codes(&retry.statuses))),
                (
                    "Methods",
                    format!(
                        "idempotent ones, those with an idempotency key{}",
                        retry
                            .body_methods
                            .iter()
                            .map(|method| format!(", {}", word(method)))
                            .collect::<String>()
                    ),
                ),
                (
                    "Budget",
                    format!(
                        "{} % of the calls, and always {} in ten seconds",
                        retry.budget.percent, retry.budget.min_retries
                    ),
                ),
            ]);
            resilience::schedule(&retry.schedule.as_retry(), page);
        }
        None => page.paragraph("A call that fails is not made again."),
    }
    page.heading(4, "Circuit Breaker Configuration");
    resilience::breaker(integration.breaker.as_ref(), page);
    page.heading(4, "Rate Limiting");
    resilience::rate_limits(integration.rate_limits.as_ref(), page);
    page.heading(4, "Timeout Configuration");
    resilience::timeouts(&integration.timeouts, page);
}

fn testing(integration: &InboundIntegration, page: &mut Markdown) {
    page.heading(2, "6. Integration Testing Strategy");
    page.paragraph("Transformations can be tried on a sample without calling the partner:");
    page.block(
        "sh",
        &format!(
            "curl -H \"X-API-Key: $GWCTL_KEY\" -H 'Content-Type: application/json' \\\n  \
             \"$GWCTL_SERVER/api/v1/inbound-integrations/{}/test?orgId={}\" \\\n  -d '{{\"side\": \"request\", \"sample\": {{}}}}'",
            integration.id, integration.org_id
        ),
    );
    let scenarios = [
        (true, "the partner answers: its status and body reach the client"),
        (
            integration.retry.is_some(),
            "the partner answers 503: the call is made again by the schedule",
        ),
        (
            integration.breaker.is_some(),
            "the partner fails for long: the circuit opens and clients get 503 at once",
        ),
        (
            integration.rate_limits.is_some(),
            "a limit is exceeded: 429 with Retry-After",
        ),
        (
            integration.idempotency.is_some(),
            "the same key comes twice: the second gets the first's answer",
        ),
        (true, "the partner does not answer: 504 after the total timeout"),
    ];
    page.list(
        scenarios
            .into_iter()
            .filter(|(is_there, _)| *is_there)
            .map(|(_, text)| text.to_owned()),
    );
}

//! What is watched, and who is told.

use super::markdown::{Markdown, code};

/// A metric of the integration: its name, kind, and the condition of its alert.
type Metric = (&'static str, &'static str, &'static str, &'static str);

/// Section 7, for an integration that is known in metrics by `id`.
pub(super) fn write(id: &str, metrics: &[Metric], alerts: &[(&str, &str)], page: &mut Markdown) {
    page.heading(2, "7. Monitoring & Alerting");
    page.heading(3, "7.1 Key Metrics");
    page.paragraph(&format!(
        "Each has the label {} where the integration is among the busiest or has detailed metrics, else {}.",
        code(&format!("integration=\"{id}\"")),
        code("integration=\"other\""),
    ));
    let rows = metrics.iter().map(|(name, kind, condition, severity)| {
        vec![
            code(name),
            (*kind).to_owned(),
            (*condition).to_owned(),
            (*severity).to_owned(),
        ]
    });
    page.table(&["Metric", "Type", "Alert condition", "Severity"], rows);
    page.heading(3, "7.2 Distributed Tracing");
    page.list([
        format!(
            "{} and {} are passed on to the partner.",
            code("X-Request-ID"),
            code("traceparent")
        ),
        "Records show the trace of each call and delivery.".to_owned(),
    ]);
    page.heading(3, "7.3 Alert Routing");
    let rows = alerts.iter().map(|(rule, condition)| {
        vec![
            (*condition).to_owned(),
            code(rule),
            "those of `alerts` in the settings".to_owned(),
        ]
    });
    page.table(&["Condition", "Rule", "Who is told"], rows);
}

/// Metrics of calls.
pub(super) const OF_CALLS: [Metric; 4] = [
    ("integration_requests_total", "Counter", "–", "–"),
    ("integration_errors_total", "Counter", "–", "–"),
    ("integration_latency_ms", "Histogram", "–", "–"),
    ("integration_circuit_open", "Gauge", "== 1", "CRITICAL"),
];

/// Metrics of deliveries.
pub(super) const OF_DELIVERIES: [Metric; 3] = [
    ("integration_circuit_open", "Gauge", "== 1", "CRITICAL"),
    ("integration_dlq_depth", "Gauge", "many, or growing", "HIGH"),
    (
        "integration_consumer_lag",
        "Gauge",
        "older than `rules.lag.seconds`",
        "HIGH",
    ),
];

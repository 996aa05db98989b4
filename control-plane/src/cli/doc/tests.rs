//! Documents of integrations that have much, little, and text that wants to be markup.

use serde_json::json;

use super::*;

/// The outline of a design document, in its order.
const OUTLINE: [&str; 14] = [
    "# Integration Design Document",
    "## Document History",
    "## 1. Integration Overview & Context",
    "## 2. Integration Topology Diagram",
    "## 3. Service Contracts",
    "#### Error Handling",
    "#### Retry Policy",
    "#### Circuit Breaker Configuration",
    "#### Rate Limiting",
    "#### Timeout Configuration",
    "## 4. Event-Driven Integrations",
    "## 5. Data Consistency Patterns",
    "## 6. Integration Testing Strategy",
    "## 7. Monitoring & Alerting",
];

fn inbound(fields: Value) -> Facts {
    let base =
        json!({"id": "labs", "name": "Labs", "type": "labs", "orgId": 648, "targetUrl": "https://partner.example/v1"});
    facts(Subject::Inbound(Box::new(
        serde_json::from_value::<InboundIntegration>(harness(base, fields))
            .unwrap()
            .masked(),
    )))
}

fn outbound(fields: Value) -> Facts {
    let base = json!({"id": "bills", "direction": "OUTBOUND", "name": "Bills", "orgId": 648, "eventType": "bill.*",
        "targetUrl": "https://partner.example/hook"});
    facts(Subject::Outbound(Box::new(
        serde_json::from_value::<OutboundIntegration>(harness(base, fields))
            .unwrap()
            .masked(),
    )))
}

fn harness(mut base: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

fn facts(subject: Subject) -> Facts {
    Facts {
        subject,
        organization: serde_json::from_value(json!({"orgId": 648, "name": "Clinic", "email": "ops@clinic.example"}))
            .unwrap(),
        consumers: vec![serde_json::from_value(json!({"orgId": 648, "name": "Front desk"})).unwrap()],
        event_types: vec![
            serde_json::from_value(json!({"orgId": 648, "eventType": "bill.generated", "actionId": 1,
                "description": "A bill was made", "schema": {"type": "object", "required": ["bill"]}}))
            .unwrap(),
            serde_json::from_value(json!({"orgId": 648, "eventType": "billing.closed"})).unwrap(),
        ],
        author: Some("Ada".to_owned()),
        now: "2026-01-15T10:00:00Z".parse().unwrap(),
    }
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn both_kinds_have_the_whole_outline_in_its_order() {
    for facts in [inbound(json!({})), outbound(json!({}))] {
        let text = facts.document();
        let lines: Vec<&str> = text.lines().collect();
        let places: Vec<_> = OUTLINE
            .iter()
            .map(|heading| lines.iter().position(|line| line == heading))
            .collect();
        assert!(places.iter().all(Option::is_some), "{places:?}\n{text}");
        assert!(places.is_sorted(), "{places:?}\n{text}");
        has(
            &text,
            &[
                "Clinic (organization 648)",
                "| Author | Ada |",
                "2026-01-15",
                "```mermaid\nflowchart LR",
            ],
        );
    }
}

#[test]
fn calls_are_described_by_their_own_settings() {
    let text = inbound(json!({
        "hosts": ["labs.example"], "paths": [{"prefix": "/v1"}], "methods": ["GET", "POST"],
        "inboundAuthType": "API_KEY",
        "inboundAuthConfig": {"headerName": "X-Lab-Key", "consumers": true, "keys": [{"name": "a", "value": "client-secret"}]},
        "outgoingAuthType": "OAUTH2",
        "outgoingAuthConfig": {"tokenUrl": "https://id.example/token", "clientId": "gw", "clientSecret": "partner-secret", "scope": "labs"},
        "retry": {"schedule": {"type": "seed"}}, "breaker": {"failurePercent": 40},
        "rateLimits": {"maxRequests": 100, "maxPerSecond": 7, "perKey": {"maxPerDay": 5000}},
        "timeouts": {"connectMs": 1000, "firstByteMs": 2000, "totalMs": 9000},
        "requestTransformationMode": "SIMPLE",
        "requestFieldMappings": [{"sourceField": "patient.name", "targetField": "person.fullName", "required": true}],
    }))
    .document();
    has(
        &text,
        &[
            "`labs.example/v1`",
            "Front desk",
            "| `headerName` | `X-Lab-Key` |",
            "| `tokenUrl` | `https://id.example/token` |",
            "| `scope` | `labs` |",
            "| Delays | 1 s, 2 s, 4 s |",
            "| Added at random | up to 20 % |",
            "40 % failures",
            "| Requests, all clients | 100 | 60 s sliding |",
            "| Burst, all clients | 7 | 1 s |",
            "| Daily quota, each caller | 5000 |",
            "| Connection | 1000 ms |",
            "| Total | 9000 ms |",
            "| `person.fullName` | `patient.name` |",
            "`CIRCUIT_OPEN`",
            "`RATE_LIMITED`",
            "subgraph",
            "partner.example",
        ],
    );
    for secret in ["client-secret", "partner-secret", "sha256:"] {
        assert!(!text.contains(secret), "{secret}\n{text}");
    }
}

#[test]
fn an_error_that_an_integration_cannot_have_is_not_in_its_table() {
    let text = inbound(json!({})).document();
    for error in [
        "`CIRCUIT_OPEN`",
        "`RATE_LIMITED`",
        "`UNAUTHORIZED`",
        "`TRANSFORMATION_FAILED`",
    ] {
        assert!(!text.contains(error), "{error}\n{text}");
    }
    has(
        &text,
        &[
            "A call that fails is not made again.",
            "No limit of its own",
            "`UPSTREAM_TIMEOUT`",
        ],
    );
}

#[test]
fn deliveries_are_described_as_the_gateway_judges_them() {
    let text = outbound(json!({
        "statusHandling": [{"statuses": ["404"], "treatAs": "success"}, {"statuses": ["422"], "treatAs": "disable"}],
        "retry": {"type": "list", "delaysMs": [1000, 60000], "jitter": 0},
        "ordering": {"mode": "perKey", "key": "bill.patient"},
        "filter": {"field": "bill.amount", "greaterThan": 10.0},
        "enrichments": [{"name": "pdf", "url": "https://his.example/bills/{bill.id}", "encoding": "base64", "targetField": "pdf"}],
        "actions": [
            {"name": "book", "compensate": {"targetUrl": "https://partner.example/unbook"}},
            {"name": "tell", "targetUrl": "https://other.example/tell", "delayMs": 60000},
        ],
    }))
    .document();
    has(
        &text,
        &[
            "| 404 | NOT_FOUND | counts as delivered |",
            "| 409 | CONFLICT | counts as delivered |",
            "the endpoint is disabled",
            "| 401 | UNAUTHORIZED | the token is renewed and the attempt repeated once |",
            "| 500 | INTERNAL_ERROR | retried by the schedule |",
            "| 400 | VALIDATION_ERROR | goes to the dead letters at once |",
            "| Delays | 1 s, 1 min |",
            "per value of `bill.patient`",
            "\"greaterThan\"",
            "`https://his.example/bills/{bill.id}`",
            "Event `bill.generated`, action 1: A bill was made",
            "sequenceDiagram",
            "undo by https://partner.example/unbook",
            "| 2 | tell | POST `https://other.example/tell` | 1 min |",
        ],
    );
    assert!(!text.contains("billing.closed"), "`bill.*` is not about it\n{text}");
}

#[test]
fn text_of_a_configuration_cannot_become_markup() {
    let name = "Labs | </td> <script>\n## Injected `x` \"] --> evil[\"";
    for facts in [inbound(json!({"name": name})), outbound(json!({"name": name}))] {
        let text = facts.document();
        assert!(!text.contains("\n## Injected"), "{text}");
        assert!(!text.contains(" <script>"), "{text}");
        for line in text
            .lines()
            .filter(|line| line.contains("Injected") && line.starts_with('|'))
        {
            let bars = line.replace("\\|", "").matches('|').count();
            assert!([3, 4, 5].contains(&bars), "{bars} bars in {line}");
        }
        assert!(!text.contains("evil[\""), "{text}");
    }
}

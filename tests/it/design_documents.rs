//! `gwctl doc`: design documents of what is configured, as whoever writes them gets them.

use harness::documents::{integration, with};
use harness::events::subscription;
use harness::{ControlPlane, gwctl};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn the_document_of_a_live_integration_says_how_it_works_and_keeps_its_secrets() {
    let control_plane = ControlPlane::start().await;
    let settings = json!({
        "inboundAuthType": "API_KEY",
        "inboundAuthConfig": {"headerName": "X-Lab-Key", "keys": [{"name": "front-desk", "value": "client-secret-0123456789"}]},
        "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "partner-secret"},
        "rateLimits": {"maxRequests": 90}, "retry": {"schedule": {"type": "seed"}},
    });
    control_plane
        .save(&with(integration("labs", "https://partner.example/v1"), settings))
        .await;
    let written = gwctl::against(&control_plane, &["doc", "labs", "--org", "648", "--author", "Ada"]).await;
    assert_eq!(written.code, 0, "{written:?}");
    for part in [
        "# Integration Design Document",
        "Tests (organization 648)",
        "| Author | Ada |",
        "```mermaid\nflowchart LR",
        "| `headerName` | `X-Lab-Key` |",
        "| Delays | 1 s, 2 s, 4 s |",
        "| Requests, all clients | 90 | 60 s sliding |",
        "## 7. Monitoring & Alerting",
    ] {
        assert!(written.stdout.contains(part), "no {part:?} in {}", written.stdout);
    }
    for secret in ["client-secret", "partner-secret", "sha256:"] {
        assert!(!written.stdout.contains(secret), "{secret} in {}", written.stdout);
    }
}

#[tokio::test]
async fn a_subscription_has_one_too_and_what_is_not_there_has_none() {
    let control_plane = ControlPlane::start().await;
    let event_type =
        json!({"orgId": 648, "eventType": "bill.generated", "actionId": 1, "description": "A bill was made"});
    let made = control_plane.post("/api/v1/event-types", &event_type).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let path = "/api/v1/outbound-integrations/bills";
    let hook = subscription("bills", "https://partner.example/hook");
    let saved = harness::client::Reply::of(control_plane.request(Method::PUT, path).json(&hook)).await;
    assert_eq!(saved.status, 201, "{}", saved.text());
    let written = gwctl::against(&control_plane, &["doc", "bills", "--org", "648"]).await;
    assert_eq!(written.code, 0, "{written:?}");
    for part in [
        "Event `bill.generated`, action 1: A bill was made",
        "| 500 | INTERNAL_ERROR | retried by the schedule |",
    ] {
        assert!(written.stdout.contains(part), "no {part:?} in {}", written.stdout);
    }
    let missing = gwctl::against(&control_plane, &["doc", "none", "--org", "648"]).await;
    assert_eq!((missing.code, missing.stdout.as_str()), (4, ""), "{missing:?}");
    let as_json = gwctl::against(&control_plane, &["doc", "bills", "--org", "648", "-o", "json"]).await;
    assert_eq!(as_json.code, 2, "{as_json:?}");
}

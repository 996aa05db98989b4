//! Attempts at real endpoints on free ports.

mod answers;
mod endpoint;
mod enriching;
mod steps;
mod telling;

use std::time::Duration;

use filters::delivery::Health;
use filters::event::Event;
use filters::model::push::Object;
use filters::model::{Organization, Security, Snapshot};
use hmac_vector::signature_of;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::live::{Deps, Live};
use crate::queue::DeliveryState;
use crate::scripts::ScriptLimits;
use endpoint::{Endpoint, json as json_answer};

/// Attempts, and the subscriptions that they are made for.
struct Rig {
    attempts: Attempts,
    _folder: TempDir,
}

impl Rig {
    fn new() -> Self {
        let limits = ScriptLimits {
            time: Duration::from_secs(1),
            memory_bytes: 32 << 20,
            queue: 16,
        };
        let folder = tempfile::tempdir().unwrap();
        let scripts = Arc::new(ScriptPool::new(1, limits));
        Self {
            attempts: Attempts::new(scripts, "g1".into(), folder.path(), 1 << 30),
            _folder: folder,
        }
    }

    /// One attempt at a delivery to a subscription with `change` made to it.
    async fn run(&self, change: &Value) -> Outcome {
        self.run_job(job(state()), &subscription(change)).await
    }

    async fn run_job(&self, job: Job, subscription: &Arc<SubscriptionRuntime>) -> Outcome {
        self.attempts.run(job, subscription).await
    }
}

fn subscription(change: &Value) -> Arc<SubscriptionRuntime> {
    subscription_of(change, &Deps::for_tests())
}

fn subscription_of(change: &Value, deps: &Deps) -> Arc<SubscriptionRuntime> {
    let mut value = json!({"id": "s", "name": "Bills", "orgId": 1, "eventType": "bill.*", "direction": "OUTBOUND",
        "retry": {"type": "list", "delaysMs": [1_000], "jitter": 0.0}});
    let (Some(fields), Some(change)) = (value.as_object_mut(), change.as_object()) else {
        panic!("{change} is no object");
    };
    fields.extend(change.clone());
    let security = Security {
        enforce_https: false,
        ..Security::default()
    };
    let organization: Organization =
        serde_json::from_value(json!({"orgId": 1, "allowedNetworks": ["127.0.0.0/8"]})).unwrap();
    let objects = vec![
        Object::Security(security),
        Object::Organization(Arc::new(organization)),
        Object::Outbound(Arc::new(serde_json::from_value(value).unwrap())),
    ];
    let snapshot = Snapshot::default().changed(1, objects, &[]);
    let plan = filters::compile(&snapshot, None).unwrap();
    let live = Live::build(plan, None, deps);
    Arc::clone(live.subscription("s").unwrap())
}

fn state() -> DeliveryState {
    DeliveryState {
        trigger: TriggerType::Event,
        ..test_job(1, "bill.generated", &json!({})).state
    }
}

fn job(state: DeliveryState) -> Job {
    let mut job = test_job(1, "bill.generated", &json!({"bill": {"id": 7, "total": 12.5}}));
    let mut event = Event::clone(&job.event);
    event.head.id = "e 1".to_owned();
    event.head.source = "/his".to_owned();
    event.head.trace_id = "0123456789abcdef0123456789abcdef".to_owned();
    event.head.correlation_id = Some("c-1".to_owned());
    job.event = Arc::new(event);
    job.key = DeliveryKey { seq: 5, number: 2 };
    job.state = state;
    job
}

fn log(outcome: &Outcome) -> &DeliveryLog {
    match outcome.settlement.records.first() {
        Some(Record::Log(log)) => log,
        other => panic!("{other:?} is no record of an attempt"),
    }
}

fn is_retried(outcome: &Outcome) -> bool {
    matches!(outcome.settlement.next, Next::Again(_))
}

#[tokio::test]
async fn the_payload_arrives_with_what_identifies_it() {
    let endpoint = Endpoint::status(204).await;
    let state = state();
    let subscription = subscription(&json!({
        "targetUrl": endpoint.url("/hook?v=1"),
        "outgoingAuthType": "API_KEY", "outgoingAuthConfig": {"queryName": "key", "apiKey": "s3cret"},
        "signingType": "HMAC_SHA256", "signingConfig": {"secrets": [{"name": "k1", "value": "0123456789abcdef0123456789abcdef"}]},
    }));
    let outcome = Rig::new().run_job(job(state.clone()), &subscription).await;
    assert_eq!(outcome.settlement.next, Next::Settled);
    assert_eq!(outcome.settlement.key, DeliveryKey { seq: 5, number: 2 });
    assert_eq!(outcome.verdict.health, Health::Good);
    let got = &endpoint.got()[0];
    assert_eq!(got.line, "POST /hook?v=1&key=s3cret HTTP/1.1");
    assert_eq!(got.body, br#"{"bill":{"id":7,"total":12.5}}"#);
    for (name, value) in [
        ("content-type", "application/json"),
        ("idempotency-key", &*state.id.to_string()),
        ("ce-specversion", "1.0"),
        ("ce-id", "e%201"),
        ("ce-type", "bill.generated"),
        ("ce-source", "/his"),
        ("x-correlation-id", "c-1"),
        ("user-agent", "integration-gateway"),
        ("x-webhook-signature", &signature_of(&got.body)),
    ] {
        assert_eq!(got.headers[name], value, "{name}");
    }
    let parent = got.headers["traceparent"].to_str().unwrap();
    assert!(parent.starts_with("00-0123456789abcdef0123456789abcdef-"), "{parent}");
    let log = log(&outcome);
    assert_eq!((log.status, log.response_status), (DeliveryStatus::Success, Some(204)));
    assert_eq!(
        (&*log.message_id, &*log.target_url),
        (&*state.id.to_string(), &*endpoint.url("/hook"))
    );
    assert_eq!(log.signature.as_deref(), Some("k1"));
    assert!(
        log.request_headers.is_empty() && log.curl_command.is_none(),
        "a success costs no more than that"
    );
    assert_eq!(outcome.settlement.records.len(), 1);
}

#[tokio::test]
async fn a_failed_attempt_is_shown_in_full_but_for_its_secrets() {
    let endpoint = Endpoint::start(|_| json_answer(503, r#"{"error":"busy","token":"t0p"}"#)).await;
    let outcome = Rig::new()
        .run(&json!({"targetUrl": endpoint.url("/"), "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "s3cret"}}))
        .await;
    let log = log(&outcome);
    assert_eq!((log.status, log.should_retry), (DeliveryStatus::Retrying, true));
    assert_eq!(log.error_category, Some(ErrorCategory::ServerError));
    assert_eq!(log.request_headers["authorization"], "***");
    assert_eq!(log.request_payload.as_ref().unwrap()["bill"]["id"], 7);
    assert_eq!(log.response_body.as_ref().unwrap()["error"], "busy");
    assert!(log.curl_command.as_ref().unwrap().starts_with("curl "));
    assert!(log.next_retry_at.is_some());
    let text = serde_json::to_string(log).unwrap();
    assert!(!text.contains("s3cret") && !text.contains("t0p"), "{text}");
    assert_eq!(outcome.verdict.health, Health::Bad);
}

#[tokio::test]
async fn bodies_are_recorded_as_the_subscription_asks() {
    let endpoint = Endpoint::status(200).await;
    let outcome = Rig::new()
        .run(&json!({"targetUrl": endpoint.url("/"), "recordBodies": "all"}))
        .await;
    assert_eq!(log(&outcome).request_payload.as_ref().unwrap()["bill"]["id"], 7);
    let endpoint = Endpoint::status(400).await;
    let outcome = Rig::new()
        .run(&json!({"targetUrl": endpoint.url("/"), "recordBodies": "none"}))
        .await;
    assert_eq!(log(&outcome).request_payload, None);
    assert!(!log(&outcome).request_headers.is_empty());
}

#[tokio::test]
async fn the_payload_is_mapped_each_time() {
    let endpoint = Endpoint::status(200).await;
    let mapping = json!({"targetUrl": endpoint.url("/"), "httpMethod": "PUT", "transformationMode": "SIMPLE",
        "fieldMappings": [{"sourceField": "bill.id", "targetField": "invoice.number"}]});
    let rig = Rig::new();
    rig.run(&mapping).await;
    let script = json!({"targetUrl": endpoint.url("/"), "transformationMode": "SCRIPT", "transformScript":
        "fn transform(payload, context) { #{id: payload.bill.id, of: context.eventType, event: context.metadata.eventId} }"});
    rig.run(&script).await;
    let replaced = DeliveryState {
        payload: Some(r#"{"bill":{"id":8}}"#.into()),
        ..state()
    };
    rig.run_job(job(replaced), &subscription(&mapping)).await;
    let bodies: Vec<Value> = endpoint
        .got()
        .iter()
        .map(|got| serde_json::from_slice(&got.body).unwrap())
        .collect();
    assert_eq!(
        bodies,
        [
            json!({"invoice": {"number": 7}}),
            json!({"id": 7, "of": "bill.generated", "event": "e 1"}),
            json!({"invoice": {"number": 8}})
        ]
    );
    assert!(endpoint.got()[0].line.starts_with("PUT / "));
}

#[tokio::test]
async fn a_payload_that_cannot_be_mapped_is_a_dead_letter_and_no_fault_of_the_endpoint() {
    let endpoint = Endpoint::status(200).await;
    let outcome = Rig::new()
        .run(&json!({"targetUrl": endpoint.url("/"), "transformationMode": "SIMPLE",
            "fieldMappings": [{"sourceField": "patient.id", "targetField": "id", "required": true}]}))
        .await;
    assert!(matches!(outcome.settlement.next, Next::Dead { .. }));
    assert_eq!(outcome.verdict.health, Health::Unknown);
    assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Transformation));
    assert!(log(&outcome).error_message.as_ref().unwrap().contains("patient.id"));
    assert!(endpoint.got().is_empty());
    let Some(Record::DeadLetter(letter)) = outcome.settlement.records.get(1) else {
        panic!("{:?} has no dead letter", outcome.settlement.records);
    };
    assert_eq!(letter.original_payload["bill"]["id"], 7);
    assert_eq!((&*letter.source, letter.max_retries), ("/his", 3));
}

#[tokio::test]
async fn attempts_are_counted_by_what_came_of_them() {
    let deps = Deps::for_tests();
    let rig = Rig::new();
    for (status, times) in [(200, 1), (500, 2), (400, 1)] {
        let endpoint = Endpoint::status(status).await;
        let subscription = subscription_of(&json!({"targetUrl": endpoint.url("/"), "metrics": "detailed"}), &deps);
        for _ in 0..times {
            rig.run_job(job(state()), &subscription).await;
        }
        let text = deps.metrics.render();
        let class = status / 100;
        let line = format!("integration_requests_total{{integration=\"s\",status_class=\"{class}xx\"}} {times}\n");
        assert!(text.contains(&line), "{text}");
    }
    let text = deps.metrics.render();
    for (outcome, times) in [("delivered", 1), ("retried", 2), ("failed", 1)] {
        let line = format!("gateway_delivery_attempts_total{{outcome=\"{outcome}\"}} {times}\n");
        assert!(text.contains(&line), "{text}");
    }
}

#[tokio::test]
async fn a_test_delivery_is_made_once_and_recorded_in_full() {
    let endpoint = Endpoint::status(503).await;
    let subscription = subscription(&json!({"targetUrl": endpoint.url("/")}));
    let rig = Rig::new();
    let log = rig.attempts.test(&subscription, "bill.test", &json!({"x": 1})).await;
    assert_eq!(
        (log.status, log.trigger_type),
        (DeliveryStatus::Failed, TriggerType::Manual)
    );
    assert_eq!((log.should_retry, log.event_type.as_str()), (false, "bill.test"));
    assert_eq!(log.request_payload, Some(json!({"x": 1})));
    assert_eq!(endpoint.got().len(), 1);
}

/// The signature that the endpoints of these tests expect, made by another library than the one that is tested.
mod hmac_vector {
    use sha2::{Digest as _, Sha256};

    /// HMAC-SHA256 (RFC 2104) with the secret of these tests, in hexadecimal digits.
    pub(super) fn signature_of(body: &[u8]) -> String {
        let mut key = [0; 64];
        key[..32].copy_from_slice(b"0123456789abcdef0123456789abcdef");
        let inner = Sha256::new()
            .chain_update(key.map(|byte| byte ^ 0x36))
            .chain_update(body)
            .finalize();
        let outer = Sha256::new()
            .chain_update(key.map(|byte| byte ^ 0x5c))
            .chain_update(inner);
        hex::encode(outer.finalize())
    }
}

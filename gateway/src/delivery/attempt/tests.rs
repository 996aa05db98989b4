//! Attempts at real endpoints on free ports.

mod endpoint;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use filters::delivery::Health;
use filters::event::Event;
use filters::model::push::Object;
use filters::model::{Organization, Security, Snapshot};
use hmac_vector::signature_of;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use super::memory::Then;
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
    let live = Live::build(plan, None, &Deps::for_tests());
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
async fn an_address_that_may_not_be_connected_to_is_a_dead_letter() {
    let outcome = Rig::new()
        .run(&json!({"targetUrl": "http://localhost.localdomain.invalid/"}))
        .await;
    assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Dns));
    let endpoint = Endpoint::start(|_| {
        b"HTTP/1.1 301 X\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n".to_vec()
    })
    .await;
    let outcome = Rig::new().run(&json!({"targetUrl": endpoint.url("/")})).await;
    assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Redirect));
    assert!(
        matches!(outcome.settlement.next, Next::Dead { .. }),
        "it is not followed"
    );
}

/// Timeouts that a test waits for.
fn short() -> Value {
    json!({"connectMs": 2_000, "firstByteMs": 200, "totalMs": 400})
}

#[tokio::test]
async fn an_endpoint_that_hangs_or_trickles_holds_an_attempt_only_for_its_time() {
    let hanging = Endpoint::serve(|stream, _| async move {
        std::future::pending::<()>().await;
        stream
    })
    .await;
    let trickling = Endpoint::serve(|mut stream, _| async move {
        let _ = stream
            .write_all(b"HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n")
            .await;
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stream
    })
    .await;
    for endpoint in [hanging, trickling] {
        let outcome = Rig::new()
            .run(&json!({"targetUrl": endpoint.url("/"), "timeouts": short()}))
            .await;
        assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Timeout));
        assert!(is_retried(&outcome));
        assert_eq!(outcome.verdict.health, Health::Bad);
    }
}

#[tokio::test]
async fn a_gigabyte_is_not_read_and_its_status_counts() {
    let endpoint = Endpoint::serve(|mut stream, _| async move {
        let head = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", 1_u64 << 30);
        let _ = stream.write_all(head.as_bytes()).await;
        while stream.write_all(&[b'x'; 64 * 1024]).await.is_ok() {}
        stream
    })
    .await;
    let change =
        json!({"targetUrl": endpoint.url("/"), "recordBodies": "all", "rateLimits": {"maxResponseBytes": 1_000}});
    let outcome = Rig::new().run(&change).await;
    assert_eq!(outcome.settlement.next, Next::Settled);
    let body = log(&outcome).response_body.clone().unwrap();
    assert_eq!(body.as_str().unwrap().len(), 1_000);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer_unless_it_is_a_refusal() {
    let close = |head: &'static str| {
        Endpoint::serve(move |mut stream, _| async move {
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.shutdown().await;
            stream
        })
    };
    let rig = Rig::new();
    for (head, category, retried) in [
        ("", ErrorCategory::Network, true),
        (
            "HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nhalf",
            ErrorCategory::Network,
            true,
        ),
        (
            "HTTP/1.1 400 X\r\ncontent-length: 9\r\n\r\nhalf",
            ErrorCategory::ClientError,
            false,
        ),
        ("SSH-2.0\r\n\r\n", ErrorCategory::Protocol, true),
    ] {
        let endpoint = close(head).await;
        let outcome = rig.run(&json!({"targetUrl": endpoint.url("/")})).await;
        assert_eq!(log(&outcome).error_category, Some(category), "{head}");
        assert_eq!(is_retried(&outcome), retried, "{head}");
    }
    // More than it said: what is too much is not looked at.
    let endpoint = Endpoint::start(|_| b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\nok and more".to_vec()).await;
    assert_eq!(
        rig.run(&json!({"targetUrl": endpoint.url("/")})).await.settlement.next,
        Next::Settled
    );
}

#[tokio::test]
async fn what_an_endpoint_asks_for_reaches_its_lane() {
    let slow = Endpoint::start(|_| b"HTTP/1.1 429 X\r\nretry-after: 30\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    let outcome = Rig::new().run(&json!({"targetUrl": slow.url("/")})).await;
    let Next::Again(state) = &outcome.settlement.next else {
        panic!("{:?}", outcome.settlement.next);
    };
    assert_eq!(outcome.verdict.pause_until_ms, Some(state.due_ms));
    assert!(state.due_ms >= now_ms() + 25_000);
    let gone = Endpoint::status(410).await;
    let outcome = Rig::new().run(&json!({"targetUrl": gone.url("/")})).await;
    assert!(outcome.verdict.disable.is_some());
    assert!(matches!(outcome.settlement.next, Next::Dead { retry_ms: None, .. }));
    let abort =
        Endpoint::start(|_| b"HTTP/1.1 500 X\r\nwebhook-delivery: abort-message\r\ncontent-length: 0\r\n\r\n".to_vec())
            .await;
    let outcome = Rig::new().run(&json!({"targetUrl": abort.url("/")})).await;
    assert!(matches!(outcome.settlement.next, Next::Dead { retry_ms: None, .. }));
    assert_eq!(outcome.verdict.disable, None);
}

#[tokio::test]
async fn later_steps_see_earlier_answers_and_failures_are_undone() {
    let endpoint = Endpoint::start(|got| {
        if got.line.contains("/ship") {
            json_answer(422, "{}")
        } else {
            json_answer(201, r#"{"reservation":"r7"}"#)
        }
    })
    .await;
    let by_id = json!([{"sourceField": "steps.reserve.body.reservation", "targetField": "reservation"}]);
    let subscription = subscription(&json!({"actions": [
        {"name": "reserve", "targetUrl": endpoint.url("/reserve"), "compensate": {
            "targetUrl": endpoint.url("/undo"), "httpMethod": "DELETE", "transformationMode": "SIMPLE", "fieldMappings": by_id}},
        {"name": "ship", "targetUrl": endpoint.url("/ship"), "transformationMode": "SIMPLE", "fieldMappings": by_id},
    ]}));
    let rig = Rig::new();
    let mut next = state();
    let mut logs = Vec::new();
    let records = loop {
        let outcome = rig.run_job(job(next), &subscription).await;
        logs.push(log(&outcome).clone());
        match outcome.settlement.next {
            Next::Again(state) => next = state,
            Next::Dead { .. } => break outcome.settlement.records,
            Next::Settled => panic!("it was not delivered"),
        }
    };
    let lines: Vec<String> = endpoint
        .got()
        .iter()
        .map(|got| format!("{} {}", got.line, String::from_utf8_lossy(&got.body)))
        .collect();
    assert_eq!(
        lines,
        [
            r#"POST /reserve HTTP/1.1 {"bill":{"id":7,"total":12.5}}"#,
            r#"POST /ship HTTP/1.1 {"reservation":"r7"}"#,
            r#"DELETE /undo HTTP/1.1 {"reservation":"r7"}"#
        ]
    );
    let told: Vec<_> = logs
        .iter()
        .map(|log| (log.action_name.as_deref(), log.compensation, log.status))
        .collect();
    assert_eq!(
        told,
        [
            (Some("reserve"), false, DeliveryStatus::Success),
            (Some("ship"), false, DeliveryStatus::Failed),
            (Some("reserve"), true, DeliveryStatus::Success)
        ]
    );
    let Some(Record::DeadLetter(letter)) = records.get(1) else {
        panic!("{records:?} has no dead letter");
    };
    assert_eq!(
        (letter.action_name.as_deref(), letter.last_status),
        (Some("ship"), Some(422))
    );
    assert_eq!(letter.id, logs[1].message_id);
}

#[tokio::test]
async fn fresh_data_is_fetched_before_each_attempt() {
    let his = Endpoint::start(|got| {
        if got.line.contains("/pdf") {
            b"HTTP/1.1 200 X\r\ncontent-length: 4\r\n\r\n%PDF".to_vec()
        } else {
            json_answer(200, r#"{"amount":99}"#)
        }
    })
    .await;
    let endpoint = Endpoint::status(200).await;
    let rig = Rig::new();
    let outcome = rig
        .run(&json!({"targetUrl": endpoint.url("/"), "enrichments": [
            {"name": "bill", "url": his.url("/bills/{bill.id}"), "targetField": "bill.fresh",
             "outgoingAuthType": "API_KEY", "outgoingAuthConfig": {"headerName": "X-Key", "apiKey": "k"}},
            {"name": "pdf", "url": his.url("/pdf/{bill.fresh.amount}"), "encoding": "base64", "targetField": "bill.pdf"},
        ]}))
        .await;
    assert_eq!(outcome.settlement.next, Next::Settled);
    assert_eq!(
        endpoint.got()[0].body,
        br#"{"bill":{"id":7,"total":12.5,"fresh":{"amount":99},"pdf":"JVBERg=="}}"#
    );
    let asked: Vec<String> = his.got().iter().map(|got| got.line.clone()).collect();
    assert_eq!(asked, ["GET /bills/7 HTTP/1.1", "GET /pdf/99 HTTP/1.1"]);
    assert_eq!(his.got()[0].headers["x-key"], "k");
}

#[tokio::test]
async fn data_that_cannot_be_fetched_is_tried_again_and_blamed_on_nobody() {
    let his = Endpoint::status(404).await;
    let endpoint = Endpoint::status(200).await;
    let enriched = |url: String| json!({"targetUrl": endpoint.url("/"), "enrichments": [{"name": "bill", "url": url, "targetField": "fresh"}]});
    let rig = Rig::new();
    let outcome = rig.run(&enriched(his.url("/{bill.id}"))).await;
    assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Enrichment));
    assert!(is_retried(&outcome));
    assert_eq!(outcome.verdict.health, Health::Unknown);
    let outcome = rig.run(&enriched(his.url("/{bill.missing}"))).await;
    assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Transformation));
    assert!(matches!(outcome.settlement.next, Next::Dead { .. }));
    assert!(endpoint.got().is_empty());
}

/// An endpoint that sends `length` bytes, and the base64 text of all of them.
async fn large(length: usize) -> Endpoint {
    Endpoint::serve(move |mut stream, _| async move {
        let head = format!("HTTP/1.1 200 X\r\ncontent-length: {length}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes()).await;
        let piece = [7; 64 * 1024];
        let mut left = length;
        while left > 0 {
            let next = left.min(piece.len());
            if stream.write_all(&piece[..next]).await.is_err() {
                break;
            }
            left -= next;
        }
        stream
    })
    .await
}

#[tokio::test]
async fn large_content_goes_through_a_file_and_is_signed_with_the_rest() {
    let length = 3_000_001;
    let his = large(length).await;
    let endpoint = Endpoint::status(200).await;
    let rig = Rig::new();
    let outcome = rig
        .run(&json!({"targetUrl": endpoint.url("/"), "recordBodies": "all",
            "enrichments": [{"name": "pdf", "url": his.url("/pdf"), "encoding": "base64", "targetField": "pdf",
                "maxBytes": 4_000_000}],
            "transformationMode": "SIMPLE", "fieldMappings": [
                {"sourceField": "pdf", "targetField": "document.content", "transform": [{"type": "trim"}, {"type": "upper"}]},
                {"sourceField": "bill.id", "targetField": "document.id"}],
            "signingType": "HMAC_SHA256",
            "signingConfig": {"secrets": [{"name": "k1", "value": "0123456789abcdef0123456789abcdef"}]}}))
        .await;
    assert_eq!(outcome.settlement.next, Next::Settled, "{:?}", log(&outcome));
    let got = &endpoint.got()[0];
    let content = STANDARD.encode(vec![7; length]);
    let whole = format!(r#"{{"document":{{"content":"{content}","id":7}}}}"#);
    assert_eq!(got.length, whole.len());
    assert!(whole.as_bytes().starts_with(&got.body));
    assert_eq!(got.headers["x-webhook-signature"], signature_of(whole.as_bytes()));
    let shown = log(&outcome).request_payload.clone().unwrap();
    assert_eq!(
        shown["document"]["content"],
        format!("[{} bytes of base64]", content.len())
    );
}

#[tokio::test]
async fn more_content_than_allowed_fails_the_attempt() {
    let his = large(500_000).await;
    let endpoint = Endpoint::status(200).await;
    let outcome = Rig::new()
        .run(&json!({"targetUrl": endpoint.url("/"), "enrichments": [
            {"name": "pdf", "url": his.url("/pdf"), "encoding": "base64", "targetField": "pdf", "maxBytes": 400_000}]}))
        .await;
    assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Enrichment));
    assert!(endpoint.got().is_empty());
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

#[tokio::test]
async fn a_crash_is_repeated_by_the_schedule_and_is_not_the_endpoints_fault() {
    let subscription = subscription(&json!({"targetUrl": "http://127.0.0.1:1/"}));
    let outcome = Rig::new().attempts.crashed(&job(state()), &subscription, "it panicked");
    assert!(is_retried(&outcome));
    assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Internal));
    assert!(log(&outcome).error_message.as_ref().unwrap().contains("it panicked"));
    assert_eq!(outcome.verdict.health, Health::Unknown);
}

#[tokio::test]
async fn a_step_that_the_subscription_no_longer_has_is_a_dead_letter() {
    let subscription = subscription(&json!({"targetUrl": "http://127.0.0.1:1/"}));
    let lost = DeliveryState {
        step: Step::Forward(4),
        ..state()
    };
    let outcome = Rig::new().run_job(job(lost), &subscription).await;
    assert!(matches!(outcome.settlement.next, Next::Dead { .. }));
}

#[tokio::test]
async fn a_time_that_the_payload_does_not_name_is_a_dead_letter() {
    let endpoint = Endpoint::status(200).await;
    let outcome = Rig::new()
        .run(&json!({"targetUrl": endpoint.url("/"), "schedulingMode": "DELAYED",
            "schedulingConfig": {"untilField": "visit.at"}}))
        .await;
    assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Transformation));
    assert!(log(&outcome).error_message.as_ref().unwrap().contains("visit.at"));
    let scheduled = outcome.settlement.records.iter().find_map(|record| match record {
        Record::Scheduled(scheduled) => Some(scheduled),
        _ => None,
    });
    assert_eq!(scheduled.unwrap().id, "g1:5-2");
    assert!(endpoint.got().is_empty());
}

#[tokio::test]
async fn a_dead_letter_that_is_delivered_is_gone() {
    let endpoint = Endpoint::status(200).await;
    let subscription = subscription(&json!({"targetUrl": endpoint.url("/")}));
    let retried = DeliveryState {
        dead_retries: Some(1),
        trigger: TriggerType::Scheduled,
        ..state()
    };
    let id = retried.id.to_string();
    let outcome = Rig::new().run_job(job(retried), &subscription).await;
    assert_eq!(outcome.settlement.next, Next::Settled);
    assert!(outcome.settlement.records.contains(&Record::DeadLetterGone(id)));
}

/// A job whose producer wants to be told at `address`.
fn job_of(state: DeliveryState, address: String) -> Job {
    let mut job = job(state);
    let mut event = Event::clone(&job.event);
    event.head.status_callback = Some(address);
    job.event = Arc::new(event);
    job
}

fn statuses(producer: &Endpoint) -> Vec<String> {
    let told = producer.got();
    let told = told
        .iter()
        .map(|got| serde_json::from_slice::<Value>(&got.body).unwrap());
    told.map(|message| message["status"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_producer_is_told_that_its_event_is_queued_and_what_became_of_it() {
    let (endpoint, producer) = (Endpoint::status(200).await, Endpoint::status(204).await);
    let subscription = subscription(&json!({"targetUrl": endpoint.url("/")}));
    let rig = Rig::new();
    let state = state();
    let outcome = rig
        .run_job(job_of(state.clone(), producer.url("/told?x=1")), &subscription)
        .await;
    assert_eq!(outcome.settlement.next, Next::Settled);
    assert_eq!(statuses(&producer), ["QUEUED", "SUCCESS"]);
    let told = &producer.got()[1];
    assert!(told.line.starts_with("POST /told?x=1 "), "{}", told.line);
    let message: Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!(
        (
            &message["eventId"],
            &message["integrationId"],
            &message["responseStatus"],
            &message["messageId"]
        ),
        (&json!("e 1"), &json!("s"), &json!(200), &json!(state.id))
    );
}

#[tokio::test]
async fn an_attempt_that_is_repeated_tells_the_producer_nothing() {
    let (endpoint, producer) = (Endpoint::status(500).await, Endpoint::status(204).await);
    let subscription = subscription(&json!({"targetUrl": endpoint.url("/")}));
    let second = DeliveryState { attempts: 1, ..state() };
    let outcome = Rig::new()
        .run_job(job_of(state(), producer.url("/")), &subscription)
        .await;
    assert!(is_retried(&outcome));
    assert_eq!(statuses(&producer), ["QUEUED"]);
    let outcome = Rig::new()
        .run_job(job_of(second, producer.url("/")), &subscription)
        .await;
    assert!(matches!(outcome.settlement.next, Next::Dead { .. }));
    assert_eq!(statuses(&producer), ["QUEUED", "FAIL"]);
}

#[tokio::test]
async fn a_delivery_stays_open_until_its_producer_is_told() {
    let endpoint = Endpoint::status(200).await;
    let is_up = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let up = Arc::clone(&is_up);
    let producer = Endpoint::start(move |_| {
        let status = if up.load(std::sync::atomic::Ordering::SeqCst) {
            200
        } else {
            503
        };
        json_answer(status, "{}")
    })
    .await;
    let subscription = subscription(&json!({"targetUrl": endpoint.url("/")}));
    let rig = Rig::new();
    let ordered = DeliveryState {
        order_key: Some(3),
        ..state()
    };
    let outcome = rig.run_job(job_of(ordered, producer.url("/")), &subscription).await;
    assert_eq!(log(&outcome).status, DeliveryStatus::Success);
    let Next::Again(owing) = outcome.settlement.next else {
        panic!("the producer does not know");
    };
    assert_eq!(owing.order_key, None, "those behind it go on");
    let crashed = rig
        .attempts
        .crashed(&job_of(owing.clone(), producer.url("/")), &subscription, "it panicked");
    assert!(is_retried(&crashed) && crashed.settlement.records.is_empty());
    is_up.store(true, std::sync::atomic::Ordering::SeqCst);
    let outcome = rig.run_job(job_of(owing, producer.url("/")), &subscription).await;
    assert_eq!(outcome.settlement.next, Next::Settled);
    assert!(outcome.settlement.records.is_empty());
    assert_eq!(outcome.verdict, Verdict::default());
    assert_eq!(endpoint.got().len(), 1, "the event itself goes out once");
}

#[tokio::test]
async fn a_dead_letter_waits_for_its_producer_and_for_no_longer_than_the_tries_last() {
    let (endpoint, producer) = (Endpoint::status(400).await, Endpoint::status(500).await);
    let subscription = subscription(&json!({"targetUrl": endpoint.url("/")}));
    let rig = Rig::new();
    let first = state();
    let mut outcome = rig
        .run_job(job_of(first.clone(), producer.url("/")), &subscription)
        .await;
    assert_eq!(outcome.settlement.records.len(), 1, "it is no dead letter yet");
    let mut tries = 1;
    let retry_ms = loop {
        let state = match outcome.settlement.next {
            Next::Again(state) => state,
            Next::Dead { state, retry_ms } => {
                assert_eq!((state.id, state.dead_retries), (first.id, Some(0)));
                break retry_ms;
            }
            Next::Settled => panic!("the dead letter is lost"),
        };
        let memory = Memory::of(state.answers.as_deref());
        assert!(matches!(memory.owed.unwrap().then, Then::Dead { .. }));
        tries += 1;
        outcome = rig.run_job(job_of(state, producer.url("/")), &subscription).await;
    };
    assert!(retry_ms.is_some());
    assert_eq!(tries, 7);
    let Some(Record::DeadLetter(letter)) = outcome.settlement.records.first() else {
        panic!("{:?} has no dead letter", outcome.settlement.records);
    };
    assert_eq!(
        (letter.id.as_str(), letter.last_status),
        (&*first.id.to_string(), Some(400))
    );
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

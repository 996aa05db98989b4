//! One organization that does its worst, and another that must not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use harness::documents::{document, integration, with};
use harness::gateway::Setup;
use harness::{Answer, Gateway, Partner};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tenant_that_does_its_worst_costs_its_neighbour_not_one_error() {
    let partner = Partner::answering(Answer::json(&json!({"id": 1}))).await;
    let gateway = Arc::new(Setup::new().file(&two_tenants(&partner.url(""))).start().await);
    let stop = Arc::new(AtomicBool::new(false));
    let refused = Arc::new(AtomicUsize::new(0));
    let mut attackers = Vec::new();
    for number in 0..24 {
        let (gateway, stop, refused) = (Arc::clone(&gateway), Arc::clone(&stop), Arc::clone(&refused));
        attackers.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                // Half of them loop for as long as they may, the others ask for far more than their share.
                let host = if number % 2 == 0 { "looping.test" } else { "flood.test" };
                let status = gateway.post(host, "/", &json!({"id": 1})).await.status;
                if status != 200 {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
    }
    for _ in 0..50 {
        attackers.push(tokio::spawn(trickle(gateway.http().to_owned(), Arc::clone(&stop))));
    }

    let mut errors = Vec::new();
    for number in 0..200 {
        let host = ["good.test", "good-script.test", "good-mapping.test"][number % 3];
        let reply = gateway.post(host, "/", &json!({"id": number})).await;
        if reply.status != 200 {
            errors.push((host, reply.status, reply.text()));
        }
    }
    stop.store(true, Ordering::Relaxed);
    for attacker in attackers {
        attacker.await.unwrap();
    }
    assert!(errors.is_empty(), "{errors:?}");
    assert!(refused.load(Ordering::Relaxed) > 100, "the attack was none");
    let metrics = gateway.admin_get("/metrics").await.text();
    let failed = metrics
        .lines()
        .find(|line| line.starts_with("integration_errors_total") && line.contains("good"));
    assert!(failed.is_none_or(|line| line.ends_with(" 0")), "{failed:?}");
    drop::<Arc<Gateway>>(gateway);
}

/// A body of which one byte comes each second.
async fn trickle(address: String, stop: Arc<AtomicBool>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST / HTTP/1.1\r\nHost: slow.test\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut pace = tokio::time::interval(Duration::from_secs(1));
    // Until the gateway has enough of it.
    while !stop.load(Ordering::Relaxed) && stream.write_all(b" ").await.is_ok() {
        pace.tick().await;
    }
}

/// The bad one has a limit, as it should; the good one has none.
fn two_tenants(target: &str) -> Value {
    let script = |text: &str| json!({"requestTransformationMode": "SCRIPT", "requestTransformScript": text});
    let mapping = json!({
        "requestTransformationMode": "SIMPLE",
        "requestFieldMappings": [{"sourceField": "id", "targetField": "id"}],
    });
    let bad = |kind: &str, fields: Value| with(with(integration(kind, target), fields), json!({"orgId": BAD}));
    let mut document = document([
        bad("looping", script("fn transform(payload, context) { loop { } }")),
        bad("slow", mapping.clone()),
        bad("flood", json!({"rateLimits": {"maxRequests": 20, "windowSeconds": 1}})),
        integration("good", target),
        with(
            integration("good-script", target),
            script("fn transform(payload, context) { payload }"),
        ),
        with(integration("good-mapping", target), mapping),
    ]);
    let organizations = document["organizations"].as_array_mut().unwrap();
    let mut other = organizations[0].clone();
    other["orgId"] = json!(BAD);
    organizations.push(other);
    document
}

const BAD: u64 = 7;

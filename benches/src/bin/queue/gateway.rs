//! The gateway under measurement, with subscriptions to the receiver.

use benches::error::Error;
use benches::usage::CpuTime;
use harness::documents::{ORG, organization};
use harness::gateway::{Gateway, Setup};
use harness::wait;
use serde_json::{Value, json};

/// What the producers' key is.
pub(crate) const KEY: &str = "the-key-of-the-benchmark";

/// A subscription of events of `event_type` at `url`.
pub(crate) fn subscription(id: &str, event_type: &str, url: &str) -> Value {
    json!({
        "id": id,
        "direction": "OUTBOUND",
        "name": id,
        "orgId": ORG,
        "eventType": event_type,
        "targetUrl": url,
        "ordering": {"mode": "none"},
        "signingType": "STANDARD_WEBHOOKS",
        "signingConfig": {"secrets": [{"name": "bench", "value": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}]},
    })
}

/// The settings: the defaults, but for the addresses and the folder.
pub(crate) fn setup(event_types: &[String], subscriptions: Vec<Value>) -> Setup {
    let types: Vec<Value> = event_types
        .iter()
        .map(|name| json!({"orgId": ORG, "eventType": name}))
        .collect();
    Setup::new().file(&json!({
        "security": {"blockPrivateNetworks": true, "enforceHttps": false},
        "organizations": [organization()],
        "eventTypes": types,
        "producerKeys": [{"orgId": ORG, "name": "bench", "value": KEY}],
        "integrations": subscriptions,
    }))
}

/// What the gateway has used so far.
///
/// # Errors
/// If it is gone.
pub(crate) fn cpu(gateway: &Gateway) -> Result<CpuTime, Error> {
    CpuTime::of(gateway.process.id())
}

/// Waits until nothing is open in the queue any more.
pub(crate) async fn settled(gateway: &Gateway) {
    wait::until("an empty queue", async || {
        let queue = gateway.admin_get("/queue").await.json();
        (queue["open"] == 0).then_some(())
    })
    .await;
}

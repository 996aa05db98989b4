//! The gateway under measurement, with subscriptions to the receiver.

use benches::control_plane::holding_objects;
use benches::error::Error;
use benches::usage::CpuTime;
use harness::documents::ORG;
use harness::gateway::{Gateway, Setup};
use harness::{ControlPlane, wait};
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

/// A control plane, which takes the records of all attempts, and the settings of a gateway that it feeds: the defaults,
/// but for the addresses and the folder.
///
/// # Errors
/// If the control plane refuses the configuration.
pub(crate) async fn setup(event_types: &[String], subscriptions: Vec<Value>) -> Result<(ControlPlane, Setup), Error> {
    let types = event_types
        .iter()
        .map(|name| json!({"id": name, "orgId": ORG, "eventType": name}))
        .map(|value| ("eventType", value));
    let key = json!({"id": "bench", "orgId": ORG, "name": "bench", "value": KEY});
    let subscriptions = subscriptions.into_iter().map(|value| ("outbound", value));
    let objects = types.chain([("producerKey", key)]).chain(subscriptions);
    let control_plane = holding_objects(objects).await?;
    let setup = Setup::new().control_plane(&control_plane);
    Ok((control_plane, setup))
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

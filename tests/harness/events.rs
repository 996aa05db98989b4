//! Events: what a test configures for them, and how a product hands one over.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::Reply;
use crate::documents::{ORG, document, with};
use crate::{Gateway, RawClient};

/// The key of the producer of the tests.
pub const KEY: &str = "key-of-the-hospital-0123456789";

/// A document with one producer, the event types `bill.generated` (action 1) and `patient.registered` (action 57), and
/// these subscriptions.
pub fn events_document(subscriptions: impl IntoIterator<Item = Value>) -> Value {
    let types = [("bill.generated", 1), ("patient.registered", 57)];
    with(
        document(subscriptions),
        json!({
            "eventTypes": types.map(|(name, action)| json!({"orgId": ORG, "eventType": name, "actionId": action})),
            "producerKeys": [{"orgId": ORG, "name": "hospital", "value": KEY}],
        }),
    )
}

/// A subscription to `bill.generated`, delivered to `target` without order, and again 20 ms after each failure.
pub fn subscription(name: &str, target: &str) -> Value {
    json!({
        "direction": "OUTBOUND",
        "id": name,
        "name": name,
        "orgId": ORG,
        "eventType": "bill.generated",
        "targetUrl": target,
        "retry": {"type": "list", "delaysMs": [20, 20, 20, 20, 20, 20, 20, 20, 20, 20], "jitter": 0},
        "breaker": {"enabled": false},
        "ordering": {"mode": "none"},
    })
}

/// A bill in the plain form, with an identifier of its own.
pub fn bill(id: &str) -> Value {
    json!({"id": id, "eventType": "bill.generated", "payload": {"bill": {"number": id, "amount": 125.50}}})
}

/// Writes the head of a request that hands over JSON, with one more line, and as much of its body as is given.
pub async fn start_request(client: &mut RawClient, line: &str, body: &str) {
    let key = format!("X-API-Key: {KEY}");
    let head = [
        "POST /api/v1/events HTTP/1.1",
        "Host: gateway.test",
        &key,
        "Content-Type: application/json",
        line,
    ];
    client.request(&head, body).await;
}

impl Gateway {
    /// A POST to the address of events with the key of the tests, to be completed.
    pub fn events_request(&self) -> RequestBuilder {
        self.request(Method::POST, "gateway.test", "/api/v1/events")
            .header("x-api-key", KEY)
    }

    /// Hands over JSON; the answer, whatever it is.
    pub async fn hand_over(&self, body: &Value) -> Reply {
        Reply::of(self.events_request().json(body)).await
    }

    /// Hands over one event that must be taken in, and returns its identifier.
    ///
    /// # Panics
    /// If it is not.
    pub async fn accept(&self, event: &Value) -> String {
        let reply = self.hand_over(event).await;
        assert_eq!(reply.status, 202, "{}", reply.text());
        match reply.json()["id"].as_str() {
            Some(id) => id.to_owned(),
            None => panic!("no id in {}", reply.text()),
        }
    }
}

//! Alerts, told to those who are to be told.

use harness::control_plane::Setup;
use harness::{Answer, Receiver, Reporter, wait};
use serde_json::{Value, json};

#[tokio::test]
async fn a_message_that_waits_is_sent_by_the_next_process() {
    let receiver = Receiver::start().await;
    receiver.always(Answer::status(503));
    let alerts = json!({
        "checkEverySeconds": 1, "rules": {"gatewayGone": {"forSeconds": 1}}, "webhooks": [{"url": receiver.url("/hook")}],
        "allowedNetworks": ["127.0.0.0/8"], "allowPlaintext": true,
    });
    let mut control_plane = Setup::new().set("alerts", alerts).start().await;
    drop(Reporter::connect(&control_plane, "gone").await);
    let first = receiver.received(1).await;
    control_plane.process.kill();

    receiver.always(Answer::status(200));
    let control_plane = control_plane.setup().start().await;
    let again = receiver.received(2).await;
    assert_eq!(again[1].header("webhook-id"), first[0].header("webhook-id"));
    let raised: Value = again[1].json();
    assert_eq!(
        (&raised["type"], &raised["data"]["alert"]["rule"]),
        (&json!("alert.raised"), &json!("GATEWAY_GONE"))
    );
    // It is sent once.
    let delivered = "control_plane_alert_messages_total{channel=\"webhook\",result=\"delivered\"} 1";
    wait::until("the message to be told of", async || {
        let metrics = control_plane.get("/metrics").await.text();
        metrics.lines().any(|line| line == delivered).then_some(())
    })
    .await;
}

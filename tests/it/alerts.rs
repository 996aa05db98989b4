//! Alerts, from what happens at a gateway to who is told.

use harness::control_plane::Setup;
use harness::documents::{ORG, integration};
use harness::{Answer, Gateway, Partner, Receiver, Reporter, wait};
use serde_json::{Value, json};

#[tokio::test]
async fn a_partner_that_fails_too_often_is_told_to_the_webhook_and_listed() {
    let partner = Partner::start(|request| match request.uri.path() {
        "/broken" => Answer::text("no").with_status(500),
        _ => Answer::text("hello"),
    })
    .await;
    let told = Receiver::start().await;
    let control_plane = Setup::new()
        .set("alerts.checkEverySeconds", json!(1))
        .set("alerts.allowPlaintext", json!(true))
        .set("alerts.allowedNetworks", json!(["127.0.0.0/8"]))
        .set("alerts.webhooks", json!([{"url": told.url("/alerts")}]))
        .set(
            "alerts.rules.traffic",
            json!({"windowMinutes": 1, "minimumCalls": 10, "errorPercent": 50}),
        )
        .start()
        .await;
    control_plane.allow_this_machine().await;
    control_plane.save(&integration("labs", &partner.url(""))).await;
    let gateway = Gateway::fed_by(&control_plane).await;
    for _ in 0..4 {
        assert_eq!(gateway.get("labs.test", "/").await.status, 200);
    }
    for _ in 0..6 {
        assert_eq!(gateway.get("labs.test", "/broken").await.status, 500);
    }

    let raised = wait::until("the alert", async || {
        let open = control_plane
            .get(&format!("/api/v1/alerts?orgId={ORG}&status=OPEN"))
            .await
            .json();
        open["alerts"].as_array()?.first().cloned()
    })
    .await;
    assert_eq!(raised["rule"], "ERROR_RATE", "{raised}");
    assert_eq!(raised["integrationConfigId"], "labs", "{raised}");
    let title = raised["title"].as_str().unwrap();
    assert!(
        title.starts_with("60 % of the calls of \"labs\" (labs) of organization 648") && title.ends_with(" fail"),
        "{title}"
    );
    let detail = raised["detail"].as_str().unwrap();
    assert!(detail.starts_with("6 of 10 calls"), "{detail}");
    let sent = told.received(1).await[0].json();
    assert_eq!(sent["type"], "alert.raised", "{sent}");
    assert_eq!(sent["data"]["alert"]["id"], raised["id"], "{sent}");
}

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

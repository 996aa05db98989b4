//! A file of integrations that is edited while the gateway runs.

use std::fs;

use harness::client::Reply;
use harness::documents::{document, integration, with};
use harness::gateway::{Setup, replace};
use harness::{Answer, Gateway, Partner, wait};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_file_written_in_place_is_live() {
    let (one, two) = two_partners().await;
    let gateway = Gateway::serving_one(integration("labs", &one.url(""))).await;
    let path = gateway.setup().document_path();
    fs::write(&path, document([integration("labs", &two.url(""))]).to_string()).unwrap();
    wait_for_text(&gateway, "two").await;
}

#[tokio::test]
async fn a_file_that_is_renamed_into_place_is_live_each_time() {
    let (one, two) = two_partners().await;
    let gateway = Gateway::serving_one(integration("labs", &one.url(""))).await;
    let path = gateway.setup().document_path();
    for (partner, text) in [(&two, "two"), (&one, "one"), (&two, "two")] {
        replace(
            &path,
            document([integration("labs", &partner.url(""))]).to_string().as_bytes(),
        );
        wait_for_text(&gateway, text).await;
    }
}

#[tokio::test]
async fn a_file_that_is_removed_and_comes_back_is_live() {
    let (one, two) = two_partners().await;
    let gateway = Gateway::serving_one(integration("labs", &one.url(""))).await;
    let path = gateway.setup().document_path();
    fs::remove_file(&path).unwrap();
    wait_for_error(&gateway).await;
    assert_eq!(gateway.get("labs.test", "/").await.text(), "one");
    fs::write(&path, document([integration("labs", &two.url(""))]).to_string()).unwrap();
    wait_for_text(&gateway, "two").await;
    assert!(gateway.admin_get("/config").await.json()["lastError"].is_null());
}

#[tokio::test]
async fn yaml_is_read() {
    let partner = Partner::answering(Answer::text("yaml")).await;
    let setup = Setup::new().file(&json!({}));
    let yaml = format!(
        "security:\n  enforceHttps: false\norganizations:\n- orgId: 648\n  allowedNetworks: [127.0.0.0/8]\n\
         integrations:\n- name: labs\n  type: labs\n  orgId: 648\n  hosts: [labs.test]\n  targetUrl: {}\n",
        partner.url("/")
    );
    fs::write(setup.document_path(), yaml).unwrap();
    let gateway = setup.start().await;
    assert_eq!(gateway.get("labs.test", "/").await.text(), "yaml");
}

#[tokio::test]
async fn bad_content_keeps_what_runs_and_says_every_reason() {
    let (one, two) = two_partners().await;
    let gateway = Gateway::serving_one(integration("labs", &one.url(""))).await;
    let path = gateway.setup().document_path();
    let bad = document([
        with(integration("labs", &two.url("")), json!({"tragetUrl": "x"})),
        with(integration("book", "not a url"), json!({"outgoingAuthType": "OAUTH2"})),
    ]);
    replace(&path, bad.to_string().as_bytes());
    let error = wait_for_error(&gateway).await;
    assert!(error.contains("tragetUrl"), "{error}");
    assert_eq!(gateway.get("labs.test", "/").await.text(), "one");
    assert_eq!(gateway.admin_get("/readyz").await.status, 200);

    let bad = document([
        with(integration("one", "not a url"), json!({})),
        with(
            integration("two", &two.url("")),
            json!({"rateLimits": {"maxRequests": 0}}),
        ),
    ]);
    replace(&path, bad.to_string().as_bytes());
    wait::until("both reasons", async || {
        let error = gateway.admin_get("/config").await.json()["lastError"].to_string();
        (error.contains("targetUrl") && error.contains("maxRequests")).then_some(())
    })
    .await;
    assert_eq!(gateway.get("labs.test", "/").await.text(), "one");

    replace(
        &path,
        document([integration("labs", &two.url(""))]).to_string().as_bytes(),
    );
    wait_for_text(&gateway, "two").await;
    assert!(gateway.admin_get("/config").await.json()["lastError"].is_null());
}

#[tokio::test]
async fn what_does_not_work_yet_is_refused_by_name() {
    let partner = Partner::answering(Answer::text("one")).await;
    let mapped = json!({
        "targetProtocol": "http2", "requestTransformationMode": "SIMPLE",
        "requestFieldMappings": [{"sourceField": "a", "targetField": "b"}],
    });
    let unsupported = document([with(integration("labs", &partner.url("")), mapped)]);
    let gateway = Setup::new().file(&unsupported).start_listening().await;
    let error = wait_for_error(&gateway).await;
    assert!(
        error.contains("targetProtocol") && error.contains("not supported yet"),
        "{error}"
    );
}

#[tokio::test]
async fn half_a_file_changes_nothing() {
    let (one, two) = two_partners().await;
    let gateway = Gateway::serving_one(integration("labs", &one.url(""))).await;
    let path = gateway.setup().document_path();
    let whole = document([integration("labs", &two.url(""))]).to_string();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    wait_for_error(&gateway).await;
    assert_eq!(gateway.get("labs.test", "/").await.text(), "one");
    fs::write(&path, &whole).unwrap();
    wait_for_text(&gateway, "two").await;
}

#[tokio::test]
async fn an_emptied_file_does_not_take_every_route_away_unsaid() {
    let partner = Partner::answering(Answer::text("one")).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;
    fs::write(gateway.setup().document_path(), "").unwrap();
    wait_for_error(&gateway).await;
    assert_eq!(gateway.get("labs.test", "/").await.text(), "one");
}

#[tokio::test]
async fn a_gateway_that_starts_with_a_bad_file_serves_what_it_served_last() {
    let partner = Partner::answering(Answer::text("one")).await;
    let mut gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;
    gateway.terminate();
    gateway.process.ended().await;
    fs::write(gateway.setup().document_path(), "{ nonsense").unwrap();
    let gateway = gateway.setup().start_listening().await;
    wait_for_text(&gateway, "one").await;
    let config = gateway.admin_get("/config").await.json();
    assert_eq!(config["source"], "lastKnownGood", "{config}");
    wait_for_error(&gateway).await;
}

#[tokio::test]
async fn no_request_fails_while_the_file_changes() {
    let (one, two) = two_partners().await;
    let gateway = std::sync::Arc::new(Gateway::serving_one(integration("labs", &one.url(""))).await);
    let path = gateway.setup().document_path();
    let calls = harness::load::start(4, {
        let gateway = std::sync::Arc::clone(&gateway);
        move || {
            let gateway = std::sync::Arc::clone(&gateway);
            async move {
                Reply::try_of(gateway.request(Method::GET, "labs.test", "/"))
                    .await
                    .is_ok_and(|reply| reply.status == 200)
            }
        }
    });
    for round in 0..20 {
        let partner = if round % 2 == 0 { &two } else { &one };
        let next = with(
            integration("labs", &partner.url("")),
            json!({"name": format!("round {round}")}),
        );
        replace(&path, document([next]).to_string().as_bytes());
        wait_for_text(&gateway, if round % 2 == 0 { "two" } else { "one" }).await;
    }
    let (done, failed) = calls.stop().await;
    assert!(done > 0);
    assert_eq!(failed, 0, "of {done} requests");
}

async fn two_partners() -> (Partner, Partner) {
    (
        Partner::answering(Answer::text("one")).await,
        Partner::answering(Answer::text("two")).await,
    )
}

async fn wait_for_text(gateway: &Gateway, text: &str) {
    let what = format!("the answer {text}");
    wait::until(&what, async || {
        (gateway.get("labs.test", "/").await.text() == text).then_some(())
    })
    .await;
}

async fn wait_for_error(gateway: &Gateway) -> String {
    wait::until("an error at /config", async || {
        match &gateway.admin_get("/config").await.json()["lastError"] {
            Value::Null => None,
            error => Some(error.to_string()),
        }
    })
    .await
}

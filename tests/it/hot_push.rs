//! A change that an operator makes is live on the gateway, and no request notices the moment.

use std::sync::Arc;

use harness::client::Reply;
use harness::documents::{ORG, integration, with};
use harness::{Answer, ControlPlane, Gateway, Partner, wait};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn what_an_operator_saves_changes_and_deletes_is_live() {
    let (one, two) = (
        Partner::answering(Answer::text("one")).await,
        Partner::answering(Answer::text("two")).await,
    );
    let control_plane = ControlPlane::start().await;
    let gateway = Gateway::fed_by(&control_plane).await;
    assert_eq!(gateway.get("labs.test", "/").await.status, 404);

    control_plane.save(&integration("labs", &one.url(""))).await;
    wait_for_text(&gateway, "one").await;
    control_plane.save(&integration("labs", &two.url(""))).await;
    wait_for_text(&gateway, "two").await;

    let path = format!("/api/v1/inbound-integrations/labs?orgId={ORG}");
    let patched = Reply::of(
        control_plane
            .request(Method::PATCH, &path)
            .json(&json!({"isActive": false})),
    )
    .await;
    assert_eq!(patched.status, 200, "{}", patched.text());
    wait_for_status(&gateway, 404).await;
    let patched = Reply::of(
        control_plane
            .request(Method::PATCH, &path)
            .json(&json!({"isActive": true})),
    )
    .await;
    assert_eq!(patched.status, 200, "{}", patched.text());
    wait_for_status(&gateway, 200).await;

    let deleted = Reply::of(control_plane.request(Method::DELETE, &path)).await;
    assert!([200, 204].contains(&deleted.status), "{}", deleted.text());
    wait_for_status(&gateway, 404).await;
}

#[tokio::test]
async fn a_gateway_that_starts_late_has_everything() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let control_plane = ControlPlane::start().await;
    control_plane.save(&integration("labs", &partner.url(""))).await;
    let gateway = Gateway::fed_by(&control_plane).await;
    wait_for_status(&gateway, 200).await;
}

#[tokio::test]
async fn the_control_plane_knows_which_version_each_gateway_runs() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let control_plane = ControlPlane::start().await;
    let mut gateway = Gateway::fed_by(&control_plane).await;
    control_plane.save(&integration("labs", &partner.url(""))).await;
    wait::until("the gateway to be up to date", async || {
        let known = the_gateway(&control_plane).await;
        (known["appliedVersion"] == known["targetVersion"] && known["lagMs"] == 0).then_some(())
    })
    .await;
    let known = the_gateway(&control_plane).await;
    assert_eq!(known["gatewayId"], "gateway-under-test");
    assert_eq!(known["connected"], true);
    assert!(known["lastNack"].is_null());
    assert_eq!(
        known["appliedVersion"],
        gateway.admin_get("/config").await.json()["version"]
    );
    gateway.process.kill();
    wait::until("the gateway to be away", async || {
        (the_gateway(&control_plane).await["connected"] == false).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_refused_by_the_api_changes_nothing() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let control_plane = ControlPlane::start().await;
    let gateway = Gateway::fed_by(&control_plane).await;
    control_plane.save(&integration("labs", &partner.url(""))).await;
    wait_for_status(&gateway, 200).await;
    let before = control_plane.get("/api/v1/versions").await.json();

    let bad = with(
        integration("labs", "not a url"),
        json!({"requestTransformationMode": "SCRIPT", "requestTransformScript": "fn ("}),
    );
    let refused = control_plane.try_save(&bad).await.unwrap();
    assert_eq!((refused.status, refused.code().as_str()), (400, "VALIDATION_ERROR"));
    let problems = refused.json()["problems"].to_string();
    for path in ["targetUrl", "requestTransformScript"] {
        assert!(problems.contains(path), "{path} is not named in {problems}");
    }
    assert_eq!(control_plane.get("/api/v1/versions").await.json(), before);
    assert_eq!(gateway.get("labs.test", "/").await.status, 200);
}

#[tokio::test]
async fn a_hundred_swaps_under_load_fail_no_request_and_mix_no_versions() {
    // The partner sends back which version signed in to it; the mapping of the answer adds the version it belongs to.
    let partner = Partner::start(|request| Answer::json(&json!({"seen": request.header("x-version")}))).await;
    let control_plane = ControlPlane::start().await;
    let gateway = Arc::new(Gateway::fed_by(&control_plane).await);
    control_plane.save(&versioned(&partner, 0)).await;
    wait_for_status(&gateway, 200).await;
    let load = harness::load::start(4, {
        let gateway = Arc::clone(&gateway);
        move || {
            let gateway = Arc::clone(&gateway);
            async move {
                let Ok(reply) = Reply::try_of(gateway.request(Method::GET, "labs.test", "/")).await else {
                    return false;
                };
                let body = serde_json::from_slice::<Value>(&reply.body).unwrap_or_default();
                reply.status == 200 && body["seen"].is_string() && body["seen"] == body["version"]
            }
        }
    });
    for version in 1..=SWAPS {
        control_plane.save(&versioned(&partner, version)).await;
    }
    wait::until("the last version", async || {
        let reply = gateway.get("labs.test", "/").await;
        (reply.json()["version"] == json!(SWAPS.to_string())).then_some(())
    })
    .await;
    let (done, failed) = load.stop().await;
    assert!(done > 0);
    assert_eq!(failed, 0, "of {done} requests");
}

#[tokio::test]
async fn a_call_that_is_under_way_ends_on_the_version_it_began_on() {
    let gate = harness::answer::Gate::new();
    let waiting = gate.clone();
    let partner = Partner::start(move |request| {
        let answer = Answer::json(&json!({"seen": request.header("x-version")}));
        if request.header("x-version") == Some("0") {
            answer.after(&waiting)
        } else {
            answer
        }
    })
    .await;
    let control_plane = ControlPlane::start().await;
    let gateway = Gateway::fed_by(&control_plane).await;
    control_plane.save(&versioned(&partner, 0)).await;
    wait::until("the route", async || {
        (gateway.admin_get("/routes").await.text().contains("labs.test")).then_some(())
    })
    .await;
    let mut client = gateway.raw().await;
    client.request(&["GET / HTTP/1.1", "Host: labs.test"], "").await;
    partner.received(1).await;
    control_plane.save(&versioned(&partner, 1)).await;
    wait::until("the new version", async || {
        let reply = tokio::time::timeout(TRY, gateway.get("labs.test", "/")).await.ok()?;
        (reply.json()["version"] == "1").then_some(())
    })
    .await;
    gate.open();
    assert_eq!(client.answer().await.json(), json!({"seen": "0", "version": "0"}));
}

#[tokio::test]
async fn a_wrong_token_is_told_apart_and_the_gateway_stays_up() {
    let control_plane = ControlPlane::start().await;
    let setup = harness::gateway::Setup::new().set(
        "config",
        json!({"controlPlane": {"url": control_plane.url(), "token": "wrong"}}),
    );
    let mut gateway = setup.start_listening().await;
    wait::until("the reason at /config", async || {
        let config = gateway.admin_get("/config").await.json();
        config["connectionError"]
            .as_str()
            .is_some_and(|error| error.contains("401"))
            .then_some(())
    })
    .await;
    assert!(gateway.process.is_running());
    assert_eq!(gateway.admin_get("/readyz").await.status, 503);
}

fn versioned(partner: &Partner, version: u32) -> Value {
    let fields = json!({
        "outgoingAuthType": "CUSTOM_HEADERS",
        "outgoingAuthConfig": {"headers": {"X-Version": version.to_string()}},
        "responseTransformationMode": "SIMPLE",
        "responseFieldMappings": [
            {"sourceField": "seen", "targetField": "seen"},
            {"targetField": "version", "value": version.to_string()},
        ],
    });
    with(integration("labs", &partner.url("")), fields)
}

async fn the_gateway(control_plane: &ControlPlane) -> Value {
    control_plane.get("/api/v1/gateways").await.json()["gateways"][0].clone()
}

async fn wait_for_text(gateway: &Gateway, text: &str) {
    let what = format!("the answer {text}");
    wait::until(&what, async || {
        (gateway.get("labs.test", "/").await.text() == text).then_some(())
    })
    .await;
}

async fn wait_for_status(gateway: &Gateway, status: u16) {
    let what = format!("the status {status}");
    wait::until(&what, async || {
        (gateway.get("labs.test", "/").await.status == status).then_some(())
    })
    .await;
}

/// A thousand are made by the benchmark; a hundred show the same in a tenth of the time.
const SWAPS: u32 = 100;

/// A call may hang on the old version, which is held back; then the next one is tried.
const TRY: std::time::Duration = std::time::Duration::from_millis(500);

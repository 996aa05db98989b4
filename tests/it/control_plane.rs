//! The operators' API as its users meet it; the details are tested beside the code.

use harness::client::Reply;
use harness::control_plane::Setup;
use harness::documents::{ORG, integration, with};
use harness::{ControlPlane, wait};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn an_integration_is_made_listed_and_read_without_its_secrets() {
    let control_plane = ControlPlane::start().await;
    let secret = json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "partner-secret"},
        "inboundAuthType": "API_KEY", "inboundAuthConfig": {"keys": [{"name": "a", "value": "client-secret"}]},
        "direction": "INBOUND", "tenantId": 7});
    let mut made = with(integration("labs", "https://partner.example/"), secret);
    made.as_object_mut().unwrap().remove("id");
    let created = control_plane
        .post(&format!("/api/v1/inbound-integrations?orgId={ORG}"), &made)
        .await;
    assert_eq!(created.status, 201, "{}", created.text());
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let list = control_plane
        .get(&format!("/api/v1/inbound-integrations?orgId={ORG}&page=1&limit=10"))
        .await;
    assert_eq!(
        (list.json()["total"].as_u64(), list.json()["hasMore"].as_bool()),
        (Some(1), Some(false))
    );
    let read = control_plane
        .get(&format!("/api/v1/inbound-integrations/{id}?orgId={ORG}"))
        .await;
    let stored = read.json();
    assert_eq!(
        (&stored["type"], &stored["direction"], &stored["tenantId"]),
        (&json!("labs"), &json!("INBOUND"), &json!(7))
    );
    assert!(
        stored["createdAt"].is_string() && stored["updatedAt"].is_string(),
        "{stored}"
    );
    for reply in [&created, &list, &read] {
        for secret in ["partner-secret", "client-secret", "sha256:"] {
            assert!(!reply.text().contains(secret), "{secret} in {}", reply.text());
        }
    }
    let elsewhere = control_plane
        .get(&format!("/api/v1/inbound-integrations/{id}?orgId=7"))
        .await;
    assert_eq!((elsewhere.status, elsewhere.code().as_str()), (404, "NOT_FOUND"));
}

#[tokio::test]
async fn nobody_comes_in_without_a_key() {
    let control_plane = ControlPlane::start().await;
    let client = harness::client::client();
    for path in [
        "/api/v1/inbound-integrations?orgId=648",
        "/api/v1/gateways",
        "/api/v1/export",
    ] {
        let url = format!("{}{path}", control_plane.url());
        let bare = Reply::of(client.get(&url)).await;
        assert_eq!((bare.status, bare.code().as_str()), (401, "UNAUTHORIZED"), "{path}");
        let wrong = Reply::of(client.get(&url).header("x-api-key", "wrong")).await;
        assert_eq!(wrong.status, 401, "{path}");
    }
}

#[tokio::test]
async fn a_mask_that_is_written_back_keeps_the_secret_and_a_new_one_is_refused() {
    let control_plane = ControlPlane::start().await;
    let partner = harness::Partner::answering(harness::Answer::text("ok")).await;
    let gateway = harness::Gateway::fed_by(&control_plane).await;
    let secret = json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "partner-secret"}});
    let mut shown = control_plane
        .save(&with(integration("labs", &partner.url("")), secret))
        .await;
    assert_eq!(shown["outgoingAuthConfig"]["token"], "***");
    shown["name"] = json!("renamed");
    control_plane.save(&shown).await;
    wait::until("the renamed route", async || {
        (gateway.get("labs.test", "/").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(
        partner.requests().pop().unwrap().header("authorization"),
        Some("Bearer partner-secret")
    );
    let unknown = json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "***"}});
    let refused = control_plane
        .try_save(&with(integration("new", "https://partner.example/"), unknown))
        .await
        .unwrap();
    assert_eq!((refused.status, refused.code().as_str()), (400, "VALIDATION_ERROR"));
}

#[tokio::test]
async fn a_transformation_is_tried_on_a_sample() {
    let control_plane = ControlPlane::start().await;
    let script = "fn transform(payload, context) { #{ twice: payload.n * 2 } }";
    let scripted = json!({"requestTransformationMode": "SCRIPT", "requestTransformScript": script});
    control_plane
        .save(&with(integration("labs", "https://partner.example/"), scripted))
        .await;
    let path = format!("/api/v1/inbound-integrations/labs/test?orgId={ORG}");
    let tried = control_plane
        .post(&path, &json!({"side": "request", "sample": {"n": 21}}))
        .await;
    assert_eq!(
        (tried.status, &tried.json()["output"]),
        (200, &json!({"twice": 42})),
        "{}",
        tried.text()
    );

    let runaway =
        json!({"requestTransformationMode": "SCRIPT", "requestTransformScript": "fn transform(p, c) { loop { } }"});
    control_plane
        .save(&with(integration("labs", "https://partner.example/"), runaway))
        .await;
    let tried = control_plane
        .post(&path, &json!({"side": "request", "sample": {}}))
        .await;
    assert!(tried.json()["fault"]["message"].is_string(), "{}", tried.text());
    assert_eq!(control_plane.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn validate_saves_nothing() {
    let control_plane = ControlPlane::start().await;
    let good = integration("labs", "https://partner.example/");
    let path = format!("/api/v1/inbound-integrations/validate?orgId={ORG}");
    let checked = control_plane.post(&path, &good).await;
    assert_eq!(checked.status, 200, "{}", checked.text());
    let list = control_plane
        .get(&format!("/api/v1/inbound-integrations?orgId={ORG}"))
        .await;
    assert_eq!(list.json()["total"], 0);
}

#[tokio::test]
async fn the_api_describes_itself_and_its_health() {
    let control_plane = ControlPlane::start().await;
    let document = control_plane.get("/api/v1/openapi.json").await;
    assert_eq!(document.status, 200);
    assert!(
        document.json()["paths"]["/api/v1/inbound-integrations/{id}"]["put"].is_object(),
        "{}",
        document.text()
    );
    assert_eq!(control_plane.get("/healthz").await.status, 200);
    assert_eq!(control_plane.get("/readyz").await.status, 200);
    assert_eq!(control_plane.get("/metrics").await.status, 200);
}

#[tokio::test]
async fn it_ends_well_on_sigterm_and_keeps_what_it_has() {
    let mut control_plane = ControlPlane::start().await;
    control_plane
        .save(&integration("labs", "https://partner.example/"))
        .await;
    control_plane.process.signal(Signal::SIGTERM);
    assert!(control_plane.process.ended().await.success());
    let again = control_plane.setup().start().await;
    let stored = again
        .get(&format!("/api/v1/inbound-integrations/labs?orgId={ORG}"))
        .await;
    assert_eq!(stored.status, 200);
}

#[tokio::test]
async fn a_key_is_made_at_the_first_start_and_shown_once() {
    let mut setup = Setup::new();
    setup.unset("operatorKeys");
    let mut first = setup.start().await;
    let output = first.process.output();
    let shown = wait::until("the key in the output", async || {
        let client = harness::client::client();
        let words = output.split(|letter: char| !letter.is_ascii_alphanumeric() && !"-_".contains(letter));
        for word in words.filter(|word| word.len() >= 20) {
            let url = format!("{}/api/v1/versions", first.url());
            if Reply::of(client.request(Method::GET, &url).header("x-api-key", word))
                .await
                .status
                == 200
            {
                return Some(word.to_owned());
            }
        }
        None
    })
    .await;
    first.process.kill();
    let second = first.setup().start().await;
    assert!(!second.process.output().contains(&shown), "the key is shown again");
    let url = format!("{}/api/v1/versions", second.url());
    let still = Reply::of(harness::client::client().get(url).header("x-api-key", &shown)).await;
    assert_eq!(still.status, 200);
}

#[tokio::test]
async fn nobody_asks_more_often_than_the_limits_say() {
    let limits = json!({"requestsPerMinutePerAddress": 12, "requestsPerMinutePerOrganization": 3});
    let control_plane = Setup::new().set("limits", limits).start().await;
    let ask = async |org_id: u64| control_plane.get(&format!("/api/v1/logs?orgId={org_id}")).await;
    for _ in 0..3 {
        assert_eq!(ask(648).await.status, 200);
    }
    let refused = ask(648).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "RATE_LIMITED"));
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&seconds), "{seconds}");
    assert_eq!(ask(7).await.status, 200, "another organization");

    // Guesses at keys count by address, before the key is looked at.
    let client = harness::client::client();
    let url = format!("{}/api/v1/logs?orgId=648", control_plane.url());
    let guess = async || Reply::of(client.get(&url).header("x-api-key", "guess")).await.status;
    wait::until("a refused guess", async || (guess().await == 429).then_some(())).await;
    assert_eq!(ask(7).await.status, 429, "the address is used up for good keys as well");
    // Probes go on.
    let probe = client.get(format!("{}/healthz", control_plane.url()));
    assert_eq!(Reply::of(probe).await.status, 200);
}

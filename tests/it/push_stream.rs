//! The gateway's side of the push stream, against a control plane that says odd things.

use filters::model::push::{FromControlPlane, FromGateway, Object};
use filters::model::{InboundIntegration, MODEL_VERSION, Organization, Security};
use harness::documents::{integration, organization, with};
use harness::gateway::Setup;
use harness::push_peer::PushStream;
use harness::{Answer, Gateway, Partner, PushPeer, wait};
use serde_json::{Value, json};

#[tokio::test]
async fn a_version_that_does_not_compile_is_refused_with_every_problem_and_the_old_one_stays() {
    let partner = Partner::answering(Answer::text("good")).await;
    let (gateway, mut stream) = connected().await;
    stream
        .say(&snapshot(5, vec![object(integration("labs", &partner.url("")))]))
        .await;
    assert!(matches!(stream.hear().await, FromGateway::Ack { version: 5, .. }));

    let bad = with(
        integration("labs", "not a url"),
        json!({"outgoingAuthType": "OAUTH2", "outgoingAuthConfig": {}}),
    );
    stream.say(&change(5, 6, vec![object(bad)])).await;
    let FromGateway::Nack { version, problems } = stream.hear().await else {
        panic!("a bad version was not refused");
    };
    assert_eq!(version, 6);
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert!(paths.iter().any(|path| path.contains("targetUrl")), "{problems:?}");
    assert!(
        paths.iter().any(|path| path.contains("outgoingAuthConfig")),
        "{problems:?}"
    );
    assert_eq!(gateway.get("labs.test", "/").await.text(), "good");
    let config = gateway.admin_get("/config").await.json();
    assert_eq!(config["version"], 5);
    assert_eq!(config["lastError"]["version"], 6, "{config}");

    // The next good version builds on what the gateway has.
    stream
        .say(&change(5, 7, vec![object(integration("book", &partner.url("")))]))
        .await;
    assert!(matches!(stream.hear().await, FromGateway::Ack { version: 7, .. }));
    assert_eq!(gateway.get("book.test", "/").await.text(), "good");
    assert_eq!(gateway.get("labs.test", "/").await.text(), "good");
    assert!(gateway.admin_get("/config").await.json()["lastError"].is_null());
}

#[tokio::test]
async fn a_change_that_builds_on_another_version_is_answered_with_hello() {
    let partner = Partner::answering(Answer::text("good")).await;
    let (gateway, mut stream) = connected().await;
    stream
        .say(&snapshot(5, vec![object(integration("labs", &partner.url("")))]))
        .await;
    assert!(matches!(stream.hear().await, FromGateway::Ack { version: 5, .. }));
    stream
        .say(&change(8, 9, vec![object(integration("book", &partner.url("")))]))
        .await;
    let FromGateway::Hello { have, .. } = stream.hear().await else {
        panic!("a change on another version was taken");
    };
    assert_eq!(have.map(|have| have.version), Some(5));
    assert_eq!(gateway.get("book.test", "/").await.status, 404);
}

#[tokio::test]
async fn the_gateway_says_who_it_is_and_comes_back_with_what_it_has() {
    let partner = Partner::answering(Answer::text("good")).await;
    let peer = PushPeer::listen().await;
    let gateway = Setup::new().set("config", source(&peer)).start_listening().await;
    let mut stream = peer.accept().await;
    assert_eq!(stream.authorization, "Bearer push-token");
    let FromGateway::Hello { gateway_id, have, .. } = stream.hear().await else {
        panic!("the first message is not Hello");
    };
    assert_eq!((gateway_id.as_str(), have), ("gateway-under-test", None));
    stream
        .say(&snapshot(3, vec![object(integration("labs", &partner.url("")))]))
        .await;
    let FromGateway::Ack { digest, .. } = stream.hear().await else {
        panic!("a good version was refused");
    };
    drop(stream);
    let mut stream = peer.accept().await;
    let FromGateway::Hello { have, .. } = stream.hear().await else {
        panic!("the first message is not Hello");
    };
    let have = have.expect("the gateway has a version");
    assert_eq!((have.version, have.digest), (3, digest));
    assert_eq!(gateway.get("labs.test", "/").await.text(), "good");
}

#[tokio::test]
async fn what_is_not_understood_changes_nothing_and_is_reported() {
    let partner = Partner::answering(Answer::text("good")).await;
    let (gateway, mut stream) = connected().await;
    stream
        .say(&snapshot(3, vec![object(integration("labs", &partner.url("")))]))
        .await;
    assert!(matches!(stream.hear().await, FromGateway::Ack { version: 3, .. }));
    for nonsense in [
        "",
        "{",
        "[]",
        "{\"message\": \"selfDestruct\"}",
        "{\"message\": \"snapshot\"}",
    ] {
        stream.say_text(nonsense).await;
        wait::until("the report", async || {
            let error = gateway.admin_get("/config").await.json()["lastError"].clone();
            (!error.is_null()).then_some(())
        })
        .await;
        assert_eq!(gateway.get("labs.test", "/").await.text(), "good", "after {nonsense:?}");
    }
    stream
        .say(&snapshot(4, vec![object(integration("book", &partner.url("")))]))
        .await;
    assert!(matches!(stream.hear().await, FromGateway::Ack { version: 4, .. }));
    assert_eq!(gateway.get("book.test", "/").await.status, 200);
    assert_eq!(
        gateway.get("labs.test", "/").await.status,
        404,
        "a snapshot holds everything there is"
    );
}

#[tokio::test]
async fn a_control_plane_of_another_model_is_named_and_what_is_live_stays() {
    let partner = Partner::answering(Answer::text("good")).await;
    let peer = PushPeer::listen().await;
    let gateway = Setup::new().set("config", source(&peer)).start_listening().await;
    let mut stream = peer.accept_speaking(Some(MODEL_VERSION)).await;
    assert!(matches!(stream.hear().await, FromGateway::Hello { .. }));
    stream
        .say(&snapshot(3, vec![object(integration("labs", &partner.url("")))]))
        .await;
    assert!(matches!(stream.hear().await, FromGateway::Ack { version: 3, .. }));
    assert!(gateway.admin_get("/config").await.json()["toldNothing"].is_null());
    drop(stream);

    // The control plane comes back as one of a later release.
    let _stream = peer.accept_speaking(Some(99)).await;
    let config = wait::until("the gateway to say so", async || {
        let config = gateway.admin_get("/config").await.json();
        (!config["toldNothing"].is_null()).then_some(config)
    })
    .await;
    assert!(
        config["toldNothing"].as_str().unwrap().contains("model version 99"),
        "{config}"
    );
    assert_eq!((&config["connected"], &config["version"]), (&json!(true), &json!(3)));
    assert_eq!(gateway.get("labs.test", "/").await.text(), "good");
}

/// A later release of the same model may have a setting that this one does not know: it is named, and nothing is guessed.
#[tokio::test]
async fn a_setting_of_a_later_release_is_refused_by_its_name() {
    let partner = Partner::answering(Answer::text("good")).await;
    let (gateway, mut stream) = connected().await;
    stream
        .say(&snapshot(3, vec![object(integration("labs", &partner.url("")))]))
        .await;
    assert!(matches!(stream.hear().await, FromGateway::Ack { version: 3, .. }));
    let mut next =
        serde_json::to_value(change(3, 4, vec![object(integration("labs", &partner.url("/next")))])).unwrap();
    next["put"][0]["value"]["settingOfTomorrow"] = json!(true);
    stream.say_text(&next.to_string()).await;
    let FromGateway::Nack { version, problems } = stream.hear().await else {
        panic!("a setting that is not known was taken");
    };
    assert_eq!(version, 4);
    assert!(
        problems
            .iter()
            .any(|problem| problem.to_string().contains("settingOfTomorrow")),
        "{problems:?}"
    );
    assert_eq!(gateway.get("labs.test", "/").await.text(), "good");
    assert_eq!(partner.only_request().uri, "/");
}

async fn connected() -> (Gateway, PushStream) {
    let peer = PushPeer::listen().await;
    let gateway = Setup::new().set("config", source(&peer)).start_listening().await;
    let mut stream = peer.accept().await;
    assert!(matches!(stream.hear().await, FromGateway::Hello { .. }));
    (gateway, stream)
}

fn source(peer: &PushPeer) -> Value {
    json!({"controlPlane": {"url": peer.url(), "token": "push-token"}})
}

/// Everything: the integrations, the organization, and the rules that let targets on this machine be called.
fn snapshot(version: u64, integrations: Vec<Object>) -> FromControlPlane {
    let organization: Organization = serde_json::from_value(organization()).unwrap();
    let security = Security {
        block_private_networks: true,
        enforce_https: false,
    };
    let mut put = vec![Object::Security(security), Object::Organization(organization.into())];
    put.extend(integrations);
    FromControlPlane::Snapshot {
        version,
        put,
        trial: false,
    }
}

fn change(from: u64, to: u64, put: Vec<Object>) -> FromControlPlane {
    let delete = Vec::new();
    FromControlPlane::Change {
        from,
        to,
        put,
        delete,
        trial: false,
    }
}

fn object(integration: Value) -> Object {
    let integration: InboundIntegration = serde_json::from_value(integration).unwrap();
    Object::Integration(integration.into())
}

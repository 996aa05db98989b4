//! The key that seals stored secrets, and secrets that are kept elsewhere.

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::control_plane::Setup;
use harness::documents::{ORG, integration, with};
use harness::{Answer, ControlPlane, Gateway, Partner, binaries, wait};
use serde_json::json;

#[tokio::test]
async fn a_rotated_key_opens_everything_and_the_old_one_nothing() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let mut control_plane = ControlPlane::start().await;
    let bearer = json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "planted-token"}});
    control_plane
        .save(&with(integration("labs", &partner.url("")), bearer))
        .await;
    let key_file = control_plane.data_folder().join("secret.key");
    let old = std::fs::read_to_string(&key_file).unwrap();

    let busy = rotate(&control_plane, &[]);
    let told = String::from_utf8_lossy(&busy.stderr).into_owned();
    assert!(
        !busy.status.success() && told.contains("in use by another process"),
        "{told}"
    );
    assert_eq!(
        std::fs::read_to_string(&key_file).unwrap(),
        old,
        "no key is made for nothing"
    );

    control_plane.process.kill();
    let rotated = rotate(&control_plane, &["--remove-old-keys"]);
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
    let new = std::fs::read_to_string(&key_file).unwrap();
    assert_ne!(new, old);
    assert!(
        !String::from_utf8_lossy(&rotated.stdout).contains(new.trim()),
        "the key itself is told"
    );

    let control_plane = control_plane.setup().start().await;
    let gateway = Gateway::fed_by(&control_plane).await;
    wait::until("the route", async || {
        (gateway.get("labs.test", "/").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(
        partner.only_request().header("authorization"),
        Some("Bearer planted-token")
    );
    let versions = control_plane.get(&format!("/api/v1/versions?orgId={ORG}")).await;
    assert_eq!(versions.status, 200, "{}", versions.text());
}

#[tokio::test]
async fn a_secret_in_a_file_is_sent_to_the_partner_and_read_again_when_it_changes() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lab");
    std::fs::write(&file, "planted-one\n").unwrap();
    let sources = json!({
        "files": [{"prefix": format!("{}/", folder.path().display()), "orgIds": [ORG]}], "refreshSeconds": 1,
    });
    let control_plane = Setup::new().set("secretSources", sources).start().await;
    control_plane.allow_this_machine().await;
    let gateway = Gateway::fed_by(&control_plane).await;
    let reference = format!("secret://file{}", file.display());
    let bearer = |token: &str| json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": token}});
    let labs = |token: &str| with(integration("labs", &partner.url("")), bearer(token));
    let saved = control_plane.save(&labs(&reference)).await;
    assert_eq!(
        saved["outgoingAuthConfig"]["token"],
        json!(reference),
        "the API shows the reference"
    );
    wait_for_token(&gateway, &partner, "planted-one").await;

    std::fs::write(&file, "planted-two\n").unwrap();
    wait_for_token(&gateway, &partner, "planted-two").await;
    // What cannot be read stays what it was.
    std::fs::remove_file(&file).unwrap();
    let missing = format!("secret://file{}/absent", folder.path().display());
    for (token, told) in [
        (missing.as_str(), "cannot be read"),
        ("secret://file/etc/hostname", "secretSources.files"),
        ("secret://env/PATH", "secretSources.env"),
        ("secret://nowhere/x", "is no reference"),
    ] {
        let refused = control_plane.try_save(&labs(token)).await.unwrap();
        assert_eq!(refused.status, 400, "{}", refused.text());
        let problem = &refused.json()["problems"][0];
        assert_eq!(problem["path"], "outgoingAuthConfig.token");
        assert!(problem["message"].as_str().unwrap().contains(told), "{problem}");
    }
    wait_for_token(&gateway, &partner, "planted-two").await;
    let output = control_plane.process.output();
    assert!(!output.contains("planted"), "{output}");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn a_control_plane_that_cannot_ask_the_secret_store_lets_gateways_keep_what_they_have() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let works = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&works);
    let vault = Partner::start(move |request| {
        let allowed = request.header("x-vault-token") == Some("planted-vault-token");
        match (allowed, switch.load(Ordering::SeqCst), request.uri.path()) {
            (true, true, "/v1/secret/data/648/lab") => {
                Answer::json(&json!({"data": {"data": {"token": "planted-in-vault", "other": 5}}}))
            }
            (true, true, _) => Answer::status(404),
            _ => Answer::status(500),
        }
    })
    .await;
    let sources = json!({
        "store": {
            "url": vault.url("/v1/secret/data/"), "token": "planted-vault-token", "allowPlaintext": true,
            "allowedNetworks": ["127.0.0.0/8"], "paths": [{"prefix": "648/"}],
        },
        "refreshSeconds": 1,
    });
    let mut control_plane = Setup::new().set("secretSources", sources).start().await;
    control_plane.allow_this_machine().await;
    let gateway = Gateway::fed_by(&control_plane).await;
    let bearer = |token: &str| json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": token}});
    let labs = |token: &str| with(integration("labs", &partner.url("")), bearer(token));
    control_plane.save(&labs("secret://store/648/lab#token")).await;
    wait_for_token(&gateway, &partner, "planted-in-vault").await;
    for (token, told) in [
        ("secret://store/648/lab#absent", "no such field"),
        ("secret://store/648/lab#other", "no such field"),
        ("secret://store/648/none#token", "no such entry"),
        ("secret://store/649/lab#token", "secretSources.store.paths"),
    ] {
        let refused = control_plane.try_save(&labs(token)).await.unwrap();
        assert!(
            refused.status == 400 && refused.text().contains(told),
            "{token}: {}",
            refused.text()
        );
    }

    works.store(false, Ordering::SeqCst);
    control_plane.process.kill();
    let control_plane = control_plane.setup().start().await;
    let listed = control_plane.get("/api/v1/gateways").await;
    assert_eq!(listed.status, 200, "{}", listed.text());
    assert_eq!(
        gateway.get("labs.test", "/").await.status,
        200,
        "the gateway keeps what it has"
    );
    let output = control_plane.process.output();
    assert!(
        output.contains("a secret cannot be read") && !output.contains("planted"),
        "{output}"
    );

    // It comes back by itself.
    works.store(true, Ordering::SeqCst);
    let fresh = wait::until("a new gateway to be fed", async || {
        let gateway = Gateway::fed_by(&control_plane).await;
        (gateway.get("labs.test", "/").await.status == 200).then_some(gateway)
    })
    .await;
    wait_for_token(&fresh, &partner, "planted-in-vault").await;
}

/// Calls the partner until it is called with this token.
async fn wait_for_token(gateway: &Gateway, partner: &Partner, token: &str) {
    let expected = format!("Bearer {token}");
    wait::until("the token", async || {
        let _ = gateway.get("labs.test", "/").await;
        let requests = partner.requests();
        (requests.last()?.header("authorization") == Some(expected.as_str())).then_some(())
    })
    .await;
}

/// Runs `control-plane rotate-secrets` with the settings of `control_plane`.
fn rotate(control_plane: &ControlPlane, arguments: &[&str]) -> Output {
    Command::new(binaries::find("control-plane"))
        .arg("--config")
        .arg(control_plane.settings_file())
        .arg("rotate-secrets")
        .args(arguments)
        .output()
        .unwrap()
}

//! From one store to the other, with the real programs.

use std::process::Command;

use harness::control_plane::Setup;
use harness::documents::{ORG, integration, with};
use harness::{Answer, ControlPlane, Gateway, Mongo, Partner, binaries, wait};
use serde_json::{Value, json};

#[tokio::test]
async fn a_control_plane_goes_on_with_the_other_store() {
    let Some(mongo) = Mongo::available().await else { return };
    let partner = Partner::answering(Answer::text("ok")).await;
    let other = json!({"mongodb": {"uri": mongo.uri(), "database": mongo.database()}});
    let mut control_plane = Setup::new().set("migrationStore", other).start().await;
    control_plane.allow_this_machine().await;
    let bearer = json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "planted-token"}});
    for number in 0..3 {
        let name = format!("labs-{number}");
        control_plane
            .save(&with(integration(&name, &partner.url("")), bearer.clone()))
            .await;
    }
    let before = shown(&control_plane).await;
    let busy = migrate(&control_plane, "sqlite", "mongodb");
    assert!(busy.0 != 0 && busy.1.contains("in use by another process"), "{busy:?}");
    control_plane.process.kill();
    let same = migrate(&control_plane, "mongodb", "mongodb");
    assert!(same.0 != 0 && same.1.contains("two kinds"), "{same:?}");
    let done = migrate(&control_plane, "sqlite", "mongodb");
    assert!(done.0 == 0 && done.1.contains("compared and the same"), "{done:?}");
    let again = migrate(&control_plane, "sqlite", "mongodb");
    assert!(again.0 != 0 && again.1.contains("mongodb is not empty"), "{again:?}");

    let mut moved = control_plane.setup().mongo(&mongo).start().await;
    assert_eq!(shown(&moved).await, before);
    let gateway = Gateway::fed_by(&moved).await;
    wait::until("the route", async || {
        (gateway.get("labs-2.test", "/").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(
        partner.only_request().header("authorization"),
        Some("Bearer planted-token")
    );
    moved.process.kill();
}

/// Everything that is configured, and how it came to be.
async fn shown(control_plane: &ControlPlane) -> Vec<Value> {
    let mut shown = Vec::new();
    for path in ["export", "versions"] {
        let reply = control_plane.get(&format!("/api/v1/{path}?orgId={ORG}")).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        shown.push(reply.json());
    }
    shown
}

/// Exit code and output.
fn migrate(control_plane: &ControlPlane, from: &str, to: &str) -> (i32, String) {
    let output = Command::new(binaries::find("control-plane"))
        .arg("--config")
        .arg(control_plane.settings_file())
        .args(["migrate", "--from", from, "--to", to])
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    (output.status.code().unwrap_or(-1), told)
}

//! What is done to configured objects besides changing them, as people and programs outside meet it.

use harness::control_plane::Setup;
use harness::documents::{ORG, integration};
use harness::{Answer, Gateway, Partner, gwctl, wait};
use serde_json::json;

#[tokio::test]
async fn a_deleted_integration_is_restored_and_serves_again() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let control_plane = Setup::new().start().await;
    let gateway = Gateway::fed_by(&control_plane).await;
    let made = control_plane
        .post("/api/v1/inbound-integrations", &integration("labs", &partner.url("")))
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    wait::until("the route is live", async || {
        (gateway.get("labs.test", "/").await.status == 200).then_some(())
    })
    .await;

    let org = ORG.to_string();
    let deleted = gwctl::against(&control_plane, &["delete", "integration", "labs", "--org", &org]).await;
    assert_eq!(deleted.code, 0, "{deleted:?}");
    wait::until("the route is gone", async || {
        (gateway.get("labs.test", "/").await.status == 404).then_some(())
    })
    .await;

    let listed = gwctl::against(&control_plane, &["trash", "list", "--org", &org, "-o", "json"]).await;
    let entry = listed.json()["trash"][0].clone();
    assert_eq!(
        (&entry["objectId"], &entry["kind"]),
        (&json!("labs"), &json!("integration"))
    );
    let id = entry["id"].as_str().unwrap();
    let restored = gwctl::against(&control_plane, &["trash", "restore", id, "--org", &org]).await;
    assert_eq!(restored.code, 0, "{restored:?}");
    wait::until("the route is live again", async || {
        (gateway.get("labs.test", "/").await.status == 200).then_some(())
    })
    .await;
    let again = gwctl::against(&control_plane, &["trash", "restore", id]).await;
    assert_eq!(again.code, 4, "{again:?}");
}

//! The whole path with MongoDB as the store of the control plane.

use harness::control_plane::Setup;
use harness::documents::{ORG, integration, with};
use harness::{Answer, ControlPlane, Gateway, Mongo, Partner, wait};
use serde_json::json;

#[tokio::test]
async fn a_change_goes_through_mongodb_to_the_gateway_and_survives() {
    let Some(mongo) = Mongo::available().await else { return };
    let partner = Partner::answering(Answer::text("ok")).await;
    let mut control_plane = on(&mongo).await;
    let gateway = Gateway::fed_by(&control_plane).await;
    control_plane.save(&integration("labs", &partner.url(""))).await;
    wait_for_status(&gateway, "labs.test", 200).await;

    control_plane.process.kill();
    let control_plane = control_plane.setup().start().await;
    let stored = control_plane
        .get(&format!("/api/v1/inbound-integrations/labs?orgId={ORG}"))
        .await;
    assert_eq!(stored.status, 200, "{}", stored.text());
}

#[tokio::test]
async fn a_change_at_one_control_plane_reaches_the_gateways_of_the_other() {
    let Some(mongo) = Mongo::available().await else { return };
    let partner = Partner::answering(Answer::text("ok")).await;
    let one = on(&mongo).await;
    // Several control planes share the key that seals secrets.
    let two = one.setup_of_a_sibling().start().await;
    let gateway = Gateway::fed_by(&two).await;
    let secret = json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "t-1"}});
    one.save(&with(integration("labs", &partner.url("")), secret)).await;
    wait_for_status(&gateway, "labs.test", 200).await;
    assert_eq!(partner.only_request().header("authorization"), Some("Bearer t-1"));
}

#[tokio::test]
async fn without_its_store_the_control_plane_refuses_writes_and_loses_none() {
    let Some(mut mongo) = Mongo::available().await else {
        return;
    };
    if !mongo.is_own() {
        return;
    }
    let partner = Partner::answering(Answer::text("ok")).await;
    let control_plane = on(&mongo).await;
    let gateway = Gateway::fed_by(&control_plane).await;
    control_plane.save(&integration("before", &partner.url(""))).await;
    wait_for_status(&gateway, "before.test", 200).await;

    mongo.kill();
    let refused = control_plane
        .try_save(&integration("during", &partner.url("")))
        .await
        .unwrap();
    assert_eq!((refused.status, refused.code().as_str()), (503, "SERVICE_UNAVAILABLE"));
    assert_eq!(
        gateway.get("before.test", "/").await.status,
        200,
        "the gateway needs no store"
    );
    assert_eq!(gateway.get("during.test", "/").await.status, 404);

    mongo.restart().await;
    wait::until("writes to be taken again", async || {
        let saved = control_plane
            .try_save(&integration("after", &partner.url("")))
            .await
            .ok()?;
        [200, 201].contains(&saved.status).then_some(())
    })
    .await;
    wait_for_status(&gateway, "after.test", 200).await;
    for id in ["before", "after"] {
        let stored = control_plane
            .get(&format!("/api/v1/inbound-integrations/{id}?orgId={ORG}"))
            .await;
        assert_eq!(stored.status, 200, "{id} is lost");
    }
}

async fn on(mongo: &Mongo) -> ControlPlane {
    let control_plane = Setup::new().mongo(mongo).start().await;
    control_plane.allow_this_machine().await;
    control_plane
}

async fn wait_for_status(gateway: &Gateway, host: &str, status: u16) {
    let what = format!("{status} at {host}");
    wait::until(&what, async || {
        (gateway.get(host, "/").await.status == status).then_some(())
    })
    .await;
}

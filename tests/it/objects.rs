//! What is done to configured objects besides changing them, as people and programs outside meet it.

use std::fs;

use harness::documents::{ORG, integration, with};
use harness::{Answer, ControlPlane, Gateway, Partner, gwctl, wait};
use serde_json::json;
use tempfile::TempDir;

#[tokio::test]
async fn a_deleted_integration_is_restored_and_serves_again() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let control_plane = ControlPlane::start().await;
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

#[tokio::test]
async fn a_table_goes_from_a_file_to_the_control_plane_and_back() {
    let control_plane = ControlPlane::start().await;
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (first, wrong) = (path("codes.csv"), path("wrong.csv"));
    fs::write(&first, "code,name\r\nA01,Typhoid\r\n=B,\"x, y\"\r\n").unwrap();
    fs::write(&wrong, "code,name\nA01,a\nA01,b\n").unwrap();
    let org = ORG.to_string();
    let import = |file: &str, more: &[&str]| {
        let arguments = [
            "lookup", "import", "--org", &org, "--name", "codes", "-f", file, "-o", "json",
        ];
        let arguments: Vec<String> = arguments.iter().chain(more).map(|part| (*part).to_owned()).collect();
        let control_plane = &control_plane;
        async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            gwctl::against(control_plane, &arguments).await
        }
    };
    let tried = import(&wrong, &["--dry-run"]).await;
    assert_eq!(tried.code, 1, "{tried:?}");
    assert!(
        tried
            .stderr
            .contains("row 3, code: the key \"A01\" is in row 2 already"),
        "{tried:?}"
    );
    assert_eq!(import(&wrong, &[]).await.code, 4);

    let made = import(&first, &[]).await;
    assert_eq!((made.code, made.json()["added"].as_u64()), (0, Some(2)), "{made:?}");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let workbook = path("codes.xlsx");
    let exported = gwctl::against(
        &control_plane,
        &["lookup", "export", &id, "--org", &org, "-f", &workbook],
    )
    .await;
    assert_eq!(exported.code, 0, "{exported:?}");
    let again = import(&workbook, &["--dry-run"]).await;
    assert_eq!(
        (again.code, again.json()["unchanged"].as_u64()),
        (0, Some(2)),
        "{again:?}"
    );
    let text = gwctl::against(&control_plane, &["lookup", "export", &id, "--org", &org]).await;
    assert_eq!(text.stdout, "key,value\r\n'=B,\"x, y\"\r\nA01,Typhoid\r\n");
    let taken = gwctl::against(
        &control_plane,
        &["lookup", "export", &id, "--org", &org, "-f", &workbook],
    )
    .await;
    assert_eq!(taken.code, 2, "a file that is there is not overwritten: {taken:?}");
}

#[tokio::test]
async fn a_limit_that_is_used_up_is_seen_and_set_back() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let control_plane = ControlPlane::start().await;
    let gateway = Gateway::fed_by(&control_plane).await;
    let limits = json!({"rateLimits": {"maxRequests": 1, "windowSeconds": 3600}});
    let labs = with(integration("labs", &partner.url("")), limits);
    let made = control_plane.post("/api/v1/inbound-integrations", &labs).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let status = async || gateway.get("labs.test", "/").await.status;
    wait::until("the limit is used up", async || (status().await == 429).then_some(())).await;
    let path = format!("/api/v1/admin/rate-limits?orgId={ORG}");
    let usage = wait::until("the control plane knows", async || {
        let shown = control_plane.get(&path).await.json();
        shown["usage"].as_array().and_then(|usage| usage.first().cloned())
    })
    .await;
    assert_eq!(
        (
            &usage["scope"],
            &usage["id"],
            &usage["limit"],
            &usage["gateways"][0]["used"]
        ),
        (&json!("integration"), &json!("labs"), &json!(1), &json!(1))
    );
    let reset = json!({"orgId": ORG, "scope": "integration", "id": "labs"});
    let given = control_plane.post("/api/v1/admin/rate-limits/reset", &reset).await;
    assert_eq!(given.status, 202, "{}", given.text());
    wait::until("a request passes again", async || (status().await == 200).then_some(())).await;
}

//! Integrations made of OpenAPI documents.

use std::fs;

use harness::client::Reply;
use harness::documents::ORG;
use harness::{Answer, ControlPlane, Gateway, Partner, binaries, gwctl, wait};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

const HOST: &str = "appointments.test";

/// The document with `partner` as its server, in a file.
fn document(folder: &TempDir, partner: &Partner) -> String {
    let fixture = binaries::repository().join("tests/fixtures/openapi/appointments.yaml");
    let text = fs::read_to_string(fixture).unwrap();
    let path = folder.path().join("appointments.yaml");
    fs::write(&path, text.replace("https://api.partner.example", &partner.url(""))).unwrap();
    path.to_str().unwrap().to_owned()
}

#[expect(clippy::too_many_lines, reason = "one document, from its import to its requests")]
#[tokio::test]
async fn a_document_becomes_routes_and_validators() {
    let answer = Answer::json(&json!({"id": 7, "patient": {"number": "P-7"}, "from": "10:00", "note": null}));
    let partner = Partner::answering(answer.with_status(201)).await;
    let control_plane = ControlPlane::start().await;
    control_plane.allow_this_machine().await;
    let gateway = Gateway::fed_by(&control_plane).await;
    let folder = TempDir::new().unwrap();
    let file = document(&folder, &partner);
    let org = ORG.to_string();
    let import = [
        "import",
        "-f",
        &file,
        "--org",
        &org,
        "--host",
        HOST,
        "--id",
        "appointments",
    ];

    let tried = gwctl::against(&control_plane, &[&import[..], &["--dry-run"]].concat()).await;
    assert_eq!(tried.code, 0, "{tried:?}");
    assert!(tried.stderr.contains("nothing was changed"), "{tried:?}");
    assert_eq!(
        control_plane
            .get("/api/v1/inbound-integrations/appointments")
            .await
            .status,
        404
    );

    let made = gwctl::against(&control_plane, &import).await;
    assert_eq!(made.code, 0, "{made:?}");
    assert!(
        made.stdout.contains("created") && made.stderr.contains("securitySchemes"),
        "{made:?}"
    );
    let booking = json!({"patient": {"number": "P-7"}, "from": "10:00"});
    wait::until("the imported route", async || {
        (gateway.post(HOST, "/appointments", &booking).await.status == 201).then_some(())
    })
    .await;
    assert_eq!(partner.received(1).await[0].uri, "/appointments");

    let places = |reply: &Reply| -> Vec<Value> {
        let body = reply.json();
        let problems = body["problems"].as_array().unwrap();
        problems.iter().map(|problem| problem["path"].clone()).collect()
    };
    let bad = json!({"patient": {"guardian": {}, "number": "P-7"}, "from": 10});
    let refused = gateway.post(HOST, "/appointments", &bad).await;
    let mut found = places(&refused);
    found.sort_by_key(ToString::to_string);
    assert_eq!(
        (refused.status, found),
        (400, vec![json!("/body/from"), json!("/body/patient/guardian")])
    );
    let refused = gateway.get(HOST, "/appointments?limit=0").await;
    assert_eq!(places(&refused), ["/query/limit", "/query/day"]);
    assert_eq!(
        places(&gateway.get(HOST, "/appointments/x").await),
        ["/path/appointment_id"]
    );
    assert_eq!(gateway.get(HOST, "/patients").await.status, 404);
    // Another path of the document has the method.
    let reply = Reply::of(gateway.request(Method::POST, HOST, "/appointments/7")).await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, DELETE")));

    let again = gwctl::against(
        &control_plane,
        &["import", "-f", &file, "--org", &org, "--id", "appointments"],
    )
    .await;
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stdout.contains("changed"), "{again:?}");
    let kept = control_plane
        .get("/api/v1/inbound-integrations/appointments")
        .await
        .json();
    assert_eq!(kept["hosts"], json!([HOST]));
}

#[tokio::test]
async fn every_problem_of_a_document_is_told_with_its_place() {
    let control_plane = ControlPlane::start().await;
    control_plane.allow_this_machine().await;
    let body = json!({
        "integration": {"orgId": ORG, "hosts": [HOST]},
        "answers": false,
        "dryRun": true,
        "document": "openapi: 3.1.0\npaths:\n  /a/{x}.json: {get: {}}\n  /b: {get: {parameters: [{in: query}]}}\n"
    });
    let refused = control_plane.post("/api/v1/inbound-integrations/import", &body).await;
    assert_eq!(refused.status, 400);
    for place in ["document.paths./a/{x}.json", "document.paths./b.get.parameters[0].name"] {
        assert!(refused.text().contains(place), "{place}: {}", refused.text());
    }
}

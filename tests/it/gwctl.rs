//! The command line: what it says, and the exit code that scripts go by.

use std::fs;

use harness::documents::{document, integration, organization, with};
use harness::{Answer, ControlPlane, Gateway, Partner, gwctl};
use serde_json::{Value, json};
use tempfile::TempDir;

#[tokio::test]
async fn a_folder_is_applied_shown_changed_and_deleted() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let control_plane = harness::control_plane::Setup::new().start().await;
    let gateway = Gateway::fed_by(&control_plane).await;
    let folder = TempDir::new().unwrap();
    write(
        &folder,
        "a-organization.yaml",
        &json!({"organizations": [organization()]}),
    );
    write(
        &folder,
        "labs.json",
        &json!({"integrations": [integration("labs", "${PARTNER}")]}),
    );
    let path = folder.path().to_str().unwrap();
    let partner_setting = format!("PARTNER={}", partner.url(""));
    let files = ["-f", path, "--set", &partner_setting];
    let with_files = |command: &'static str| [&[command], &files[..]].concat();

    let diff = gwctl::against(&control_plane, &with_files("diff")).await;
    assert_eq!(diff.code, 1, "{diff:?}");
    assert!(diff.stdout.contains("labs"), "{diff:?}");
    let applied = gwctl::against(&control_plane, &[&with_files("apply")[..], &["--wait", "20"]].concat()).await;
    assert_eq!(applied.code, 0, "{applied:?}");
    assert_eq!(
        gateway.get("labs.test", "/").await.text(),
        "ok",
        "--wait came back before the route was live"
    );
    let diff = gwctl::against(&control_plane, &with_files("diff")).await;
    assert_eq!((diff.code, diff.stdout.trim()), (0, ""), "{diff:?}");

    let got = gwctl::against(&control_plane, &["get", "integrations", "--org", "648", "-o", "json"]).await;
    assert_eq!(got.code, 0, "{got:?}");
    assert_eq!(got.json()["integrations"][0]["id"], "labs", "{got:?}");
    let status = gwctl::against(&control_plane, &["status"]).await;
    assert_eq!(status.code, 0, "{status:?}");
    assert!(status.stdout.contains("gateway-under-test"), "{status:?}");

    let deleted = gwctl::against(&control_plane, &["delete", "integration", "labs", "--org", "648"]).await;
    assert_eq!(deleted.code, 0, "{deleted:?}");
    let again = gwctl::against(&control_plane, &["delete", "integration", "labs", "--org", "648"]).await;
    assert_eq!(again.code, 4, "{again:?}");
}

#[tokio::test]
async fn an_organization_is_dumped_and_applied_back_whole() {
    let control_plane = harness::control_plane::Setup::new().start().await;
    let folder = TempDir::new().unwrap();
    let (all, dump) = (folder.path().join("all.json"), folder.path().join("dump"));
    let certificate = include_str!("../fixtures/tls/localhost.pem");
    let private_key = include_str!("../fixtures/tls/localhost.key");
    let everything = json!({
        "organizations": [organization()],
        "units": [{"rid": 84, "orgId": 648, "name": "North"}],
        "eventTypes": [{"orgId": 648, "eventType": "bill.generated", "actionId": 43}],
        "producerKeys": [{"orgId": 648, "name": "his", "value": "hunter2hunter2"}],
        "certificates": [{"orgId": 648, "name": "lakeside", "certificate": certificate, "privateKey": private_key}],
        "lookups": [{"orgId": 648, "name": "departments", "entries": {"CARD": "Cardiology"}}],
        "consumers": [{"orgId": 648, "name": "app", "credentials": [{"type": "API_KEY", "name": "k", "value": "hunter2hunter2"}]}],
        "integrations": [
            with(integration("labs", "https://partner.example"), json!({
                "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "hunter2hunter2"}})),
            {"direction": "OUTBOUND", "name": "bills", "orgId": 648, "eventType": "bill.generated",
                "targetUrl": "https://partner.example/hook"},
        ],
    });
    fs::write(&all, everything.to_string()).unwrap();
    let run = async |arguments: &[&str]| {
        let run = gwctl::against(&control_plane, arguments).await;
        assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
        run.stdout
    };
    run(&["apply", "-f", all.to_str().unwrap()]).await;
    let dump = dump.to_str().unwrap();
    let dumped = run(&["dump", "--org", "648", "-d", dump]).await;
    assert!(dumped.starts_with("9 files written"), "{dumped}");
    assert_eq!(
        run(&["diff", "-f", dump, "--prune", "--org", "648", "--all-kinds"]).await,
        ""
    );
    let applied = run(&["apply", "-f", dump, "--prune", "--org", "648", "--all-kinds"]).await;
    assert!(applied.starts_with("nothing to change"), "{applied}");
    for entry in fs::read_dir(dump).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("PRIVATE KEY"), "{text}");
    }
}

#[tokio::test]
async fn documents_are_checked_without_any_server() {
    let folder = TempDir::new().unwrap();
    write(
        &folder,
        "good.json",
        &document([integration("labs", "https://partner.example/")]),
    );
    let good = gwctl::offline(&["validate", "-f", folder.path().to_str().unwrap()]).await;
    assert_eq!(good.code, 0, "{good:?}");

    let bad = with(
        integration("book", "https://partner.example/"),
        json!({"tragetUrl": 1, "methods": ["FETCH"]}),
    );
    write(&folder, "bad.json", &json!({"integrations": [bad]}));
    let refused = gwctl::offline(&["validate", "-f", folder.path().to_str().unwrap()]).await;
    assert_eq!(refused.code, 3, "{refused:?}");
    for word in ["bad.json", "tragetUrl", "methods"] {
        assert!(refused.stderr.contains(word), "{word} is not named: {refused:?}");
    }
    assert!(!refused.stderr.contains("good.json"), "{refused:?}");
}

#[tokio::test]
async fn tables_are_held_against_the_schemas_of_what_they_get() {
    let folder = TempDir::new().unwrap();
    let checked = async |source: &str| {
        let schema = json!({"type": "object", "properties": {"patient": {"type": "object", "properties": {"mrn": {}}}},
            "additionalProperties": false});
        let body = json!({"content": [{"contentType": "application/json", "schema": schema}]});
        let labs = with(
            integration("labs", "https://partner.example/"),
            json!({"requestTransformationMode": "SIMPLE",
                "requestFieldMappings": [{"sourceField": source, "targetField": "id"}],
                "validation": {"operations": [{"requestBody": body}]}}),
        );
        write(&folder, "labs.json", &document([labs]));
        gwctl::offline(&["validate", "-f", folder.path().to_str().unwrap()]).await
    };
    let good = checked("patient.mrn").await;
    assert_eq!((good.code, good.stderr.contains("warning")), (0, false), "{good:?}");
    let warned = checked("patient.mnr").await;
    assert_eq!(warned.code, 0, "{warned:?}");
    assert!(warned.stderr.contains("does not name `mnr`, but mrn"), "{warned:?}");
    let refused = checked("patiant.mrn").await;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(
        refused.stderr.contains("requestFieldMappings[0].sourceField"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_language_that_is_not_built_in_is_refused_with_what_to_do() {
    let folder = TempDir::new().unwrap();
    let checked = async |language: &str, script: &str| {
        let labs = with(
            integration("labs", "https://partner.example/"),
            json!({"requestTransformationMode": "SCRIPT", "requestTransformScript": script, "scriptLanguage": language}),
        );
        write(&folder, "labs.json", &document([labs]));
        gwctl::offline(&["validate", "-f", folder.path().to_str().unwrap()]).await
    };
    let good = checked("rhai", "fn transform(payload, context) { payload }").await;
    assert_eq!(good.code, 0, "{good:?}");
    let refused = checked("javascript", "function transform(payload, context) { return payload }").await;
    assert_eq!(refused.code, 3, "{refused:?}");
    for part in ["requestTransformScript", "feature `javascript`"] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
}

#[tokio::test]
async fn the_examples_and_the_demo_are_valid() {
    let conf = harness::binaries::repository().join("conf");
    for name in ["examples", "demo"] {
        for entry in fs::read_dir(conf.join(name)).unwrap() {
            let path = entry.unwrap().path();
            let checked = gwctl::offline(&["validate", "-f", path.to_str().unwrap()]).await;
            assert_eq!(checked.code, 0, "{}: {checked:?}", path.display());
        }
    }
}

#[tokio::test]
async fn refused_unreachable_and_mistyped_end_with_codes_of_their_own() {
    let control_plane = ControlPlane::start().await;
    let url = control_plane.url();
    let wrong = gwctl::offline(&["--server", &url, "--key", "wrong", "get", "versions"]).await;
    assert_eq!(wrong.code, 4, "{wrong:?}");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let away = gwctl::offline(&["--server", &nobody, "--key", "key", "status"]).await;
    assert_eq!(away.code, 5, "{away:?}");
    assert!(away.stderr.contains(&nobody), "{away:?}");
    let mistyped = gwctl::offline(&["aply"]).await;
    assert_eq!(mistyped.code, 2, "{mistyped:?}");
}

#[tokio::test]
async fn a_gateway_that_is_away_shows_in_the_exit_code() {
    let control_plane = ControlPlane::start().await;
    let mut gateway = Gateway::fed_by(&control_plane).await;
    gateway.process.kill();
    harness::wait::until("status to notice", async || {
        (gwctl::against(&control_plane, &["status"]).await.code == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn no_secret_is_printed() {
    let control_plane = ControlPlane::start().await;
    let secret = json!({"outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "partner-secret"}});
    let folder = TempDir::new().unwrap();
    let labs = with(integration("labs", "https://partner.example/"), secret);
    write(&folder, "labs.json", &json!({"integrations": [labs]}));
    let path = folder.path().to_str().unwrap();
    for arguments in [
        &["diff", "-f", path][..],
        &["apply", "-f", path],
        &["get", "integrations", "--org", "648", "-o", "yaml"],
        &["diff", "-f", path],
    ] {
        let run = gwctl::against(&control_plane, arguments).await;
        assert!(run.code < 2, "{run:?}");
        assert!(
            !format!("{run:?}").contains("partner-secret"),
            "{arguments:?} prints a secret"
        );
    }
}

fn write(folder: &TempDir, name: &str, document: &Value) {
    fs::write(folder.path().join(name), document.to_string()).unwrap();
}

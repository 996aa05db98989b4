//! Every file of `conf/examples` does what it says: it is loaded into a gateway, with partners on sockets.

use std::collections::BTreeSet;
use std::fs;

use harness::client::Reply;
use harness::documents::ORG;
use harness::gateway::Setup;
use harness::{Answer, ControlPlane, Example, Gateway, Partner, binaries, wait};
use reqwest::Method;
use serde_json::{Value, json};

#[test]
fn every_example_is_exercised_and_listed() {
    let repository = binaries::repository();
    let files = |folder: &str| {
        fs::read_dir(repository.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
    };
    let examples: BTreeSet<String> = files("conf/examples")
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let tests: String = files("tests/it")
        .filter(|path| path.is_file())
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let table = fs::read_to_string(repository.join("docs/options.md")).unwrap();
    for name in &examples {
        assert!(
            tests.contains(&format!("\"{name}\"")),
            "no test exercises conf/examples/{name}.yaml"
        );
        assert!(
            table.contains(&format!("(../conf/examples/{name}.yaml)")),
            "docs/options.md does not list conf/examples/{name}.yaml"
        );
    }
    let listed = table.split("(../conf/examples/").skip(1);
    for name in listed.filter_map(|rest| rest.split(".yaml)").next()) {
        assert!(
            examples.contains(name),
            "docs/options.md lists {name}.yaml, which is not there"
        );
    }
}

/// A gateway that runs the example `name`, in which `partner` stands in the place of each of `addresses`.
async fn running(name: &str, addresses: &[&str], partner: &Partner) -> Gateway {
    let example = addresses.iter().fold(example(name), |example, address| {
        example.with(address, &partner.url(""))
    });
    Gateway::serving(&example.document()).await
}

fn example(name: &str) -> Example {
    Example::named(name)
}

/// A GET with one header; the answer.
async fn get_with(gateway: &Gateway, host: &str, path: &str, header: (&str, &str)) -> Reply {
    Reply::of(gateway.request(Method::GET, host, path).header(header.0, header.1)).await
}

#[tokio::test]
async fn inbound_api_key() {
    let partner = Partner::echo().await;
    let gateway = running("inbound-api-key", &["https://api.partner.example"], &partner).await;
    let host = "referrals.gateway.example";
    let reply = get_with(&gateway, host, "/", ("x-clinic-key", "0f9d1c5a7e3b4826")).await;
    assert_eq!((reply.status, reply.json()["uri"].as_str()), (200, Some("/referrals")));
    assert!(reply.json()["headers"]["x-clinic-key"].is_null(), "{}", reply.text());
    let reply = gateway.get(host, "/7?key=0f9d1c5a7e3b4826&a=b").await;
    assert_eq!(reply.json()["uri"], "/referrals/7?a=b");
    assert_eq!(gateway.get(host, "/").await.status, 401);
}

#[tokio::test]
async fn inbound_basic() {
    let partner = Partner::echo().await;
    let gateway = running("inbound-basic", &["https://api.partner.example"], &partner).await;
    let call = |password: &'static str| {
        let request = gateway.request(Method::GET, "insurance.gateway.example", "/");
        Reply::of(request.basic_auth("front-desk", Some(password)))
    };
    let reply = call("91e0b6d4c8a7f352").await;
    assert_eq!(reply.status, 200);
    assert!(reply.json()["headers"]["authorization"].is_null());
    assert_eq!(call("another").await.status, 401);
}

#[tokio::test]
async fn inbound_bearer() {
    let partner = Partner::echo().await;
    let gateway = running("inbound-bearer", &["https://api.partner.example"], &partner).await;
    let host = "letters.gateway.example";
    let call = |token| get_with(&gateway, host, "/", ("authorization", token));
    assert_eq!(call("Bearer 3b7c20f19a5d4e68").await.status, 200);
    assert_eq!(call("Bearer 3b7c20f19a5d4e69").await.status, 401);
}

#[tokio::test]
async fn a_file_source_with_a_private_partner() {
    let partner = Partner::echo().await;
    let gateway = running("file-source", &["http://192.168.10.20:8000"], &partner).await;
    let reply = gateway.get("calendar.gateway.example", "/").await;
    assert_eq!(reply.json()["uri"], "/calendar");
}

#[tokio::test]
async fn hosts_and_methods() {
    let read = Partner::answering(Answer::text("read")).await;
    let write = Partner::start(|request| Answer::text(format!("written by {}", request.method))).await;
    let rest = Partner::answering(Answer::text("rest")).await;
    let example = example("hosts-and-methods")
        .with("https://read.theatre.example", &read.url(""))
        .with("https://write.theatre.example", &write.url(""))
        .with("https://theatre.example", &rest.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    let host = "theatre.gateway.example";
    let call = |method, host, path| Reply::of(gateway.request(method, host, path));
    assert_eq!(call(Method::GET, host, "/plans").await.text(), "read");
    assert_eq!(call(Method::PUT, host, "/plans").await.text(), "written by POST");
    let refused = call(Method::DELETE, host, "/plans").await;
    assert_eq!(refused.status, 405);
    assert_eq!(refused.header("allow"), Some("GET, HEAD, POST, PUT"));
    assert_eq!(
        call(Method::DELETE, "b.a.theatre.gateway.example", "/x").await.text(),
        "rest"
    );
}

#[tokio::test]
async fn mapping() {
    let partner = Partner::start(|request| {
        let lines = request.json()["lines"].as_array().map_or(0, Vec::len);
        let accessions = (1..=lines).map(|number| json!({"accession": format!("A{number}")}));
        Answer::json(&json!({"order": {"id": 7, "lines": accessions.collect::<Vec<_>>()}}))
    })
    .await;
    let gateway = running("mapping", &["https://api.lab.example"], &partner).await;
    let order = json!({
        "patient": {"identifiers": [{"value": "P-1"}], "name": " Ada ", "birthDate": "10.12.1815"},
        "takenAt": "2026-07-01T08:00:00", "tests": [{"code": "glu", "count": 2}, {"code": "hba1c"}], "comment": " ",
        "kind": "inpatient", "ward": "W3", "practice": "none", "callback": {"phone": "1"}, "insurance": {"kind": "private"},
    });
    let reply = gateway.post("lab-orders.gateway.example", "/", &order).await;
    assert_eq!(reply.json(), json!({"orderId": 7, "accessions": ["A1", "A2"]}));
    assert_eq!(
        partner.only_request().json(),
        json!({
            "subject": {"number": "P-1", "name": "ADA", "bornOn": "1815-12-10"},
            "sample": {"takenAt": "2026-07-01T08:00:00+02:00"},
            "lines": [{"code": "GLU", "count": 2}, {"code": "HBA1C", "count": 1}],
            "priority": "routine", "sender": {"system": "lakeside", "version": 2}, "station": "W3", "urgent": true,
        })
    );
}

#[tokio::test]
async fn outgoing_static_credentials() {
    let partner = Partner::echo().await;
    let cases = [
        (
            "outgoing-api-key",
            "https://api.pharmacy.example",
            "stock.gateway.example",
        ),
        (
            "outgoing-basic",
            "https://api.blood-bank.example",
            "blood-bank.gateway.example",
        ),
        (
            "outgoing-bearer",
            "https://api.imaging.example",
            "imaging.gateway.example",
        ),
        (
            "outgoing-custom-headers",
            "https://api.insurer.example",
            "claims.gateway.example",
        ),
    ];
    let mut seen = Vec::new();
    for (name, address, host) in cases {
        let gateway = running(name, &[address], &partner).await;
        seen.push(gateway.get(host, "/").await.json()["headers"].clone());
        if name == "outgoing-api-key" {
            let reply = gateway.get("interactions.gateway.example", "/").await;
            let uri = "/interactions?api_key=the-key-that-the-pharmacy-gave-us";
            assert_eq!(reply.json()["uri"], uri);
        }
    }
    assert_eq!(seen[0]["x-api-key"], "the-key-that-the-pharmacy-gave-us");
    assert_eq!(
        seen[1]["authorization"],
        "Basic bGFrZXNpZGU6dGhlLXBhc3N3b3JkLXRoYXQtdGhlLXBhcnRuZXItZ2F2ZS11cw=="
    );
    assert_eq!(seen[2]["authorization"], "Bearer the-token-that-the-partner-gave-us");
    assert_eq!(seen[3]["x-client-secret"], "the-secret-that-the-insurer-gave-us");
}

#[tokio::test]
async fn path_prefix() {
    let partner = Partner::echo().await;
    let gateway = running("path-prefix", &["https://fhir.partner.example"], &partner).await;
    let reply = gateway.get("fhir.gateway.example", "/fhir/Patient/7").await;
    assert_eq!(reply.json()["uri"], "/r4/Patient/7");
    assert_eq!(gateway.get("fhir.gateway.example", "/fhirx").await.status, 404);
}

#[tokio::test]
async fn path_template() {
    let partner = Partner::echo().await;
    let gateway = running("path-template", &["https://billing.partner.example"], &partner).await;
    let reply = gateway.get("billing.gateway.example", "/patients/7/bills/B%209").await;
    assert_eq!(reply.json()["uri"], "/v3/accounts/7/invoices/B%209");
}

#[tokio::test]
async fn a_private_network() {
    let partner = Partner::echo().await;
    let example = example("private-network").with("https://pacs.lakeside.example", &partner.url(""));
    let mut document = example.document();
    let gateway = Gateway::serving(&document).await;
    assert_eq!(gateway.get("pacs.gateway.example", "/").await.status, 200);
    // The example's own range does not hold this machine.
    document["organizations"][0]["allowedNetworks"] = json!(["10.20.0.0/16"]);
    document["integrations"][0]["targetUrl"] = json!(partner.url("/").replace("127.0.0.1", "localhost"));
    gateway.swap(&document).await;
    let refused = gateway.get("pacs.gateway.example", "/").await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "TARGET_REFUSED"));
}

#[tokio::test]
async fn rate_limits() {
    let partner = Partner::echo().await;
    let gateway = running("rate-limits", &["https://api.partner.example"], &partner).await;
    let call = || {
        get_with(
            &gateway,
            "slots.gateway.example",
            "/",
            ("x-api-key", "5c1d7e9f20b84a63"),
        )
    };
    let first = call().await;
    assert_eq!(first.status, 200);
    assert!(first.header("ratelimit").is_some());
    let refused = wait::until("an answer that says to come back", async || {
        let reply = call().await;
        (reply.status != 200).then_some(reply)
    })
    .await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "RATE_LIMITED"));
}

#[tokio::test]
async fn runtime_address() {
    let partner = Partner::echo().await;
    let example = example("runtime-address").with("https://api.ambulance.example", &partner.url(""));
    let mut document = example.document();
    let gateway = Gateway::serving(&document).await;
    let path = "/api/v1/integrations/ambulance-request?orgId=100";
    assert_eq!(gateway.get("gateway.test", path).await.status, 404);
    document["integrations"][0]["isActive"] = json!(true);
    gateway.swap(&document).await;
    let reply = gateway.get("gateway.test", path).await.json();
    assert_eq!((&reply["method"], &reply["uri"]), (&json!("POST"), &json!("/requests")));
}

#[tokio::test]
async fn script() {
    let partner = Partner::answering(Answer::json(&json!({"id": "R-1"}))).await;
    let gateway = running("script", &["https://api.monitoring.example"], &partner).await;
    let vitals = json!({"readings": [{"code": "hr", "value": 61}, {"code": "bp", "value": null}]});
    let reply = gateway.post("vitals.gateway.example", "/", &vitals).await;
    assert_eq!(reply.json(), json!({"receipt": "R-1"}));
    assert_eq!(
        partner.only_request().json(),
        json!({"organization": 100, "readings": [{"code": "HR", "value": 61}]})
    );
}

#[tokio::test]
async fn target_hosts() {
    let partner = Partner::echo().await;
    let example = example("target-hosts");
    let refused = example
        .clone()
        .with("https://api.pharmacy.example", "https://test.pharmacy.example");
    let problem = refusal(&refused.document()).await;
    assert!(
        problem.contains("targetUrl") && problem.contains("test.pharmacy.example"),
        "{problem}"
    );
    let allowed = example
        .with("https://api.pharmacy.example", &partner.url(""))
        .with("\"*.pharmacy.example\"", "127.0.0.1");
    let gateway = Gateway::serving(&allowed.document()).await;
    assert_eq!(gateway.get("prescriptions.gateway.example", "/").await.status, 200);
}

/// Why a gateway refuses `document`.
async fn refusal(document: &Value) -> String {
    let gateway = Setup::new().file(document).start_listening().await;
    wait::until("the refusal", async || {
        let error = gateway.admin_get("/config").await.json()["lastError"].clone();
        (!error.is_null()).then(|| error.to_string())
    })
    .await
}

#[tokio::test]
async fn timeouts_and_sizes() {
    let partner = Partner::echo().await;
    let gateway = running("timeouts-and-sizes", &["https://archive.partner.example"], &partner).await;
    let call = |bytes| {
        let request = gateway.request(Method::POST, "reports.gateway.example", "/");
        Reply::of(request.body(vec![b'x'; bytes]))
    };
    assert_eq!(call(1 << 20).await.status, 200);
    assert_eq!(call((1 << 20) + 1).await.status, 413);
    let metrics = gateway.admin_get("/metrics").await.text();
    assert!(metrics.contains("integration=\"100-report-archive\""), "{metrics}");
}

#[tokio::test]
async fn weighted_targets() {
    let old = Partner::answering(Answer::text("old")).await;
    let new = Partner::answering(Answer::text("new")).await;
    let spare = Partner::answering(Answer::text("spare")).await;
    let example = example("weighted-targets")
        .with("https://old.insurer.example", &old.url(""))
        .with("https://new.insurer.example", &new.url(""))
        .with("https://spare.insurer.example", &spare.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    for _ in 0..100 {
        gateway.get("eligibility.gateway.example", "/").await;
    }
    let count = |partner: &Partner| partner.requests().len();
    assert_eq!(count(&spare), 0);
    assert!(
        (80..=97).contains(&count(&old)),
        "{} of 100 went to the old one",
        count(&old)
    );
    assert_eq!(count(&old) + count(&new), 100);
}

#[tokio::test]
async fn records() {
    let partner = Partner::echo().await;
    let control_plane = ControlPlane::start().await;
    control_plane.allow_this_machine().await;
    let gateway = Gateway::fed_by(&control_plane).await;
    let example = example("records").with("https://pharmacy.partner.example", &partner.url(""));
    let mut integration = example.document()["integrations"][0].clone();
    integration["orgId"] = json!(ORG);
    integration["id"] = json!("prescription-orders");
    control_plane.save(&integration).await;
    wait::until("the route", async || {
        (gateway.get("prescriptions.gateway.example", "/").await.status == 200).then_some(())
    })
    .await;
    wait::until("the record", async || {
        let path = format!("/api/v1/execution-logs?orgId={ORG}");
        let logs = control_plane.get(&path).await.json();
        logs["executionLogs"]
            .as_array()?
            .iter()
            .find(|log| log["responseStatus"] == 200)
            .map(|_| ())
    })
    .await;
}

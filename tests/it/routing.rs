//! Which integration answers, and what is said when none does.

use harness::client::Reply;
use harness::documents::{document, integration, with};
use harness::gateway::Setup;
use harness::{Answer, Gateway, Partner};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_hosts_own_name_wins_over_wildcards() {
    let (_partners, gateway) = serving([
        ("exact", json!({"hosts": ["a.clinic.test"]})),
        ("near", json!({"hosts": ["*.clinic.test"]})),
        ("far", json!({"hosts": ["*.test"]})),
    ])
    .await;
    for (host, answer) in [
        ("a.clinic.test", "exact"),
        ("A.Clinic.TEST", "exact"),
        ("a.clinic.test:8080", "exact"),
        ("b.clinic.test", "near"),
        ("x.y.clinic.test", "near"),
        ("clinic.test", "far"),
        ("other.test", "far"),
    ] {
        assert_eq!(gateway.get(host, "/").await.text(), answer, "{host}");
    }
    for host in ["test", "clinic.example", "127.0.0.1"] {
        let reply = gateway.get(host, "/").await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "NOT_FOUND"), "{host}");
    }
}

#[tokio::test]
async fn the_most_literal_path_wins() {
    let one_host = |paths: Value| json!({"hosts": ["api.test"], "paths": paths});
    let (_partners, gateway) = serving([
        ("exact", one_host(json!([{"exact": "/patients/me"}]))),
        ("template", one_host(json!([{"template": "/patients/{id}"}]))),
        ("prefix", one_host(json!([{"prefix": "/patients"}]))),
    ])
    .await;
    for (path, answer) in [
        ("/patients/me", "exact"),
        ("/patients/me?x=1", "exact"),
        ("/p%61tients/me", "exact"),
        ("/patients/7", "template"),
        ("/patients/7/bills", "prefix"),
        ("/patients", "prefix"),
    ] {
        assert_eq!(gateway.get("api.test", path).await.text(), answer, "{path}");
    }
    for path in ["/patientsx", "/Patients", "/"] {
        assert_eq!(gateway.get("api.test", path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_known_path_with_another_method_says_what_it_allows() {
    let (_partners, gateway) = serving([
        (
            "read",
            json!({"hosts": ["api.test"], "paths": [{"exact": "/p"}], "methods": ["GET", "HEAD"]}),
        ),
        (
            "write",
            json!({"hosts": ["api.test"], "paths": [{"exact": "/p"}], "methods": ["POST"]}),
        ),
    ])
    .await;
    assert_eq!(gateway.get("api.test", "/p").await.text(), "read");
    assert_eq!(
        Reply::of(gateway.request(Method::POST, "api.test", "/p")).await.text(),
        "write"
    );
    let reply = Reply::of(gateway.request(Method::DELETE, "api.test", "/p")).await;
    assert_eq!((reply.status, reply.code().as_str()), (405, "METHOD_NOT_ALLOWED"));
    let mut allowed: Vec<_> = reply.header("allow").unwrap().split(", ").collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

#[tokio::test]
async fn paths_are_rewritten_as_configured() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let rule = |kind: &str, path: Value, target: &str, rewrite: Value| {
        let fields = json!({"hosts": ["api.test"], "paths": [path], "pathRewrite": rewrite});
        with(integration(kind, &partner.url(target)), fields)
    };
    let gateway = Gateway::serving(&document([
        rule("target", json!({"exact": "/t"}), "/fixed", json!("target")),
        rule("rest", json!({"prefix": "/fhir"}), "/r4", json!("appendRest")),
        rule("path", json!({"prefix": "/whole"}), "/base", json!("appendPath")),
        rule(
            "template",
            json!({"template": "/p/{id}/b/{bill}"}),
            "/x",
            json!({"template": "/v2/{bill}/of/{id}"}),
        ),
    ]))
    .await;
    for (path, expected) in [
        ("/t?q=1", "/fixed?q=1"),
        ("/fhir", "/r4"),
        ("/fhir/Patient/1?a=b", "/r4/Patient/1?a=b"),
        ("/whole/x", "/base/whole/x"),
        ("/p/7/b/a%20b", "/v2/a%20b/of/7"),
    ] {
        assert_eq!(gateway.get("api.test", path).await.status, 200, "{path}");
        assert_eq!(partner.requests().pop().unwrap().uri, expected, "{path}");
    }
}

#[tokio::test]
async fn the_runtime_address_finds_by_type_and_organization() {
    let partner = Partner::answering(Answer::text("booking")).await;
    let gateway = Gateway::serving(&document([
        without_hosts(integration("booking", &partner.url("/book"))),
        integration("labs", &partner.url("/labs")),
    ]))
    .await;
    let found = gateway
        .get("any.host", "/api/v1/integrations/booking?orgId=648&x=1")
        .await;
    assert_eq!((found.status, found.text().as_str()), (200, "booking"));
    assert_eq!(partner.only_request().uri.path(), "/book");
    let labs = gateway.get("any.host", "/api/v1/integrations/labs?orgId=648").await;
    assert_eq!(
        labs.status, 200,
        "one with hosts of its own has the runtime address as well"
    );
    for path in [
        "/api/v1/integrations/booking?orgId=649",
        "/api/v1/integrations/unknown?orgId=648",
    ] {
        let reply = gateway.get("any.host", path).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "NOT_FOUND"), "{path}");
    }
    for path in ["/api/v1/integrations/booking", "/api/v1/integrations/booking?orgId=x"] {
        let reply = gateway.get("any.host", path).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "VALIDATION_ERROR"),
            "{path}"
        );
        assert!(reply.text().contains("orgId"), "{}", reply.text());
    }
}

#[tokio::test]
async fn reserved_paths_belong_to_a_host_that_claims_them_unless_it_is_an_api_host() {
    let partner = Partner::answering(Answer::text("claimed")).await;
    let other = Partner::answering(Answer::text("booking")).await;
    let claimed = with(
        integration("claimed", &partner.url("")),
        json!({"hosts": ["own.test", "api.test"]}),
    );
    let booking = without_hosts(integration("booking", &other.url("/book")));
    let setup = Setup::new()
        .file(&document([claimed, booking]))
        .set("gateway.apiHosts", json!(["api.test"]));
    let gateway = setup.start().await;
    let path = "/api/v1/integrations/booking?orgId=648";
    assert_eq!(gateway.get("own.test", path).await.text(), "claimed");
    assert_eq!(gateway.get("api.test", path).await.text(), "booking");
    assert_eq!(gateway.get("api.test", "/else").await.text(), "claimed");
}

#[tokio::test]
async fn inactive_integrations_answer_nobody() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let off = with(integration("labs", &partner.url("")), json!({"isActive": false}));
    let gateway = Gateway::serving_one(off).await;
    assert_eq!(gateway.get("labs.test", "/").await.status, 404);
    assert_eq!(
        gateway
            .get("any.host", "/api/v1/integrations/labs?orgId=648")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn each_of_many_routes_is_found() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let many = (0..2_000).map(|number| integration(&format!("r{number}"), &partner.url(&format!("/{number}"))));
    let gateway = Gateway::serving(&document(many)).await;
    for number in [0, 1, 999, 1_999] {
        assert_eq!(gateway.get(&format!("r{number}.test"), "/x").await.status, 200);
        assert_eq!(partner.requests().pop().unwrap().uri.path(), format!("/{number}/x"));
    }
    assert_eq!(gateway.get("r2000.test", "/x").await.status, 404);
}

/// An integration that only has the runtime address, which knows no paths to rewrite.
fn without_hosts(mut integration: Value) -> Value {
    let fields = integration.as_object_mut().unwrap();
    fields.remove("hosts");
    fields.remove("pathRewrite");
    integration
}

/// Integrations with these fields, each before a partner of its own that answers with its name.
async fn serving<const N: usize>(integrations: [(&'static str, Value); N]) -> (Vec<Partner>, Gateway) {
    let (mut partners, mut documents) = (Vec::new(), Vec::new());
    for (kind, fields) in integrations {
        let partner = Partner::answering(Answer::text(kind)).await;
        let plain = with(integration(kind, &partner.url("/")), json!({"pathRewrite": "target"}));
        documents.push(with(plain, fields));
        partners.push(partner);
    }
    let gateway = Gateway::serving(&document(documents)).await;
    (partners, gateway)
}

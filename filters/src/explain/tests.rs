use serde_json::{Value, json};

use super::*;
use crate::compile;
use crate::model::Snapshot;

fn plan(integrations: Value) -> Plan {
    let document = json!({
        "security": {"blockPrivateNetworks": true, "enforceHttps": false},
        "organizations": [{"orgId": 1, "allowedNetworks": ["192.0.2.0/24"], "rateLimit": {"maxRequests": 9, "windowSeconds": 60}}],
        "integrations": integrations,
    });
    compile(&Snapshot::from_document(&document).unwrap(), None).unwrap()
}

fn integration(id: &str, fields: Value) -> Value {
    let mut integration = json!({
        "id": id, "name": id, "type": id, "orgId": 1, "hosts": ["a.test"], "targetUrl": "http://192.0.2.1/base?key=planted-target",
    });
    let Value::Object(fields) = fields else { panic!() };
    integration.as_object_mut().unwrap().extend(fields);
    integration
}

fn question(method: Method, uri: &str, headers: &[(&str, &str)]) -> Question {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    Question {
        method,
        uri: uri.parse().unwrap(),
        headers: map,
        client: None,
        now_s: || 1_800_000_000,
    }
}

fn why<'e>(explanation: &'e Explanation, id: &str) -> &'e str {
    let found = explanation.routes.iter().find(|route| route.integration == id);
    &found
        .unwrap_or_else(|| panic!("{id} is not in {:?}", explanation.routes))
        .why
}

#[test]
fn the_route_that_answers_stands_first_and_the_others_say_why_they_do_not() {
    let plan = plan(json!([
        integration("broad", json!({"paths": [{"prefix": "/"}]})),
        integration("close", json!({"paths": [{"exact": "/v1/a"}], "methods": ["GET"]})),
        integration("post", json!({"paths": [{"exact": "/v1/a"}], "methods": ["POST"]})),
        integration("else", json!({"paths": [{"exact": "/v2"}]})),
        integration("wild", json!({"hosts": ["*.test"]})),
        integration("away", json!({"paths": [{"prefix": "/v1"}], "isActive": false})),
        integration("other-host", json!({"hosts": ["b.test"]})),
    ]));
    let host = [("host", "a.test:8080")];
    let told = explain(&plan, &[], &question(Method::GET, "/v1/%61", &host));
    assert_eq!(
        (told.status, &*told.request.path.clone().unwrap_or_default()),
        (None, "/v1/a")
    );
    assert!(
        told.routes[0].matches && told.routes[0].integration == "close",
        "{:?}",
        told.routes
    );
    assert_eq!(told.routes.iter().filter(|route| route.matches).count(), 1);
    assert!(why(&told, "broad").contains("more of the path literally"));
    assert!(why(&told, "post").contains("method is not among"));
    assert!(why(&told, "else").contains("path does not match"));
    assert!(why(&told, "wild").contains("a.test more closely"));
    assert!(why(&told, "away").contains("not active"));
    assert!(told.routes.iter().all(|route| route.integration != "other-host"));

    let refused = explain(&plan, &[], &question(Method::DELETE, "/v1/a", &host));
    assert_eq!(refused.status, Some(405));
    let nobody = explain(&plan, &[], &question(Method::GET, "/", &[("host", "c.example")]));
    assert_eq!((nobody.status, nobody.routes.len()), (Some(404), 0));
    let bad = explain(&plan, &[], &question(Method::GET, "/a%2f..", &host));
    assert_eq!(bad.status, Some(400), "{}", bad.verdict);
    assert_eq!(explain(&plan, &[], &question(Method::GET, "/", &[])).status, Some(404));
}

#[test]
fn the_runtime_address_is_explained_as_it_is_routed() {
    let plan = plan(json!([integration("labs", json!({"hosts": []}))]));
    let ask = |uri: &str| explain(&plan, &[], &question(Method::GET, uri, &[("host", "gateway.example")]));
    let told = ask("/api/v1/integrations/labs?orgId=1");
    assert_eq!(told.integration.map(|found| found.id), Some("labs".to_owned()));
    assert_eq!(ask("/api/v1/integrations/labs").status, Some(400));
    assert_eq!(ask("/api/v1/integrations/none?orgId=1").status, Some(404));
    assert_eq!(ask("/api/v1/events").status, Some(202));
    assert_eq!(ask("/webhook/x").status, Some(404));
}

#[test]
fn the_verdict_on_a_credential_names_it_and_shows_nothing_of_it() {
    let auth = json!({"inboundAuthType": "API_KEY", "inboundAuthConfig": {"keys": [{"name": "desk", "value": "planted-key"}]}});
    let plan = plan(json!([integration("labs", auth)]));
    let ask = |headers: &[(&str, &str)]| explain(&plan, &[], &question(Method::GET, "/", headers));
    let known = ask(&[("host", "a.test"), ("x-api-key", "planted-key")]);
    assert_eq!(known.status, None);
    assert!(
        known.steps.iter().any(|step| step.says == "API key: desk is let in"),
        "{:?}",
        known.steps
    );
    let wrong = ask(&[("host", "a.test"), ("x-api-key", "planted-wrong")]);
    assert_eq!(wrong.status, Some(401));
    assert_eq!(ask(&[("host", "a.test")]).status, Some(401));
    for told in [known, wrong] {
        assert!(!json!(told).to_string().contains("planted"), "{told:?}");
    }
}

#[test]
fn every_option_that_is_set_has_a_line_without_a_secret() {
    let fields = json!({
        "targetUrl": null,
        "targets": [{"url": "http://192.0.2.1/x?key=planted-1", "weight": 3}],
        "targetHosts": {"allow": ["192.0.2.1"]},
        "outgoingAuthType": "BEARER", "outgoingAuthConfig": {"token": "planted-2"},
        "requestTransformationMode": "SIMPLE",
        "requestFieldMappings": [
            {"sourceField": "a", "targetField": "b", "transform": [{"type": "trim"}], "defaultValue": "planted-3"},
            {"targetField": "c", "value": "planted-4"},
        ],
        "responseTransformationMode": "SCRIPT",
        "responseTransformScript": "fn transform(payload, context) { \"planted-5\" }",
        "rateLimits": {"maxRequests": 5, "windowSeconds": 10},
        "recordContent": {"headers": true},
        "redaction": {"jsonPaths": ["$.a"]},
    });
    let mut document = integration("labs", fields);
    document.as_object_mut().unwrap().remove("targetUrl");
    let told = explain(
        &plan(json!([document])),
        &[],
        &question(Method::POST, "/?q=planted-6", &[("host", "a.test")]),
    );
    assert_eq!(told.status, None, "{}", told.verdict);
    let options: Vec<&str> = told.options.iter().map(|line| &*line.option).collect();
    for option in document
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| !["id", "name", "orgId"].contains(&name.as_str()))
    {
        assert!(options.contains(&option.as_str()), "{option} is not in {options:?}");
    }
    let mapped = told.steps.iter().find(|step| step.step == "request mapping 0").unwrap();
    assert_eq!(mapped.says, "a -> b, trim, with a default");
    assert_eq!(told.targets[0].target, "http://192.0.2.1");
    let address = &told.targets[0].addresses[0];
    assert!(
        address.allowed && address.class.contains("documentation"),
        "{address:?}"
    );
    let text = json!(told).to_string();
    assert!(!text.contains("planted"), "{text}");
}

#[test]
fn a_question_is_read_from_a_request_line_and_headers() {
    let read = |line: &str, headers: &[&str]| {
        let headers: Vec<String> = headers.iter().map(ToString::to_string).collect();
        Question::read(line, &headers, None, || 0)
    };
    let asked = read("POST /a?b=1 HTTP/1.1", &["Host: a.test", "X-Two:  b"]).unwrap();
    assert_eq!((asked.method, asked.uri.to_string().as_str()), (Method::POST, "/a?b=1"));
    assert_eq!(asked.headers["x-two"], "b");
    let absolute = read("GET https://a.test:8443/x", &[]).unwrap();
    assert_eq!(
        (
            absolute.headers["host"].to_str().unwrap(),
            absolute.uri.to_string().as_str()
        ),
        ("a.test:8443", "/x")
    );
    for (line, headers, field) in [
        ("", &[][..], "line"),
        ("GET", &[], "line"),
        ("G(T /", &[], "line"),
        ("GET nowhere", &[], "line"),
        ("GET / HTTP/1.1 more", &[], "line"),
        ("GET /", &["no colon"], "header[0]"),
        ("GET /", &["a: b", "a b: c"], "header[1]"),
        ("GET /", &["a: \u{1}"], "header[0]"),
    ] {
        assert_eq!(read(line, headers).unwrap_err().path, field, "{line:?} {headers:?}");
    }
}

//! Bodies that change on their way, and scripts that misbehave.

use harness::client::Reply;
use harness::documents::{document, integration, with};
use harness::{Answer, Gateway, Partner};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_request_is_mapped_field_by_field() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let mappings = json!([
        {"sourceField": "patient.name", "targetField": "person.fullName", "transform": [{"type": "trim"}, {"type": "upper"}]},
        {"sourceField": "patient.born", "targetField": "person.born",
         "transform": [{"type": "date", "from": "%d/%m/%Y", "format": "%Y-%m-%d"}]},
        {"sourceField": "items[].code", "targetField": "lines[].sku", "transform": [{"type": "lower"}]},
        {"sourceField": "items[0].code", "targetField": "first"},
        {"sourceField": "note", "targetField": "note", "omitWhen": "empty"},
        {"sourceField": "ward", "targetField": "ward", "defaultValue": "OPD"},
        {"sourceField": "fee", "targetField": "fee", "when": {"field": "kind", "equals": "PAID"}},
        {"targetField": "source.system", "value": "HIS"},
    ]);
    let gateway = Gateway::serving_one(simple(&partner, "request", &mappings)).await;

    let body = json!({"patient": {"name": "  Asha Rao ", "born": "07/03/1990"}, "kind": "FREE", "fee": 10,
        "items": [{"code": "HBA1C"}, {"code": "LIPID"}], "note": ""});
    assert_eq!(gateway.post("book.test", "/", &body).await.status, 200);

    let expected = json!({
        "person": {"fullName": "ASHA RAO", "born": "1990-03-07"},
        "lines": [{"sku": "hba1c"}, {"sku": "lipid"}],
        "first": "HBA1C",
        "ward": "OPD",
        "source": {"system": "HIS"},
    });
    assert_eq!(partner.only_request().json(), expected);
}

#[tokio::test]
async fn lines_apply_where_their_condition_holds() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let mappings = json!([
        {"targetField": "paid", "value": true, "when": {"field": "kind", "equals": "PAID"}},
        {"targetField": "notFree", "value": true, "when": {"field": "kind", "notEquals": "FREE"}},
        {"targetField": "known", "value": true, "when": {"field": "kind", "oneOf": ["PAID", "FREE"]}},
        {"targetField": "noted", "value": true, "when": {"field": "note", "exists": true}},
        {"targetField": "bare", "value": true, "when": {"field": "note", "exists": false}},
        {"sourceField": "at", "targetField": "at",
         "transform": [{"type": "date", "format": "%H:%M", "zone": "Asia/Kolkata"}]},
    ]);
    let gateway = Gateway::serving_one(simple(&partner, "request", &mappings)).await;
    for (body, expected) in [
        (
            json!({"kind": "PAID", "note": "x", "at": "2026-03-02T09:30:00Z"}),
            json!({"paid": true, "notFree": true, "known": true, "noted": true, "at": "15:00"}),
        ),
        (json!({"kind": "FREE"}), json!({"known": true, "bare": true})),
        (
            json!({"kind": "GIFT", "note": null}),
            json!({"notFree": true, "bare": true}),
        ),
    ] {
        assert_eq!(gateway.post("book.test", "/", &body).await.status, 200);
        assert_eq!(partner.requests().pop().unwrap().json(), expected, "of {body}");
    }
}

#[tokio::test]
async fn an_answer_is_mapped_and_keeps_its_status() {
    let partner = Partner::answering(Answer::json(&json!({"slot": {"id": "S-1"}})).with_status(201)).await;
    let mappings = json!([{"sourceField": "slot.id", "targetField": "appointmentId"}]);
    let gateway = Gateway::serving_one(simple(&partner, "response", &mappings)).await;
    let reply = gateway.post("book.test", "/", &json!({})).await;
    assert_eq!((reply.status, reply.json()), (201, json!({"appointmentId": "S-1"})));
    assert_eq!(
        reply.header("content-length"),
        Some(reply.body.len().to_string().as_str())
    );
}

#[tokio::test]
async fn a_missing_required_field_is_named() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let mappings = json!([{"sourceField": "patient.id", "targetField": "id", "required": true}]);
    let gateway = Gateway::serving_one(simple(&partner, "request", &mappings)).await;
    let reply = gateway.post("book.test", "/", &json!({"patient": {}})).await;
    assert!((400..500).contains(&reply.status), "{}", reply.text());
    reply.code();
    assert!(reply.text().contains("patient.id"), "{}", reply.text());
    assert_eq!(partner.requests().len(), 0);
}

#[tokio::test]
async fn a_value_of_the_wrong_kind_is_named() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let mappings = json!([{"sourceField": "born", "targetField": "born", "transform": [{"type": "date"}]}]);
    let gateway = Gateway::serving_one(simple(&partner, "request", &mappings)).await;
    let reply = gateway.post("book.test", "/", &json!({"born": "secret-day"})).await;
    assert!((400..500).contains(&reply.status), "{}", reply.text());
    assert!(reply.text().contains("born"), "{}", reply.text());
}

#[tokio::test]
async fn a_body_that_is_no_json_is_the_clients_fault() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let mappings = json!([{"sourceField": "a", "targetField": "b"}]);
    let gateway = Gateway::serving_one(simple(&partner, "request", &mappings)).await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in ["{", "not json", "{\"a\": 1} x", "\u{feff}{", deep.as_str()] {
        let request = gateway.request(Method::POST, "book.test", "/").body(body.to_owned());
        let reply = Reply::of(request).await;
        assert_eq!(reply.status, 400, "{:.20}: {}", body, reply.text());
        reply.code();
    }
    assert_eq!(partner.requests().len(), 0);
}

#[tokio::test]
async fn a_partners_answer_that_cannot_be_mapped_is_a_502() {
    let partner = Partner::answering(Answer::text("<html>")).await;
    let mappings = json!([{"sourceField": "a", "targetField": "b", "required": true}]);
    let gateway = Gateway::serving_one(simple(&partner, "response", &mappings)).await;
    let reply = gateway.get("book.test", "/").await;
    assert_eq!(reply.status, 502, "{}", reply.text());
    reply.code();
    assert!(
        !reply.text().contains("<html>"),
        "the partner's body stands in the error: {}",
        reply.text()
    );
}

#[tokio::test]
async fn scripts_see_the_payload_and_its_context() {
    let partner = Partner::start(|request| Answer::json(&json!({"got": request.json()}))).await;
    let script = r##"
        fn transform(payload, context) {
            #{ who: payload.name, org: context.orgId, id: context.integrationId, q: context.query.day,
               agent: context.headers["x-desk"] }
        }
    "##;
    let gateway = Gateway::serving_one(scripted(&partner, "request", script)).await;
    let request = gateway
        .request(Method::POST, "book.test", "/?day=mon")
        .header("x-desk", "7")
        .json(&json!({"name": "Asha"}));
    let reply = Reply::of(request).await;
    let expected = json!({"who": "Asha", "org": 648, "id": "book", "q": "mon", "agent": "7"});
    assert_eq!((reply.status, reply.json()), (200, json!({"got": expected})));
}

#[tokio::test]
async fn scripts_change_answers() {
    let partner = Partner::answering(Answer::json(&json!({"n": 20})).with_status(201)).await;
    let script = "fn transform(payload, context) { #{ double: payload.n * 2, status: context.status } }";
    let gateway = Gateway::serving_one(scripted(&partner, "response", script)).await;
    let reply = gateway.get("book.test", "/").await;
    assert_eq!(
        (reply.status, reply.json()),
        (201, json!({"double": 40, "status": 201}))
    );
}

#[tokio::test]
async fn a_client_credential_is_hidden_from_scripts() {
    let partner = Partner::start(|request| Answer::json(&request.json())).await;
    let script = r##"fn transform(payload, context) { #{ seen: context.headers["x-api-key"] } }"##;
    let auth =
        json!({"inboundAuthType": "API_KEY", "inboundAuthConfig": {"keys": [{"name": "a", "value": "client-key"}]}});
    let gateway = Gateway::serving_one(with(scripted(&partner, "request", script), auth)).await;
    let request = gateway
        .request(Method::POST, "book.test", "/")
        .header("x-api-key", "client-key")
        .json(&json!({}));
    let reply = Reply::of(request).await;
    assert!(!reply.text().contains("client-key"), "{}", reply.text());
}

#[tokio::test]
async fn scripts_that_misbehave_are_stopped_and_the_gateway_goes_on() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let bad: Vec<_> = MISBEHAVING
        .iter()
        .map(|(name, script)| {
            with(
                scripted(&partner, "request", script),
                json!({"id": name, "type": name, "hosts": [format!("{name}.test")]}),
            )
        })
        .collect();
    let good = scripted(&partner, "request", "fn transform(payload, context) { payload }");
    let gateway = Gateway::serving(&document(bad.into_iter().chain([good]))).await;
    for (name, _) in MISBEHAVING {
        let reply = gateway.post(&format!("{name}.test"), "/", &json!({"a": 1})).await;
        assert_eq!(reply.status, 502, "{name}: {}", reply.text());
        reply.code();
        // The interpreter knows no place for an operation that it did not start.
        let has_line = matches!(*name, "throw" | "missing");
        assert!(!has_line || reply.text().contains("line 2"), "{name}: {}", reply.text());
        assert_eq!(
            gateway.post("book.test", "/", &json!({"a": 1})).await.status,
            200,
            "after {name}"
        );
    }
    let good: Vec<_> = partner.requests().iter().map(harness::Received::json).collect();
    assert_eq!(good, vec![json!({"a": 1}); MISBEHAVING.len()]);
}

const MISBEHAVING: &[(&str, &str)] = &[
    (
        "loop",
        "fn transform(payload, context) {\n  let n = 0;\n  loop { n += 1; }\n}",
    ),
    (
        "string",
        "fn transform(payload, context) {\n  let s = \"x\";\n  loop { s += s; }\n}",
    ),
    (
        "array",
        "fn transform(payload, context) {\n  let a = [];\n  loop { a.push(a); }\n}",
    ),
    (
        "map",
        "fn transform(payload, context) {\n  let m = #{};\n  for i in 0..1000000 { m[`k${i}`] = `${i}`.len(); m[`p${i}`] = \"y\"; m[`p${i}`].pad(100000, 'y'); }\n  m\n}",
    ),
    (
        "recursion",
        "fn transform(payload, context) {\n  transform(payload, context)\n}",
    ),
    ("throw", "fn transform(payload, context) {\n  throw \"no\";\n}"),
    ("missing", "fn transform(payload, context) {\n  payload.a.b.c\n}"),
];

#[tokio::test]
async fn a_script_cannot_sleep_or_run_code_from_a_text() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    for (name, script) in [
        (
            "sleep",
            "fn transform(payload, context) {\n  sleep(3600);\n  payload\n}",
        ),
        ("eval", "fn transform(payload, context) {\n  eval(\"1 + 1\")\n}"),
        (
            "import",
            "import \"x\" as x;\nfn transform(payload, context) {\n  payload\n}",
        ),
    ] {
        let integration = with(scripted(&partner, "request", script), json!({"id": name}));
        let mut gateway = harness::gateway::Setup::new()
            .file(&document([integration]))
            .start_listening()
            .await;
        // It is refused when it is pushed, or stopped when it runs.
        let problem = harness::wait::until("a verdict on the script", async || {
            let config = gateway.admin_get("/config").await.json();
            let refused = config["lastError"].is_object() || config["lastError"].is_string();
            (refused || !config["digest"].is_null()).then_some(refused)
        })
        .await;
        if !problem {
            let reply = gateway.post("book.test", "/", &json!({"a": 1})).await;
            assert_eq!(reply.status, 502, "{name}: {}", reply.text());
        }
        assert!(gateway.process.is_running());
    }
    assert_eq!(partner.requests().len(), 0);
}

#[tokio::test]
async fn many_runaway_scripts_leave_other_routes_served() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let runaway = scripted(&partner, "request", "fn transform(payload, context) { loop { } }");
    let gateway = Gateway::serving(&document([runaway, integration("labs", &partner.url(""))])).await;
    let gateway = std::sync::Arc::new(gateway);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let gateway = std::sync::Arc::clone(&gateway);
        calls.spawn(async move { gateway.post("book.test", "/", &json!({})).await.status });
    }
    for _ in 0..20 {
        assert_eq!(gateway.get("labs.test", "/").await.status, 200);
    }
    while let Some(status) = calls.join_next().await {
        assert!([502, 503].contains(&status.unwrap()));
    }
}

fn simple(partner: &Partner, side: &str, mappings: &Value) -> Value {
    let fields = match side {
        "request" => json!({"requestTransformationMode": "SIMPLE", "requestFieldMappings": mappings}),
        _ => json!({"responseTransformationMode": "SIMPLE", "responseFieldMappings": mappings}),
    };
    with(integration("book", &partner.url("")), fields)
}

fn scripted(partner: &Partner, side: &str, script: &str) -> Value {
    let fields = match side {
        "request" => json!({"requestTransformationMode": "SCRIPT", "requestTransformScript": script}),
        _ => json!({"responseTransformationMode": "SCRIPT", "responseTransformScript": script}),
    };
    with(integration("book", &partner.url("")), fields)
}

//! Requests and answers that have to look as the integration says.

use harness::client::Reply;
use harness::documents::{integration, with};
use harness::{Answer, Example, Gateway, Partner};
use reqwest::Method;
use serde_json::{Value, json};

const HOST: &str = "referrals.gateway.example";

async fn example(partner: &Partner) -> Gateway {
    let example = Example::named("validation").with("https://api.partner.example", &partner.url(""));
    Gateway::serving(&example.document()).await
}

/// The paths of all problems of an error answer.
fn places(reply: &Reply) -> Vec<String> {
    let body = reply.json();
    let problems = body["problems"].as_array().cloned().unwrap_or_default();
    problems
        .iter()
        .map(|problem| problem["path"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn parameters_are_checked_before_the_partner_is_asked() {
    let partner = Partner::answering(Answer::json(&json!([]))).await;
    let gateway = example(&partner).await;
    let get = |path: &'static str| {
        let request = gateway.request(Method::GET, HOST, path);
        Reply::of(
            request
                .header("x-clinic", "lakeside")
                .header("cookie", "session=12345678"),
        )
    };
    let good = get("/referrals?limit=5&unit=1&unit=2&sort=date,name&where=%7B%7D").await;
    assert_eq!(good.status, 200, "{}", good.text());
    let bad = get("/referrals?limit=500&unit=x&sort=colour&where=1&more=1").await;
    assert_eq!((bad.status, bad.code().as_str()), (400, "VALIDATION_ERROR"));
    let expected = [
        "/query/limit",
        "/query/unit/0",
        "/query/sort/0",
        "/query/where",
        "/query/more",
    ];
    assert_eq!(places(&bad), expected, "{}", bad.text());
    assert!(!bad.text().contains("colour"), "values are shown: {}", bad.text());
    let bare = Reply::of(
        gateway
            .request(Method::GET, HOST, "/referrals")
            .header("cookie", "session=1"),
    )
    .await;
    assert_eq!(places(&bare), ["/header/x-clinic", "/cookie/session"]);
    assert_eq!(get("/referrals/7").await.status, 200);
    assert_eq!(places(&get("/referrals/0").await), ["/path/number"]);
    assert_eq!(partner.requests().len(), 2);
}

#[tokio::test]
async fn what_is_not_listed_is_not_there() {
    let partner = Partner::answering(Answer::json(&json!([]))).await;
    let gateway = example(&partner).await;
    assert_eq!(gateway.get(HOST, "/referrals/7/notes").await.status, 404);
    let reply = Reply::of(gateway.request(Method::PUT, HOST, "/referrals/7")).await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, DELETE")));
    // The runtime address is no way around it.
    let reply = gateway
        .get("127.0.0.1", "/api/v1/integrations/referrals?orgId=100")
        .await;
    assert_eq!(reply.status, 404);
    assert_eq!(partner.requests().len(), 0);
}

#[tokio::test]
async fn bodies_are_checked_whatever_their_form() {
    let partner = Partner::answering(Answer::json(&json!({"id": 1})).with_status(201)).await;
    let gateway = example(&partner).await;
    let good = json!({"patient": "P-7", "reason": "x-ray", "requestedOn": "2026-11-20"});
    assert_eq!(gateway.post(HOST, "/referrals", &good).await.status, 201);
    assert_eq!(partner.only_request().json(), good);
    let form = |body: &'static str| {
        let request = gateway.request(Method::POST, HOST, "/referrals");
        Reply::of(
            request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body),
        )
    };
    assert_eq!(form("patient=P-7&reason=x").await.status, 201);

    let bad = json!({"patient": "7", "requestedOn": "tomorrow", "extra": 1});
    let reply = gateway.post(HOST, "/referrals", &bad).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "VALIDATION_ERROR"));
    let mut found = places(&reply);
    found.sort_unstable();
    assert_eq!(
        found,
        ["/body", "/body", "/body/patient", "/body/requestedOn"],
        "{}",
        reply.text()
    );
    assert!(!reply.text().contains("tomorrow"), "values are shown: {}", reply.text());
    assert_eq!(form("patient=7&reason=x").await.status, 400);

    let send = |kind: &'static str, body: &'static str| {
        Reply::of(
            gateway
                .request(Method::POST, HOST, "/referrals")
                .header("content-type", kind)
                .body(body),
        )
    };
    let reply = send("text/plain", "hello").await;
    assert_eq!((reply.status, reply.code().as_str()), (415, "UNSUPPORTED_MEDIA_TYPE"));
    assert!(reply.text().contains("application/json"), "{}", reply.text());
    // Of a name that is there twice the partner might read the other value.
    let twice = r#"{"patient": "P-7", "reason": "x", "patient": "7; drop"}"#;
    assert_eq!(send("application/json", twice).await.status, 400);
    assert_eq!(send("application/json", "{").await.status, 400);
    let empty = Reply::of(gateway.request(Method::POST, HOST, "/referrals")).await;
    assert_eq!(places(&empty), ["/body"]);
    assert_eq!(partner.requests().len(), 2);
}

#[tokio::test]
async fn an_answer_that_breaks_its_promise_is_not_passed_on() {
    let answers = [
        Answer::json(&json!({"number": "SECRET"})).with_status(201),
        Answer::text("SECRET").with_status(201),
        Answer::text("no such patient").with_status(422),
        Answer::json(&json!({"anything": 1})).with_status(500),
    ];
    let left = std::sync::Mutex::new(answers.to_vec());
    let partner = Partner::start(move |_| left.lock().unwrap().remove(0)).await;
    let gateway = example(&partner).await;
    let good = json!({"patient": "P-7", "reason": "x-ray"});
    for place in ["/body", "/header/content-type"] {
        let reply = gateway.post(HOST, "/referrals", &good).await;
        assert_eq!((reply.status, reply.code().as_str()), (502, "UPSTREAM_INVALID"));
        assert_eq!(places(&reply), [place]);
        assert!(!reply.text().contains("SECRET"), "{}", reply.text());
    }
    let reply = gateway.post(HOST, "/referrals", &good).await;
    assert_eq!((reply.status, reply.text().as_str()), (422, "no such patient"));
    assert_eq!(gateway.post(HOST, "/referrals", &good).await.status, 500);
}

#[tokio::test]
async fn the_request_is_checked_before_it_is_mapped_and_the_answer_too() {
    let partner = Partner::answering(Answer::json(&json!({"number": 7}))).await;
    let rules = json!({"operations": [{
        "requestBody": {"content": [{"contentType": "application/json", "schema": {"required": ["patient"]}}]},
        "responses": [{"status": "200", "content": [{"contentType": "application/json", "schema": {"required": ["number"]}}]}]
    }]});
    let gateway = Gateway::serving_one(with(
        integration("book", &partner.url("")),
        json!({
            "validation": rules,
            "requestTransformationMode": "SIMPLE",
            "requestFieldMappings": [{"sourceField": "patient", "targetField": "patientId"}],
            "responseTransformationMode": "SIMPLE",
            "responseFieldMappings": [{"sourceField": "number", "targetField": "booking"}]
        }),
    ))
    .await;
    let reply = gateway.post("book.test", "/", &json!({"patient": "P-7"})).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"booking": 7})));
    assert_eq!(partner.only_request().json(), json!({"patientId": "P-7"}));
    assert_eq!(
        gateway
            .post("book.test", "/", &json!({"patientId": "P-7"}))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn what_is_not_listed_passes_where_that_is_said() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let rules = json!({
        "unlisted": "pass",
        "formats": true,
        "definitions": {"Day": {"type": "string", "format": "date"}},
        "operations": [{
            "path": {"exact": "/slots"},
            "unlistedQuery": "pass",
            "parameters": [{
                "name": "day",
                "in": "query",
                "required": true,
                "encoding": "comma",
                "schema": {"type": "array", "items": {"$ref": "#/$defs/Day"}}
            }]
        }]
    });
    let gateway = Gateway::serving_one(with(
        integration("book", &partner.url("")),
        json!({"validation": rules}),
    ))
    .await;
    assert_eq!(gateway.get("book.test", "/other").await.status, 200);
    assert_eq!(
        gateway
            .get("book.test", "/slots?day=2026-11-20,2026-11-21&more=1")
            .await
            .status,
        200
    );
    assert_eq!(
        places(&gateway.get("book.test", "/slots?day=2026-11-20,soon").await),
        ["/query/day/1"]
    );
    assert_eq!(places(&gateway.get("book.test", "/slots").await), ["/query/day"]);
}

#[tokio::test]
async fn a_bad_rule_is_refused_by_its_place() {
    let partner = Partner::answering(Answer::text("ok")).await;
    for (rule, place) in [
        (
            json!({"parameters": [{"name": "a", "in": "query", "schema": {"type": "strin"}}]}),
            "parameters[0].schema.type",
        ),
        (json!({"responses": [{"status": "2x"}]}), "responses[0].status"),
        (
            json!({"requestBody": {"content": [{"contentType": "json"}]}}),
            "requestBody.content[0].contentType",
        ),
    ] {
        let document = with(
            integration("labs", &partner.url("")),
            json!({"validation": {"operations": [rule]}}),
        );
        let gateway = harness::gateway::Setup::new()
            .file(&harness::documents::document([document]))
            .start_listening()
            .await;
        let error: Value = harness::wait::until("an error at /config", async || {
            let error = gateway.admin_get("/config").await.json()["lastError"].clone();
            (!error.is_null()).then_some(error)
        })
        .await;
        assert!(
            error.to_string().contains(&format!("validation.operations[0].{place}")),
            "{error}"
        );
    }
}

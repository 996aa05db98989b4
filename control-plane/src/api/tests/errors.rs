//! Whatever goes wrong has one shape.

use std::collections::BTreeSet;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

#[tokio::test]
async fn a_caller_without_a_key_gets_nothing() {
    let bench = Bench::start().await;
    for path in [
        "/api/v1/inbound-integrations",
        "/api/v1/export",
        "/api/v1/gateways",
        "/api/v1/versions",
    ] {
        let none = Reply::of(bench.client.get(bench.url(path))).await.is(401);
        none.has_code("UNAUTHORIZED");
        let wrong = bench.client.get(bench.url(path)).header("X-API-Key", "wrong");
        Reply::of(wrong).await.is(401).has_code("UNAUTHORIZED");
    }
}

#[tokio::test]
async fn every_problem_of_a_body_is_reported() {
    let bench = Bench::start().await;
    let body = json!({"name": 5, "type": "lab", "orgId": 648, "targetUrl": "https://a.example", "colour": "red",
        "timeouts": {"totalMs": "long"}});
    let refused = bench.put("lab", &body).await.is(400);
    refused.has_code("VALIDATION_ERROR");
    assert!(refused.problems().len() >= 3, "{}", refused.text);
    for part in ["name", "colour", "timeouts.totalMs"] {
        assert!(refused.text.contains(part), "{part} is missing: {}", refused.text);
    }
}

#[tokio::test]
async fn problems_of_the_compiler_name_the_field_of_the_body() {
    let bench = Bench::start().await;
    let mut body = integration("lab");
    body["targetUrl"] = json!("http://partner.example");
    body["timeouts"] = json!({"totalMs": 0});
    let refused = bench.put("lab", &body).await.is(400);
    let mut paths = refused.problems();
    paths.sort_unstable();
    assert_eq!(paths, ["targetUrl", "timeouts.totalMs"]);
    let verdict = bench
        .send(Method::POST, "/api/v1/inbound-integrations/validate", &body)
        .await
        .is(200);
    assert_eq!(
        verdict.body["problems"].as_array().unwrap().len(),
        2,
        "{}",
        verdict.text
    );
}

#[tokio::test]
async fn errors_of_the_library_have_the_same_shape() {
    let bench = Bench::start().await;
    bench.get("/nowhere").await.is(404).has_code("NOT_FOUND");
    let wrong_method = bench
        .send(Method::DELETE, "/api/v1/versions", &Value::Null)
        .await
        .is(405);
    wrong_method.has_code("METHOD_NOT_ALLOWED");
    assert!(wrong_method.headers.contains_key("allow"));
    let put = |body: &'static str| {
        let request = bench.request(Method::PUT, "/api/v1/inbound-integrations/lab");
        request.header("Content-Type", "application/json").body(body)
    };
    let broken = Reply::of(put("{\"name\": ")).await.is(400);
    broken.has_code("VALIDATION_ERROR");
    assert!(broken.text.contains("line 1"), "{}", broken.text);
    let text = bench
        .request(Method::PUT, "/api/v1/inbound-integrations/lab")
        .body("name");
    Reply::of(text).await.is(415).has_code("VALIDATION_ERROR");
    let huge = json!({"name": "x".repeat(1024 * 1024)});
    bench.put("lab", &huge).await.is(413).has_code("PAYLOAD_TOO_LARGE");
    let no_number = bench.get("/api/v1/versions/first").await.is(404);
    no_number.has_code("NOT_FOUND");
    assert_eq!(no_number.body["error"], "the path /api/v1/versions/first is not there");
    let socket = bench.client.get(bench.url("/api/v1/gateways/stream"));
    Reply::of(socket).await.is(401).has_code("UNAUTHORIZED");
    let no_socket = bench
        .client
        .get(bench.url("/api/v1/gateways/stream"))
        .bearer_auth(TOKEN);
    Reply::of(no_socket).await.is(400).has_code("VALIDATION_ERROR");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_the_client_s_fault() {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder);
    config.limits.request_timeout_ms = 300;
    let control_plane = crate::start(config).await.unwrap();
    let mut socket = tokio::net::TcpStream::connect(control_plane.address).await.unwrap();
    let head = format!(
        "PUT /api/v1/inbound-integrations/lab HTTP/1.1\r\nHost: a\r\nX-API-Key: {ALL_KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{{"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("REQUEST_TIMEOUT"), "{answer}");
}

#[tokio::test]
async fn wrong_queries_are_named() {
    let bench = Bench::start().await;
    for query in [
        "?limit=201",
        "?limit=0",
        "?page=0",
        "?orgId=many",
        "?colour=red",
        "?isActive=maybe",
    ] {
        let refused = bench.get(&format!("/api/v1/inbound-integrations{query}")).await.is(400);
        refused.has_code("VALIDATION_ERROR");
        assert_eq!(refused.problems().len(), 1, "{}", refused.text);
    }
}

#[tokio::test]
async fn identifiers_are_checked() {
    let bench = Bench::start().await;
    assert_eq!(bench.put("-a", &integration("lab")).await.is(400).problems(), ["id"]);
    assert_eq!(
        bench
            .put(&"a".repeat(129), &integration("lab"))
            .await
            .is(400)
            .problems(),
        ["id"]
    );
    let mut other = integration("lab");
    other["id"] = json!("b");
    assert_eq!(bench.put("a", &other).await.is(400).problems(), ["id"]);
    let made = bench
        .send(Method::POST, "/api/v1/inbound-integrations", &other)
        .await
        .is(201);
    assert_eq!(made.body["id"], "b");
    let taken = bench
        .send(Method::POST, "/api/v1/inbound-integrations", &other)
        .await
        .is(409);
    taken.has_code("CONFLICT");
}

#[tokio::test]
async fn the_request_id_of_the_caller_is_kept_if_harmless() {
    let bench = Bench::start().await;
    let given = bench.request(Method::GET, "/nowhere").header("X-Request-Id", "mine-1");
    assert_eq!(Reply::of(given).await.body["requestId"], "mine-1");
    let strange = bench.request(Method::GET, "/nowhere").header("X-Request-Id", "a b\"c");
    let made = Reply::of(strange).await;
    assert!(
        made.body["requestId"].as_str().unwrap().starts_with("req_"),
        "{}",
        made.text
    );
}

#[tokio::test]
async fn health_metrics_and_description_need_no_key() {
    let bench = Bench::start().await;
    let open = async |path: &str| Reply::of(bench.client.get(bench.url(path))).await.is(200);
    open("/healthz").await;
    assert_eq!(open("/readyz").await.body["version"], 1);
    bench.put("lab", &integration("lab")).await.is(201);
    let metrics = open("/metrics").await.text;
    for line in [
        "control_plane_version 2",
        "control_plane_gateways_connected 0",
        "control_plane_requests_total{method=\"PUT\",route=\"/api/v1/inbound-integrations/{id}\",status=\"2xx\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is missing in {metrics}");
    }
}

#[tokio::test]
async fn the_description_has_every_operation_with_its_errors() {
    let bench = Bench::start().await;
    let reply = Reply::of(bench.client.get(bench.url("/api/v1/openapi.json")))
        .await
        .is(200);
    assert_eq!(reply.body["openapi"], "3.1.0");
    let paths = reply.body["paths"].as_object().unwrap();
    for path in [
        "/api/v1/inbound-integrations/{id}",
        "/api/v1/apply",
        "/api/v1/outbound-integrations/{id}/test",
        "/api/v1/event-types/validate",
        "/api/v1/admin/organizations/{id}",
        "/api/v1/admin/org-units/{id}",
        "/api/v1/producer-keys/{id}",
        "/api/v1/certificates/validate",
        "/api/v1/lookups/{id}",
        "/api/v1/consumers",
    ] {
        assert!(paths.contains_key(path), "{path} is missing: {:?}", paths.keys());
    }
    let mut names = BTreeSet::new();
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            let answers = operation["responses"].as_object().unwrap();
            let name = operation["operationId"].as_str().unwrap().to_owned();
            assert!(names.insert(name), "{method} {path} has the name of another operation");
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            assert!(
                answers.keys().any(|status| status.starts_with(['2', '3'])),
                "{method} {path}: {answers:?}"
            );
            // What needs no key refuses none.
            let is_open = operation["security"] == json!([{}]);
            assert!(
                is_open || answers.contains_key("401"),
                "{method} {path}: {:?}",
                answers.keys()
            );
            for (status, answer) in answers.iter().filter(|(status, _)| !status.starts_with(['2', '3'])) {
                let schema = &answer["content"]["application/json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/ErrorBody", "{method} {path} {status}");
            }
        }
    }
    let replace = &paths["/api/v1/inbound-integrations/{id}"]["put"];
    for status in ["200", "201", "400", "404", "409", "412", "413", "503"] {
        assert!(
            replace["responses"].get(status).is_some(),
            "{status} is missing: {replace}"
        );
    }
    assert!(replace["requestBody"]["content"]["application/json"]["schema"].is_object());
}

#[tokio::test]
async fn the_description_has_the_filters_and_the_page_of_a_list() {
    let bench = Bench::start().await;
    let reply = Reply::of(bench.client.get(bench.url("/api/v1/openapi.json")))
        .await
        .is(200);
    let list = &reply.body["paths"]["/api/v1/event-types"]["get"];
    let parameters = list["parameters"].as_array().unwrap();
    let names: Vec<_> = parameters
        .iter()
        .filter_map(|parameter| parameter["name"].as_str())
        .collect();
    assert_eq!(
        names,
        ["orgId", "page", "cursor", "limit", "search", "eventType", "actionId"]
    );
    let page = &reply.body["components"]["schemas"]["PageOfEventType"];
    assert!(page["properties"]["eventTypes"]["items"].is_object(), "{page}");
    assert!(page["properties"]["hasMore"].is_object(), "{page}");
}

#[tokio::test]
async fn the_schemas_of_the_description_have_names_of_their_own_and_are_needed() {
    let bench = Bench::start().await;
    let reply = Reply::of(bench.client.get(bench.url("/api/v1/openapi.json")))
        .await
        .is(200);
    // Types of one name would have numbers behind it, which say nothing to whoever generates a client.
    let schemas = reply.body["components"]["schemas"].as_object().unwrap();
    let numbered: Vec<_> = schemas
        .keys()
        .filter(|name| name.ends_with(|last: char| last.is_ascii_digit()))
        .collect();
    assert!(
        numbered.is_empty(),
        "give them names of their own by `#[schemars(rename = ...)]`: {numbered:?}"
    );
    for name in schemas.keys() {
        let reference = format!("\"#/components/schemas/{name}\"");
        assert!(reply.text.contains(&reference), "nothing refers to {name}");
    }
}

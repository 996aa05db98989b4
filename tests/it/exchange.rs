//! Routes that transform a body read it whole, call the partner, and answer.

use harness::client::Reply;
use harness::documents::{integration, with};
use harness::{Answer, Gateway, Partner};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn the_mapped_body_goes_out_with_its_own_length() {
    let partner = Partner::answering(Answer::json(&json!({"ok": true}))).await;
    let gateway = Gateway::serving_one(mapped(&partner)).await;

    let reply = gateway.post("book.test", "/v1/book", &json!({"patient": "P-7"})).await;

    assert_eq!((reply.status, reply.json()), (200, json!({"ok": true})));
    let received = partner.only_request();
    assert_eq!(received.json(), json!({"patientId": "P-7"}));
    assert_eq!(
        received.header("content-length"),
        Some(received.body.len().to_string().as_str())
    );
    assert_eq!(received.header("transfer-encoding"), None);
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.uri, "/v1/book");
}

#[tokio::test]
async fn a_chunked_request_is_read_whole_first() {
    let partner = Partner::answering(Answer::json(&json!({"ok": true}))).await;
    let gateway = Gateway::serving_one(mapped(&partner)).await;

    let mut client = gateway.raw().await;
    let lines = [
        "POST / HTTP/1.1",
        "Host: book.test",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
    ];
    client
        .request(&lines, "b\r\n{\"patient\":\r\n6\r\n\"P-7\"}\r\n0\r\n\r\n")
        .await;

    assert_eq!(client.answer().await.status, 200);
    assert_eq!(partner.only_request().json(), json!({"patientId": "P-7"}));
}

#[tokio::test]
async fn a_body_that_stops_halfway_never_reaches_the_partner() {
    let partner = Partner::answering(Answer::json(&json!({"ok": true}))).await;
    let gateway = Gateway::serving_one(mapped(&partner)).await;

    let mut client = gateway.raw().await;
    let lines = ["POST / HTTP/1.1", "Host: book.test", "Content-Length: 500"];
    client.request(&lines, "{\"patient\":").await;
    client.finish_sending().await;
    client.closed().await;

    gateway.post("book.test", "/", &json!({"patient": "P-8"})).await;
    assert_eq!(partner.only_request().json(), json!({"patientId": "P-8"}));
}

#[tokio::test]
async fn a_body_that_never_ends_is_a_408() {
    let partner = Partner::answering(Answer::json(&json!({"ok": true}))).await;
    let quick = with(mapped(&partner), json!({"timeouts": {"totalMs": 300}}));
    let gateway = Gateway::serving_one(quick).await;
    let mut client = gateway.raw().await;
    client
        .request(&["POST / HTTP/1.1", "Host: book.test", "Content-Length: 500"], "{")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "REQUEST_TIMEOUT"));
    assert!(
        client.closed().await,
        "what still comes of the body would be taken for a request"
    );
    assert_eq!(partner.requests().len(), 0);
}

#[tokio::test]
async fn the_partners_error_comes_back_as_it_is() {
    let partner = Partner::answering(Answer::json(&json!({"why": "no slot"})).with_status(409)).await;
    let gateway = Gateway::serving_one(mapped(&partner)).await;
    let reply = gateway.post("book.test", "/", &json!({"patient": "P-7"})).await;
    assert_eq!((reply.status, reply.json()), (409, json!({"why": "no slot"})));
}

#[tokio::test]
async fn an_answer_without_a_body_stays_without() {
    let partner = Partner::answering(Answer::status(204)).await;
    let gateway = Gateway::serving_one(mapped(&partner)).await;
    let mut client = gateway.raw().await;
    let body = r#"{"patient":"P-7"}"#;
    let length = format!("Content-Length: {}", body.len());
    for _ in 0..2 {
        client
            .request(&["POST / HTTP/1.1", "Host: book.test", &length], body)
            .await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.header("content-length")), (204, None));
    }
}

#[tokio::test]
async fn a_client_that_expects_100_is_told_to_go_on() {
    let partner = Partner::answering(Answer::json(&json!({"ok": true}))).await;
    let gateway = Gateway::serving_one(mapped(&partner)).await;
    let mut client = gateway.raw().await;
    let body = r#"{"patient":"P-7"}"#;
    let length = format!("Content-Length: {}", body.len());
    client
        .request(
            &["POST / HTTP/1.1", "Host: book.test", "Expect: 100-continue", &length],
            "",
        )
        .await;
    assert_eq!(client.answer().await.status, 100);
    client.send(body).await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(partner.only_request().header("expect"), None);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_502() {
    let broken = Answer::status(200).header("content-length", "100").broken_after("{");
    let partner = Partner::answering(broken).await;
    let response = json!({"responseTransformationMode": "SIMPLE",
        "responseFieldMappings": [{"sourceField": "a", "targetField": "b"}]});
    let gateway = Gateway::serving_one(with(integration("book", &partner.url("")), response)).await;
    let reply = gateway.get("book.test", "/").await;
    assert_eq!(reply.status, 502, "{}", reply.text());
    reply.code();
}

#[tokio::test]
async fn the_method_of_the_integration_is_used_for_the_partner() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let put = with(mapped(&partner), json!({"httpMethod": "PUT"}));
    let gateway = Gateway::serving_one(put).await;
    gateway.post("book.test", "/", &json!({"patient": "P-7"})).await;
    assert_eq!(partner.only_request().method, Method::PUT);
}

#[tokio::test]
async fn answers_without_a_mapping_stream_through() {
    let partner = Partner::answering(Answer::text(vec![b'x'; 200_000])).await;
    let small = with(mapped(&partner), json!({"bodyLimits": {"responseBytes": 1000}}));
    let gateway = Gateway::serving_one(small).await;
    let reply = gateway.post("book.test", "/", &json!({"patient": "P-7"})).await;
    assert_eq!((reply.status, reply.body.len()), (200, 200_000));
}

#[tokio::test]
async fn headers_of_both_sides_pass_and_hop_by_hop_ones_do_not() {
    let answer = Answer::json(&json!({}))
        .header("x-partner", "1")
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2");
    let partner = Partner::answering(answer).await;
    let gateway = Gateway::serving_one(mapped(&partner)).await;
    let request = gateway
        .request(Method::POST, "book.test", "/")
        .header("x-client", "1")
        .header("te", "trailers")
        .json(&json!({"patient": "P-7"}));
    let reply = Reply::of(request).await;
    assert_eq!(reply.header("x-partner"), Some("1"));
    assert_eq!(reply.headers.get_all("set-cookie").iter().count(), 2);
    let received = partner.only_request();
    assert_eq!(received.header("x-client"), Some("1"));
    assert_eq!(received.header("te"), None);
}

fn mapped(partner: &Partner) -> Value {
    let mapping = json!({"requestTransformationMode": "SIMPLE",
        "requestFieldMappings": [{"sourceField": "patient", "targetField": "patientId"}]});
    with(integration("book", &partner.url("")), mapping)
}

/// What describes the bytes of a body goes when the body becomes another one, and a part of an answer cannot be mapped.
#[tokio::test]
async fn fields_that_describe_other_bytes_are_not_passed_on() {
    let described = |answer: Answer| {
        BYTES
            .iter()
            .fold(answer, |answer, (name, value)| answer.header(name, value))
            .header("x-kept", "1")
    };
    let partner = Partner::answering(described(Answer::json(&json!({"ok": true})))).await;
    let both = with(
        mapped(&partner),
        json!({"responseTransformationMode": "SIMPLE",
            "responseFieldMappings": [{"sourceField": "ok", "targetField": "fine"}]}),
    );
    let gateway = Gateway::serving_one(both).await;
    let request = gateway
        .request(Method::POST, "book.test", "/v1/book")
        .header("range", "bytes=0-3")
        .header("if-range", "\"7\"")
        .header("x-kept", "1")
        .json(&json!({"patient": "P-7"}));
    let request = BYTES
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    let reply = Reply::of(request).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"fine": true})));
    let received = partner.only_request();
    for name in BYTES.iter().map(|(name, _)| *name).chain(["range", "if-range"]) {
        assert_eq!(received.header(name), None, "{name} reached the partner");
        assert_eq!(reply.header(name), None, "{name} reached the client");
    }
    assert_eq!(
        (received.header("x-kept"), reply.header("x-kept")),
        (Some("1"), Some("1"))
    );
}

const BYTES: &[(&str, &str)] = &[
    ("content-md5", "Q2hlY2sgSW50ZWdyaXR5IQ=="),
    ("digest", "sha-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE="),
    (
        "content-digest",
        "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
    ),
    ("content-range", "bytes 0-3/4"),
    ("signature", "sig=:YQ==:"),
    ("signature-input", "sig=(\"content-digest\")"),
];

//! Answers that are compressed on their way to the client.

use std::io::Read as _;

use harness::client::Reply;
use harness::documents::{integration, with};
use harness::{Answer, Example, Gateway, Partner};
use reqwest::Method;
use serde_json::{Value, json};

const HOST: &str = "catalogue.gateway.example";

async fn example(answer: Answer) -> (Partner, Gateway) {
    let partner = Partner::answering(answer).await;
    let example = Example::named("compression").with("https://api.partner.example", &partner.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    (partner, gateway)
}

fn catalogue() -> Value {
    json!({"items": vec!["syringe"; 2_000]})
}

async fn get(gateway: &Gateway, host: &str, accept: &str) -> Reply {
    Reply::of(
        gateway
            .request(Method::GET, host, "/")
            .header("accept-encoding", accept),
    )
    .await
}

fn unpacked(reply: &Reply) -> Vec<u8> {
    let mut plain = Vec::new();
    match reply.header("content-encoding") {
        Some("br") => brotli::Decompressor::new(&*reply.body, 4096)
            .read_to_end(&mut plain)
            .unwrap(),
        Some("gzip") => flate2::read::GzDecoder::new(&*reply.body)
            .read_to_end(&mut plain)
            .unwrap(),
        other => panic!("{other:?}"),
    };
    plain
}

#[tokio::test]
async fn clients_get_the_coding_that_they_take() {
    let (_partner, gateway) = example(Answer::json(&catalogue()).header("etag", "\"7\"")).await;
    for (accept, coding) in [
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0.1, gzip", "gzip"),
    ] {
        let reply = get(&gateway, HOST, accept).await;
        assert_eq!(
            (reply.status, reply.header("content-encoding")),
            (200, Some(coding)),
            "{accept}"
        );
        assert!(reply.body.len() < 1_000, "{}", reply.body.len());
        assert_eq!(unpacked(&reply), catalogue().to_string().as_bytes());
        assert_eq!(
            (reply.header("vary"), reply.header("etag")),
            (Some("accept-encoding"), Some("W/\"7\""))
        );
    }
    let plain = get(&gateway, HOST, "identity").await;
    assert_eq!((plain.header("content-encoding"), plain.json()), (None, catalogue()));
    assert_eq!(plain.header("etag"), Some("\"7\""));
}

#[tokio::test]
async fn what_is_small_or_no_text_stays_as_it_is() {
    let body = catalogue().to_string();
    for answer in [
        Answer::json(&json!({"items": []})),
        Answer::status(200)
            .header("content-type", "image/png")
            .body(body.clone()),
        Answer::json(&catalogue()).header("cache-control", "no-transform"),
        Answer::json(&catalogue()).with_status(206),
    ] {
        let (_partner, gateway) = example(answer).await;
        let reply = get(&gateway, HOST, "gzip, br").await;
        assert_eq!(reply.header("content-encoding"), None, "{reply:?}");
    }
    let encoded = Answer::status(200)
        .header("content-type", "text/plain")
        .header("content-encoding", "x");
    let (_partner, gateway) = example(encoded.body(body)).await;
    assert_eq!(
        get(&gateway, HOST, "gzip, br").await.header("content-encoding"),
        Some("x")
    );
}

#[tokio::test]
async fn a_body_in_pieces_and_a_mapped_one_are_compressed_too() {
    let (_partner, gateway) = example(Answer::text("").chunks(["one ", "two ", "three"])).await;
    let reply = get(&gateway, HOST, "gzip").await;
    assert_eq!(unpacked(&reply), b"one two three");

    let partner = Partner::answering(Answer::json(&json!({"text": "x".repeat(5_000)}))).await;
    let mapped = json!({
        "compression": {"minBytes": 100, "contentTypes": ["application/json"]},
        "responseTransformationMode": "SIMPLE",
        "responseFieldMappings": [{"sourceField": "text", "targetField": "told"}]
    });
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), mapped)).await;
    let reply = get(&gateway, "labs.test", "br").await;
    let told: Value = serde_json::from_slice(&unpacked(&reply)).unwrap();
    assert_eq!(told, json!({"told": "x".repeat(5_000)}));
    assert_eq!(
        reply.header("content-length"),
        Some(reply.body.len().to_string().as_str())
    );
}

#[tokio::test]
async fn events_are_never_held_up() {
    let gate = harness::answer::Gate::new();
    let answer = Answer::status(200).header("content-type", "text/event-stream");
    let (_partner, gateway) = example(answer.first_then("data: 1\n\n", &gate, "data: 2\n\n")).await;
    let request = gateway
        .request(Method::GET, HOST, "/")
        .header("accept-encoding", "gzip, br");
    let mut response = request.send().await.unwrap();
    assert_eq!(response.headers().get("content-encoding"), None);
    assert_eq!(response.chunk().await.unwrap().unwrap(), "data: 1\n\n");
    gate.open();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "data: 2\n\n");
}

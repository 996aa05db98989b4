//! Data that is fetched before an attempt.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt as _;

use super::*;

#[tokio::test]
async fn fresh_data_is_fetched_before_each_attempt() {
    let his = Endpoint::start(|got| {
        if got.line.contains("/pdf") {
            b"HTTP/1.1 200 X\r\ncontent-length: 4\r\n\r\n%PDF".to_vec()
        } else {
            json_answer(200, r#"{"amount":99}"#)
        }
    })
    .await;
    let endpoint = Endpoint::status(200).await;
    let rig = Rig::new();
    let outcome = rig
        .run(&json!({"targetUrl": endpoint.url("/"), "enrichments": [
            {"name": "bill", "url": his.url("/bills/{bill.id}"), "targetField": "bill.fresh",
             "outgoingAuthType": "API_KEY", "outgoingAuthConfig": {"headerName": "X-Key", "apiKey": "k"}},
            {"name": "pdf", "url": his.url("/pdf/{bill.fresh.amount}"), "encoding": "base64", "targetField": "bill.pdf"},
        ]}))
        .await;
    assert_eq!(outcome.settlement.next, Next::Settled);
    assert_eq!(
        endpoint.got()[0].body,
        br#"{"bill":{"id":7,"total":12.5,"fresh":{"amount":99},"pdf":"JVBERg=="}}"#
    );
    let asked: Vec<String> = his.got().iter().map(|got| got.line.clone()).collect();
    assert_eq!(asked, ["GET /bills/7 HTTP/1.1", "GET /pdf/99 HTTP/1.1"]);
    assert_eq!(his.got()[0].headers["x-key"], "k");
}

#[tokio::test]
async fn data_that_cannot_be_fetched_is_tried_again_and_blamed_on_nobody() {
    let his = Endpoint::status(404).await;
    let endpoint = Endpoint::status(200).await;
    let enriched = |url: String| json!({"targetUrl": endpoint.url("/"), "enrichments": [{"name": "bill", "url": url, "targetField": "fresh"}]});
    let rig = Rig::new();
    let outcome = rig.run(&enriched(his.url("/{bill.id}"))).await;
    assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Enrichment));
    assert!(is_retried(&outcome));
    assert_eq!(outcome.verdict.health, Health::Unknown);
    let outcome = rig.run(&enriched(his.url("/{bill.missing}"))).await;
    assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Transformation));
    assert!(matches!(outcome.settlement.next, Next::Dead { .. }));
    assert!(endpoint.got().is_empty());
}

/// An endpoint that sends `length` bytes, and the base64 text of all of them.
async fn large(length: usize) -> Endpoint {
    Endpoint::serve(move |mut stream, _| async move {
        let head = format!("HTTP/1.1 200 X\r\ncontent-length: {length}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes()).await;
        let piece = [7; 64 * 1024];
        let mut left = length;
        while left > 0 {
            let next = left.min(piece.len());
            if stream.write_all(&piece[..next]).await.is_err() {
                break;
            }
            left -= next;
        }
        stream
    })
    .await
}

#[tokio::test]
async fn large_content_goes_through_a_file_and_is_signed_with_the_rest() {
    let length = 3_000_001;
    let his = large(length).await;
    let endpoint = Endpoint::status(200).await;
    let rig = Rig::new();
    let outcome = rig
        .run(&json!({"targetUrl": endpoint.url("/"), "recordBodies": "all",
            "enrichments": [{"name": "pdf", "url": his.url("/pdf"), "encoding": "base64", "targetField": "pdf",
                "maxBytes": 4_000_000}],
            "transformationMode": "SIMPLE", "fieldMappings": [
                {"sourceField": "pdf", "targetField": "document.content", "transform": [{"type": "trim"}, {"type": "upper"}]},
                {"sourceField": "bill.id", "targetField": "document.id"}],
            "signingType": "HMAC_SHA256",
            "signingConfig": {"secrets": [{"name": "k1", "value": "0123456789abcdef0123456789abcdef"}]}}))
        .await;
    assert_eq!(outcome.settlement.next, Next::Settled, "{:?}", log(&outcome));
    let got = &endpoint.got()[0];
    let content = STANDARD.encode(vec![7; length]);
    let whole = format!(r#"{{"document":{{"content":"{content}","id":7}}}}"#);
    assert_eq!(got.length, whole.len());
    assert!(whole.as_bytes().starts_with(&got.body));
    assert_eq!(got.headers["x-webhook-signature"], signature_of(whole.as_bytes()));
    let shown = log(&outcome).request_payload.clone().unwrap();
    assert_eq!(
        shown["document"]["content"],
        format!("[{} bytes of base64]", content.len())
    );
}

#[tokio::test]
async fn more_content_than_allowed_fails_the_attempt() {
    let his = large(500_000).await;
    let endpoint = Endpoint::status(200).await;
    let outcome = Rig::new()
        .run(&json!({"targetUrl": endpoint.url("/"), "enrichments": [
            {"name": "pdf", "url": his.url("/pdf"), "encoding": "base64", "targetField": "pdf", "maxBytes": 400_000}]}))
        .await;
    assert_eq!(log(&outcome).error_category, Some(ErrorCategory::Enrichment));
    assert!(endpoint.got().is_empty());
}

/// The most memory that this process has held so far, in KiB.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_take_no_memory() {
    let length = 100_000_000;
    let his = large(length).await;
    let endpoint = Endpoint::status(200).await;
    let change = json!({"targetUrl": endpoint.url("/"), "enrichments": [{"name": "pdf", "url": his.url("/pdf"),
        "encoding": "base64", "targetField": "pdf", "maxBytes": length}],
        "signingType": "HMAC_SHA256",
        "signingConfig": {"secrets": [{"name": "k1", "value": "0123456789abcdef0123456789abcdef"}]}});
    let (rig, subscription) = (Rig::new(), subscription(&change));
    let before = most_memory();
    let outcome = rig.run_job(job(state()), &subscription).await;
    let grown = most_memory() - before;
    assert_eq!(outcome.settlement.next, Next::Settled, "{:?}", log(&outcome));
    assert!(endpoint.got()[0].length > length / 3 * 4);
    assert!(grown < 24 * 1024, "{grown} KiB");
}

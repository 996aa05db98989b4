//! Requests to partners that are signed, checked as a partner checks them.

use harness::client::Reply;
use harness::documents::{integration, with};
use harness::events::{bill, events_document, subscription};
use harness::example::Example;
use harness::{Answer, Gateway, Partner, Received, Receiver};
use reqwest::Method;
use ring::{digest, hmac};
use serde_json::json;

const SECRET: &str = "the-secret-that-we-share";

#[tokio::test]
async fn the_example_of_a_signature_is_what_the_partner_expects() {
    let partner = Partner::answering(Answer::text("signed")).await;
    let document = Example::named("outgoing-hmac")
        .with("https://api.partner.example", &partner.url(""))
        .document();
    let gateway = Gateway::serving(&document).await;
    let request = gateway
        .request(Method::POST, "pharmacy.gateway.example", "/orders?urgent=yes")
        .header("authorization", "HMAC-SHA256 forged:00")
        .json(&json!({"drug": 7}));
    assert_eq!(Reply::of(request).await.text(), "signed");
    let received = partner.only_request();
    let signed = format!("POST\n/orders\n{}\n{}", time(&received), hash(&received.body));
    let expected = format!("HMAC-SHA256 lakeside:{}", mac(&signed));
    let values: Vec<_> = received.headers.get_all("authorization").iter().collect();
    assert_eq!(values, [&expected]);
}

#[tokio::test]
async fn a_request_without_a_body_is_signed_with_all_that_is_asked_for() {
    let partner = Partner::answering(Answer::text("signed")).await;
    let auth = json!({"outgoingAuthType": "HMAC", "outgoingAuthConfig": {
        "secret": SECRET, "keyId": "k-1", "algorithm": "SHA256", "encoding": "HEX",
        "canonical": "{method} {host} {path} {query} {nonce} {header:X-Tenant} {body}",
        "signatureHeader": "X-Proof", "signatureFormat": "{keyId}={signature}", "timestampHeader": "X-At",
        "timestampFormat": "milliseconds", "nonceHeader": "X-Nonce", "bodyHashHeader": "X-Hash"}});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), auth)).await;
    let request = gateway
        .request(Method::GET, "labs.test", "/x/y?a=1&b")
        .header("x-tenant", "north");
    assert_eq!(Reply::of(request).await.status, 200);
    let received = partner.only_request();
    let nonce = received.header("x-nonce").unwrap();
    let signed = format!("GET {} /x/y a=1&b {nonce} north ", partner.address());
    assert_eq!(
        received.header("x-proof"),
        Some(format!("k-1={}", mac(&signed)).as_str())
    );
    assert_eq!(received.header("x-at").map(str::len), Some(13));
    assert_eq!(received.header("x-hash"), Some(hash(b"").as_str()));
    // A header that is to be signed and is not there.
    let reply = gateway.get("labs.test", "/x").await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "SIGN_IN_FAILED"));
    assert_eq!(partner.requests().len(), 1);
}

#[tokio::test]
async fn the_example_of_aws_is_signed() {
    let partner = Partner::answering(Answer::text("signed")).await;
    let document = Example::named("outgoing-aws-sigv4")
        .with("https://api.partner.example", &partner.url(""))
        .document();
    let gateway = Gateway::serving(&document).await;
    let reply = gateway
        .post("archive.gateway.example", "/studies", &json!({"study": 7}))
        .await;
    assert_eq!(reply.text(), "signed");
    let received = partner.only_request();
    let date = received.header("x-amz-date").unwrap();
    let (day, kind) = (&date[..8], received.header("content-type").unwrap());
    let names = "content-type;host;x-amz-date";
    let canonical = format!(
        "POST\n/studies\n\ncontent-type:{kind}\nhost:{}\nx-amz-date:{date}\n\n{names}\n{}",
        partner.address(),
        hash(&received.body)
    );
    let scope = format!("{day}/eu-central-1/execute-api/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hash(canonical.as_bytes()));
    let mut key = b"AWS4the-key-that-the-partner-gave-us".to_vec();
    for part in scope.split('/').chain([&*text]) {
        let next = hmac::Key::new(hmac::HMAC_SHA256, &key);
        key = hmac::sign(&next, part.as_bytes()).as_ref().to_vec();
    }
    let expected = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders={names}, Signature={}",
        hex::encode(key)
    );
    assert_eq!(received.header("authorization"), Some(expected.as_str()));
    assert_eq!(received.header("x-amz-security-token"), None);
}

#[tokio::test]
async fn a_temporary_key_of_aws_is_sent_with_its_token() {
    let partner = Partner::answering(Answer::text("signed")).await;
    let auth = json!({"outgoingAuthType": "AWS_SIGV4", "outgoingAuthConfig": {"accessKeyId": "ASIA", "region": "r",
        "secretAccessKey": "k", "sessionToken": "temporary", "service": "s3"}});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), auth)).await;
    assert_eq!(gateway.get("labs.test", "/object").await.status, 200);
    let received = partner.only_request();
    assert_eq!(received.header("x-amz-security-token"), Some("temporary"));
    assert_eq!(received.header("x-amz-content-sha256"), Some(hash(b"").as_str()));
    let signed = received.header("authorization").unwrap();
    let names = "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token";
    assert!(signed.contains(names), "{signed}");
    let shown = gateway.admin_get("/config").await.text();
    assert!(!shown.contains("temporary"), "{shown}");
}

#[tokio::test]
async fn each_attempt_of_a_delivery_is_signed() {
    let endpoint = Receiver::start().await;
    endpoint.next([Answer::status(500)]);
    let auth = json!({"outgoingAuthType": "HMAC", "outgoingAuthConfig": {"secret": SECRET,
        "canonical": "{path}\n{timestamp}\n{bodyHash}"}});
    let gateway = Gateway::serving(&events_document([with(
        subscription("billing", &endpoint.url("/hook")),
        auth,
    )]))
    .await;
    gateway.accept(&bill("B-1")).await;
    for received in endpoint.received(2).await {
        let signed = format!("/hook\n{}\n{}", time(&received), hash(&received.body));
        assert_eq!(received.header("x-signature"), Some(mac(&signed).as_str()));
    }
}

fn time(received: &Received) -> &str {
    received.header("x-timestamp").unwrap()
}

fn hash(body: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, body))
}

fn mac(text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    hex::encode(hmac::sign(&key, text.as_bytes()))
}

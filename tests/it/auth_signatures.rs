//! Signed requests: what is signed cannot be changed, and each signature is taken once.

use harness::client::Reply;
use harness::documents::{document, integration, with};
use harness::{Answer, Example, Gateway, Partner};
use reqwest::{Method, RequestBuilder};
use ring::hmac;
use serde_json::json;
use sha2::{Digest as _, Sha256};

const HOST: &str = "referrals.gateway.example";
const SECRET: &str = "an-obviously-fake-shared-secret";

/// A request as the client of the example signs it.
struct Signed<'a> {
    key: &'a str,
    secret: &'a str,
    time: u64,
    nonce: &'a str,
    body: &'a str,
}

impl Default for Signed<'_> {
    fn default() -> Self {
        Self {
            key: "clinic-2026",
            secret: SECRET,
            time: harness::issuer::now_s(),
            nonce: "n-1",
            body: "",
        }
    }
}

impl Signed<'_> {
    fn request(&self, gateway: &Gateway, method: Method, path_and_query: &str) -> RequestBuilder {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let digest = Sha256::digest(self.body);
        let parts = [
            method.as_str(),
            path,
            query,
            self.key,
            &self.time.to_string(),
            self.nonce,
            &hex::encode(digest),
        ];
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let signature = hmac::sign(&key, parts.join("\n").as_bytes());
        let request = gateway
            .request(method, HOST, path_and_query)
            .header("x-clinic-key", self.key)
            .header("x-clinic-time", self.time)
            .header("x-clinic-nonce", self.nonce)
            .header("x-clinic-signature", hex::encode(signature));
        if self.body.is_empty() {
            return request;
        }
        let digest = format!("sha-256=:{}:", STANDARD.encode(digest));
        request.header("content-digest", digest).body(self.body.to_owned())
    }
}

async fn example() -> (Partner, Gateway) {
    let partner = Partner::echo().await;
    let example = Example::named("inbound-hmac").with("https://api.partner.example", &partner.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    (partner, gateway)
}

async fn refused(request: RequestBuilder, why: &str) {
    let reply = Reply::of(request).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (401, "UNAUTHORIZED"),
        "{}",
        reply.text()
    );
    assert!(reply.text().contains(why), "{} does not say {why}", reply.text());
}

#[tokio::test]
async fn signed_requests_pass_with_and_without_a_body() {
    let (partner, gateway) = example().await;
    let get = Signed::default();
    assert_eq!(
        Reply::of(get.request(&gateway, Method::GET, "/?ward=7&x=%20"))
            .await
            .status,
        200
    );
    let post = Signed {
        body: r#"{"patient": 17}"#,
        nonce: "n-2",
        ..Signed::default()
    };
    let reply = Reply::of(post.request(&gateway, Method::POST, "/")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let received = partner.requests();
    assert_eq!(received[1].body, post.body);
    for name in ["x-clinic-key", "x-clinic-time", "x-clinic-nonce", "x-clinic-signature"] {
        assert_eq!(received[1].header(name), None, "{name} went to the partner");
    }
}

#[tokio::test]
async fn a_signature_is_taken_once_whatever_is_edited_meanwhile() {
    let (partner, gateway) = example().await;
    let signed = Signed::default();
    assert_eq!(Reply::of(signed.request(&gateway, Method::GET, "/")).await.status, 200);
    refused(signed.request(&gateway, Method::GET, "/"), "received before").await;
    let example = Example::named("inbound-hmac")
        .with("https://api.partner.example", &partner.url(""))
        .with("clockSkewSeconds: 120", "clockSkewSeconds: 60");
    gateway.swap(&example.document()).await;
    refused(signed.request(&gateway, Method::GET, "/"), "received before").await;
    let again = Signed {
        nonce: "n-2",
        ..Signed::default()
    };
    assert_eq!(Reply::of(again.request(&gateway, Method::GET, "/")).await.status, 200);
    assert_eq!(partner.requests().len(), 2);
}

#[tokio::test]
async fn at_the_same_time_a_signature_is_taken_once_too() {
    let (partner, gateway) = example().await;
    let (gateway, signed) = (std::sync::Arc::new(gateway), Signed::default());
    let calls: Vec<_> = (0..20)
        .map(|_| tokio::spawn(Reply::of(signed.request(&gateway, Method::GET, "/"))))
        .collect();
    let mut passed = 0;
    for call in calls {
        passed += usize::from(call.await.unwrap().status == 200);
    }
    assert_eq!(passed, 1);
    assert_eq!(partner.requests().len(), 1);
}

#[tokio::test]
async fn what_is_not_signed_as_it_came_is_refused() {
    let (partner, gateway) = example().await;
    let post = |nonce| Signed {
        body: "10 pills",
        nonce,
        ..Signed::default()
    };
    let changed = post("n-1").request(&gateway, Method::POST, "/").body("99 pills");
    refused(changed, "the body is not the one").await;
    let without = Signed {
        nonce: "n-2",
        ..Signed::default()
    };
    let smuggled = without.request(&gateway, Method::POST, "/").body("99 pills");
    refused(smuggled, "required").await;
    let other_path = Signed::default().request(&gateway, Method::GET, "/a");
    let (client, request) = other_path.build_split();
    let mut request = request.unwrap();
    request.url_mut().set_path("/b");
    refused(RequestBuilder::from_parts(client, request), "not valid").await;
    let unknown = Signed {
        key: "clinic-2025",
        secret: "an-older-obviously-fake-secret",
        ..Signed::default()
    };
    refused(unknown.request(&gateway, Method::GET, "/"), "not valid").await;
    let late = Signed {
        time: harness::issuer::now_s() - 3_600,
        ..Signed::default()
    };
    refused(late.request(&gateway, Method::GET, "/"), "clock").await;
    refused(gateway.request(Method::GET, HOST, "/"), "required").await;
    assert_eq!(partner.requests().len(), 0, "something of it went to the partner");
}

#[tokio::test]
async fn other_schemes_can_be_said() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let config = json!({"inboundAuthType": "HMAC", "inboundAuthConfig": {"signaturePrefix": "v1=", "algorithm": "SHA512",
        "encoding": "BASE64", "digestHeader": "X-Body-Hash", "keyIdHeader": "X-Clinic", "clockSkewSeconds": 60, "components": ["method", "host", "path", "header:x-ward", "timestamp"],
        "keys": [{"name": "clinic", "value": SECRET}]}});
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = Gateway::serving(&document([with(integration("labs", &partner.url("")), config)])).await;
    let time = harness::issuer::now_s();
    let key = hmac::Key::new(hmac::HMAC_SHA512, SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("POST\nlabs.test\n/book\n7\n{time}").as_bytes());
    let request = gateway
        .request(Method::POST, "labs.test", "/book")
        .header("x-clinic", "clinic")
        .header("x-timestamp", time)
        .header("x-ward", 7)
        .header("x-signature", format!("v1={}", STANDARD.encode(tag)))
        .body("not signed");
    assert_eq!(Reply::of(request).await.status, 200);
    assert_eq!(partner.only_request().body, "not signed");
}

//! Client systems as objects of their own, where clients may call from, and certificates that they show.

use harness::authority::Authority;
use harness::client::Reply;
use harness::documents::{ORG, document, integration, with};
use harness::gateway::Setup;
use harness::{Answer, ControlPlane, Example, Gateway, Issuer, Partner, wait};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn with_key(gateway: &Gateway, host: &str, key: &str) -> Reply {
    Reply::of(gateway.request(Method::GET, host, "/").header("x-api-key", key)).await
}

#[tokio::test]
async fn a_consumer_opens_whatever_takes_consumers_by_any_of_its_credentials() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let example = Example::named("consumers").with("https://api.partner.example", &partner.url(""));
    let gateway = Gateway::serving(&example.document()).await;
    let (referrals, slots) = ("referrals.gateway.example", "slots.gateway.example");
    for host in [referrals, slots] {
        assert_eq!(with_key(&gateway, host, "5d8e1f0a7c3b9264").await.status, 200, "{host}");
    }
    let by_password = gateway
        .request(Method::GET, referrals, "/")
        .basic_auth("clinic-app", Some("c2f9e07b31a8d465"));
    assert_eq!(Reply::of(by_password).await.status, 200);
    assert_eq!(with_key(&gateway, slots, "77b1c09e5a2d4f38").await.status, 200);
    let elsewhere = with_key(&gateway, referrals, "77b1c09e5a2d4f38").await;
    assert_eq!((elsewhere.status, elsewhere.code().as_str()), (403, "FORBIDDEN"));
    assert_eq!(
        with_key(&gateway, slots, "c2f9e07b31a8d465").await.status,
        401,
        "a password is no key"
    );
    for received in partner.requests() {
        assert_eq!(
            (received.header("x-api-key"), received.header("authorization")),
            (None, None)
        );
    }

    let moved = example.with("127.0.0.1/32", "203.0.113.0/24").with(
        "    name: clinic-app\n    credentials",
        "    name: clinic-app\n    isActive: false\n    credentials",
    );
    gateway.swap(&moved.document()).await;
    assert_eq!(
        with_key(&gateway, slots, "77b1c09e5a2d4f38").await.status,
        403,
        "it calls from elsewhere"
    );
    assert_eq!(
        with_key(&gateway, slots, "5d8e1f0a7c3b9264").await.status,
        401,
        "it is switched off"
    );
}

#[tokio::test]
async fn tokens_and_signatures_name_consumers_too() {
    let (issuer, partner) = (Issuer::start().await, Partner::answering(Answer::text("ok")).await);
    let jwt = json!({"inboundAuthType": "JWT", "inboundAuthConfig": {"issuer": harness::issuer::ISSUER,
        "anyAudience": true, "algorithms": ["EdDSA"], "jwksUrl": issuer.url("/certs"), "consumerClaim": "azp"}});
    let hmac = json!({"inboundAuthType": "HMAC", "inboundAuthConfig": {"consumers": true, "components": ["method", "path",
        "timestamp"]}});
    let bearer = json!({"inboundAuthType": "BEARER", "inboundAuthConfig": {"consumers": true}});
    let bearer = json!({"inboundAuthType": "ANY_OF", "inboundAuthConfig": {"anyOf": [hmac, bearer]}});
    let mut all = document([
        with(integration("labs", &partner.url("")), jwt),
        with(integration("book", &partner.url("")), hmac),
        with(integration("ward", &partner.url("")), bearer),
    ]);
    all["consumers"] = json!([{"id": "app", "orgId": ORG, "name": "app", "credentials": [
        {"type": "JWT", "name": "sso", "issuer": harness::issuer::ISSUER, "subject": "clinic-app"},
        {"type": "JWT", "name": "other", "issuer": "https://other.example", "subject": "other-app"},
        {"type": "HMAC", "name": "app-2026", "value": "a-secret-of-both-sides"},
        {"type": "BEARER", "name": "t", "value": "token-of-the-app"},
    ]}]);
    let gateway = Gateway::serving(&all).await;
    let token = |azp: &str| issuer.token(json!({ "azp": azp }));
    let call = |host: &str, token: String| Reply::of(gateway.request(Method::GET, host, "/").bearer_auth(token));
    assert_eq!(call("labs.test", token("clinic-app")).await.status, 200);
    assert_eq!(
        call("labs.test", token("other-app")).await.status,
        401,
        "it is that of another issuer"
    );
    assert_eq!(call("labs.test", token("nobody")).await.status, 401);
    assert_eq!(call("ward.test", "token-of-the-app".to_owned()).await.status, 200);
    let time = harness::issuer::now_s();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"a-secret-of-both-sides");
    let tag = ring::hmac::sign(&key, format!("GET\n/\n{time}").as_bytes());
    let signed = gateway
        .request(Method::GET, "book.test", "/")
        .header("x-key-id", "app-2026")
        .header("x-timestamp", time)
        .header("x-signature", hex::encode(tag));
    assert_eq!(Reply::of(signed).await.status, 200);
    wait::until("a line that names the consumer", async || {
        gateway.process.output().contains(r#""consumer":"app""#).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_consumer_of_the_control_plane_reaches_the_gateway_without_its_secrets_being_shown() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let control_plane = ControlPlane::start().await;
    control_plane.allow_this_machine().await;
    let auth = json!({"inboundAuthType": "API_KEY", "inboundAuthConfig": {"consumers": true}});
    control_plane
        .save(&with(integration("labs", &partner.url("")), auth))
        .await;
    let gateway = Gateway::fed_by(&control_plane).await;
    assert_eq!(with_key(&gateway, "labs.test", "key-of-the-app").await.status, 401);
    let consumer = json!({"id": "app", "orgId": ORG, "name": "app", "credentials": [
        {"type": "API_KEY", "name": "k", "value": "key-of-the-app"},
        {"type": "HMAC", "name": "app-2026", "value": "a-secret-of-both-sides"},
    ]});
    let saved = control_plane.post("/api/v1/consumers", &consumer).await;
    assert!(saved.status < 300, "{}", saved.text());
    wait::until("the consumer at the gateway", async || {
        (with_key(&gateway, "labs.test", "key-of-the-app").await.status == 200).then_some(())
    })
    .await;
    let shown = control_plane
        .get(&format!("/api/v1/consumers/app?orgId={ORG}"))
        .await
        .text();
    for secret in ["key-of-the-app", "a-secret-of-both-sides", "sha256:"] {
        assert!(
            !shown.contains(secret) && !saved.text().contains(secret),
            "{secret} is shown: {shown}"
        );
    }
    let store = control_plane.data_folder();
    for entry in std::fs::read_dir(store).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        for secret in ["key-of-the-app", "a-secret-of-both-sides"] {
            assert!(!text.contains(secret), "{secret} is stored in clear");
        }
    }
}

/// One GET with the certificate of `name`; the status.
async fn status(authority: &Authority, gateway: &Gateway, own: Option<&harness::authority::Pair>) -> u16 {
    let name = "referrals.gateway.example";
    let mut stream = authority
        .connect(&gateway.https(), name, &["http/1.1"], own)
        .await
        .unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    drop(wait::within("an answer", stream.read_to_end(&mut answer)).await);
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn certificates_open_by_their_names_and_by_themselves() {
    let (authority, others) = (Authority::new(), Authority::new());
    let partner = Partner::answering(Answer::text("ok")).await;
    // Nobody whom the gateway trusts vouches for this one; it is known by itself.
    let pinned = others.vouch_for(&["whatever.example"]);
    let fingerprint = hex::encode(Sha256::digest(&pinned.der().0[0]));
    let document = Example::named("inbound-client-certificate")
        .with("https://api.partner.example", &partner.url(""))
        .with(
            "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f",
            &fingerprint,
        )
        .document();
    let (certificate, key) = authority.write("own", &authority.vouch_for(&["referrals.gateway.example"]));
    let gateway = Setup::new()
        .file(&document)
        .set("listen.https", json!("127.0.0.1:0"))
        .set("tls.certificates", json!([{"certFile": certificate, "keyFile": key}]))
        .set(
            "tls.clientCertificates",
            json!({"mode": "request", "caFile": authority.file()}),
        )
        .start()
        .await;
    let named = authority.vouch_for(&["other.example", "lab.clinic.example"]);
    assert_eq!(status(&authority, &gateway, Some(&named)).await, 200);
    assert_eq!(status(&authority, &gateway, Some(&pinned)).await, 200);
    let forged = others.vouch_for(&["lab.clinic.example"]);
    assert_eq!(
        status(&authority, &gateway, Some(&forged)).await,
        401,
        "nobody vouches for its name"
    );
    let other = authority.vouch_for(&["a.lab.clinic.example"]);
    assert_eq!(status(&authority, &gateway, Some(&other)).await, 401);
    assert_eq!(status(&authority, &gateway, None).await, 401);
    assert_eq!(
        gateway.get("referrals.gateway.example", "/").await.status,
        401,
        "there is no certificate without TLS"
    );
    assert_eq!(partner.requests().len(), 2);
}

fn networks_example(partner: &Partner) -> Value {
    Example::named("client-networks")
        .with("https://api.partner.example", &partner.url(""))
        .document()
}

#[tokio::test]
async fn clients_call_from_where_they_may() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = Setup::new()
        .file(&networks_example(&partner))
        .set("edge", json!({"trustedProxies": ["127.0.0.0/8"]}))
        .start()
        .await;
    let from = |address: &str| {
        let request = gateway.request(Method::GET, "referrals.gateway.example", "/");
        Reply::of(
            request
                .header("x-api-key", "0f9d1c5a7e3b4826")
                .header("x-forwarded-for", address),
        )
    };
    for (address, status) in [
        ("203.0.113.7", 200),
        ("203.0.113.8:4711", 200),
        ("[2001:db8:7::1]:443", 200),
        ("203.0.113.66", 403),
        ("203.0.113.66:1", 403),
        ("198.51.100.1", 403),
        ("2001:db8:8::1", 403),
    ] {
        let reply = from(address).await;
        assert_eq!(reply.status, status, "{address}: {}", reply.text());
    }
    assert_eq!(partner.requests().len(), 3);
    let refused = from("198.51.100.1").await;
    assert_eq!(refused.code(), "FORBIDDEN");
}

#[tokio::test]
async fn guesses_at_a_key_use_up_the_limit_of_the_address() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let mut open = networks_example(&partner);
    open["integrations"][0]["clientNetworks"] = json!({"deny": ["192.0.2.0/24"]});
    let gateway = Gateway::serving(&open).await;
    for _ in 0..5 {
        assert_eq!(
            with_key(&gateway, "referrals.gateway.example", "a-guess").await.status,
            401
        );
    }
    let limited = with_key(&gateway, "referrals.gateway.example", "0f9d1c5a7e3b4826").await;
    assert_eq!((limited.status, limited.code().as_str()), (429, "RATE_LIMITED"));
    assert_eq!(partner.requests().len(), 0);
}

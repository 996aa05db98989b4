//! How clients show who they are, and that the partner never sees it.

use harness::client::Reply;
use harness::documents::{integration, with};
use harness::{Answer, Gateway, Partner};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_key_in_a_header_opens_and_stays_with_the_gateway() {
    let (partner, gateway) = guarded("API_KEY", json!({"headerName": "X-Key", "keys": two_keys()})).await;
    for key in ["first-key-1", "second-key-2"] {
        assert_eq!(with_header(&gateway, "x-key", key).await.status, 200, "{key}");
    }
    for received in partner.requests() {
        assert_eq!(received.header("x-key"), None, "the key went to the partner");
    }
}

#[tokio::test]
async fn wrong_missing_inactive_and_doubled_keys_are_refused() {
    let (partner, gateway) = guarded("API_KEY", json!({"headerName": "X-Key", "keys": two_keys()})).await;
    assert_refused(&gateway.get("labs.test", "/").await);
    for key in [
        "",
        "first",
        "first-key-1x",
        "retired-key-3",
        "sha256:00",
        "first-key-1,second-key-2",
    ] {
        assert_refused(&with_header(&gateway, "x-key", key).await);
    }
    let mut client = gateway.raw().await;
    client
        .request(
            &[
                "GET / HTTP/1.1",
                "Host: labs.test",
                "X-Key: first-key-1",
                "X-Key: second-key-2",
            ],
            "",
        )
        .await;
    assert_eq!(client.answer().await.status, 401, "two keys at once say nothing clear");
    assert_eq!(partner.requests().len(), 0);
}

#[tokio::test]
async fn a_stored_hash_works_as_its_key_does() {
    use sha2::Digest as _;
    let hash = format!("sha256:{}", hex::encode(sha2::Sha256::digest("hashed-key")));
    let keys = json!({"keys": [{"name": "hashed", "hash": hash}]});
    let (_partner, gateway) = guarded("API_KEY", keys).await;
    assert_eq!(with_header(&gateway, "x-api-key", "hashed-key").await.status, 200);
    assert_refused(&with_header(&gateway, "x-api-key", &hash).await);
}

#[tokio::test]
async fn a_key_in_the_query_is_taken_out_of_it() {
    let (partner, gateway) = guarded("API_KEY", json!({"queryName": "key", "keys": two_keys()})).await;
    assert_eq!(gateway.get("labs.test", "/x?a=1&key=first-key-1&b=2").await.status, 200);
    assert_eq!(partner.only_request().uri, "/x?a=1&b=2");
    assert_refused(&gateway.get("labs.test", "/x?a=1&key=no&b=2").await);
    assert_refused(&gateway.get("labs.test", "/x?monkey=first-key-1").await);
}

#[tokio::test]
async fn bearer_tokens_open() {
    let (partner, gateway) = guarded("BEARER", json!({"tokens": two_keys()})).await;
    assert_eq!(
        with_header(&gateway, "authorization", "Bearer first-key-1")
            .await
            .status,
        200
    );
    assert_eq!(
        with_header(&gateway, "authorization", "bearer second-key-2")
            .await
            .status,
        200,
        "schemes have no case"
    );
    for value in [
        "Bearer",
        "Bearer ",
        "Bearer no",
        "first-key-1",
        "Basic first-key-1",
        "Bearer retired-key-3",
    ] {
        let reply = with_header(&gateway, "authorization", value).await;
        assert_refused(&reply);
        assert!(
            reply
                .header("www-authenticate")
                .is_some_and(|scheme| scheme.starts_with("Bearer"))
        );
    }
    for received in partner.requests() {
        assert_eq!(received.header("authorization"), None, "the token went to the partner");
    }
}

#[tokio::test]
async fn user_and_password_open() {
    use sha2::Digest as _;
    let hash = format!("sha256:{}", hex::encode(sha2::Sha256::digest("hashed-password")));
    let users = json!({"users": [
        {"username": "clinic", "password": "s:e:c:r:e:t"},
        {"username": "ward", "passwordHash": hash},
        {"username": "gone", "password": "retired-password", "isActive": false},
    ]});
    let (partner, gateway) = guarded("BASIC", users).await;
    assert_eq!(basic(&gateway, "clinic", "s:e:c:r:e:t").await.status, 200);
    assert_eq!(
        partner.only_request().header("authorization"),
        None,
        "the password went to the partner"
    );
    assert_eq!(basic(&gateway, "ward", "hashed-password").await.status, 200);
    for (user, password) in [
        ("clinic", "s"),
        ("clinic", ""),
        ("gone", "retired-password"),
        ("nobody", "s:e:c:r:e:t"),
        ("", ""),
    ] {
        let reply = basic(&gateway, user, password).await;
        assert_refused(&reply);
        assert!(
            reply
                .header("www-authenticate")
                .is_some_and(|scheme| scheme.starts_with("Basic"))
        );
    }
    for value in ["Basic", "Basic ???", "Basic Y2xpbmlj"] {
        assert_refused(&with_header(&gateway, "authorization", value).await);
    }
}

#[tokio::test]
async fn the_credential_is_passed_on_only_when_asked_for() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let forwarding = json!({"inboundAuthType": "BEARER", "inboundAuthConfig": {"tokens": two_keys()},
        "forwardCredentials": true});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), forwarding)).await;
    with_header(&gateway, "authorization", "Bearer first-key-1").await;
    assert_eq!(
        partner.only_request().header("authorization"),
        Some("Bearer first-key-1")
    );
}

#[tokio::test]
async fn a_client_cannot_hide_its_header_from_the_check() {
    let (partner, gateway) = guarded("API_KEY", json!({"headerName": "X-Key", "keys": two_keys()})).await;
    let mut client = gateway.raw().await;
    let lines = ["GET / HTTP/1.1", "Host: labs.test", "Connection: X-Key", "X-Key: wrong"];
    client.request(&lines, "").await;
    assert_eq!(client.answer().await.status, 401);
    assert_eq!(partner.requests().len(), 0);
}

async fn guarded(kind: &str, config: Value) -> (Partner, Gateway) {
    let partner = Partner::answering(Answer::text("ok")).await;
    let auth = json!({"inboundAuthType": kind, "inboundAuthConfig": config});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), auth)).await;
    (partner, gateway)
}

async fn with_header(gateway: &Gateway, name: &str, value: &str) -> Reply {
    Reply::of(gateway.request(Method::GET, "labs.test", "/").header(name, value)).await
}

async fn basic(gateway: &Gateway, user: &str, password: &str) -> Reply {
    Reply::of(
        gateway
            .request(Method::GET, "labs.test", "/")
            .basic_auth(user, Some(password)),
    )
    .await
}

fn assert_refused(reply: &Reply) {
    assert_eq!(reply.status, 401, "{}", reply.text());
    assert_eq!(reply.code(), "UNAUTHORIZED");
}

fn two_keys() -> Value {
    json!([
        {"name": "one", "value": "first-key-1"},
        {"name": "two", "value": "second-key-2"},
        {"name": "old", "value": "retired-key-3", "isActive": false},
    ])
}

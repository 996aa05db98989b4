//! How the gateway signs in to partners, whatever the client sends.

use harness::client::Reply;
use harness::documents::{document, integration, with};
use harness::{Answer, Gateway, Partner, Received};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_key_goes_into_its_header_and_wins_over_the_clients() {
    let config = json!({"headerName": "X-Partner-Key", "apiKey": "partner-secret"});
    for received in both_paths("API_KEY", config, "x-partner-key", "forged").await {
        let keys: Vec<_> = received.headers.get_all("x-partner-key").iter().collect();
        assert_eq!(keys, ["partner-secret"]);
    }
}

#[tokio::test]
async fn a_key_goes_into_its_query_parameter() {
    let config = json!({"queryName": "api_key", "apiKey": "a b&c"});
    for received in both_paths("API_KEY", config, "x-unused", "x").await {
        let query = received.uri.query().unwrap_or_default();
        assert!(query.starts_with("keep=1"), "{query}");
        assert!(
            ["keep=1&api_key=a%20b%26c", "keep=1&api_key=a+b%26c"].contains(&query),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_bearer_token_is_sent() {
    for received in both_paths("BEARER", json!({"token": "t-1"}), "authorization", "Bearer forged").await {
        let values: Vec<_> = received.headers.get_all("authorization").iter().collect();
        assert_eq!(values, ["Bearer t-1"]);
    }
}

#[tokio::test]
async fn user_and_password_are_sent() {
    let config = json!({"username": "gw", "password": "p:w"});
    for received in both_paths("BASIC", config, "authorization", "Basic forged").await {
        assert_eq!(received.header("authorization"), Some("Basic Z3c6cDp3"));
    }
}

#[tokio::test]
async fn custom_headers_are_sent() {
    let config = json!({"headers": {"X-One": "1", "X-Two": "2"}});
    for received in both_paths("CUSTOM_HEADERS", config, "x-two", "forged").await {
        assert_eq!(
            (received.header("x-one"), received.header("x-two")),
            (Some("1"), Some("2"))
        );
        assert_eq!(received.headers.get_all("x-two").iter().count(), 1);
    }
}

#[tokio::test]
async fn a_client_cannot_take_the_credential_away_by_naming_it_in_connection() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let auth = json!({"outgoingAuthType": "API_KEY",
        "outgoingAuthConfig": {"headerName": "X-Partner-Key", "apiKey": "partner-secret"}});
    let gateway = Gateway::serving_one(with(integration("labs", &partner.url("")), auth)).await;
    let mut client = gateway.raw().await;
    client
        .request(&["GET / HTTP/1.1", "Host: labs.test", "Connection: X-Partner-Key"], "")
        .await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(partner.only_request().header("x-partner-key"), Some("partner-secret"));
}

/// Calls a partner through a streaming route and through an exchange, with a header that the client forges.
async fn both_paths(kind: &str, config: Value, forged: &str, value: &str) -> Vec<Received> {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let auth = json!({"outgoingAuthType": kind, "outgoingAuthConfig": config});
    let exchanging = json!({"requestTransformationMode": "SIMPLE",
        "requestFieldMappings": [{"sourceField": "a", "targetField": "b"}]});
    let stream = with(integration("stream", &partner.url("")), auth.clone());
    let exchange = with(with(integration("exchange", &partner.url("")), auth), exchanging);
    let gateway = Gateway::serving(&document([stream, exchange])).await;
    for host in ["stream.test", "exchange.test"] {
        let request = gateway
            .request(Method::POST, host, "/x?keep=1")
            .header(forged, value)
            .json(&json!({"a": 1}));
        assert_eq!(Reply::of(request).await.status, 200, "{host}");
    }
    partner.received(2).await
}

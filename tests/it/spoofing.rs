//! Fields by which a client could pass for the gateway, and changes of protocol that would carry it past every check.

use harness::documents::{document, integration, with};
use harness::gateway::Setup;
use harness::{Answer, Gateway, H2Client, Partner, Received, wait};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What a client claims, and what a program behind a CGI-like server would read from it.
const CLAIMS: &[(&str, &str)] = &[
    ("X-Real-IP", "10.0.0.1"),
    ("X_Forwarded_For", "10.0.0.1"),
    ("X-Forwarded-Port", "443"),
    ("X-Forwarded-Client-Cert", "Subject=admin"),
    ("Client-Cert", ":YWRtaW4=:"),
    ("X-Client-Cert", "admin"),
    ("X-Original-URL", "/admin"),
    ("Proxy", "http://evil.test"),
    ("X_Tenant", "other"),
    ("x_api-key", "other"),
];

/// An integration that streams and one that exchanges, both with fields of the gateway's own.
fn both(partner: &Partner) -> Value {
    let own = json!({
        "outgoingAuthType": "API_KEY",
        "outgoingAuthConfig": {"headerName": "X-Api-Key", "apiKey": "partner-key"},
        "headers": {"request": {"set": [{"name": "X-Tenant", "value": "7"}]}},
    });
    let mapped = json!({"requestTransformationMode": "SIMPLE",
        "requestFieldMappings": [{"sourceField": "a", "targetField": "b"}]});
    let stream = with(integration("stream", &partner.url("")), own.clone());
    let exchange = with(with(integration("exchange", &partner.url("")), own), mapped);
    document([stream, exchange])
}

fn assert_clean(received: &Received, who: &str) {
    for (name, _) in CLAIMS {
        let name = name.to_ascii_lowercase();
        assert_eq!(
            received.header(&name),
            None,
            "{name} of the client reached the partner of {who}"
        );
    }
    assert_eq!(received.header("x-tenant"), Some("7"), "{who}");
    assert_eq!(received.header("x-api-key"), Some("partner-key"), "{who}");
    assert_eq!(
        received.header("api_key"),
        Some("mine"),
        "{who}: a field that is nobody's double"
    );
}

#[tokio::test]
async fn clients_do_not_pass_for_the_gateway() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let gateway = Setup::new()
        .file(&both(&partner))
        .set("listen.h2c", json!("127.0.0.1:0"))
        .start()
        .await;
    let mut client = H2Client::connect(&gateway.h2c()).await;
    for host in ["stream.test", "exchange.test"] {
        let mut request = gateway.request(Method::POST, host, "/").header("api_key", "mine");
        let mut second = H2Client::request(Method::POST, host, "/").header("api_key", "mine");
        for (name, value) in CLAIMS {
            request = request.header(*name, *value);
            second = second.header(name.to_ascii_lowercase(), *value);
        }
        assert_eq!(
            request.json(&json!({"a": 1})).send().await.unwrap().status(),
            200,
            "{host}"
        );
        let second = second.header("content-type", "application/json").body(()).unwrap();
        assert_eq!(client.call(second, br#"{"a": 1}"#).await.status, 200, "{host}");
    }
    for received in partner.received(4).await {
        assert_clean(&received, &received.uri.to_string());
    }
}

#[tokio::test]
async fn a_trusted_proxy_tells_of_its_client() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = Setup::new()
        .file(&document([integration("labs", &partner.url(""))]))
        .set("edge.trustedProxies", json!(["127.0.0.0/8"]))
        .start()
        .await;
    let request = gateway
        .request(Method::GET, "labs.test", "/")
        .header("X-Forwarded-Client-Cert", "Subject=own")
        .header("X_Forwarded_Client_Cert", "Subject=admin")
        .header("X-Original-URL", "/admin");
    assert_eq!(request.send().await.unwrap().status(), 200);
    let received = partner.only_request();
    assert_eq!(received.header("x-forwarded-client-cert"), Some("Subject=own"));
    assert_eq!(received.header("x_forwarded_client_cert"), None);
    assert_eq!(received.header("x-original-url"), None);
}

/// Fields that the client nominates as those of its connection are not taken off the partner's request.
#[tokio::test]
async fn a_client_cannot_have_the_gateways_fields_taken_out() {
    let partner = Partner::answering(Answer::json(&json!({}))).await;
    let gateway = Gateway::serving(&both(&partner)).await;
    for host in ["Host: stream.test", "Host: exchange.test"] {
        let mut client = gateway.raw().await;
        let lines = [
            "POST / HTTP/1.1",
            host,
            "Content-Type: application/json",
            "Content-Length: 8",
            "Connection: keep-alive, X-Tenant, X-Api-Key, X-Request-Id",
        ];
        client.request(&lines, r#"{"a": 1}"#).await;
        assert_eq!(client.answer().await.status, 200, "{host}");
    }
    for received in partner.received(2).await {
        for name in ["x-tenant", "x-api-key", "x-forwarded-for", "x-request-id", "host"] {
            assert!(received.header(name).is_some(), "{name} was taken out of {received:?}");
        }
        assert!(received.body.starts_with(b"{"), "{received:?}");
    }
}

/// A partner that changes over to whatever it is asked for; its connections are noted.
async fn changing_partner(to: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    let told = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "the gateway closed before its request was whole");
            seen.extend_from_slice(&buffer[..length]);
        }
        let answer = format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {to}\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        // What is said after the change.
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest).await);
        seen.extend_from_slice(&rest);
        String::from_utf8_lossy(&seen).into_owned()
    });
    (target, told)
}

const CHANGE: &str = "GET /room HTTP/1.1\r\nHost: chat.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn a_partner_that_changes_to_another_protocol_is_left() {
    let (target, told) = changing_partner("h2c").await;
    let gateway = Gateway::serving_one(integration("chat", &target)).await;
    let mut client = gateway.raw().await;
    client.send(CHANGE).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "UPSTREAM_ERROR"));
    client.send("smuggled").await;
    let seen = wait::within("the end of the partner's connection", told).await.unwrap();
    assert!(!seen.contains("smuggled"), "{seen}");
}

/// A client may not hide the change that it wants behind the one that is allowed.
#[tokio::test]
async fn a_second_upgrade_field_leaves_none() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = Gateway::serving_one(integration("chat", &partner.url(""))).await;
    let mut client = gateway.raw().await;
    let lines = [
        "GET / HTTP/1.1",
        "Host: chat.test",
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "Upgrade: websocket",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
    ];
    client.request(&lines, "").await;
    assert_eq!(client.answer().await.status, 200);
    let received = partner.only_request();
    for name in ["upgrade", "http2-settings", "connection"] {
        assert!(
            !received
                .header(name)
                .is_some_and(|value| value.contains("h2c") || value.contains("AAMAA")),
            "{name}: {received:?}"
        );
    }
}

/// What a client sends before the partner has agreed to the change is neither a request nor the partner's.
#[tokio::test]
async fn what_comes_before_the_change_reaches_nobody() {
    let partner = Partner::answering(Answer::text("no")).await;
    let gateway = Gateway::serving_one(integration("chat", &partner.url(""))).await;
    let mut client = gateway.raw().await;
    client
        .send(format!("{CHANGE}GET /smuggled HTTP/1.1\r\nHost: chat.test\r\n\r\n"))
        .await;
    assert_eq!(client.answer().await.status, 400);
    assert!(client.closed().await);
    assert_eq!(gateway.get("chat.test", "/next").await.text(), "no");
    let bytes = partner.bytes().concat();
    assert!(!bytes.contains("smuggled"), "{bytes}");
}

/// Line ends in values stay values, whatever way they take into a head.
#[tokio::test]
async fn values_bring_no_fields_along() {
    let partner = Partner::answering(Answer::json(&json!({"v": "a\r\nX-Injected: 1"}))).await;
    let edits = json!({"headers": {
        "request": {"set": [{"name": "X-Query", "value": "{{query.q}}"}]},
        "response": {"set": [{"name": "X-Query", "value": "{{query.q}}"}]},
    }});
    let mapped = |side: &str, target: &str| {
        let mut fields = json!({});
        fields[format!("{side}TransformationMode")] = json!("SIMPLE");
        fields[format!("{side}FieldMappings")] = json!([{"sourceField": "v", "targetField": target}]);
        fields
    };
    let gateway = Gateway::serving(&document([
        with(integration("edited", &partner.url("")), edits),
        with(integration("field", &partner.url("")), mapped("request", "$header.X-V")),
        with(integration("query", &partner.url("")), mapped("request", "$query.v")),
        with(integration("back", &partner.url("")), mapped("response", "$header.X-V")),
    ]))
    .await;
    let body = json!({"v": "a\r\nX-Injected: 1"});
    for (host, path, status) in [
        ("edited.test", "/?q=a%0d%0aX-Injected:%201", 200),
        ("field.test", "/", 400),
        ("query.test", "/", 200),
        ("back.test", "/", 502),
    ] {
        let reply = gateway.post(host, path, &body).await;
        assert_eq!(reply.status, status, "{host}: {}", reply.text());
        assert_eq!(reply.header("x-injected"), None, "{host}");
    }
    for received in partner.requests() {
        assert_eq!(received.header("x-injected"), None, "{received:?}");
        assert!(!received.uri.to_string().contains('\r'), "{received:?}");
    }
}

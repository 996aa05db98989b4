//! gRPC through the gateway: messages both ways as they come, and statuses at their place.

use bytes::Bytes;
use harness::gateway::Setup;
use harness::grpc_server::{Messages, frame};
use harness::h2_client::{H2Answer, read};
use harness::{Authority, Example, Gateway, GrpcServer, H2Client, Partner, wait};
use http::Request;
use reqwest::Method;
use serde_json::{Value, json};

const HOST: &str = "echo.gateway.example";

/// The example, with a server of the test in the place of the partner.
fn document(server: &GrpcServer) -> Value {
    let target = format!("http://127.0.0.1:{}", server.port());
    Example::named("grpc")
        .with("https://grpc.partner.example", &target)
        .document()
}

async fn serving(document: &Value) -> Gateway {
    Setup::new()
        .file(document)
        .set("listen.h2c", json!("127.0.0.1:0"))
        .start()
        .await
}

fn call(method: &str) -> Request<()> {
    H2Client::request(Method::POST, HOST, &format!("/echo.Echo/{method}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

async fn unary(client: &mut H2Client, method: &str, message: &[u8]) -> H2Answer {
    let (answer, mut body) = client.begin(call(method), false).await;
    body.send_data(frame(message), true).unwrap();
    read(answer).await
}

#[tokio::test]
async fn unary_calls_have_an_answer_and_a_status() {
    let server = GrpcServer::start().await;
    let gateway = serving(&document(&server)).await;
    let mut client = H2Client::connect(&gateway.h2c()).await;
    let answer = unary(&mut client, "Say", b"hello").await;
    assert_eq!((answer.status, answer.body), (200, frame(b"hello")));
    assert_eq!(answer.trailers["grpc-status"], "0");
    let answer = unary(&mut client, "Fail", b"hello").await;
    assert_eq!((answer.status, answer.field("grpc-status")), (200, Some("5")));
    assert_eq!(answer.field("grpc-message"), Some("no such echo"));
    let heads = server.heads();
    assert_eq!(heads[0]["te"], "trailers");
    assert_eq!(heads[0]["x-forwarded-host"], HOST);
}

#[tokio::test]
async fn streams_pass_as_they_come() {
    let server = GrpcServer::start().await;
    let gateway = serving(&document(&server)).await;
    let mut client = H2Client::connect(&gateway.h2c()).await;
    let answer = unary(&mut client, "Count", b"1000").await;
    assert_eq!(answer.trailers["grpc-status"], "0");
    let counted: Vec<Bytes> = (1..=1_000_u32)
        .map(|number| frame(number.to_string().as_bytes()))
        .collect();
    assert_eq!(answer.body, counted.concat());
    let (answer, mut said) = client.begin(call("Chat"), false).await;
    said.send_data(frame(b"one"), false).unwrap();
    let answer = wait::within("the head", answer).await.unwrap();
    let mut heard = Messages::of(answer.into_body());
    for word in ["one", "two", "three"] {
        let echo = wait::within("an echo", heard.next()).await.unwrap();
        assert_eq!(String::from_utf8(echo).unwrap(), format!("you said {word}"));
        match word {
            "one" => said.send_data(frame(b"two"), false).unwrap(),
            "two" => said.send_data(frame(b"three"), false).unwrap(),
            _ => said.send_data(Bytes::new(), true).unwrap(),
        }
    }
    let trailers = wait::within("the status", heard.trailers()).await.unwrap();
    assert_eq!(trailers["grpc-status"], "0");
}

#[tokio::test]
async fn faults_of_the_gateway_are_statuses() {
    let server = GrpcServer::start().await;
    let mut document = document(&server);
    document["integrations"][0]["bodyLimits"] = json!({"requestBytes": 100});
    let away = Partner::answering(harness::Answer::status(200)).await.url("");
    let mut gone = document["integrations"][0].clone();
    gone["hosts"] = json!(["gone.gateway.example"]);
    gone["type"] = json!("gone");
    gone["targetUrl"] = json!(away);
    document["integrations"].as_array_mut().unwrap().push(gone);
    let gateway = serving(&document).await;
    let mut client = H2Client::connect(&gateway.h2c()).await;
    let elsewhere = |host: &str| {
        H2Client::request(Method::POST, host, "/echo.Echo/Say")
            .header("content-type", "application/grpc")
            .body(())
            .unwrap()
    };
    let answer = client.call(elsewhere("nobody.gateway.example"), b"").await;
    assert_eq!((answer.status, answer.field("grpc-status")), (200, Some("12")));
    assert!(answer.field("grpc-message").unwrap().contains("no integration answers"));
    assert_eq!(answer.headers["content-type"], "application/grpc");
    let answer = client.call(elsewhere("gone.gateway.example"), b"").await;
    assert_eq!(
        (answer.status, answer.field("grpc-status")),
        (200, Some("14")),
        "the partner is away"
    );
    let answer = unary(&mut client, "Say", &[b'x'; 200]).await;
    assert_eq!(answer.field("grpc-status"), Some("8"), "{answer:?}");
    let answer = unary(&mut client, "Drop", b"x").await;
    assert!(matches!(answer.field("grpc-status"), Some("14" | "13")), "{answer:?}");
}

#[tokio::test]
async fn the_partner_may_want_tls() {
    let authority = Authority::new();
    let server = GrpcServer::with_tls(&authority.vouch_for(&["localhost"])).await;
    let target = format!("https://localhost:{}", server.port());
    let document = Example::named("grpc")
        .with("https://grpc.partner.example", &target)
        .document();
    let gateway = Setup::new()
        .file(&document)
        .set("listen.h2c", json!("127.0.0.1:0"))
        .set("egress.extraCaFile", json!(authority.file()))
        .start()
        .await;
    let mut client = H2Client::connect(&gateway.h2c()).await;
    for _ in 0..3 {
        let answer = unary(&mut client, "Say", b"hello").await;
        assert_eq!(
            (answer.body, answer.trailers["grpc-status"].as_bytes()),
            (frame(b"hello"), &b"0"[..])
        );
    }
}

#[tokio::test]
async fn clients_of_http1_reach_a_partner_that_speaks_http2() {
    let server = GrpcServer::start().await;
    let gateway = serving(&document(&server)).await;
    let reply = gateway.get(HOST, "/echo.Echo/Fail").await;
    assert_eq!((reply.status, reply.header("grpc-status")), (200, Some("5")));
}

#[tokio::test]
async fn http2_to_the_partner_is_refused_where_bodies_are_read() {
    let server = GrpcServer::start().await;
    let mut document = document(&server);
    document["integrations"][0]["responseTransformationMode"] = json!("SIMPLE");
    document["integrations"][0]["responseFieldMappings"] = json!([{"sourceField": "a", "targetField": "b"}]);
    let gateway = Setup::new().file(&document).start_listening().await;
    let refused = wait::until("the refusal", async || {
        let error = gateway.admin_get("/config").await.json()["lastError"].clone();
        (!error.is_null()).then(|| error.to_string())
    })
    .await;
    assert!(
        refused.contains("targetProtocol") && refused.contains("not supported yet"),
        "{refused}"
    );
}

//! HTTP/2 from clients: the same calls, and the same edge.

use std::time::Duration;

use bytes::Bytes;
use harness::answer::Gate;
use harness::documents::{document, integration, with};
use harness::gateway::Setup;
use harness::h2_client::{read, try_read};
use harness::{Answer, Authority, Gateway, H2Client, Partner, wait};
use http::Request;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A gateway with a listener for HTTP/2 without TLS.
async fn serving(integrations: impl IntoIterator<Item = Value>, setup: Setup) -> Gateway {
    setup
        .file(&document(integrations))
        .set("listen.h2c", json!("127.0.0.1:0"))
        .start()
        .await
}

fn post(path: &str) -> Request<()> {
    H2Client::request(Method::POST, "labs.test", path).body(()).unwrap()
}

#[tokio::test]
async fn calls_pass_with_and_without_tls() {
    let authority = Authority::new();
    let partner = Partner::echo().await;
    let (certificate, key) = authority.write("own", &authority.vouch_for(&["labs.test"]));
    let setup = Setup::new()
        .set("listen.https", json!("127.0.0.1:0"))
        .set("tls.certificates", json!([{"certFile": certificate, "keyFile": key}]));
    let mapped = json!({
        "requestTransformationMode": "SIMPLE",
        "requestFieldMappings": [{"sourceField": "a", "targetField": "b"}],
    });
    let mapping = with(integration("mapped", &partner.url("")), mapped);
    let gateway = serving([integration("labs", &partner.url("")), mapping], setup).await;
    let stream = authority
        .connect(&gateway.https(), "labs.test", &["h2", "http/1.1"], None)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    for (mut client, proto) in [
        (H2Client::over(stream).await, "https"),
        (H2Client::connect(&gateway.h2c()).await, "http"),
    ] {
        let answer = client.get("labs.test", "/v1/labs?code=A1").await;
        let echo = answer.json();
        assert_eq!((answer.status, echo["uri"].as_str()), (200, Some("/v1/labs?code=A1")));
        assert_eq!(echo["headers"]["x-forwarded-proto"], proto);
        assert_eq!(echo["headers"]["x-forwarded-host"], "labs.test");
        assert!(answer.headers.contains_key("x-request-id"));
        let echo = client.call(post("/"), b"hello").await.json();
        assert_eq!(
            (echo["method"].as_str(), echo["body"].as_str()),
            (Some("POST"), Some("hello"))
        );
        let request = H2Client::request(Method::POST, "mapped.test", "/").body(()).unwrap();
        let answer = client.call(request, br#"{"a": 7}"#).await;
        assert_eq!(
            (answer.status, answer.json()["body"].as_str()),
            (200, Some(r#"{"b":7}"#))
        );
        let answer = client.get("nobody.test", "/").await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (404, Some("NOT_FOUND"))
        );
        let head = H2Client::request(Method::HEAD, "labs.test", "/").body(()).unwrap();
        let answer = client.call(head, b"").await;
        assert!(answer.status == 200 && answer.body.is_empty());
    }
}

#[tokio::test]
async fn an_empty_last_frame_leaves_no_stray_answer_on_the_partners_connection() {
    let partner = Partner::start(|request| Answer::text(request.uri.to_string())).await;
    let gateway = serving([integration("labs", &partner.url(""))], Setup::new()).await;
    let mut client = H2Client::connect(&gateway.h2c()).await;
    for number in 0..10 {
        let request = H2Client::request(Method::GET, "labs.test", &format!("/empty/{number}"))
            .body(())
            .unwrap();
        let (answer, mut body) = client.begin(request, false).await;
        body.send_data(Bytes::new(), true).unwrap();
        assert_eq!(read(answer).await.text(), format!("/empty/{number}"));
        let (answer, mut body) = client.begin(post(&format!("/body/{number}")), false).await;
        body.send_data(Bytes::new(), false).unwrap();
        body.send_data(Bytes::from_static(b"x"), false).unwrap();
        body.send_data(Bytes::new(), true).unwrap();
        assert_eq!(read(answer).await.text(), format!("/body/{number}"));
        let next = gateway.get("labs.test", &format!("/next/{number}")).await;
        assert_eq!(next.text(), format!("/next/{number}"), "the answer of somebody else");
    }
    for bytes in partner.bytes() {
        assert!(!bytes.contains("0\r\n\r\n0\r\n\r\n"), "a body ended twice: {bytes:?}");
    }
    assert!(partner.connections() < 5, "no connection was used again");
}

#[tokio::test]
async fn requests_that_http1_refuses_are_refused() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let setup = Setup::new()
        .set("edge.headers", json!(20))
        .set("edge.uriBytes", json!(100))
        .set("edge.headBytes", json!(4096));
    let gateway = serving([integration("labs", &partner.url(""))], setup).await;
    let mut client = H2Client::connect(&gateway.h2c()).await;
    let long = format!("/{}", "a".repeat(200));
    let answer = client.get("labs.test", &long).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (414, Some("URI_TOO_LONG"))
    );
    let many = (0..30).fold(H2Client::request(Method::GET, "labs.test", "/"), |request, number| {
        request.header(format!("x-{number}"), "y")
    });
    let answer = client.call(many.body(()).unwrap(), b"").await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (431, Some("HEADERS_TOO_LARGE"))
    );
    let large = H2Client::request(Method::GET, "labs.test", "/").header("x-large", "y".repeat(8_000));
    assert_eq!(client.call(large.body(()).unwrap(), b"").await.status, 431);
    let trace = H2Client::request(Method::TRACE, "labs.test", "/").body(()).unwrap();
    assert_eq!(client.call(trace, b"").await.status, 405);
    let two_hosts = H2Client::request(Method::GET, "labs.test", "/").header("host", "other.test");
    assert_eq!(client.call(two_hosts.body(()).unwrap(), b"").await.status, 400);
    assert!(partner.requests().is_empty());
    assert_eq!(
        client.get("labs.test", "/").await.status,
        200,
        "the connection is still good"
    );
    let metrics = gateway.admin_get("/metrics").await.text();
    assert!(
        metrics.contains("gateway_refused_total{reason=\"head_too_large\"} 2"),
        "{metrics}"
    );
}

#[tokio::test]
async fn crumbs_of_cookies_become_one_field() {
    let partner = Partner::echo().await;
    let gateway = serving([integration("labs", &partner.url(""))], Setup::new()).await;
    let mut client = H2Client::connect(&gateway.h2c()).await;
    let request = H2Client::request(Method::GET, "labs.test", "/")
        .header("cookie", "a=1")
        .header("cookie", "b=2");
    let echo = client.call(request.body(()).unwrap(), b"").await.json();
    assert_eq!(echo["headers"]["cookie"], "a=1; b=2");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_408_and_costs_the_others_nothing() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let times = json!({"timeouts": {"connectMs": 500, "firstByteMs": 800, "totalMs": 1000}});
    let gateway = serving([with(integration("labs", &partner.url("")), times)], Setup::new()).await;
    let mut client = H2Client::connect(&gateway.h2c()).await;
    let (slow, mut body) = client.begin(post("/slow"), false).await;
    let drip = tokio::spawn(async move {
        while body.send_data(Bytes::from_static(b"x"), false).is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(client.get("labs.test", "/quick").await.status, 200);
    let answer = read(slow).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (408, Some("REQUEST_TIMEOUT"))
    );
    assert_eq!(client.get("labs.test", "/quick").await.status, 200);
    drip.abort();
}

#[tokio::test]
async fn requests_that_are_given_up_at_once_end_the_connection() {
    let gate = Gate::new();
    let partner = Partner::answering(Answer::text("late").after(&gate)).await;
    let gateway = serving([integration("labs", &partner.url(""))], Setup::new()).await;
    let mut client = H2Client::connect(&gateway.h2c()).await;
    let mut begun = 0;
    while begun < 20_000 {
        let Ok((_, mut stream)) = client.try_begin(post("/"), false).await else {
            break;
        };
        stream.send_reset(h2::Reason::CANCEL);
        begun += 1;
        // A flood that the gateway has time to begin to serve is the one that costs.
        tokio::task::yield_now().await;
    }
    assert!(
        begun < 20_000,
        "20,000 requests were given up, and the connection is still there"
    );
    // What it was told may have been lost with what it still sent.
    let ended = client.ended().await.unwrap_err();
    assert!(
        ended.is_io() || ended.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM),
        "{ended}"
    );
    let called = partner.connections();
    assert!(called < 400, "the partner was called {called} times for nothing");
    gate.open();
    assert_eq!(gateway.get("labs.test", "/").await.status, 200);
    wait::until("nothing to be in flight", async || {
        let metrics = gateway.admin_get("/metrics").await.text();
        metrics.contains("gateway_in_flight 0\n").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_pings_ends_the_connection() {
    let gateway = serving([], Setup::new()).await;
    let mut stream = TcpStream::connect(gateway.h2c()).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8].repeat(100);
    let (mut reading, mut writing) = stream.split();
    let flood = async {
        for _ in 0..10_000 {
            writing.write_all(&ping).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    let mut pongs = tokio::io::sink();
    let (flooded, _) = wait::within("the end of the connection", async {
        tokio::join!(flood, tokio::io::copy(&mut reading, &mut pongs))
    })
    .await;
    assert!(flooded.is_err(), "a million pings were taken");
}

#[tokio::test]
async fn clients_that_say_nothing_useful_are_cut_off() {
    let setup = Setup::new().set("edge.headTimeoutMs", json!(300));
    let gateway = serving([], setup).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // A head of which the last frame does not come.
    let half_a_head = [0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82];
    let half: Vec<u8> = [&preface[..], &settings, &half_a_head].concat();
    for bytes in [&b""[..], &preface[..10], &half, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut stream = TcpStream::connect(gateway.h2c()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        drop(wait::within("the end of the connection", stream.read_to_end(&mut rest)).await);
    }
}

#[tokio::test]
async fn a_connection_ends_in_order_after_its_share_of_requests() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let setup = Setup::new().set("edge.requestsPerConnection", json!(5));
    let gateway = serving([integration("labs", &partner.url(""))], setup).await;
    let mut client = H2Client::connect(&gateway.h2c()).await;
    let mut answered = 0;
    while let Ok((answer, _)) = client
        .try_begin(H2Client::request(Method::GET, "labs.test", "/").body(()).unwrap(), true)
        .await
    {
        if try_read(answer).await.is_err() {
            break;
        }
        answered += 1;
        assert!(answered < 50, "the connection goes on and on");
    }
    assert!(answered >= 5, "only {answered} requests were answered");
}

#[tokio::test]
async fn a_gateway_that_stops_answers_what_it_took() {
    let gate = Gate::new();
    let partner = Partner::answering(Answer::text("late").after(&gate)).await;
    let mut gateway = serving([integration("labs", &partner.url(""))], Setup::new()).await;
    let mut client = H2Client::connect(&gateway.h2c()).await;
    let request = H2Client::request(Method::GET, "labs.test", "/").body(()).unwrap();
    let (answer, _) = client.begin(request, true).await;
    partner.received(0).await;
    wait::until("the partner to be called", async || {
        (partner.connections() > 0).then_some(())
    })
    .await;
    gateway.terminate();
    wait::until("the listener to be closed", async || {
        TcpStream::connect(gateway.h2c()).await.is_err().then_some(())
    })
    .await;
    gate.open();
    assert_eq!(read(answer).await.text(), "late");
    assert_eq!(client.ended().await.map_err(|error| error.to_string()), Ok(()));
}

#[tokio::test]
async fn a_client_that_gives_a_request_up_ends_the_call_to_the_partner() {
    let gate = Gate::new();
    let partner = Partner::answering(Answer::text("late").after(&gate)).await;
    let gateway = serving([integration("labs", &partner.url(""))], Setup::new()).await;
    let mut client = H2Client::connect(&gateway.h2c()).await;
    let (_, mut stream) = client.begin(post("/"), true).await;
    wait::until("the partner to be called", async || {
        (partner.open_connections() > 0).then_some(())
    })
    .await;
    stream.send_reset(h2::Reason::CANCEL);
    wait::until("the partner to be left", async || {
        (partner.open_connections() == 0).then_some(())
    })
    .await;
}

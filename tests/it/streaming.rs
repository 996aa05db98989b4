//! Routes whose chain needs no body pass everything through as it comes.

use futures_util::{SinkExt as _, StreamExt as _};
use harness::answer::Gate;
use harness::client::Reply;
use harness::documents::{document, integration, with};
use harness::gateway::Setup;
use harness::{Answer, Gateway, H2Client, Partner, wait};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

#[tokio::test]
async fn a_call_reaches_the_partner_and_its_answer_comes_back() {
    let partner = Partner::answering(Answer::text("hello").header("x-from-partner", "yes")).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;

    let request = gateway.request(Method::GET, "labs.test", "/v1/labs?code=A1&code=B%20C");
    let reply = Reply::of(request.header("x-mine", "kept")).await;

    assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
    assert_eq!(reply.header("x-from-partner"), Some("yes"));
    let received = partner.only_request();
    assert_eq!(received.uri, "/v1/labs?code=A1&code=B%20C");
    assert_eq!(received.header("x-mine"), Some("kept"));
    assert_eq!(received.header("host"), Some(partner.address().to_string().as_str()));
}

#[tokio::test]
async fn hop_by_hop_headers_end_at_the_gateway() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;

    let mut client = gateway.raw().await;
    let lines = [
        "GET /x HTTP/1.1",
        "Host: labs.test",
        "Connection: keep-alive, X-Hop",
        "Keep-Alive: timeout=999",
        "Proxy-Authorization: Basic abc",
        "TE: trailers",
        "X-Hop: one",
        "X-End: two",
    ];
    client.request(&lines, "").await;
    let answer = client.answer().await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("keep-alive"), None);
    let received = partner.only_request();
    for name in ["x-hop", "keep-alive", "proxy-authorization", "te"] {
        assert_eq!(received.header(name), None, "{name} went to the partner");
    }
    assert_eq!(received.header("x-end"), Some("two"));
}

/// Whatever `Connection` says of them, or if it is not there at all.
#[tokio::test]
async fn fields_of_a_connection_end_at_the_gateway_each_by_itself() {
    let partner = Partner::answering(Answer::json(&json!({"a": 1}))).await;
    let mapping = json!({"responseTransformationMode": "SIMPLE",
        "responseFieldMappings": [{"sourceField": "a", "targetField": "b"}]});
    let gateway = Gateway::serving(&document([
        integration("stream", &partner.url("")),
        with(integration("exchange", &partner.url("")), mapping),
    ]))
    .await;
    for name in [
        "http2-settings",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
    ] {
        for host in ["stream.test", "exchange.test"] {
            let request = gateway.request(Method::GET, host, "/x").header("x-end", name);
            let reply = Reply::of(request.header(name, "trailers")).await;
            assert_eq!(reply.status, 200, "{name}: {}", reply.text());
            let received = partner.requests().pop().unwrap();
            assert_eq!(received.header("x-end"), Some(name));
            assert_eq!(received.header(name), None, "{name} went to the partner of {host}");
        }
    }
}

#[tokio::test]
async fn the_partners_error_status_and_body_are_the_clients() {
    let partner = Partner::answering(Answer::json(&json!({"why": "closed"})).with_status(503)).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;

    let reply = gateway.get("labs.test", "/").await;

    assert_eq!((reply.status, reply.json()), (503, json!({"why": "closed"})));
    assert_eq!(partner.requests().len(), 1);
}

#[tokio::test]
async fn large_bodies_pass_both_ways_unchanged() {
    let partner = Partner::start(|request| Answer::text(request.body.clone())).await;
    let gateway = Gateway::serving_one(integration("files", &partner.url(""))).await;
    let body: Vec<u8> = (0..4_000_000_u32).map(|at| (at % 251) as u8).collect();

    let reply = Reply::of(gateway.request(Method::PUT, "files.test", "/f").body(body.clone())).await;

    assert_eq!(reply.status, 200);
    assert!(reply.body == body, "the body came back changed");
}

#[tokio::test]
async fn an_answer_larger_than_the_limit_of_read_bodies_still_streams() {
    let partner = Partner::answering(Answer::text(vec![b'x'; 300_000])).await;
    let limits = json!({"bodyLimits": {"responseBytes": 1000}});
    let gateway = Gateway::serving_one(with(integration("files", &partner.url("")), limits)).await;

    let reply = gateway.get("files.test", "/f").await;

    assert_eq!((reply.status, reply.body.len()), (200, 300_000));
}

#[tokio::test]
async fn each_piece_of_an_answer_comes_when_the_partner_sends_it() {
    let gate = Gate::new();
    let answer = Answer::status(200).header("content-type", "text/event-stream");
    let partner = Partner::answering(answer.first_then("data: one\n\n", &gate, "data: two\n\n")).await;
    let gateway = Gateway::serving_one(integration("feed", &partner.url(""))).await;

    let mut response = gateway.request(Method::GET, "feed.test", "/").send().await.unwrap();
    let first = wait::within("the first event", response.chunk()).await.unwrap();
    assert_eq!(
        first.as_deref(),
        Some(&b"data: one\n\n"[..]),
        "the partner has not sent the second"
    );
    gate.open();
    let second = wait::within("the second event", response.chunk()).await.unwrap();
    assert_eq!(second.as_deref(), Some(&b"data: two\n\n"[..]));
    assert_eq!(response.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn the_partner_sees_a_request_body_before_its_end() {
    let partner = Partner::answering(Answer::text("got it")).await;
    let gateway = Gateway::serving_one(integration("files", &partner.url(""))).await;

    let mut client = gateway.raw().await;
    let lines = ["POST /f HTTP/1.1", "Host: files.test", "Content-Length: 12"];
    client.request(&lines, "first-").await;
    wait::until("the first half at the partner", async || {
        partner
            .bytes()
            .iter()
            .any(|bytes| bytes.ends_with("first-"))
            .then_some(())
    })
    .await;
    client.send("second").await;

    assert_eq!(client.answer().await.text(), "got it");
    assert_eq!(partner.only_request().body, "first-second");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_made_whole() {
    let partner = Partner::answering(Answer::status(200).header("content-length", "100").broken_after("part")).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;

    let outcome = Reply::try_of(gateway.request(Method::GET, "labs.test", "/")).await;

    if let Ok(reply) = outcome {
        assert_eq!(
            reply.status, 502,
            "a truncated answer was passed on as complete: {reply:?}"
        );
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_call_to_the_partner() {
    let gate = Gate::new();
    let partner = Partner::answering(Answer::text("late").after(&gate)).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;

    let mut client = gateway.raw().await;
    client.request(&["GET / HTTP/1.1", "Host: labs.test"], "").await;
    partner.received(1).await;
    drop(client);

    wait::until("the partner to be left", async || {
        (partner.open_connections() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn web_sockets_pass() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    let partner = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(Message::Text(text))) = socket.next().await {
            socket.send(Message::text(format!("you said {text}"))).await.unwrap();
        }
    });
    let gateway = Gateway::serving_one(integration("chat", &target)).await;

    let request = "ws://chat.test/room".into_client_request().unwrap();
    let stream = TcpStream::connect(gateway.http()).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    for word in ["one", "two"] {
        socket.send(Message::text(word)).await.unwrap();
        let said = wait::within("an echo", socket.next()).await.unwrap().unwrap();
        assert_eq!(said.into_text().unwrap(), format!("you said {word}"));
    }
    socket.close(None).await.unwrap();
    wait::within("the partner to see the end", partner).await.unwrap();
}

/// Whoever listened has gone: the partner need not go on telling.
#[tokio::test]
async fn a_client_that_leaves_a_stream_of_events_ends_it() {
    let gate = Gate::new();
    let answer = Answer::status(200).header("content-type", "text/event-stream");
    let partner = Partner::answering(answer.first_then("data: one\n\n", &gate, "data: two\n\n")).await;
    let gateway = Setup::new()
        .file(&document([integration("feed", &partner.url(""))]))
        .set("listen.h2c", json!("127.0.0.1:0"))
        .start()
        .await;
    let left = async |how: &str| {
        wait::until(&format!("the partner to be left over {how}"), async || {
            (partner.open_connections() == 0).then_some(())
        })
        .await;
    };
    let mut response = gateway.request(Method::GET, "feed.test", "/").send().await.unwrap();
    wait::within("the first event", response.chunk()).await.unwrap();
    drop(response);
    left("HTTP/1.1").await;
    let mut client = H2Client::connect(&gateway.h2c()).await;
    let request = H2Client::request(Method::GET, "feed.test", "/").body(()).unwrap();
    let (answer, mut stream) = client.begin(request, true).await;
    let mut events = wait::within("the head", answer).await.unwrap().into_body();
    wait::within("the first event", events.data()).await.unwrap().unwrap();
    stream.send_reset(h2::Reason::CANCEL);
    left("HTTP/2").await;
}

#[tokio::test]
async fn a_partner_that_ends_a_web_socket_ends_it_for_the_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    let partner = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        socket.send(Message::text("last words")).await.unwrap();
        // No farewell: the connection is just gone.
    });
    let gateway = Gateway::serving_one(integration("chat", &target)).await;
    let request = "ws://chat.test/room".into_client_request().unwrap();
    let stream = TcpStream::connect(gateway.http()).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let said = wait::within("the last words", socket.next()).await.unwrap().unwrap();
    assert_eq!(said.into_text().unwrap(), "last words");
    let end = wait::within("the end", socket.next()).await;
    assert!(end.is_none_or(|end| end.is_err()), "more came from nobody");
    partner.await.unwrap();
    wait::until("nothing to be in flight", async || {
        let metrics = gateway.admin_get("/metrics").await.text();
        metrics.contains("gateway_in_flight 0\n").then_some(())
    })
    .await;
}

const HANDSHAKE: [&str; 5] = [
    "GET /room HTTP/1.1",
    "Host: chat.test",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

#[tokio::test]
async fn a_partner_that_wants_another_version_of_web_sockets_is_heard() {
    let refusal = Answer::text("12 is too old").with_status(426);
    let partner = Partner::answering(refusal.header("sec-websocket-version", "13")).await;
    let gateway = Gateway::serving_one(integration("chat", &partner.url(""))).await;
    let mut client = gateway.raw().await;
    let lines = [&HANDSHAKE[..], &["Sec-WebSocket-Version: 12"]].concat();
    client.request(&lines, "").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (426, "12 is too old"));
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    let received = partner.only_request();
    assert_eq!(received.header("upgrade"), Some("websocket"));
    assert_eq!(received.header("sec-websocket-version"), Some("12"));
    assert!(client.closed().await);
}

#[tokio::test]
async fn a_client_that_says_no_more_over_a_web_socket_is_heard_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    let partner = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while stream.read_line(&mut line).await.unwrap() > 2 {
            line.clear();
        }
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        said
    });
    let gateway = Gateway::serving_one(integration("chat", &target)).await;
    let mut client = gateway.raw().await;
    let lines = [&HANDSHAKE[..], &["Sec-WebSocket-Version: 13"]].concat();
    client.request(&lines, "").await;
    assert!(client.head_text().await.starts_with("HTTP/1.1 101 "));
    let words = vec![b'w'; 300_000];
    client.send(&words).await;
    client.finish_sending().await;
    let said = wait::within("the partner to hear the end", partner).await.unwrap();
    assert_eq!(said.len(), words.len());
    assert!(client.closed().await);
}

/// Bodies cannot be mapped in another protocol, so a route that maps them does not change over.
#[tokio::test]
async fn a_route_that_maps_bodies_changes_to_no_other_protocol() {
    let partner = Partner::answering(Answer::json(&json!({"a": 1}))).await;
    let mapping = json!({"responseTransformationMode": "SIMPLE",
        "responseFieldMappings": [{"sourceField": "a", "targetField": "b"}]});
    let gateway = Gateway::serving_one(with(integration("chat", &partner.url("")), mapping)).await;
    let mut client = gateway.raw().await;
    let lines = [&HANDSHAKE[..], &["Sec-WebSocket-Version: 13"]].concat();
    client.request(&lines, "").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.json()), (200, json!({"b": 1})));
    assert_eq!(partner.only_request().header("upgrade"), None);
    assert!(client.closed().await);
}

#[tokio::test]
async fn an_unchanged_connection_to_the_partner_is_used_again() {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;
    let mut client = gateway.raw().await;
    for _ in 0..5 {
        client.request(&["GET / HTTP/1.1", "Host: labs.test"], "").await;
        assert_eq!(client.answer().await.status, 200);
    }
    assert_eq!(partner.connections(), 1);
}

#[tokio::test]
async fn a_head_request_has_the_length_but_no_body() {
    let partner = Partner::answering(Answer::text("four")).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;
    let reply = Reply::of(gateway.request(Method::HEAD, "labs.test", "/")).await;
    assert_eq!((reply.status, reply.header("content-length")), (200, Some("4")));
    assert!(reply.body.is_empty());
}

#[tokio::test]
async fn traffic_is_shared_by_weight() {
    let (busy, idle) = (
        Partner::answering(Answer::text("busy")).await,
        Partner::answering(Answer::text("idle")).await,
    );
    let mut shared = integration("labs", "unused");
    shared.as_object_mut().unwrap().remove("targetUrl");
    let targets = json!({"targets": [{"url": busy.url(""), "weight": 1}, {"url": idle.url(""), "weight": 0}]});
    let gateway = Gateway::serving_one(with(shared, targets)).await;
    for _ in 0..10 {
        assert_eq!(gateway.get("labs.test", "/").await.text(), "busy");
    }
    assert_eq!(idle.requests().len(), 0);
}

#[tokio::test]
async fn both_targets_of_equal_weight_are_called() {
    let (one, two) = (
        Partner::answering(Answer::text("1")).await,
        Partner::answering(Answer::text("2")).await,
    );
    let mut shared = integration("labs", "unused");
    shared.as_object_mut().unwrap().remove("targetUrl");
    let targets = json!({"targets": [{"url": one.url("")}, {"url": two.url("")}]});
    let gateway = Gateway::serving_one(with(shared, targets)).await;
    wait::until("both targets to be called", async || {
        gateway.get("labs.test", "/").await;
        (!one.requests().is_empty() && !two.requests().is_empty()).then_some(())
    })
    .await;
}

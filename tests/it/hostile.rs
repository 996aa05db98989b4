//! Bytes that no honest side sends: they must reach neither a partner nor another client.

use harness::documents::{document, integration, with};
use harness::{Answer, Gateway, Partner};
use serde_json::json;

/// Every request here must be refused with its status, in the error shape, with nothing sent to the partner. Those that
/// leave in doubt where they end must also be the last of their connection.
#[tokio::test]
async fn requests_that_could_be_read_in_two_ways_are_refused() {
    let (partner, gateway) = open_gateway().await;
    let mut wrong = Vec::new();
    for (name, status, request) in REFUSED {
        let mut client = gateway.raw().await;
        client.send(request).await;
        client.finish_sending().await;
        let answer = client.answer().await;
        if answer.status != *status {
            wrong.push(format!("{name}: {} {}", answer.status, answer.text()));
            continue;
        }
        let body = answer.json();
        assert_eq!(body["statusCode"], *status, "{name}: {body}");
        assert!(body["requestId"].is_string(), "{name}: {body}");
        assert_eq!(answer.header("server"), None, "{name} names the server");
        assert!(client.closed().await, "{name}");
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(
        partner.bytes(),
        Vec::<String>::new(),
        "a refused request reached the partner"
    );
    assert_eq!(gateway.get("labs.test", "/").await.status, 200);
}

#[tokio::test]
async fn a_request_whose_end_is_in_doubt_is_the_last_of_its_connection() {
    let (partner, gateway) = open_gateway().await;
    for (name, _, request) in REFUSED.iter().filter(|(_, _, request)| request.starts_with("POST")) {
        let mut client = gateway.raw().await;
        client.send(request).await;
        client.send("GET /smuggled HTTP/1.1\r\nHost: labs.test\r\n\r\n").await;
        client.answer().await;
        assert_eq!(client.everything().await, "", "{name}: the connection went on");
    }
    assert_eq!(partner.bytes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_target_in_absolute_form_that_agrees_with_the_host_is_served() {
    let (partner, gateway) = open_gateway().await;
    let mut client = gateway.raw().await;
    client
        .request(&["GET http://labs.test/x?y=1 HTTP/1.1", "Host: labs.test"], "")
        .await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(partner.only_request().uri, "/x?y=1");
}
#[tokio::test]
async fn pipelined_requests_are_each_answered_or_the_connection_is_closed() {
    let partner = Partner::start(|request| Answer::text(request.uri.path().to_owned())).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;
    let mut client = gateway.raw().await;
    client
        .send("GET /one HTTP/1.1\r\nHost: labs.test\r\n\r\nGET /two HTTP/1.1\r\nHost: labs.test\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.text(), "/one");
    if let Some(second) = client.maybe_answer().await {
        assert_eq!(second.text(), "/two");
    }
}

#[tokio::test]
async fn a_smuggled_request_in_a_refused_body_is_not_served() {
    let (partner, gateway) = open_gateway().await;
    let mut client = gateway.raw().await;
    let inner = "GET /smuggled HTTP/1.1\r\nHost: labs.test\r\n\r\n";
    client
        .request(
            &[
                "POST /unknown HTTP/1.1",
                "Host: nobody.test",
                &format!("Content-Length: {}", inner.len()),
            ],
            inner,
        )
        .await;
    assert_eq!(client.answer().await.status, 404);
    // Either the body was read as a body, so that this is the next answer, or the connection is closed.
    client.request(&["GET /next HTTP/1.1", "Host: labs.test"], "").await;
    if let Some(answer) = client.maybe_answer().await {
        assert_eq!(answer.status, 200);
    }
    assert!(!partner.bytes().concat().contains("smuggled"));
}

#[tokio::test]
async fn a_bad_chunk_size_poisons_nothing() {
    let (partner, gateway) = open_gateway().await;
    let mut client = gateway.raw().await;
    let lines = ["POST /bad HTTP/1.1", "Host: labs.test", "Transfer-Encoding: chunked"];
    client.request(&lines, "5;\r\nhello\r\nzz\r\n0\r\n\r\n").await;
    if let Some(answer) = client.maybe_answer().await {
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    assert!(client.closed().await);
    for _ in 0..5 {
        assert_eq!(gateway.get("labs.test", "/good").await.text(), "ok");
    }
    assert!(partner.requests().iter().all(|request| request.uri == "/good"));
}

#[tokio::test]
async fn no_answer_names_the_software() {
    let (_partner, gateway) = open_gateway().await;
    for host in ["labs.test", "nobody.test"] {
        let reply = gateway.get(host, "/").await;
        assert_eq!(reply.header("server"), None, "{host}");
        assert_eq!(reply.header("x-powered-by"), None, "{host}");
    }
}

#[tokio::test]
async fn odd_answers_of_a_partner_do_not_reach_the_client() {
    let mut wrong = Vec::new();
    for (name, bytes) in ODD_ANSWERS {
        let partner = Partner::raw(bytes).await;
        let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;
        let mut client = gateway.raw().await;
        client.request(&["GET / HTTP/1.1", "Host: labs.test"], "").await;
        let all = client.head_text().await;
        let head = all.to_ascii_lowercase();
        let bad = [
            head.starts_with("http/1.1 101"),
            head.matches("content-length:").count() > 1,
            head.starts_with("http/1.1 204") && head.contains("content-length: 5"),
            ["x-hop", "keep-alive: timeout", "proxy-connection"]
                .iter()
                .any(|hop| head.contains(hop)),
        ];
        if bad.contains(&true) {
            wrong.push(format!("{name}: {all}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test]
async fn bytes_behind_an_answer_are_nobodys_answer() {
    let stray = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray";
    let partner = Partner::raw_kept_open(stray).await;
    let mapping = json!({"requestTransformationMode": "SIMPLE",
        "requestFieldMappings": [{"sourceField": "a", "targetField": "b"}]});
    let stream = integration("stream", &partner.url(""));
    let exchange = with(integration("exchange", &partner.url("")), mapping);
    let gateway = Gateway::serving(&document([stream, exchange])).await;
    for host in ["stream.test", "exchange.test"] {
        for _ in 0..10 {
            let reply = gateway.post(host, "/", &json!({"a": 1})).await;
            assert_eq!((reply.status, reply.text().as_str()), (200, "ok"), "{host}");
        }
    }
}

/// A gateway before a partner that answers everything with `ok`.
async fn open_gateway() -> (Partner, Gateway) {
    let partner = Partner::answering(Answer::text("ok")).await;
    let gateway = Gateway::serving_one(integration("labs", &partner.url(""))).await;
    (partner, gateway)
}

const REFUSED: &[(&str, u16, &str)] = &[
    ("no host", 400, "GET / HTTP/1.1\r\n\r\n"),
    ("no host in HTTP/1.0", 400, "GET / HTTP/1.0\r\n\r\n"),
    ("another version", 505, "GET / HTTP/2.0\r\nHost: labs.test\r\n\r\n"),
    (
        "a tunnel",
        405,
        "CONNECT labs.test:443 HTTP/1.1\r\nHost: labs.test:443\r\n\r\n",
    ),
    ("an empty host", 400, "GET / HTTP/1.1\r\nHost: \r\n\r\n"),
    (
        "two hosts",
        400,
        "GET / HTTP/1.1\r\nHost: labs.test\r\nHost: other.test\r\n\r\n",
    ),
    ("a host with a path", 400, "GET / HTTP/1.1\r\nHost: labs.test/x\r\n\r\n"),
    ("a host with user", 400, "GET / HTTP/1.1\r\nHost: a@labs.test\r\n\r\n"),
    (
        "length and chunks",
        400,
        "POST / HTTP/1.1\r\nHost: labs.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "two lengths",
        400,
        "POST / HTTP/1.1\r\nHost: labs.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    ),
    (
        "one length twice",
        400,
        "POST / HTTP/1.1\r\nHost: labs.test\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    ),
    (
        "a list of lengths",
        400,
        "POST / HTTP/1.1\r\nHost: labs.test\r\nContent-Length: 5, 5\r\n\r\nhello",
    ),
    (
        "a signed length",
        400,
        "POST / HTTP/1.1\r\nHost: labs.test\r\nContent-Length: +5\r\n\r\nhello",
    ),
    (
        "a hex length",
        400,
        "POST / HTTP/1.1\r\nHost: labs.test\r\nContent-Length: 0x5\r\n\r\nhello",
    ),
    (
        "another coding",
        501,
        "POST / HTTP/1.1\r\nHost: labs.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a broken coding",
        501,
        "POST / HTTP/1.1\r\nHost: labs.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunks in HTTP/1.0",
        400,
        "POST / HTTP/1.0\r\nHost: labs.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a folded line",
        400,
        "GET / HTTP/1.1\r\nHost: labs.test\r\nX-A: one\r\n two\r\n\r\n",
    ),
    (
        "a space before the colon",
        400,
        "GET / HTTP/1.1\r\nHost: labs.test\r\nX-A : one\r\n\r\n",
    ),
    ("bare line feeds", 400, "GET / HTTP/1.1\nHost: labs.test\n\n"),
    (
        "one bare line feed",
        400,
        "GET / HTTP/1.1\r\nHost: labs.test\nX-A: 1\r\n\r\n",
    ),
    (
        "a NUL in a value",
        400,
        "GET / HTTP/1.1\r\nHost: labs.test\r\nX-A: a\0b\r\n\r\n",
    ),
    (
        "a CR in a value",
        400,
        "GET / HTTP/1.1\r\nHost: labs.test\r\nX-A: a\rb\r\n\r\n",
    ),
    (
        "a header without a name",
        400,
        "GET / HTTP/1.1\r\nHost: labs.test\r\n: x\r\n\r\n",
    ),
    (
        "a climbing path",
        400,
        "GET /a/../b HTTP/1.1\r\nHost: labs.test\r\n\r\n",
    ),
    (
        "an encoded climbing path",
        400,
        "GET /a/%2e%2e/b HTTP/1.1\r\nHost: labs.test\r\n\r\n",
    ),
    (
        "a half encoded climbing path",
        400,
        "GET /a/.%2E/b HTTP/1.1\r\nHost: labs.test\r\n\r\n",
    ),
    (
        "an encoded slash",
        400,
        "GET /a%2fb HTTP/1.1\r\nHost: labs.test\r\n\r\n",
    ),
    (
        "an encoded backslash",
        400,
        "GET /a%5Cb HTTP/1.1\r\nHost: labs.test\r\n\r\n",
    ),
    ("a backslash", 400, "GET /a\\b HTTP/1.1\r\nHost: labs.test\r\n\r\n"),
    ("an encoded NUL", 400, "GET /a%00b HTTP/1.1\r\nHost: labs.test\r\n\r\n"),
    ("a broken escape", 400, "GET /a%zz HTTP/1.1\r\nHost: labs.test\r\n\r\n"),
    ("an empty segment", 400, "GET /a//b HTTP/1.1\r\nHost: labs.test\r\n\r\n"),
    (
        "a path without slash",
        400,
        "GET @evil.test/x HTTP/1.1\r\nHost: labs.test\r\n\r\n",
    ),
    ("a port as path", 400, "GET :80/x HTTP/1.1\r\nHost: labs.test\r\n\r\n"),
    (
        "an absolute target",
        400,
        "GET http://other.test/ HTTP/1.1\r\nHost: labs.test\r\n\r\n",
    ),
    (
        "a control byte in the path",
        400,
        "GET /a\x01b HTTP/1.1\r\nHost: labs.test\r\n\r\n",
    ),
    ("no request line", 400, "hello\r\n\r\n"),
];
const ODD_ANSWERS: &[(&str, &[u8])] = &[
    ("an upgrade that nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"),
    ("no content with a length", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    (
        "hop-by-hop headers",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Connection: x\r\n\r\nok",
    ),
];

/// An upgrade that is not made must leave the guard on: the next request of the connection is checked like the first.
#[tokio::test]
async fn an_upgrade_that_is_not_made_opens_nothing() {
    let (partner, gateway) = open_gateway().await;
    for first in [
        "GET /a HTTP/1.0\r\nHost: labs.test\r\nConnection: keep-alive\r\nUpgrade: websocket\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: labs.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
    ] {
        let mut client = gateway.raw().await;
        client.send(first).await;
        assert_eq!(client.answer().await.status, 200);
        client.send("TRACE /b HTTP/1.1\r\nHost: labs.test\r\n\r\n").await;
        if let Some(second) = client.maybe_answer().await {
            assert_eq!(second.status, 405, "{}", second.text());
        }
    }
    assert!(partner.requests().iter().all(|request| request.uri == "/a"));
}

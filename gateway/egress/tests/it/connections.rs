//! Which exchange goes over which connection, and what goes over it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use egress::{Body, EgressError, IdleLimit, Part, Pool, PoolSettings, Upstream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::partner::{PATIENT, Partner, call, eventually, get, open, pool, pool_with, read_head, resolver, text};

fn hello(_: Request<hyper::body::Incoming>) -> Response<Full<Bytes>> {
    Response::new(Full::from("hello"))
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let partner = Partner::start(hello).await;
    let pool = partner.pool();
    for _ in 0..5 {
        assert_eq!(text(&pool, "/").await, "hello");
    }
    assert_eq!(partner.connections(), 1);
}

#[tokio::test]
async fn a_connection_is_used_again_after_an_answer_without_a_body() {
    let partner = Partner::start(|_| {
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        answer
    })
    .await;
    let pool = partner.pool();
    for _ in 0..3 {
        let answer = call(&pool, "/").await.unwrap();
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert!(answer.collect(0).await.unwrap().is_empty());
    }
    eventually("an idle connection", || format!("{pool:?}").contains("idle: 1")).await;
    assert!(partner.connections() <= 3);
}

#[tokio::test]
async fn pools_never_share_a_connection() {
    let partner = Partner::start(hello).await;
    let (one, other) = (partner.pool(), partner.pool());
    for _ in 0..3 {
        text(&one, "/").await;
        text(&other, "/").await;
    }
    assert_eq!(partner.connections(), 2);
}

#[tokio::test]
async fn an_exchange_under_way_keeps_its_connection_to_itself() {
    let partner = Partner::start(hello).await;
    let pool = partner.pool();
    let first = call(&pool, "/").await.unwrap();
    let second = call(&pool, "/").await.unwrap();
    assert_eq!(partner.connections(), 2);
    first.collect(100).await.unwrap();
    second.collect(100).await.unwrap();
    text(&pool, "/").await;
    assert_eq!(partner.connections(), 2);
}

#[tokio::test]
async fn an_answer_that_is_not_read_to_its_end_takes_its_connection_along() {
    let partner = Partner::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf.", false).await;
    let pool = partner.pool();
    for _ in 0..2 {
        let mut answer = call(&pool, "/").await.unwrap();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "half.");
    }
    assert_eq!(partner.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_the_partner_closed_is_not_used() {
    // Answers once per connection, promises to keep it, and closes it.
    let partner = Partner::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", true).await;
    let pool = partner.pool();
    for connections in 1..4 {
        assert_eq!(text(&pool, "/").await, "hello");
        eventually("the end of the connection", || format!("{pool:?}").contains("idle: 0")).await;
        assert_eq!(partner.connections(), connections);
    }
}

/// Answers the first request of each connection, and closes it when the second has come.
async fn partner_that_closes_in_use() -> Partner {
    Partner::accept(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
            .await;
        read_head(&mut stream).await;
    })
    .await
}

#[tokio::test]
async fn an_idempotent_request_survives_the_end_of_a_used_connection() {
    let partner = partner_that_closes_in_use().await;
    let pool = partner.pool();
    for connections in 1..4 {
        assert_eq!(text(&pool, "/").await, "hello");
        assert_eq!(partner.connections(), connections);
    }
}

#[tokio::test]
async fn a_post_does_not_go_out_twice() {
    let partner = partner_that_closes_in_use().await;
    let pool = partner.pool();
    let post = || Request::post("/").body(Full::default()).unwrap();
    pool.send(post(), PATIENT).await.unwrap().collect(10).await.unwrap();
    let error = pool.send(post(), PATIENT).await.unwrap_err();
    assert!(matches!(error, EgressError::Protocol { .. }), "{error:?}");
    assert!(error.may_have_been_sent());
    assert_eq!(partner.connections(), 1);
}

#[tokio::test]
async fn a_post_that_may_arrive_twice_survives_the_end_of_a_used_connection() {
    let partner = partner_that_closes_in_use().await;
    let pool = partner.pool();
    for connections in 1..4 {
        let post = Request::post("/").body(Full::from("{}")).unwrap();
        let answer = pool.send_repeatable(post, PATIENT).await.unwrap();
        assert_eq!(answer.collect(10).await.unwrap(), "hello");
        assert_eq!(partner.connections(), connections);
    }
}

#[tokio::test]
async fn a_body_from_a_file_arrives_whole() {
    let partner = Partner::accept(|mut stream| async move {
        let (mut head, mut length) = (Vec::new(), 0);
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a head"));
        }
        let mut chunk = vec![0; 65_536];
        while length < 1_000_002 {
            length += stream.read(&mut chunk).await.expect("a body");
        }
        let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
        assert!(head.contains("content-length: 1000002"), "{head}");
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
            .await;
    })
    .await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![b'x'; 1_000_000]).unwrap();
    let parts = [
        Part::Bytes(Bytes::from_static(b"\"")),
        Part::File {
            file: Arc::new(file.reopen().unwrap()),
            length: 1_000_000,
        },
        Part::Bytes(Bytes::from_static(b"\"")),
    ];
    let post = Request::post("/").body(Body::of_parts(parts)).unwrap();
    let answer = partner.pool().send(post, PATIENT).await.unwrap();
    assert_eq!(answer.collect(10).await.unwrap(), "hello");
}

#[tokio::test]
async fn idle_connections_of_many_pools_have_a_common_limit() {
    let limit = IdleLimit::new(10);
    let tls = egress::client_config(None).unwrap();
    let partner = Partner::start(hello).await;
    let target = filters::target::TargetUrl::parse(&partner.url()).unwrap();
    let mut pools = Vec::new();
    for _ in 0..50 {
        let upstream = Upstream::new(target.clone(), open(), resolver());
        let pool = Pool::within(&limit, upstream, PoolSettings::default(), Arc::clone(&tls));
        text(&pool, "/").await;
        assert!(limit.open() <= 10, "{limit:?}");
        pools.push(pool);
    }
    let idle = |pool: &&Pool| format!("{pool:?}").contains("idle: 1");
    assert_eq!(pools.iter().filter(idle).count(), limit.open());
    assert!(idle(&&pools[49]), "the last one to be used is kept");
    drop(pools);
    eventually("an empty count", || limit.open() == 0).await;
}

#[tokio::test]
async fn a_new_connection_that_ends_is_an_answer_in_itself() {
    let partner = Partner::accept(|mut stream| async move {
        read_head(&mut stream).await;
    })
    .await;
    let pool = partner.pool();
    let error = call(&pool, "/").await.unwrap_err();
    assert!(matches!(error, EgressError::Protocol { .. }), "{error:?}");
    assert!(error.may_have_been_sent());
    assert_eq!(partner.connections(), 1);
}

#[tokio::test]
async fn idle_connections_are_closed_after_their_time() {
    let (closed, mut was_closed) = tokio::sync::mpsc::channel(1);
    let partner = Partner::accept(move |mut stream| {
        let closed = closed.clone();
        async move {
            read_head(&mut stream).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
            if let Ok(0) = stream.read(&mut [0]).await {
                let _ = closed.send(()).await;
            }
        }
    })
    .await;
    let settings = PoolSettings {
        idle_timeout: Duration::from_millis(50),
        ..PoolSettings::default()
    };
    let pool = pool_with(&partner.url(), open(), resolver(), settings);
    assert_eq!(text(&pool, "/").await, "ok");
    tokio::time::timeout(Duration::from_secs(20), was_closed.recv())
        .await
        .expect("the connection stayed open");
}

#[tokio::test]
async fn no_more_than_the_limit_stay_idle() {
    let partner = Partner::start(hello).await;
    let settings = PoolSettings {
        max_idle: 2,
        ..PoolSettings::default()
    };
    let pool = pool_with(&partner.url(), open(), resolver(), settings);
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(call(&pool, "/").await.unwrap());
    }
    for answer in answers {
        answer.collect(100).await.unwrap();
    }
    assert!(format!("{pool:?}").contains("idle: 2"), "{pool:?}");
}

#[tokio::test]
async fn a_dropped_pool_closes_its_connections() {
    let (closed, mut was_closed) = tokio::sync::mpsc::channel(1);
    let partner = Partner::accept(move |mut stream| {
        let closed = closed.clone();
        async move {
            read_head(&mut stream).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
            if let Ok(0) = stream.read(&mut [0]).await {
                let _ = closed.send(()).await;
            }
        }
    })
    .await;
    let pool = partner.pool();
    let answer = call(&pool, "/").await.unwrap();
    drop(pool);
    assert_eq!(answer.collect(10).await.unwrap(), "ok");
    tokio::time::timeout(Duration::from_secs(20), was_closed.recv())
        .await
        .expect("the connection stayed open");
}

#[tokio::test]
async fn the_partner_sees_the_request_as_it_was_written() {
    let partner = Partner::start(|request| {
        let length = request
            .headers()
            .get("content-length")
            .map_or("none", |value| value.to_str().unwrap_or("?"));
        let host = request.headers()["host"].to_str().unwrap_or("?");
        let seen = format!("{} {} {host} {length}", request.method(), request.uri());
        Response::new(Full::from(seen))
    })
    .await;
    let pool = partner.pool();
    let address = partner.address;
    assert_eq!(
        text(&pool, "/v1/a%20b?q=1").await,
        format!("GET /v1/a%20b?q=1 {address} none")
    );
    assert_eq!(
        text(&pool, "http://elsewhere.example/v1").await,
        format!("GET /v1 {address} none")
    );
    assert_eq!(
        text(&pool, "http://elsewhere.example").await,
        format!("GET / {address} none")
    );

    for (body, length) in [("", "0"), ("{}", "2")] {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/x")
            .header("host", "named.example")
            .body(Full::from(body))
            .unwrap();
        let answer = pool.send(request, PATIENT).await.unwrap();
        assert_eq!(
            answer.collect(100).await.unwrap(),
            format!("POST /x named.example {length}")
        );
    }
}

#[tokio::test]
async fn redirects_are_answers() {
    let partner = Partner::start(|_| {
        let moved = Response::builder()
            .status(302)
            .header("location", "http://169.254.169.254/");
        moved.body(Full::default()).unwrap_or_default()
    })
    .await;
    let answer = call(&partner.pool(), "/").await.unwrap();
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(answer.headers["location"], "http://169.254.169.254/");
}

#[tokio::test]
async fn nobody_there_is_a_connect_error() {
    // A bound port that nobody listens on.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let error = pool(&format!("http://{address}/"), open())
        .send(get("/"), PATIENT)
        .await
        .unwrap_err();
    assert!(matches!(error, EgressError::Connect { .. }), "{error:?}");
    assert!(!error.may_have_been_sent() && !error.is_timeout());
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot connect to 127.0.0.1 at {address}: ")),
        "{error}"
    );
}
